"""What stake movements and readmissions do, and when they are refused (BFT-12 10, 18)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import strategies as st

from crypto.transaction import Kind
from node.ledger.effects import AccountEntry, AccountEntryKind, TreasuryEntry, TreasuryKind
from node.ledger.governance import (
    Approval,
    GovernanceKind,
    ReadmissionTerms,
)
from node.ledger.invariants import check_conservation
from node.ledger.offences import Offence
from node.ledger.rejection import Reason
from node.ledger.types import Amount, BankIndex, FiscalYear
from tests.ledger.chain import (
    BASE,
    FAR,
    Chain,
    refusal,
)

TOP_UP, WITHDRAWAL = GovernanceKind.STAKE_TOP_UP, GovernanceKind.STAKE_WITHDRAWAL
CHAIN_ID, SET_HASH, SIGNATURE = bytes(range(32)), bytes([7]) * 32, bytes([9]) * 64

hashes = st.binary(min_size=32, max_size=32)
u16, u64 = st.integers(0, 2**16 - 1), st.integers(0, 2**64 - 1)
all_terms = st.builds(ReadmissionTerms, hashes, u16, hashes, u64, u64)
all_approvals = st.lists(st.builds(Approval, u16, st.binary(min_size=64, max_size=64)), max_size=16)


# Stakes


def test_section_18_a_top_up_turns_account_money_into_stake(funded: Chain) -> None:
    """IDX-58, IDX-62: a treasury row, an account entry, and the books balance."""
    before = funded.state
    raw = funded.move_stake(TOP_UP, 300)
    built = funded.seal(raw)
    transition, bank = built.transition, funded.state.banks[1]
    assert bank == replace(
        before.banks[1],
        stake=Amount(45_301),
        balance=Amount(600),
        topped_up=Amount(300),
        stake_nonce=1,
        blocks_created=bank.blocks_created,
    )
    assert transition.account_entries == (
        AccountEntry(
            BankIndex(1),
            AccountEntryKind.STAKE_TOP_UP,
            BASE,
            Amount(300),
            built.transactions[0].transaction_id,
        ),
    )
    assert transition.account_entries[0].change == -300
    assert transition.treasury_entries == (
        TreasuryEntry(BankIndex(1), FiscalYear(2026), 300, TreasuryKind.STAKE, "stake top-up"),
    )
    assert (built.transactions[0].kind, transition.notes, transition.fees.total) == (TOP_UP, (), 0)
    assert funded.state.transaction_count == before.transaction_count + 1
    check_conservation(funded.genesis, funded.state)


def test_section_18_only_the_excess_above_the_initial_stake_can_be_withdrawn(
    funded: Chain,
) -> None:
    """IDX-62: not one unit more; the stake row is negative, so the rows add up to the stake."""
    funded.seal(funded.move_stake(TOP_UP, 300))
    assert funded.refusal_in_block(funded.move_stake(WITHDRAWAL, 301)) == (
        Reason.STAKE_EXCESS,
        "the stake of bank 1 exceeds its initial stake by 300, 301 is wanted",
        None,
    )
    built = funded.seal(funded.move_stake(WITHDRAWAL, 300))
    bank = funded.state.banks[1]
    assert (bank.stake, bank.balance, bank.withdrawn, bank.stake_nonce) == (45_001, 900, 300, 2)
    assert [entry.change for entry in built.transition.account_entries] == [300]
    assert built.transition.treasury_entries == (
        TreasuryEntry(BankIndex(1), FiscalYear(2026), -300, TreasuryKind.STAKE, "stake withdrawal"),
    )
    check_conservation(funded.genesis, funded.state)
    assert funded.refusal_in_block(funded.move_stake(WITHDRAWAL, 1))[0] is Reason.STAKE_EXCESS


def test_section_18_a_slashed_bank_withdraws_nothing_until_it_is_above_again(
    funded: Chain,
) -> None:
    """The excess is over the initial stake, and the slash comes first in a block (BFT-12 3)."""
    funded.seal(funded.move_stake(TOP_UP, 300))
    withdrawal = funded.move_stake(WITHDRAWAL, 300)
    built = funded.build(funded.verify(withdrawal), evidence=[funded.evidence(1)])
    (out,) = built.dropped
    assert refusal(out.rejection) == (
        Reason.STAKE_EXCESS,
        "the stake of bank 1 exceeds its initial stake by 0, 300 is wanted",
        None,
    )
    assert built.transition.state.banks[1].stake == 45_301 - 2_265


def test_section_18_a_top_up_must_be_covered_at_its_place_in_the_block(funded: Chain) -> None:
    too_much = funded.move_stake(TOP_UP, 901)
    assert funded.refusal_in_block(too_much) == (
        Reason.INSUFFICIENT_ACCOUNT,
        "the account of bank 1 holds 900, 901 is wanted",
        None,
    )
    redeem = funded.transfer(funded.mature()[:1], redeem=1)
    assert funded.build(funded.verify(redeem, too_much)).dropped == ()
    payout = funded.mint([600], bank=1, kind=Kind.PAYOUT)
    assert funded.refusal_in_block(payout, funded.move_stake(TOP_UP, 301)) == (
        Reason.INSUFFICIENT_ACCOUNT,
        "the account of bank 1 holds 300, 301 is wanted",
        None,
    )


def test_section_18_a_stake_stays_an_amount(funded: Chain) -> None:
    largest = (1 << 64) - 1
    banks = funded.state.banks
    rich = replace(banks[1], stake=Amount(largest - 10), balance=Amount(11))
    state = replace(funded.state, banks=(banks[0], rich, *banks[2:]))
    funded.transition = replace(funded.transition, state=state)
    funded.header = replace(funded.header, post_state_root=state.root())
    assert funded.refusal_in_block(funded.move_stake(TOP_UP, 11)) == (
        Reason.STAKE_LIMIT,
        f"the stake of bank 1 is {largest - 10}, 11 more is too much",
        None,
    )
    assert funded.build(funded.verify(funded.move_stake(TOP_UP, 10))).dropped == ()


def test_section_18_a_stake_movement_happens_once(funded: Chain) -> None:
    """Not twice in a block, not again later, and not under another id with the same nonce."""
    raw = funded.move_stake(TOP_UP, 300)
    again = funded.move_stake(TOP_UP, 300, expiry=FAR - 1)
    assert funded.refusal_in_block(raw, again) == (
        Reason.NONCE,
        "nonce 0, bank 1's next stake movement has nonce 1",
        None,
    )
    early = funded.move_stake(TOP_UP, 1, nonce=1)
    assert funded.refusal_in_block(early) == (
        Reason.NONCE,
        "nonce 1, bank 1's next stake movement has nonce 0",
        None,
    )
    funded.seal(raw, early)
    assert funded.state.banks[1].stake == 45_302
    assert funded.refusal_in_block(again)[0] is Reason.NONCE
    assert funded.refusal_at_admission(raw) == (
        Reason.DUPLICATE_TRANSACTION,
        "the transaction is sealed already",
    )
    other_bank = funded.move_stake(TOP_UP, 1, bank=2)
    assert funded.refusal_in_block(other_bank)[0] is Reason.INSUFFICIENT_ACCOUNT


def test_section_18_a_verdict_on_a_movement_ends_with_its_expiry(funded: Chain) -> None:
    (verified,) = funded.verify(funded.move_stake(TOP_UP, 5, expiry=funded.height + 1))
    funded.seal()
    (out,) = funded.build([verified]).dropped
    assert refusal(out.rejection) == (Reason.EXPIRED, "height 7, valid up to 6", None)


# Return to the active set


def test_section_10_a_removed_bank_tops_up_and_returns_with_a_quorums_approval(
    removed: Chain,
) -> None:
    """IDX-53, the whole flow: removed, an observer, restored, approved, active at h+1."""
    assert [bank.index for bank in removed.state.banks if not bank.active] == [5]
    assert removed.state.banks[5].stake == 12_611
    raw = removed.readmission(removed.terms(5))
    assert removed.refusal_in_block(raw) == (
        Reason.STAKE_BELOW_INITIAL,
        "the stake of bank 5 is 12611, its initial stake of 45005 is required",
        None,
    )
    removed.seal(removed.move_stake(TOP_UP, 45_005 - 12_611, bank=5))
    before = removed.state
    built = removed.seal(raw)
    assert built.transition.readmitted == (5,)
    assert removed.state.banks[5] == replace(before.banks[5], active=True)
    assert removed.state.governance_nonce == 1
    everybody = removed.genesis.active_set([BankIndex(bank) for bank in range(6)])
    assert built.block.header.next_set_hash == everybody.set_hash
    assert removed.state.active_set(removed.genesis) == everybody
    assert removed.state.set_records[-2].banks == (0, 1, 2, 3, 4)
    assert removed.state.banks[5].offences == 7
    check_conservation(removed.genesis, removed.state)


def test_section_18_an_offence_counts_for_life(restored: Chain) -> None:
    """After its return the eighth offence costs 20 %."""
    restored.seal(restored.readmission(restored.terms(5)))
    (punishment,) = restored.seal(evidence=[restored.evidence(5)]).transition.punishments
    assert (punishment.ordinal, punishment.amount) == (8, 9_001)


def test_section_18_a_return_and_its_approvals_serve_once(restored: Chain) -> None:
    """Neither the bytes nor the approvals bring the bank back after another removal."""
    terms = restored.terms(5)
    raw = restored.readmission(terms)
    restored.seal(raw)
    assert restored.refusal_at_admission(raw)[0] is Reason.DUPLICATE_TRANSACTION
    with_another_approval = restored.readmission(terms, approvers=range(6))
    assert restored.refusal_in_block(with_another_approval) == (
        Reason.NONCE,
        "nonce 0, the next governance transaction has nonce 1",
        None,
    )


REFUSED_BY_STATE: list[tuple[str, Callable[[Chain], bytes], Reason, str]] = [
    (
        "too few",
        lambda chain: chain.readmission(chain.terms(5), approvers=range(4)),
        Reason.APPROVAL_COUNT,
        "4 approvals, 5 are required",
    ),
    (
        "none",
        lambda chain: chain.readmission(chain.terms(5), approvers=[]),
        Reason.APPROVAL_COUNT,
        "0 approvals, 5 are required",
    ),
    (
        "its own approval",
        lambda chain: chain.readmission(chain.terms(5), approvers=[0, 1, 2, 3, 5]),
        Reason.APPROVER_INACTIVE,
        "bank 5 is not in the active set",
    ),
    (
        "its own approval beside a quorum",
        lambda chain: chain.readmission(chain.terms(5), approvers=range(6)),
        Reason.APPROVER_INACTIVE,
        "bank 5 is not in the active set",
    ),
    (
        "another set",
        lambda chain: chain.readmission(
            replace(
                chain.terms(5),
                set_hash=chain.genesis.active_set([BankIndex(bank) for bank in range(6)]).set_hash,
            )
        ),
        Reason.APPROVED_SET,
        "approved under another active set than the present",
    ),
    (
        "another nonce",
        lambda chain: chain.readmission(replace(chain.terms(5), nonce=1)),
        Reason.NONCE,
        "nonce 1, the next governance transaction has nonce 0",
    ),
    (
        "an active bank",
        lambda chain: chain.readmission(chain.terms(4)),
        Reason.BANK_ACTIVE,
        "bank 4 is in the active set",
    ),
]


@pytest.mark.parametrize(
    ("name", "make", "reason", "message"),
    REFUSED_BY_STATE,
    ids=[case[0] for case in REFUSED_BY_STATE],
)
def test_section_18_a_readmission_that_the_state_refuses(
    restored: Chain, name: str, make: Callable[[Chain], bytes], reason: Reason, message: str
) -> None:
    assert restored.refusal_in_block(make(restored)) == (reason, message, None)


def test_section_18_one_minor_unit_below_the_initial_stake_is_not_enough(removed: Chain) -> None:
    removed.seal(removed.move_stake(TOP_UP, 45_004 - 12_611, bank=5))
    raw = removed.readmission(removed.terms(5))
    assert removed.refusal_in_block(raw)[0] is Reason.STAKE_BELOW_INITIAL
    last = removed.move_stake(TOP_UP, 1, bank=5)
    assert removed.seal(last, raw).transition.readmitted == (5,)


def test_section_3_slashes_come_before_a_return(restored: Chain) -> None:
    """An old offence that is punished in the same block lowers the stake first."""
    old = restored.evidence(5, 2, Offence.DOUBLE_COMMIT)
    built = restored.build(restored.verify(restored.readmission(restored.terms(5))), evidence=[old])
    (out,) = built.dropped
    assert out.rejection.reason is Reason.STAKE_BELOW_INITIAL
    assert (built.transition.readmitted, len(built.transition.punishments)) == ((), 1)


def test_section_10_an_approval_ends_with_the_set_that_gave_it(restored: Chain) -> None:
    """Bank 4 is removed meanwhile: fewer banks decide now, and they have not been asked."""
    raw = restored.readmission(restored.terms(5))
    again = [restored.evidence(4, 1), restored.evidence(4, 1, Offence.DOUBLE_PROPOSAL)]
    again += [restored.evidence(4, 1, offence) for offence in (*Offence,)[2:5]]
    again += [restored.evidence(4, height) for height in (2, 3)]
    assert restored.seal(evidence=again).transition.removed == (4,)
    assert restored.refusal_in_block(raw)[0] is Reason.APPROVED_SET
    renewed = restored.readmission(restored.terms(5))
    assert restored.seal(renewed).transition.readmitted == (5,)


def test_section_18_a_removed_bank_still_serves_its_clients(removed: Chain) -> None:
    """It may issue, pay out and redeem; only deciding is closed to it."""
    account = removed.genesis.account_of(BankIndex(5))
    removed.seal(
        removed.mint([10], bank=5),
        removed.mint([20], bank=5, kind=Kind.PAYOUT),
        removed.transfer(removed.mature()[:1], redeem=30, account=account),
    )
    assert removed.state.banks[5].balance == 40_000 - 20 + 30
    assert not removed.state.banks[5].active
