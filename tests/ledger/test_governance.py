"""Stake movements and readmissions: bytes, signatures, and what they do (BFT-12 10, 18)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.signature import sign
from crypto.transaction import Kind, transaction_id
from node.ledger.effects import AccountEntry, AccountEntryKind, TreasuryEntry, TreasuryKind
from node.ledger.facts import FactsNeeded, facts_needed
from node.ledger.governance import (
    Approval,
    GovernanceKind,
    Readmission,
    ReadmissionTerms,
    StakeMovement,
    assemble_readmission,
    decode_governance,
    is_governance,
)
from node.ledger.invariants import check_conservation
from node.ledger.offences import Offence
from node.ledger.proofs import AdmissionView, verify_transactions
from node.ledger.rejection import Reason, Rejection
from node.ledger.transition import execute
from node.ledger.types import Amount, BankIndex, FiscalYear, Height
from tests.ledger.chain import (
    BASE,
    FAR,
    Chain,
    approve,
    consensus_secret,
    issuer_secret,
    make_genesis,
    refusal,
)

TOP_UP, WITHDRAWAL = GovernanceKind.STAKE_TOP_UP, GovernanceKind.STAKE_WITHDRAWAL
CHAIN_ID, SET_HASH, SIGNATURE = bytes(range(32)), bytes([7]) * 32, bytes([9]) * 64

hashes = st.binary(min_size=32, max_size=32)
u16, u64 = st.integers(0, 2**16 - 1), st.integers(0, 2**64 - 1)
all_terms = st.builds(ReadmissionTerms, hashes, u16, hashes, u64, u64)
all_approvals = st.lists(st.builds(Approval, u16, st.binary(min_size=64, max_size=64)), max_size=16)


@pytest.fixture
def funded(chain: Chain) -> Chain:
    """Bank 1 has 900 in its public account: 867 redeemed, and 33 as creator of that block."""
    chain.seal(chain.transfer(chain.mature()[:1], redeem=867))
    return chain


@pytest.fixture(scope="module")
def removed_once() -> Chain:
    """Six banks, of which bank 5 was slashed seven times and removed; do not change, fork.

    Its account holds 40000, which is enough to bring its stake of 12611 back to 45005.
    """
    chain = Chain(make_genesis(banks=6))
    chain.seal_matured(chain.mint([41_000, 1_000]))
    everything = [chain.evidence(5, 1), chain.evidence(5, 1, Offence.DOUBLE_PROPOSAL)]
    everything += [chain.evidence(5, 1, offence) for offence in (*Offence,)[2:5]]
    everything += [chain.evidence(5, 1, Offence.APPROVED_INVALID), chain.evidence(5, 2)]
    built = chain.seal(evidence=everything)
    assert built.transition.removed == (5,)
    account = chain.genesis.account_of(BankIndex(5))
    chain.seal(chain.transfer(chain.mature()[:1], redeem=40_000, account=account))
    return chain


@pytest.fixture
def removed(removed_once: Chain) -> Chain:
    return removed_once.fork()


@pytest.fixture
def restored(removed: Chain) -> Chain:
    """Bank 5 has topped its stake up to the initial amount."""
    bank = removed.state.banks[5]
    removed.seal(removed.move_stake(TOP_UP, bank.initial_stake - bank.stake, bank=5))
    return removed


def verdict_on(chain: Chain, raw: bytes) -> tuple[Reason, str]:
    """How admission refuses these bytes; a voter calls the same function."""
    try:
        facts = chain.facts([chain.decode(raw)])
    except Rejection:
        facts = chain.facts([])
    view = AdmissionView(chain.genesis, chain.state, facts)
    (verdict,) = verify_transactions([raw], view, chain.coins.take)
    assert isinstance(verdict, Rejection)
    assert verdict.reason.is_deterministic
    assert not verdict.reason.is_not_yet
    return verdict.reason, verdict.message


def dropped(chain: Chain, *raws: bytes) -> tuple[Reason, str, int | None]:
    """Admission lets these in; the builder leaves the last one out, and a voter refuses it."""
    verified = chain.verify(*raws)
    built = chain.build(verified)
    (out,) = built.dropped
    assert out.transaction_id == verified[-1].transaction_id
    with pytest.raises(Rejection) as error:
        execute(
            chain.genesis,
            chain.state,
            height=Height(chain.height + 1),
            time_ms=built.block.header.time_ms,
            proposer=chain.leader(),
            transactions=verified,
            facts=chain.facts(verified),
        )
    assert refusal(error.value) == refusal(out.rejection.at(len(raws) - 1))
    return refusal(out.rejection)


def encode_readmission(terms: ReadmissionTerms, approvals: Sequence[Approval]) -> bytes:
    """Without putting the approvals in order."""
    parts = [approval.bank.to_bytes(2, "big") + approval.signature for approval in approvals]
    return terms.encode() + len(parts).to_bytes(4, "big") + b"".join(parts)


# Bytes


def test_section_18_the_bytes_of_a_stake_movement(chain: Chain) -> None:
    """The table of the module, and what the issuer's key signs."""
    raw = chain.move_stake(WITHDRAWAL, 0x0102, bank=2, nonce=3, expiry=4, chain_id=CHAIN_ID)
    unsigned = (
        b"\x01\x11" + CHAIN_ID + b"\x00\x02"
        + (0x0102).to_bytes(8, "big") + (3).to_bytes(8, "big") + (4).to_bytes(8, "big")
    )  # fmt: skip
    statement = (18).to_bytes(4, "big") + b"consortium/stake/1" + unsigned
    signature = sign(issuer_secret(2), statement)
    assert raw == unsigned + signature
    assert decode_governance(raw) == StakeMovement(
        raw=raw,
        transaction_id=transaction_id(raw),
        kind=WITHDRAWAL,
        chain_id=CHAIN_ID,
        bank=BankIndex(2),
        amount=Amount(0x0102),
        nonce=3,
        expiry=4,
        signature=signature,
    )


def test_section_18_the_bytes_of_a_readmission() -> None:
    """Approvals stand in increasing bank index, whoever came first."""
    terms = ReadmissionTerms(CHAIN_ID, BankIndex(5), SET_HASH, 6, 7)
    encoded = (
        b"\x01\x12" + CHAIN_ID + b"\x00\x05" + SET_HASH
        + (6).to_bytes(8, "big") + (7).to_bytes(8, "big")
    )  # fmt: skip
    assert terms.encode() == encoded
    assert terms.statement == (24).to_bytes(4, "big") + b"consortium/readmission/1" + encoded
    first, second = approve(terms, 1), approve(terms, 3)
    assert first == Approval(BankIndex(1), sign(consensus_secret(1), terms.statement))
    raw = assemble_readmission(terms, [second, first])
    assert raw == (
        encoded + b"\x00\x00\x00\x02" + b"\x00\x01" + first.signature
        + b"\x00\x03" + second.signature
    )  # fmt: skip
    assert decode_governance(raw) == Readmission(raw, transaction_id(raw), terms, (first, second))


@given(all_terms, all_approvals)
def test_readmissions_round_trip(terms: ReadmissionTerms, approvals: list[Approval]) -> None:
    raw = encode_readmission(terms, approvals)
    decoded = decode_governance(raw)
    assert decoded == Readmission(raw, transaction_id(raw), terms, tuple(approvals))
    assert (decoded.chain_id, decoded.expiry) == (terms.chain_id, terms.expiry)
    assert ReadmissionTerms.decode(terms.encode()) == terms


@given(st.sampled_from(tuple(GovernanceKind)), st.binary(max_size=300))
def test_whatever_decodes_is_canonical(kind: GovernanceKind, rest: bytes) -> None:
    raw = bytes([1, kind]) + rest
    assert is_governance(raw)
    try:
        decoded = decode_governance(raw)
    except Rejection as rejection:
        assert rejection.reason in (Reason.LENGTH, Reason.TRAILING, Reason.COUNT, Reason.FIELD)
        return
    assert decoded.raw == raw
    if isinstance(decoded, Readmission):
        assert encode_readmission(decoded.terms, decoded.approvals) == raw


MOVEMENT = bytes([1, 0x10]) + bytes(32) + bytes(2) + bytes([0] * 7 + [1]) + bytes(16) + SIGNATURE
TERMS = ReadmissionTerms(CHAIN_ID, BankIndex(5), SET_HASH, 6, 7)
ONE = encode_readmission(TERMS, [Approval(BankIndex(1), SIGNATURE)])

MALFORMED = [
    (b"", Reason.LENGTH, "0 bytes hold no head"),
    (b"\x01", Reason.LENGTH, "1 bytes hold no head"),
    (b"\x02\x10" + MOVEMENT[2:], Reason.VERSION, "version 2"),
    (b"\x01\x13" + MOVEMENT[2:], Reason.KIND, "kind 19 cannot stand here"),
    (MOVEMENT[:-1], Reason.LENGTH, "123 of 124 bytes"),
    (MOVEMENT + b"\0", Reason.TRAILING, "1 bytes after the end"),
    (MOVEMENT[:36] + bytes(8) + MOVEMENT[44:], Reason.FIELD, "an amount of zero"),
    (ONE[:87], Reason.LENGTH, "87 bytes end before the approvals"),
    (ONE[:-1], Reason.LENGTH, "153 of 154 bytes"),
    (ONE + b"\0", Reason.TRAILING, "1 bytes after the end"),
    (ONE[:84] + b"\0\0\0\x11" + ONE[88:], Reason.COUNT, "17 approvals, at most 16"),
]


@pytest.mark.parametrize(("raw", "reason", "message"), MALFORMED)
def test_malformed_bytes_are_refused_with_the_reason(
    raw: bytes, reason: Reason, message: str
) -> None:
    with pytest.raises(Rejection) as error:
        decode_governance(raw)
    assert refusal(error.value) == (reason, message, None)


def test_terms_are_not_a_readmission() -> None:
    for raw, reason in ((ONE, Reason.TRAILING), (MOVEMENT, Reason.KIND), (b"", Reason.LENGTH)):
        with pytest.raises(Rejection) as error:
            ReadmissionTerms.decode(raw)
        assert error.value.reason is reason


def test_the_ledger_asks_of_them_only_whether_they_are_sealed(chain: Chain) -> None:
    items = [decode_governance(MOVEMENT), decode_governance(ONE)]
    identities = tuple(item.transaction_id for item in items)
    assert facts_needed(items) == FactsNeeded((), (), (), identities)


# Signatures


def test_section_18_no_byte_of_a_stake_movement_can_be_changed(funded: Chain) -> None:
    raw = funded.move_stake(TOP_UP, 5)
    funded.verify(raw)
    for place in range(len(raw)):
        for bit in (1, 0x80):
            changed = raw[:place] + bytes([raw[place] ^ bit]) + raw[place + 1 :]
            reason, _ = verdict_on(funded, changed)
            assert reason in (
                Reason.VERSION, Reason.KIND, Reason.LENGTH, Reason.CHAIN, Reason.BANK,
                Reason.EXPIRY_TOO_FAR, Reason.EXPIRED, Reason.SIGNATURE, Reason.COUNT,
                Reason.RESERVED,
            )  # fmt: skip


def test_section_18_no_byte_of_a_readmission_can_be_changed(restored: Chain) -> None:
    raw = restored.readmission(restored.terms(5))
    restored.verify(raw)
    for place in range(len(raw)):
        changed = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        reason, _ = verdict_on(restored, changed)
        assert reason in (
            Reason.VERSION, Reason.KIND, Reason.LENGTH, Reason.TRAILING, Reason.CHAIN,
            Reason.BANK, Reason.EXPIRY_TOO_FAR, Reason.EXPIRED, Reason.SIGNATURE,
            Reason.APPROVAL_ORDER, Reason.COUNT,
        )  # fmt: skip


REFUSED_ALONE: list[tuple[str, Callable[[Chain], bytes], Reason, str]] = [
    (
        "other chain",
        lambda chain: chain.move_stake(TOP_UP, 5, chain_id=bytes(32)),
        Reason.CHAIN,
        "made for another ledger",
    ),
    (
        "expired",
        lambda chain: chain.move_stake(TOP_UP, 5, expiry=chain.height),
        Reason.EXPIRED,
        "height 6, valid up to 5",
    ),
    (
        "expires too late",
        lambda chain: chain.move_stake(TOP_UP, 5, expiry=10_007),
        Reason.EXPIRY_TOO_FAR,
        "expires at height 10007, at most 10006 is allowed now",
    ),
    (
        "no such bank",
        lambda chain: chain.move_stake(TOP_UP, 5, bank=6, nonce=0),
        Reason.BANK,
        "bank 6 is not in the genesis",
    ),
    (
        "another bank's key",
        lambda chain: chain.move_stake(TOP_UP, 5, bank=5, secret=issuer_secret(4)),
        Reason.SIGNATURE,
        "the signature does not verify",
    ),
    (
        "the consensus key",
        lambda chain: chain.move_stake(TOP_UP, 5, bank=5, secret=consensus_secret(5)),
        Reason.SIGNATURE,
        "the signature does not verify",
    ),
    (
        "readmission of another chain",
        lambda chain: chain.readmission(replace(chain.terms(5), chain_id=bytes(32))),
        Reason.CHAIN,
        "made for another ledger",
    ),
    (
        "readmission expired",
        lambda chain: chain.readmission(chain.terms(5, expiry=5)),
        Reason.EXPIRED,
        "height 6, valid up to 5",
    ),
    (
        "readmission of nobody",
        lambda chain: chain.readmission(chain.terms(6)),
        Reason.BANK,
        "bank 6 is not in the genesis",
    ),
    (
        "approved by nobody known",
        lambda chain: chain.readmission(chain.terms(5), approvers=[0, 1, 2, 3, 6]),
        Reason.BANK,
        "bank 6 is not in the genesis",
    ),
    (
        "approved twice by one bank",
        lambda chain: chain.readmission(chain.terms(5), approvers=[0, 1, 2, 3, 3]),
        Reason.APPROVAL_ORDER,
        "approved by banks [0, 1, 2, 3, 3], not in increasing order",
    ),
    (
        "approvals out of order",
        lambda chain: encode_readmission(
            chain.terms(5), [approve(chain.terms(5), bank) for bank in (1, 0, 2, 3, 4)]
        ),
        Reason.APPROVAL_ORDER,
        "approved by banks [1, 0, 2, 3, 4], not in increasing order",
    ),
    (
        "approvals of another bank's return",
        lambda chain: assemble_readmission(
            chain.terms(5), [approve(chain.terms(3), bank) for bank in range(5)]
        ),
        Reason.SIGNATURE,
        "the signature does not verify",
    ),
    (
        "approved with the issuer key",
        lambda chain: assemble_readmission(
            chain.terms(5),
            [Approval(BankIndex(0), sign(issuer_secret(0), chain.terms(5).statement))],
        ),
        Reason.SIGNATURE,
        "the signature does not verify",
    ),
]


@pytest.mark.parametrize(
    ("name", "make", "reason", "message"), REFUSED_ALONE, ids=[case[0] for case in REFUSED_ALONE]
)
def test_section_18_what_the_bytes_and_the_genesis_alone_refuse(
    removed: Chain, name: str, make: Callable[[Chain], bytes], reason: Reason, message: str
) -> None:
    assert removed.height == 4
    removed.seal()
    assert verdict_on(removed, make(removed)) == (reason, message)


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
    assert dropped(funded, funded.move_stake(WITHDRAWAL, 301)) == (
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
    assert dropped(funded, funded.move_stake(WITHDRAWAL, 1))[0] is Reason.STAKE_EXCESS


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
    assert dropped(funded, too_much) == (
        Reason.INSUFFICIENT_ACCOUNT,
        "the account of bank 1 holds 900, 901 is wanted",
        None,
    )
    redeem = funded.transfer(funded.mature()[:1], redeem=1)
    assert funded.build(funded.verify(redeem, too_much)).dropped == ()
    payout = funded.mint([600], bank=1, kind=Kind.PAYOUT)
    assert dropped(funded, payout, funded.move_stake(TOP_UP, 301)) == (
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
    assert dropped(funded, funded.move_stake(TOP_UP, 11)) == (
        Reason.STAKE_LIMIT,
        f"the stake of bank 1 is {largest - 10}, 11 more is too much",
        None,
    )
    assert funded.build(funded.verify(funded.move_stake(TOP_UP, 10))).dropped == ()


def test_section_18_a_stake_movement_happens_once(funded: Chain) -> None:
    """Not twice in a block, not again later, and not under another id with the same nonce."""
    raw = funded.move_stake(TOP_UP, 300)
    again = funded.move_stake(TOP_UP, 300, expiry=FAR - 1)
    assert dropped(funded, raw, again) == (
        Reason.NONCE,
        "nonce 0, bank 1's next stake movement has nonce 1",
        None,
    )
    early = funded.move_stake(TOP_UP, 1, nonce=1)
    assert dropped(funded, early) == (
        Reason.NONCE,
        "nonce 1, bank 1's next stake movement has nonce 0",
        None,
    )
    funded.seal(raw, early)
    assert funded.state.banks[1].stake == 45_302
    assert dropped(funded, again)[0] is Reason.NONCE
    assert verdict_on(funded, raw) == (
        Reason.DUPLICATE_TRANSACTION,
        "the transaction is sealed already",
    )
    other_bank = funded.move_stake(TOP_UP, 1, bank=2)
    assert dropped(funded, other_bank)[0] is Reason.INSUFFICIENT_ACCOUNT


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
    assert dropped(removed, raw) == (
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
    assert removed.state.active_set_at(removed.genesis, removed.height).size == 5  # type: ignore[union-attr]
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
    assert verdict_on(restored, raw)[0] is Reason.DUPLICATE_TRANSACTION
    with_another_approval = restored.readmission(terms, approvers=range(6))
    assert dropped(restored, with_another_approval) == (
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
    assert dropped(restored, make(restored)) == (reason, message, None)


def test_section_18_one_minor_unit_below_the_initial_stake_is_not_enough(removed: Chain) -> None:
    removed.seal(removed.move_stake(TOP_UP, 45_004 - 12_611, bank=5))
    raw = removed.readmission(removed.terms(5))
    assert dropped(removed, raw)[0] is Reason.STAKE_BELOW_INITIAL
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
    assert dropped(restored, raw)[0] is Reason.APPROVED_SET
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
