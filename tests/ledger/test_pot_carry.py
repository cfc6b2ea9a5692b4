"""Carrying a pot that nobody settled, by a quorum of banks (BFT-12 18)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.ledger.effects import TreasuryEntry, TreasuryKind
from node.ledger.rejection import Reason
from node.ledger.settlement import SettlementOutcome
from node.ledger.state import Pot
from node.ledger.types import Amount, BankIndex, FiscalYear
from tests.ledger.settling import SLASH, SettlingChain, draw_seed, settling_genesis, voted_year

GENESIS = settling_genesis()


@pytest.fixture
def voted() -> SettlingChain:
    """A copy of `voted_year`, for this test alone."""
    return voted_year().fork()


def test_section_18_a_pot_that_nobody_settled_for_a_year_may_be_carried(
    voted: SettlingChain,
) -> None:
    early = (Reason.CARRY_EARLY, "the pot of FY2026 stays where it is until a block after FY2027")
    assert voted.refused(voted.carry(2026)) == early
    pot = voted.state.pots[0]
    voted.begin(2028, evidence=[voted.evidence(1)])
    raw = voted.carry(2026)
    built = voted.extend(raw)
    assert built.transition.settlement == SettlementOutcome(
        year=FiscalYear(2026),
        pot=pot,
        rows=(),
        carried=Amount(SLASH),
        carried_to=FiscalYear(2028),
        draw_seed=None,
        transaction_id=built.block.transaction_ids[0],
    )
    assert built.transition.treasury_entries == (
        TreasuryEntry(None, FiscalYear(2026), -SLASH, TreasuryKind.CARRY, "carried into FY2028"),
        TreasuryEntry(None, FiscalYear(2028), SLASH, TreasuryKind.CARRY, "carried from FY2026"),
    )
    assert voted.state.pots == (
        replace(
            Pot(FiscalYear(2028), Amount(0), Amount(SLASH), carried=Amount(SLASH)),
            slashed=(BankIndex(1),),
        ),
    )
    assert [tally.year for tally in voted.state.tallies] == [2027, 2028]
    assert (voted.state.settled_through, voted.state.governance_nonce) == (0, 1)
    assert voted.refused(voted.settlement(2026)) == (
        Reason.NOTHING_TO_SETTLE,
        "FY2026 has neither a pot nor ballots",
    )
    assert voted.refused(voted.carry(2026))[0] is Reason.NOTHING_TO_SETTLE
    # The seed that the next settlement reveals is two steps from the committed one.
    voted.extend(voted.settlement(2027))
    assert (voted.state.settled_through, voted.state.draw_commitment) == (2027, draw_seed(2027))


def test_section_18_a_carry_is_approved_by_a_quorum_of_the_present_set(
    voted: SettlingChain,
) -> None:
    voted.begin(2028)
    assert voted.refused(voted.carry(2026, range(4))) == (
        Reason.APPROVAL_COUNT,
        "4 approvals, 5 are required",
    )
    assert voted.refused(voted.carry(2026, set_hash=bytes(32)))[0] is Reason.APPROVED_SET
    assert voted.refused(voted.carry(2026, nonce=1))[0] is Reason.NONCE
    twice = voted.carry(2026)
    items = voted.carry_terms(2026)
    assert voted.refusal_at_admission(voted.carry(2026, chain_id=bytes(32)))[0] is Reason.CHAIN
    doubled = items.encode() + b"\x00\x00\x00\x02" + twice[len(items.encode()) + 4 :][:66] * 2
    assert voted.refusal_at_admission(doubled)[0] is Reason.APPROVAL_ORDER
    forged = twice[:-1] + bytes([twice[-1] ^ 1])
    assert voted.refusal_at_admission(forged)[0] is Reason.SIGNATURE
    voted.extend(twice)


def test_section_18_a_carry_obeys_the_order_of_years() -> None:
    chain = SettlingChain(GENESIS)
    chain.extend(evidence=[chain.evidence(3)])
    chain.begin(2027, evidence=[chain.evidence(4)])
    chain.begin(2029)
    assert chain.refused(chain.carry(2027)) == (Reason.YEAR_ORDER, "FY2026 comes first")
    both = (chain.settlement(2026), chain.carry(2027))
    assert chain.refused(*both) == (Reason.YEAR_ORDER, "the block ends FY2026 already")
    chain.extend(chain.settlement(2026))
    assert chain.refused(chain.carry(2026)) == (
        Reason.SETTLED,
        "everything up to FY2026 is settled",
    )
    chain.extend(chain.carry(2027))
    assert chain.state.pots == (Pot(FiscalYear(2029), Amount(0), Amount(0), carried=Amount(SLASH)),)
    chain.begin(2030)
    chain.extend(chain.settlement(2029))
    assert sum(bank.rewards for bank in chain.state.banks) == 2 * SLASH


def test_section_18_carries_add_up_in_the_year_they_reach() -> None:
    chain = SettlingChain(GENESIS)
    chain.extend(evidence=[chain.evidence(3)])
    chain.begin(2027, evidence=[chain.evidence(4)])
    chain.begin(2030, evidence=[chain.evidence(1)])
    chain.extend(chain.carry(2026))
    chain.extend(chain.carry(2027))
    assert chain.state.governance_nonce == 2
    assert chain.state.pots == (
        Pot(
            FiscalYear(2030),
            Amount(0),
            Amount(SLASH),
            carried=Amount(2 * SLASH),
            slashed=(BankIndex(1),),
        ),
    )
