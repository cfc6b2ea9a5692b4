"""Execution: what a block does, and what it refuses (BFT-12 3, 8, 18; IDX1 8.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from crypto.ring import ClosedBin
from crypto.transaction import Kind
from node.ledger import accumulators
from node.ledger.effects import (
    AccountEntry,
    AccountEntryKind,
    BlockFees,
    SpentNullifier,
    Transition,
    TreasuryEntry,
    TreasuryKind,
    genesis_transition,
)
from node.ledger.facts import BlockFacts
from node.ledger.fiscal_year import fiscal_year
from node.ledger.parameters import Parameters
from node.ledger.proofs import VerifiedTransaction
from node.ledger.rejection import Reason, Rejection
from node.ledger.state import Accumulated, Issuance, Pot, SetRecord, genesis_state
from node.ledger.transition import StaleVerdict, execute
from node.ledger.types import Amount, BankIndex, FiscalYear, Height, TimeMs
from tests.ledger.chain import (
    BASE,
    FEE,
    GENESIS_TIME_MS,
    GOLD,
    Chain,
    comparable,
    make_genesis,
    refusal,
)


def run(
    chain: Chain,
    transactions: Sequence[VerifiedTransaction],
    *,
    proposer: int = 0,
    facts: BlockFacts | None = None,
) -> Transition:
    return execute(
        chain.genesis,
        chain.state,
        height=Height(chain.height + 1),
        time_ms=TimeMs(chain.state.time_ms + 1_000),
        proposer=BankIndex(proposer),
        transactions=transactions,
        facts=facts or chain.facts(transactions),
    )


def rejected(chain: Chain, transactions: Sequence[VerifiedTransaction]) -> object:
    with pytest.raises(Rejection) as error:
        run(chain, transactions)
    return refusal(error.value)


def test_an_empty_block_moves_time_and_height_only(chain: Chain) -> None:
    """A heartbeat (BFT-12 7): its creator's count is the only other change."""
    before = chain.state
    transition = run(chain, (), proposer=2)
    creator = replace(before.banks[2], blocks_created=before.banks[2].blocks_created + 1)
    assert transition == Transition(
        state=replace(
            before,
            height=Height(before.height + 1),
            time_ms=TimeMs(before.time_ms + 1_000),
            banks=(*before.banks[:2], creator, before.banks[3]),
        ),
        notes=(),
        nullifiers=(),
        opened_bins=(),
        closed_bins=(),
        account_entries=(),
        treasury_entries=(),
        fees=BlockFees(Amount(0), Amount(0), Amount(0)),
    )


def test_a_transfer_spends_creates_and_pays_its_fee(chain: Chain) -> None:
    notes = chain.mature()[:2]
    verified = chain.verify(chain.transfer(notes, redeem=70))
    before, (transaction,) = chain.state, verified
    transition = run(chain, verified, proposer=3)
    after = transition.state
    nullifiers = before.nullifiers.accumulator
    for note in notes:
        nullifiers = accumulators.add_nullifier(nullifiers, note.nullifier)
    assert transition.nullifiers == tuple(
        SpentNullifier(note.nullifier, transaction.transaction_id) for note in notes
    )
    assert after.nullifiers == Accumulated(2, nullifiers)
    assert after.notes.count == before.notes.count + 2
    assert after.transaction_count == before.transaction_count + 1
    assert [note.output for note in transition.notes] == list(transaction.transaction.outputs)
    assert (after.assets[0].redeemed, after.assets[0].fees) == (70, 100)
    assert transition.fees == BlockFees(Amount(100), Amount(33), Amount(67))
    assert transition.account_entries == (
        AccountEntry(
            BankIndex(1), AccountEntryKind.REDEEM, BASE, Amount(70), transaction.transaction_id
        ),
        AccountEntry(BankIndex(3), AccountEntryKind.CREATOR_FEE, BASE, Amount(33), None),
    )
    assert [entry.change for entry in transition.account_entries] == [70, 33]
    assert [bank.balance for bank in after.banks] == [0, 70, 0, 33]
    assert [bank.creator_fees for bank in after.banks] == [0, 0, 0, 33]
    assert after.pots == (Pot(FiscalYear(2026), Amount(67), Amount(0)),)
    assert transition.treasury_entries == (
        TreasuryEntry(
            None,
            FiscalYear(2026),
            Amount(67),
            TreasuryKind.FEE,
            "approvers' part of the fees of block 5",
        ),
    )


def test_note_and_bin_hashes_run_in_ledger_order(chain: Chain) -> None:
    before = chain.state
    transition = run(chain, chain.verify(*(chain.mint([1] * 4) for _ in range(4))))
    notes = before.notes.accumulator
    for note in transition.notes:
        notes = accumulators.add_note(
            notes,
            asset=note.asset,
            bin_id=note.bin_id,
            position=note.position,
            output_index=note.output_index,
            output=note.output.encode(),
        )
    (closed,) = transition.closed_bins
    assert transition.state.notes == Accumulated(before.notes.count + 16, notes)
    assert transition.state.closed_bins == Accumulated(
        before.closed_bins.count + 1,
        accumulators.add_closed_bin(
            before.closed_bins.accumulator, bin_id=2, count=16, digest=closed.bin.digest
        ),
    )


def test_an_issue_uses_up_the_banks_limit(chain: Chain) -> None:
    before = chain.state.assets[1]
    transition = run(chain, chain.verify(chain.mint([30, 40], bank=2, asset=GOLD)))
    after = transition.state.assets[1]
    assert (after.issued, after.issuance) == (
        before.issued + 70,
        (*before.issuance[:2], Issuance(BankIndex(2), Amount(1_000_000), Amount(70))),
    )
    assert (transition.account_entries, transition.treasury_entries) == ((), ())


def test_the_issuance_limit_holds_over_the_whole_ledger_and_within_a_block(chain: Chain) -> None:
    """BFT-12 18: bank 2 has issued 10000 of 1000000 already."""
    within = chain.mint([600_000], bank=2)
    exactly = chain.mint([390_000], bank=2)
    one_more = chain.mint([1], bank=2)
    assert run(chain, chain.verify(within, exactly)).state.assets[0].issuance[2].issued == 1_000_000
    assert rejected(chain, chain.verify(within, exactly, one_more)) == (
        Reason.ISSUANCE_LIMIT,
        "bank 2 has issued 1000000 of 1000000, 1 more is too much",
        2,
    )
    other_bank = chain.mint([1], bank=1)
    assert run(chain, chain.verify(within, exactly, other_bank)).state.assets[0].issued == 1_020_001


def test_a_payout_debits_the_issuers_account(chain: Chain) -> None:
    redeem = chain.transfer(chain.mature()[:1], redeem=70)
    payout = chain.mint([50, 20], bank=1, kind=Kind.PAYOUT)
    transition = run(chain, chain.verify(redeem, payout))
    base = transition.state.assets[0]
    assert (base.redeemed, base.paid_out, base.issued) == (70, 70, chain.state.assets[0].issued)
    assert [bank.balance for bank in transition.state.banks] == [33, 0, 0, 0]
    assert [(entry.kind.value, entry.change) for entry in transition.account_entries] == [
        ("redeem", 70),
        ("payout", -70),
        ("creator-fee", 33),
    ]


def test_a_payout_must_be_covered_at_its_place_in_the_block(chain: Chain) -> None:
    redeem = chain.transfer(chain.mature()[:1], redeem=70)
    payout = chain.mint([70], bank=1, kind=Kind.PAYOUT)
    another = chain.mint([1], bank=1, kind=Kind.PAYOUT)
    assert rejected(chain, chain.verify(payout, redeem)) == (
        Reason.INSUFFICIENT_ACCOUNT,
        "the account of bank 1 holds 0, 70 is wanted",
        0,
    )
    assert rejected(chain, chain.verify(redeem, payout, another)) == (
        Reason.INSUFFICIENT_ACCOUNT,
        "the account of bank 1 holds 0, 1 is wanted",
        2,
    )


def test_the_creators_fee_cannot_be_paid_out_in_its_own_block(chain: Chain) -> None:
    """Fees are shared out after the transactions (BFT-12 3, 18)."""
    transfer = chain.transfer(chain.mature()[:1])
    payout = chain.mint([33], bank=0, kind=Kind.PAYOUT)
    assert rejected(chain, chain.verify(transfer, payout)) == (
        Reason.INSUFFICIENT_ACCOUNT,
        "the account of bank 0 holds 0, 33 is wanted",
        1,
    )


def test_a_note_is_spent_once_in_a_block(chain: Chain) -> None:
    """IDX1 8.5: the second spend is named by its place."""
    note = chain.mature()[0]
    first, second = chain.transfer([note]), chain.transfer([note])
    assert rejected(chain, chain.verify(first, chain.mint([1]), second)) == (
        Reason.NULLIFIER,
        "spent before",
        2,
    )


def test_a_note_is_spent_once_on_the_ledger(chain: Chain) -> None:
    """FLAW-06: two spends of one note have one nullifier, and it is looked up."""
    note = chain.mature()[0]
    first, second = chain.verify(chain.transfer([note]), chain.transfer([note]))
    chain.seal(first.raw)
    assert rejected(chain, [second]) == (Reason.NULLIFIER, "spent before", 0)


def test_a_one_time_key_enters_the_ledger_once(chain: Chain) -> None:
    """IDX1 8.5, against all notes of every asset; a replayed ISSUE has the same keys."""
    (verified,) = chain.verify(chain.mint([1]))
    assert run(chain, [verified])
    chain.history.known_notes.update(verified.one_time_keys)
    assert rejected(chain, [verified]) == (
        Reason.NOTE,
        "the one-time key is on the ledger already",
        0,
    )


def test_a_transaction_is_sealed_once(chain: Chain) -> None:
    """BFT-12 8: no duplicate and not already sealed."""
    (verified,) = chain.verify(chain.mint([1]))
    assert rejected(chain, [verified, verified]) == (
        Reason.DUPLICATE_TRANSACTION,
        "the transaction occurs twice",
        1,
    )
    chain.seal(verified.raw)
    assert rejected(chain, [verified]) == (
        Reason.DUPLICATE_TRANSACTION,
        "the transaction is sealed already",
        0,
    )


def test_expiry_is_judged_again_at_the_blocks_height(chain: Chain) -> None:
    """IDX1 5.4: the last height at which it is valid; never a local clock (BFT-12 8)."""
    (verified,) = chain.verify(chain.mint([1], expiry=chain.height + 1))
    assert run(chain, [verified])
    chain.seal()
    assert rejected(chain, [verified]) == (Reason.EXPIRED, "height 6, valid up to 5", 0)


def test_a_bin_has_to_be_closed_in_the_parent_state(chain: Chain) -> None:
    """IDX1 4.3: a verdict that was earned elsewhere does not help."""
    verified = chain.verify(chain.transfer(chain.mature()[:1]))
    needed = chain.facts(verified)
    with pytest.raises(Rejection) as error:
        run(chain, verified, facts=replace(needed, closed_bins={}))
    assert refusal(error.value) == (Reason.BIN_UNKNOWN, "bin 0", 0)


def test_a_verdict_about_another_bin_is_the_hosts_fault(chain: Chain) -> None:
    """BFT-12 8: a verdict is cached by id and the digests of all state that it read."""
    verified = chain.verify(chain.transfer(chain.mature()[:1]))
    true_bin = chain.history.closed_bins[0]
    other = ClosedBin(0, BASE, true_bin.notes[::-1], true_bin.count, true_bin.ring_base)
    with pytest.raises(StaleVerdict, match=r" was verified over other bins$"):
        run(chain, verified, facts=replace(chain.facts(verified), closed_bins={0: other}))


def test_a_rejected_transaction_leaves_nothing_behind(chain: Chain) -> None:
    """IDX1 8.5: one that fails occupies neither its nullifiers nor its one-time keys."""
    notes = chain.mature()
    overdraft = chain.mint([10**6], bank=1, kind=Kind.PAYOUT)
    over_limit = chain.mint([10**6], bank=0)
    first, twin = chain.transfer(notes[:1]), chain.transfer(notes[:1])
    good = chain.verify(first, chain.mint([9]))
    bad = chain.verify(overdraft, over_limit, twin)
    mixed = [bad[0], good[0], bad[2], bad[1], good[1], good[1]]
    built = chain.build(mixed)
    assert [(item.transaction_id, item.rejection.reason.value) for item in built.dropped] == [
        (bad[0].transaction_id, "insufficient-account"),
        (bad[2].transaction_id, "nullifier"),
        (bad[1].transaction_id, "issuance-limit"),
        (good[1].transaction_id, "duplicate-transaction"),
    ]
    assert comparable(built.transition) == comparable(chain.build(good).transition)


def test_fees_go_to_the_year_of_the_blocks_own_header_time() -> None:
    """BFT-12 18: a year of one minute, and a fee on each side of its end."""
    parameters = Parameters(ring_base=4, transfer_fee=Amount(FEE), fiscal_year_seconds=60)
    chain = Chain(make_genesis(parameters=parameters))
    chain.seal_matured(chain.mint([1_000, 1_000]))
    notes = chain.mature()
    to_the_end_ms = GENESIS_TIME_MS + 60_000 - chain.state.time_ms
    chain.seal(chain.transfer(notes[:1]), after_ms=to_the_end_ms - 1)
    chain.seal(chain.transfer(notes[1:]), after_ms=1)
    assert chain.state.pots == (
        Pot(FiscalYear(2026), Amount(67), Amount(0)),
        Pot(FiscalYear(2027), Amount(67), Amount(0)),
    )
    assert fiscal_year(parameters, GENESIS_TIME_MS, chain.state.time_ms) == 2027


@pytest.mark.parametrize(
    ("fee", "creator", "approvers"), [(0, 0, 0), (1, 0, 1), (2, 0, 2), (3, 1, 2)]
)
def test_the_creators_third_is_rounded_down(fee: int, creator: int, approvers: int) -> None:
    """BFT-12 18: every rounding is floor with the remainder going where stated."""
    chain = Chain(make_genesis(parameters=Parameters(ring_base=4, transfer_fee=Amount(fee))))
    chain.seal_matured(chain.mint([1_000]))
    built = chain.seal(chain.transfer(chain.mature()))
    assert built.transition.fees == BlockFees(Amount(fee), Amount(creator), Amount(approvers))
    assert sum(bank.balance for bank in chain.state.banks) == creator
    assert sum(pot.approver_fees for pot in chain.state.pots) == approvers
    assert len(built.transition.account_entries) == (creator > 0)
    assert len(built.transition.treasury_entries) == (approvers > 0)


def test_set_records_follow_the_active_set_and_leave_the_window() -> None:
    """BFT-12 9, 10: a window of two heights, bank 1 inactive from height 2 on."""
    parameters = Parameters(ring_base=4, evidence_window=2)
    genesis = make_genesis(parameters=parameters)
    state = genesis_state(genesis)
    left = replace(
        state, banks=tuple(replace(bank, active=bank.index != 1) for bank in state.banks)
    )
    smaller = genesis.active_set([BankIndex(0), BankIndex(2), BankIndex(3)])
    record = SetRecord(Height(2), smaller.set_hash, smaller.banks)
    seen = []
    for height in range(1, 5):
        left = execute(
            genesis,
            left,
            height=Height(height),
            time_ms=TimeMs(GENESIS_TIME_MS + height),
            proposer=BankIndex(0),
            transactions=(),
            facts=BlockFacts(),
        ).state
        seen.append(left.set_records)
    first = state.set_records[0]
    assert seen == [(first, record), (first, record), (record,), (record,)]


def test_a_block_follows_its_parent_state(chain: Chain) -> None:
    with pytest.raises(AssertionError, match=r"^block 7 does not follow state 4"):
        execute(
            chain.genesis,
            chain.state,
            height=Height(7),
            time_ms=TimeMs(0),
            proposer=BankIndex(0),
            transactions=(),
            facts=BlockFacts(),
        )


def test_the_outcome_of_genesis_is_the_stakes() -> None:
    """BFT-12 18: the initial stake is in genesis, treasury row `stake`."""
    genesis = make_genesis()
    transition = genesis_transition(genesis)
    assert transition.state == genesis_state(genesis)
    assert transition.treasury_entries == tuple(
        TreasuryEntry(
            BankIndex(bank),
            FiscalYear(2026),
            Amount(45_000 + bank),
            TreasuryKind.STAKE,
            "initial stake",
        )
        for bank in range(4)
    )
