"""Settling fiscal years: who may, when, with which counts, and who gets what (BFT-12 18)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.ballot import BallotKey
from crypto.ballot_tally import EMPTY_SUM
from crypto.errors import ProvingError
from crypto.opener_shares import split_opener
from node.ledger.effects import AccountEntry, AccountEntryKind, TreasuryEntry, TreasuryKind
from node.ledger.governance import GovernanceKind
from node.ledger.offences import Offence
from node.ledger.rejection import Reason, Rejection
from node.ledger.settlement import (
    SettlementOutcome,
    SettlementRow,
    assemble_settlement,
    prove_settlement,
    prove_settlement_partially,
    share_pot,
)
from node.ledger.settlement_rules import pot_of, tally_of, year_to_settle
from node.ledger.state import Pot
from node.ledger.types import Amount, BankIndex, FiscalYear, TransactionId
from tests.ledger.chain import BASE
from tests.ledger.settling import (
    OPENER,
    SLASH,
    SettlingChain,
    draw_seed,
    settling_genesis,
    voted_year,
)

GENESIS = settling_genesis()


@pytest.fixture
def voted() -> SettlingChain:
    """A copy of `voted_year`, for this test alone."""
    return voted_year().fork()


def test_section_18_a_year_is_settled_by_its_counts(voted: SettlingChain) -> None:
    before = voted.state
    assert voted.true_counts[2026] == {0: 3, 1: 4, 2: 4, 3: 4, 4: 4, 5: 1}
    assert before.pots == (
        Pot(FiscalYear(2026), Amount(0), Amount(SLASH), slashed=(BankIndex(3),)),
    )
    (tally,) = before.tallies
    assert (tally.year, tally.ballots, tally.blocks) == (2026, 20, 4)
    raw = voted.settlement(2026)
    built = voted.extend(raw)
    identity = TransactionId(built.block.transaction_ids[0])
    # 2250 by 3:4:4:4:1 of 16: 421.875, 562.5 three times, 140.625
    rewards = {0: 422, 1: 563, 2: 562, 4: 562, 5: 141}
    assert built.transition.settlement == SettlementOutcome(
        year=FiscalYear(2026),
        pot=before.pots[0],
        rows=tuple(
            SettlementRow(
                BankIndex(bank),
                voted.true_counts[2026][bank],
                bank == 3,
                Amount(rewards.get(bank, 0)),
            )
            for bank in range(6)
        ),
        carried=Amount(0),
        carried_to=None,
        draw_seed=draw_seed(2026),
        transaction_id=identity,
    )
    assert built.transition.settlement.paid == SLASH
    assert built.transition.account_entries == tuple(
        AccountEntry(BankIndex(bank), AccountEntryKind.REWARD, BASE, Amount(amount), identity)
        for bank, amount in rewards.items()
    )
    assert built.transition.treasury_entries == tuple(
        TreasuryEntry(
            BankIndex(bank),
            FiscalYear(2026),
            amount,
            TreasuryKind.REWARD,
            f"{voted.true_counts[2026][bank]} approvals in FY2026",
        )
        for bank, amount in rewards.items()
    )
    after = voted.state
    assert [bank.rewards for bank in after.banks] == [422, 563, 562, 0, 562, 141]
    assert [bank.balance for bank in after.banks] == [422, 563, 562, 0, 562, 141]
    assert after.pots == ()
    assert [(tally.year, tally.blocks) for tally in after.tallies] == [(2027, 1)]
    assert (after.settled_through, after.draw_commitment) == (2026, draw_seed(2026))


def test_section_18_nobody_settles_twice(voted: SettlingChain) -> None:
    raw, again = voted.settlement(2026), voted.settlement(2026, expiry=500)
    assert voted.refused(raw, again) == (Reason.SETTLED, "the block ends FY2026 already")
    later = voted.settlement(2026, expiry=501)
    voted.extend(raw)
    expected = (Reason.SETTLED, "everything up to FY2026 is settled")
    assert voted.refused(again) == voted.refused(later) == expected
    reason, _ = voted.refusal_at_admission(raw)
    assert reason is Reason.DUPLICATE_TRANSACTION
    earlier = voted.refused(voted.settlement(2025, seed=bytes(32)))
    assert earlier == expected


def test_section_18_a_year_must_be_over_and_a_later_block_applied() -> None:
    chain = SettlingChain(GENESIS)
    chain.extend(evidence=[chain.evidence(3)])
    chain.extend()
    expected = (Reason.YEAR_OPEN, "FY2026 is settled after the first block of a later year")
    assert chain.refused(chain.settlement(2026)) == expected
    assert year_to_settle(GENESIS, chain.state) is None
    # The first block of FY2027 itself cannot carry it: it adds the last ballots of FY2026.
    verified = chain.verify(chain.settlement(2026))
    built = chain.build(verified, after_ms=chain.first_ms(2027) - chain.header.time_ms)
    (dropped,) = built.dropped
    assert (dropped.rejection.reason, dropped.rejection.message) == expected
    chain.begin(2027)
    assert year_to_settle(GENESIS, chain.state) == 2026
    chain.extend(chain.settlement(2026))
    assert year_to_settle(GENESIS, chain.state) is None
    assert chain.refused(chain.settlement(2027))[0] is Reason.YEAR_OPEN
    assert chain.refused(chain.settlement(2030))[0] is Reason.YEAR_OPEN


def test_section_18_the_last_ballots_of_a_year_are_in_the_first_block_of_the_next() -> None:
    """The block at the year's first instant counts for the old year as a record of votes, and for
    the new one by its own header: penalties, fees, and the ballots about it."""
    chain = SettlingChain(GENESIS)
    chain.extend(at_ms=chain.first_ms(2027) - 1)
    assert chain.year == 2026
    chain.begin(2027, evidence=[chain.evidence(2)], approving=[0, 1, 2, 3, 5])
    (tally,) = chain.state.tallies
    assert (tally.year, tally.ballots, tally.blocks) == (2026, 5, 1)
    assert chain.state.pots == (
        Pot(FiscalYear(2027), Amount(0), Amount(SLASH), slashed=(BankIndex(2),)),
    )
    chain.extend()
    assert [(tally.year, tally.blocks) for tally in chain.state.tallies] == [(2026, 1), (2027, 1)]
    outcome = chain.extend(chain.settlement(2026)).transition.settlement
    assert outcome is not None
    assert [row.count for row in outcome.rows] == [1, 1, 1, 1, 0, 1]
    assert (outcome.pot, outcome.paid, outcome.carried_to) == (
        pot_of(chain.state, FiscalYear(2026)),
        0,
        None,
    )


# Who gets what


def test_section_18_a_slash_counts_in_the_year_of_its_block_alone(voted: SettlingChain) -> None:
    """Bank 1 offended in FY2026 and is punished in FY2027: it is rewarded for FY2026."""
    offence = voted.evidence(1, voted.height, Offence.DOUBLE_COMMIT)
    voted.extend(evidence=[offence])
    assert [(pot.year, pot.slashed) for pot in voted.state.pots] == [(2026, (3,)), (2027, (1,))]
    voted.extend(voted.settlement(2026))
    assert voted.state.banks[1].rewards == 563
    voted.begin(2028)
    outcome = voted.extend(voted.settlement(2027)).transition.settlement
    assert outcome is not None
    assert [row.is_slashed for row in outcome.rows] == [False, True, False, False, False, False]
    assert (outcome.rows[1].count, outcome.rows[1].reward) == (3, 0)
    assert outcome.paid == SLASH


def test_section_18_a_slash_after_all_its_ballots_takes_the_reward_of_the_year() -> None:
    chain = SettlingChain(GENESIS)
    chain.extend(evidence=[chain.evidence(5)])
    chain.extend()
    chain.extend(at_ms=chain.first_ms(2027) - 1, evidence=[chain.evidence(0)])
    chain.begin(2027)
    outcome = chain.extend(chain.settlement(2026)).transition.settlement
    assert outcome is not None
    assert outcome.pot == Pot(
        FiscalYear(2026), Amount(0), Amount(2 * SLASH), slashed=(BankIndex(0), BankIndex(5))
    )
    assert [row.count for row in outcome.rows] == [3, 3, 3, 3, 3, 0]
    assert [row.reward for row in outcome.rows] == [0, 1_125, 1_125, 1_125, 1_125, 0]


def test_section_18_nobody_eligible_carries_the_pot_into_the_year_of_the_block() -> None:
    chain = SettlingChain(GENESIS)
    chain.extend()
    chain.extend(evidence=[chain.evidence(bank) for bank in range(6)])
    chain.begin(2027)
    pot = chain.state.pots[0]
    assert (pot.penalties, pot.slashed) == (6 * SLASH, tuple(range(6)))
    raw = chain.settlement(2026)
    built = chain.begin(2029, raw)
    outcome = built.transition.settlement
    assert outcome is not None
    assert (outcome.paid, outcome.carried, outcome.carried_to) == (0, 6 * SLASH, 2029)
    assert built.transition.account_entries == ()
    assert built.transition.treasury_entries == (
        TreasuryEntry(
            None, FiscalYear(2026), -6 * SLASH, TreasuryKind.CARRY, "carried into FY2029"
        ),
        TreasuryEntry(None, FiscalYear(2029), 6 * SLASH, TreasuryKind.CARRY, "carried from FY2026"),
    )
    assert chain.state.pots == (
        Pot(FiscalYear(2029), Amount(0), Amount(0), carried=Amount(6 * SLASH)),
    )
    chain.begin(2030)
    chain.extend(chain.settlement(2027))
    chain.extend(chain.settlement(2029))
    assert [bank.rewards for bank in chain.state.banks] == [2_700] * 5 + [0]


def test_section_18_only_punished_banks_with_counts_leave_nobody_eligible() -> None:
    """Bank 5 was not punished, and has no recorded approval either."""
    chain = SettlingChain(GENESIS)
    chain.extend()
    chain.extend(evidence=[chain.evidence(bank) for bank in range(5)])
    chain.begin(2027)
    outcome = chain.extend(chain.settlement(2026)).transition.settlement
    assert outcome is not None
    assert (outcome.rows[5].count, outcome.rows[5].is_slashed) == (0, False)
    assert (outcome.paid, outcome.carried, outcome.carried_to) == (0, 5 * SLASH, 2027)


def test_section_18_a_pot_of_nothing_is_settled_all_the_same() -> None:
    chain = SettlingChain(GENESIS)
    chain.extend()
    chain.begin(2027)
    built = chain.extend(chain.settlement(2026))
    outcome = built.transition.settlement
    assert outcome is not None
    assert (outcome.pot.total, outcome.paid, outcome.carried_to) == (0, 0, None)
    assert built.transition.account_entries == built.transition.treasury_entries == ()
    assert [tally.year for tally in chain.state.tallies] == [2027]
    assert chain.state.settled_through == 2026


def test_section_18_removed_and_returned_in_a_year_a_bank_is_paid_for_what_it_did() -> None:
    """Slashed seven times and removed in FY2026, back in the middle of FY2027."""
    chain = SettlingChain(GENESIS)
    chain.seal_matured(chain.mint([41_000, 1_000]))
    items = [chain.evidence(5, 1), chain.evidence(5, 1, Offence.DOUBLE_PROPOSAL)]
    items += [chain.evidence(5, 1, offence) for offence in (*Offence,)[2:5]]
    items += [chain.evidence(5, 1, Offence.APPROVED_INVALID), chain.evidence(5, 2)]
    assert chain.extend(evidence=items).transition.removed == (5,)
    chain.begin(2027, approving=range(1, 6))
    # From here on five banks are active and their quorum is all of them.
    account = GENESIS.account_of(BankIndex(5))
    chain.extend(chain.transfer(chain.mature()[:1], redeem=40_000, account=account))
    missing = chain.state.banks[5].initial_stake - chain.state.banks[5].stake
    chain.extend(chain.move_stake(GovernanceKind.STAKE_TOP_UP, missing, bank=5))
    chain.extend(chain.readmission(chain.terms(5)))
    chain.extend(approving=range(5))
    chain.extend(approving=[0, 1, 2, 3, 5])
    chain.begin(2028, approving=[0, 1, 2, 4, 5])
    # The votes about block 1 were recorded by `seal`: those of the first quorum, banks 0 .. 4.
    chain.true_counts[2026].update(range(5))
    first = chain.extend(chain.settlement(2026)).transition.settlement
    second = chain.extend(chain.settlement(2027)).transition.settlement
    assert first is not None
    assert second is not None
    assert [row.count for row in first.rows] == [2, 3, 3, 3, 3, 1]
    assert (first.rows[5].is_slashed, first.rows[5].reward) == (True, 0)
    assert [row.count for row in second.rows] == [6, 6, 6, 5, 5, 2]
    # 67 of fees by 6:6:6:5:5:2 of 30: 13.4 three times, 11.17 twice, 4.47
    assert second.pot == Pot(FiscalYear(2027), Amount(67), Amount(0))
    assert [row.reward for row in second.rows] == [14, 13, 13, 11, 11, 5]


# In which order


def test_section_18_late_settlements_come_in_order_one_a_block() -> None:
    chain = SettlingChain(GENESIS)
    chain.extend(evidence=[chain.evidence(3)])
    chain.begin(2027, evidence=[chain.evidence(4)])
    chain.begin(2029)
    assert year_to_settle(GENESIS, chain.state) == 2026
    first, second = chain.settlement(2026), chain.settlement(2027)
    assert chain.refused(second) == (Reason.YEAR_ORDER, "FY2026 comes first")
    assert chain.refused(first, second) == (Reason.YEAR_ORDER, "the block ends FY2026 already")
    chain.extend(first)
    chain.extend(second)
    assert (chain.state.settled_through, chain.state.pots) == (2027, ())
    assert sum(bank.rewards for bank in chain.state.banks) == 2 * SLASH


def test_section_18_a_year_without_blocks_has_nothing_to_settle(voted: SettlingChain) -> None:
    """FY2028 passes without a block, and its seed is never shown: FY2029's is two steps away."""
    voted.extend(voted.settlement(2026))
    voted.begin(2029)
    voted.begin(2030)
    expected = (Reason.NOTHING_TO_SETTLE, "FY2028 has neither a pot nor ballots")
    assert voted.refused(voted.settlement(2028)) == expected
    voted.extend(voted.settlement(2027))
    assert voted.refused(voted.settlement(2028)) == expected
    one_step = voted.settlement(2029, seed=draw_seed(2028))
    assert voted.refused(one_step)[0] is Reason.DRAW_SEED
    voted.extend(voted.settlement(2029))
    assert voted.state.settled_through == 2029


# By whom, with which counts


def test_section_18_only_the_opener_settles(voted: SettlingChain) -> None:
    for stranger in (BallotKey(1000), BallotKey(5)):
        assert voted.refused(voted.settlement(2026, opener=stranger)) == (
            Reason.TALLY_PROOF,
            "the share keys of officers [1] are not the opener's key",
        )


def test_section_18_three_of_five_officers_settle(voted: SettlingChain) -> None:
    shares = split_opener(OPENER, 3, 5)
    claim = voted.claim(2026)
    total = tally_of(GENESIS, voted.state, FiscalYear(2026)).ciphertext_sum
    parts = [prove_settlement_partially(claim, GENESIS, total, share) for share in shares]
    with pytest.raises(ProvingError):
        assemble_settlement(claim, GENESIS, total, parts[:2])
    voted.extend(assemble_settlement(claim, GENESIS, total, [parts[4], parts[1], parts[2]]))
    assert voted.state.settled_through == 2026


@pytest.mark.parametrize(
    ("counts", "refusal"),
    [
        pytest.param(
            (4, 3, 4, 4, 4, 1),
            (Reason.TALLY_PROOF, "the sum decrypts to other counts"),
            id="swapped-between-two-banks",
        ),
        pytest.param(
            (3, 4, 4, 4, 3, 2),
            (Reason.TALLY_PROOF, "the sum decrypts to other counts"),
            id="moved-from-one-to-another",
        ),
        pytest.param(
            (4, 5, 5, 5, 5, 2),
            (Reason.COUNTS, "5 approvals by bank 1, of 4 blocks"),
            id="every-bank-one-more",
        ),
        pytest.param(
            (4, 4, 4, 4, 4, 2),
            (Reason.COUNTS, "22 approvals, 20 are recorded"),
            id="more-than-there-were",
        ),
        pytest.param(
            (3, 4, 4, 4, 4, 0),
            (Reason.COUNTS, "19 approvals, 20 are recorded"),
            id="one-forgotten",
        ),
        pytest.param(
            (0, 0, 0, 0, 0, 0), (Reason.COUNTS, "0 approvals, 20 are recorded"), id="none"
        ),
        pytest.param(
            (2**64 - 1, 0, 0, 0, 0, 0),
            (Reason.COUNTS, "18446744073709551615 approvals by bank 0, of 4 blocks"),
            id="as-large-as-can-be",
        ),
    ],
)
def test_section_18_wrong_counts_are_refused(
    voted: SettlingChain, counts: tuple[int, ...], refusal: tuple[Reason, str]
) -> None:
    assert voted.refused(voted.settlement(2026, dict(enumerate(counts)))) == refusal


def test_section_18_every_bank_of_the_genesis_is_counted_once_and_in_order(
    voted: SettlingChain,
) -> None:
    for order in ((0, 1, 2, 3, 4), (1, 0, 2, 3, 4, 5), (0, 1, 2, 3, 4, 4), ()):
        assert voted.refusal_at_admission(voted.settlement(2026, order=order)) == (
            Reason.COUNTS,
            f"counts of banks {list(order)}, one for each is due",
        )
    claim = voted.claim(2026, order=(0, 1, 2, 3, 4, 6))
    reason, _ = voted.refusal_at_admission(claim.encode() + b"\x00\x00\x00\x01\x00")
    assert reason is Reason.COUNTS


def test_section_18_the_prover_refuses_what_nobody_would_accept(voted: SettlingChain) -> None:
    total = tally_of(GENESIS, voted.state, FiscalYear(2026)).ciphertext_sum
    assert (
        voted.settlement(2026)[:-258]
        == prove_settlement(voted.claim(2026), GENESIS, total, OPENER)[:-258]
    )
    swapped = voted.claim(2026, {0: 4, 1: 3, 2: 4, 3: 4, 4: 4, 5: 1})
    with pytest.raises(ProvingError, match="the sum decrypts to other counts"):
        prove_settlement(swapped, GENESIS, total, OPENER)
    with pytest.raises(ProvingError):
        prove_settlement(voted.claim(2026), GENESIS, EMPTY_SUM, OPENER)


def test_section_18_the_seed_is_the_committed_one(voted: SettlingChain) -> None:
    commitment = voted.state.draw_commitment.hex()
    for seed in (bytes(32), draw_seed(2027), voted.state.draw_commitment):
        assert voted.refused(voted.settlement(2026, seed=seed)) == (
            Reason.DRAW_SEED,
            f"hashed 1 times it is not {commitment}",
        )


def test_section_18_no_byte_of_a_settlement_can_be_changed(voted: SettlingChain) -> None:
    """Chain, year, counts, seed, expiry and proof: all under the one proof."""
    raw = voted.settlement(2026)
    expiry_at = len(raw) - 258 - 4 - 8
    later = raw[: expiry_at + 7] + bytes([raw[expiry_at + 7] ^ 1]) + raw[expiry_at + 8 :]
    assert voted.refused(later) == (
        Reason.TALLY_PROOF,
        "officer 1: the challenge is another one",
    )
    for at in range(0, len(raw), 23):
        changed = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        try:
            verified = voted.verify(changed)
        except Rejection:
            continue
        assert len(voted.build(verified).dropped) == 1, f"byte {at}"


def test_section_18_a_settlement_of_another_ledger_or_time_is_refused(
    voted: SettlingChain,
) -> None:
    assert voted.refusal_at_admission(voted.settlement(2026, chain_id=bytes(32)))[0] is Reason.CHAIN
    expired = voted.settlement(2026, expiry=voted.height)
    assert voted.refusal_at_admission(expired)[0] is Reason.EXPIRED
    far = voted.settlement(2026, expiry=20_000)
    assert voted.refusal_at_admission(far)[0] is Reason.EXPIRY_TOO_FAR


# Shares


def shares(pot: int, counts: dict[int, int], *slashed: int) -> list[int]:
    typed = {BankIndex(bank): count for bank, count in counts.items()}
    rows = share_pot(Amount(pot), typed, [BankIndex(bank) for bank in slashed])
    assert [row.bank for row in rows] == sorted(counts)
    assert [row.count for row in rows] == [counts[bank] for bank in sorted(counts)]
    return [row.reward for row in rows]


@pytest.mark.parametrize(
    ("pot", "counts", "slashed", "expected"),
    [
        pytest.param(0, {0: 3, 1: 3}, (), [0, 0], id="nothing"),
        pytest.param(1, {0: 1, 1: 1, 2: 1}, (), [1, 0, 0], id="tie-to-the-lowest"),
        pytest.param(2, {0: 1, 1: 1, 2: 1}, (0,), [0, 1, 1], id="smaller-than-the-banks"),
        pytest.param(5, {0: 1, 1: 1, 2: 1}, (), [2, 2, 1], id="two-left"),
        pytest.param(10, {0: 1, 1: 2, 2: 3}, (), [2, 3, 5], id="largest-remainder"),
        pytest.param(100, {0: 0, 1: 7}, (), [0, 100], id="without-a-count"),
        pytest.param(100, {0: 7, 1: 7}, (0, 1), [0, 0], id="all-slashed"),
        pytest.param(100, {0: 0, 1: 0}, (), [0, 0], id="nobody-voted"),
        pytest.param(7, {0: 3, 1: 3, 2: 1}, (), [3, 3, 1], id="exact"),
    ],
)
def test_section_18_largest_remainder(
    pot: int, counts: dict[int, int], slashed: tuple[int, ...], expected: list[int]
) -> None:
    assert shares(pot, counts, *slashed) == expected


COUNTS = st.dictionaries(st.integers(0, 15), st.integers(0, 10_000), min_size=1, max_size=16)


@given(st.integers(0, 10**15), COUNTS, st.sets(st.integers(0, 15)))
def test_section_18_the_rewards_are_the_pot_to_the_last_unit(
    pot: int, counts: dict[int, int], slashed: set[int]
) -> None:
    rewards = dict(zip(sorted(counts), shares(pot, counts, *slashed), strict=True))
    eligible = {bank for bank, count in counts.items() if count and bank not in slashed}
    total = sum(counts[bank] for bank in eligible)
    assert sum(rewards.values()) == (pot if eligible else 0)
    for bank, reward in rewards.items():
        if bank not in eligible:
            assert reward == 0
            continue
        floor = pot * counts[bank] // total
        assert reward in (floor, floor + 1)
        for other in eligible:
            remainder = (-(pot * counts[bank] % total), bank)
            other_remainder = (-(pot * counts[other] % total), other)
            if remainder < other_remainder:
                assert reward - floor >= rewards[other] - pot * counts[other] // total
