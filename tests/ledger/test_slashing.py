"""Punishing proven offences, and leaving the active set for it (BFT-12 9, 10, 18)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest

from node.ledger.effects import BlockFees, Punishment, Transition, TreasuryEntry, TreasuryKind
from node.ledger.facts import BlockFacts
from node.ledger.genesis import Genesis
from node.ledger.invariants import check_conservation
from node.ledger.offences import Offence, OffenceClass, VerifiedEvidence
from node.ledger.parameters import Parameters
from node.ledger.rejection import Rejection
from node.ledger.slashing import check_offence, is_below_floor, select_evidence
from node.ledger.state import LedgerState, Pot, PunishedOffence, SetRecord, genesis_state
from node.ledger.transition import execute
from node.ledger.types import Amount, BankIndex, FiscalYear, Height, TimeMs
from tests.ledger.chain import GENESIS_TIME_MS, Chain, make_genesis, refusal

GENESIS = make_genesis(banks=6)


def accuse(
    genesis: Genesis,
    state: LedgerState,
    bank: int,
    height: int,
    offence: Offence = Offence.DOUBLE_VOTE,
) -> VerifiedEvidence:
    active = state.active_set_at(genesis, Height(height))
    set_hash = active.set_hash if active is not None else bytes(32)
    raw = f"{offence} by {bank} at {height}".encode()
    return VerifiedEvidence(raw, offence, BankIndex(bank), Height(height), set_hash)


def step(
    genesis: Genesis,
    state: LedgerState,
    evidence: Sequence[VerifiedEvidence] = (),
    after_ms: int = 1_000,
) -> Transition:
    transition = execute(
        genesis,
        state,
        height=Height(state.height + 1),
        time_ms=TimeMs(state.time_ms + after_ms),
        proposer=state.active_set(genesis).banks[0],
        transactions=(),
        facts=BlockFacts(),
        evidence=evidence,
    )
    check_conservation(genesis, transition.state)
    assert LedgerState.decode(transition.state.encode()) == transition.state
    return transition


def with_stakes(state: LedgerState, stakes: dict[int, int]) -> LedgerState:
    """As if the banks had been slashed down to these stakes in earlier blocks."""
    banks = tuple(
        replace(
            bank,
            stake=Amount(stakes.get(bank.index, bank.stake)),
            penalties=Amount(bank.initial_stake - stakes.get(bank.index, bank.stake)),
        )
        for bank in state.banks
    )
    pot = Pot(FiscalYear(2026), Amount(0), Amount(sum(bank.penalties for bank in banks)))
    return replace(state, banks=banks, pots=(pot,))


def pot_of_slashed(year: int, penalties: int, *slashed: int) -> Pot:
    banks = tuple(BankIndex(bank) for bank in slashed)
    return Pot(FiscalYear(year), Amount(0), Amount(penalties), slashed=banks)


def refused(genesis: Genesis, state: LedgerState, evidence: VerifiedEvidence) -> tuple[object, ...]:
    with pytest.raises(Rejection) as error:
        check_offence(genesis, state, evidence)
    with pytest.raises(Rejection) as again:
        step(genesis, state, [evidence])
    assert refusal(again.value) == refusal(error.value)
    assert select_evidence(genesis, state, [evidence]) == ()
    return refusal(error.value)


def punish_at(state: LedgerState, heights: Iterable[int], bank: int = 0) -> list[Punishment]:
    punishments = []
    for height in heights:
        transition = step(GENESIS, state, [accuse(GENESIS, state, bank, height)])
        state = transition.state
        punishments += transition.punishments
    return punishments


def test_section_18_5_then_10_then_20_percent_of_the_current_stake() -> None:
    """IDX-61: 450.00 -> 427.50 -> 384.75 -> 307.80, and 20 % ever after."""
    punishments = punish_at(genesis_state(GENESIS), (1, 2, 3, 4))
    assert [
        (item.ordinal, item.stake_before, item.amount, item.stake_after) for item in punishments
    ] == [
        (1, 45_000, 2_250, 42_750),
        (2, 42_750, 4_275, 38_475),
        (3, 38_475, 7_695, 30_780),
        (4, 30_780, 6_156, 24_624),
    ]


def test_section_9_a_punishment_leaves_everything_behind_that_tells_of_it() -> None:
    """IDX-60: penalty row, stake, offence counter, pot, punished key; no human is asked."""
    state = genesis_state(GENESIS)
    evidence = accuse(GENESIS, state, 2, 1, Offence.APPROVED_INVALID)
    transition = step(GENESIS, state, [evidence])
    accused = state.banks[2]
    assert transition == Transition(
        state=replace(
            state,
            height=Height(1),
            time_ms=TimeMs(GENESIS_TIME_MS + 1_000),
            banks=(
                replace(state.banks[0], blocks_created=1),
                state.banks[1],
                replace(accused, stake=Amount(42_752), offences=1, penalties=Amount(2_250)),
                *state.banks[3:],
            ),
            pots=(pot_of_slashed(2026, 2_250, 2),),
            punished=(PunishedOffence(Height(1), BankIndex(2), OffenceClass.APPROVAL),),
        ),
        notes=(),
        nullifiers=(),
        opened_bins=(),
        closed_bins=(),
        account_entries=(),
        treasury_entries=(
            TreasuryEntry(
                BankIndex(2),
                FiscalYear(2026),
                2_250,
                TreasuryKind.PENALTY,
                f"E7 at height 1: 5 % of 45002, evidence {evidence.evidence_id.hex()}",
            ),
        ),
        fees=BlockFees(Amount(0), Amount(0), Amount(0)),
        punishments=(
            Punishment(
                evidence_id=evidence.evidence_id,
                offence=Offence.APPROVED_INVALID,
                bank=BankIndex(2),
                height=Height(1),
                stake_before=Amount(45_002),
                amount=Amount(2_250),
                stake_after=Amount(42_752),
                ordinal=1,
            ),
        ),
    )
    assert transition.punishments[0].key == evidence.key


def test_section_9_a_bank_slashed_thrice_in_one_block_pays_in_key_order() -> None:
    state = genesis_state(GENESIS)
    items = [
        accuse(GENESIS, state, 0, 1, offence)
        for offence in (Offence.DOUBLE_VOTE, Offence.DOUBLE_COMMIT, Offence.LOCK_VIOLATION)
    ]
    transition = step(GENESIS, state, items)
    assert [(item.offence, item.stake_after) for item in transition.punishments] == [
        (Offence.DOUBLE_VOTE, 42_750),
        (Offence.DOUBLE_COMMIT, 38_475),
        (Offence.LOCK_VIOLATION, 30_780),
    ]
    assert transition.state.banks[0].offences == 3
    assert transition.state.pots == (pot_of_slashed(2026, 14_220, 0),)


def test_section_18_a_penalty_of_less_than_a_minor_unit_is_rounded_to_nothing() -> None:
    """Floor: 20 % of 4 is 0; the offence counts all the same, and the stake stays at 4."""
    state = with_stakes(genesis_state(GENESIS), {0: 4})
    state = replace(state, banks=(replace(state.banks[0], offences=2), *state.banks[1:]))
    transition = step(GENESIS, state, [accuse(GENESIS, state, 0, 1)])
    (punishment,) = transition.punishments
    assert (punishment.ordinal, punishment.amount, punishment.stake_after) == (3, 0, 4)
    assert (transition.state.banks[0].stake, transition.state.banks[0].offences) == (4, 3)
    assert [entry.amount for entry in transition.treasury_entries] == [0]
    nothing = with_stakes(genesis_state(GENESIS), {0: 0})
    (punishment,) = step(GENESIS, nothing, [accuse(GENESIS, nothing, 0, 1)]).punishments
    assert (punishment.amount, punishment.stake_after) == (0, 0)


def test_section_18_penalties_go_to_the_year_of_the_blocks_own_header_time() -> None:
    parameters = Parameters(ring_base=4, fiscal_year_seconds=60)
    genesis = make_genesis(banks=6, parameters=parameters)
    state = genesis_state(genesis)
    state = step(genesis, state, [accuse(genesis, state, 0, 1)], after_ms=59_999).state
    state = step(genesis, state, [accuse(genesis, state, 0, 2)], after_ms=1).state
    assert state.pots == (
        pot_of_slashed(2026, 2_250, 0),
        pot_of_slashed(2027, 4_275, 0),
    )


def test_section_9_a_key_is_punished_once() -> None:
    """IDX-60: neither again nor by other evidence of the same class; another class is."""
    state = genesis_state(GENESIS)
    state = step(GENESIS, state, [accuse(GENESIS, state, 1, 1)]).state
    for offence in (Offence.DOUBLE_VOTE, Offence.DOUBLE_BALLOT):
        assert refused(GENESIS, state, accuse(GENESIS, state, 1, 1, offence)) == (
            "evidence-punished",
            f"bank 1 was punished for its {offence} at height 1",
            None,
        )
    others = [
        accuse(GENESIS, state, 1, 1, Offence.DOUBLE_COMMIT),
        accuse(GENESIS, state, 2, 1),
        accuse(GENESIS, state, 1, 2),
    ]
    assert len(step(GENESIS, state, others).punishments) == 3


def test_section_9_of_two_proofs_of_one_key_the_shorter_is_taken() -> None:
    state = genesis_state(GENESIS)
    long = accuse(GENESIS, state, 1, 1, Offence.REJECTED_PROPOSAL)
    short = replace(accuse(GENESIS, state, 1, 1, Offence.INVALID_PROPOSAL), raw=b"short")
    assert long.key == short.key
    for items in ([long, short], [short, long]):
        assert select_evidence(GENESIS, state, items) == (short,)


def test_section_9_the_window_ends_at_its_exact_height() -> None:
    """A window of three heights: block 5 punishes offences of heights 2 to 5."""
    genesis = make_genesis(banks=6, parameters=Parameters(ring_base=4, evidence_window=3))
    state = genesis_state(genesis)
    for _ in range(4):
        state = step(genesis, state).state
    assert (state.height, state.oldest_punishable(genesis)) == (4, 2)
    accepted = [accuse(genesis, state, 1, height) for height in (2, 3, 4, 5)]
    assert len(step(genesis, state, accepted).punishments) == 4
    for height in (0, 1, 6, 1 << 40):
        assert state.active_set_at(genesis, Height(height)) is None
        assert refused(genesis, state, accuse(genesis, state, 1, height)) == (
            "evidence-window",
            f"an offence at height {height} cannot be punished at height 5, only those from 2 on",
            None,
        )


def test_section_9_nobody_offends_at_the_genesis() -> None:
    """Block 0 has no proposer, no votes and no active set, however wide the window."""
    state = genesis_state(GENESIS)
    assert refused(GENESIS, state, accuse(GENESIS, state, 1, 0)) == (
        "evidence-window",
        "an offence at height 0 cannot be punished at height 1, only those from 1 on",
        None,
    )


def test_section_9_forgotten_keys_cannot_be_punished_again() -> None:
    """Punished keys leave the state exactly when their evidence leaves the window."""
    genesis = make_genesis(banks=6, parameters=Parameters(ring_base=4, evidence_window=3))
    state = genesis_state(genesis)
    evidence = accuse(genesis, state, 1, 1)
    state = step(genesis, state, [evidence]).state
    reasons = []
    kept = []
    for _ in range(5):
        kept.append(len(state.punished))
        with pytest.raises(Rejection) as error:
            check_offence(genesis, state, evidence)
        reasons.append(error.value.reason.value)
        state = step(genesis, state).state
    assert kept == [1, 1, 1, 0, 0]
    assert reasons == ["evidence-punished"] * 3 + ["evidence-window"] * 2


def test_section_9_only_who_was_active_at_the_height_is_punished() -> None:
    """A removed bank is still punished for what it did before, and for nothing after."""
    state = with_stakes(genesis_state(GENESIS), {5: 13_000})
    removal = step(GENESIS, state)
    assert removal.removed == (5,)
    state = removal.state
    assert refused(GENESIS, state, accuse(GENESIS, state, 5, 2)) == (
        "evidence-inactive",
        "bank 5 was not in the active set of height 2",
        None,
    )
    before = step(GENESIS, state, [accuse(GENESIS, state, 5, 1)])
    assert [item.stake_after for item in before.punishments] == [12_350]
    unknown = replace(accuse(GENESIS, state, 5, 1), bank=BankIndex(9))
    assert refused(GENESIS, state, unknown)[0] == "evidence-inactive"


def test_section_9_evidence_is_judged_under_the_set_of_its_own_height() -> None:
    state = step(GENESIS, with_stakes(genesis_state(GENESIS), {5: 13_000})).state
    then, now = accuse(GENESIS, state, 1, 1), accuse(GENESIS, state, 1, 2)
    assert then.set_hash != now.set_hash
    assert refused(GENESIS, state, replace(then, set_hash=now.set_hash)) == (
        "evidence-inactive",
        "the evidence was checked under another active set than that of height 1",
        None,
    )


def test_section_10_exactly_the_floor_stays() -> None:
    """IDX-52: 30 % of 45000 is 13500; one minor unit less and the bank leaves."""
    for stake, removed in ((13_500, ()), (13_499, (0,))):
        transition = step(GENESIS, with_stakes(genesis_state(GENESIS), {0: stake}))
        assert (transition.removed, transition.state.banks[0].active) == (removed, not removed)
    # bank 1 has 45001: 30 % of it is 13500.3, so 13500 is below
    below = with_stakes(genesis_state(GENESIS), {1: 13_500})
    assert is_below_floor(GENESIS, below.banks[1])
    assert step(GENESIS, below).removed == (1,)


def test_section_10_the_slash_that_crosses_the_floor_removes_with_the_next_height() -> None:
    state = with_stakes(genesis_state(GENESIS), {0: 14_000})
    assert step(GENESIS, state).removed == ()
    transition = step(GENESIS, state, [accuse(GENESIS, state, 0, 1)])
    assert transition.state.banks[0].stake == 13_300
    assert transition.removed == (0,)
    smaller = GENESIS.active_set([BankIndex(bank) for bank in (1, 2, 3, 4, 5)])
    assert transition.state.active_set(GENESIS).set_hash == smaller.set_hash
    assert transition.state.set_records == (
        state.set_records[0],
        SetRecord(Height(2), smaller.set_hash, smaller.banks),
    )
    assert transition.state.active_set_at(GENESIS, Height(1)) == state.active_set(GENESIS)
    assert transition.state.active_set_at(GENESIS, Height(2)) == smaller


def test_section_10_the_header_commits_to_the_smaller_set() -> None:
    chain = Chain(make_genesis(banks=6))
    chain.transition = replace(chain.transition, state=with_stakes(chain.state, {0: 14_000}))
    chain.header = replace(chain.header, post_state_root=chain.state.root())
    built = chain.seal(evidence=[chain.evidence(0)])
    assert built.transition.removed == (0,)
    smaller = chain.genesis.active_set([BankIndex(bank) for bank in (1, 2, 3, 4, 5)])
    assert built.block.header.next_set_hash == smaller.set_hash
    assert [chain.leader(view) for view in range(6)] == [3, 4, 5, 1, 2, 3]


def test_section_10_never_below_four_banks_in_increasing_id_and_tried_again() -> None:
    """NMIN: banks 1 and 2 go, 4 and 5 stay with an alarm, until the set has grown."""
    low = dict.fromkeys((1, 2, 4, 5), 100)
    first = step(GENESIS, with_stakes(genesis_state(GENESIS), low))
    assert (first.removed, first.kept_below_floor) == ((1, 2), (4, 5))
    assert first.state.active_set(GENESIS).banks == (0, 3, 4, 5)
    second = step(GENESIS, first.state)
    assert (second.removed, second.kept_below_floor) == ((), (4, 5))
    grown = replace(
        second.state,
        banks=tuple(
            replace(bank, active=True, stake=bank.initial_stake, penalties=Amount(0))
            if bank.index == 1
            else bank
            for bank in second.state.banks
        ),
    )
    pot = Pot(FiscalYear(2026), Amount(0), Amount(sum(bank.penalties for bank in grown.banks)))
    third = step(GENESIS, replace(grown, pots=(pot,)))
    assert (third.removed, third.kept_below_floor) == ((4,), (5,))
