"""When a fiscal year may be settled, and by whom (BFT-12 18).

Everything is judged against the parent's state, which no rule here needs to know more than: the
pot and the tally of a year are final once a block of a later year is applied, for what a block adds
belongs to its own year or that of its parent. So a block ends one year at most.
"""

from __future__ import annotations

from crypto.ballot_tally import EMPTY_SUM, verify_tally
from crypto.errors import TallyInvalid
from node.ledger.draw import check_draw_seed, draw_steps
from node.ledger.fiscal_year import fiscal_year, label
from node.ledger.genesis import Genesis
from node.ledger.rejection import Reason, Rejection
from node.ledger.rules import check_approved_set, check_governance_nonce, check_quorum
from node.ledger.settlement import PotCarry, Settlement
from node.ledger.state import LedgerState, Pot, Tally
from node.ledger.types import Amount, FiscalYear

__all__ = [
    "check_pot_carry",
    "check_settlement",
    "pot_of",
    "tally_of",
    "year_to_settle",
    "years_to_settle",
]


def pot_of(state: LedgerState, year: FiscalYear) -> Pot:
    """Return the pot of a year, an empty one if there is none."""
    found = next((pot for pot in state.pots if pot.year == year), None)
    return found or Pot(year, Amount(0), Amount(0))


def tally_of(genesis: Genesis, state: LedgerState, year: FiscalYear) -> Tally:
    """Return the tally of a year, an empty one if there is none.

    A ledger has one opener's key for life, so it has one tally a year.
    """
    found = next((tally for tally in state.tallies if tally.year == year), None)
    return found or Tally(year, genesis.opener_key, EMPTY_SUM, 0, 0)


def years_to_settle(genesis: Genesis, state: LedgerState) -> tuple[FiscalYear, ...]:
    """Return the years that have ended and may be settled, in the order that they must be."""
    current = _current_year(genesis, state)
    return tuple([year for year in _unsettled(state) if year < current])


def year_to_settle(genesis: Genesis, state: LedgerState) -> FiscalYear | None:
    """Return the year whose settlement the next block may carry, None if none is due."""
    return next(iter(years_to_settle(genesis, state)), None)


def check_settlement(settlement: Settlement, genesis: Genesis, state: LedgerState) -> None:
    """Check a settlement against the parent's state; its form was checked before.

    Raises `Rejection`: SETTLED, YEAR_OPEN, NOTHING_TO_SETTLE, YEAR_ORDER, COUNTS, DRAW_SEED,
    TALLY_PROOF.
    """
    year = settlement.year
    _check_year(year, state)
    if _current_year(genesis, state) <= year:
        raise Rejection(
            Reason.YEAR_OPEN, f"{label(year)} is settled after the first block of a later year"
        )
    _check_is_next(year, state)
    tally = tally_of(genesis, state, year)
    _check_counts(settlement, tally)
    steps = draw_steps(genesis, state.settled_through, year)
    check_draw_seed(settlement.claim.draw_seed, state.draw_commitment, steps)
    try:
        verify_tally(
            tally.ciphertext_sum,
            settlement.claim.key_counts(genesis),
            tally.opener_key,
            settlement.claim.statement,
            settlement.proof,
        )
    except TallyInvalid as error:
        raise Rejection(Reason.TALLY_PROOF, str(error)) from error


def check_pot_carry(
    carry: PotCarry, genesis: Genesis, state: LedgerState, governance_nonce: int
) -> None:
    """Check that q banks may move this year's pot on.

    `governance_nonce` is as at this place of the block. Raises `Rejection`: NONCE, APPROVED_SET,
    SETTLED, CARRY_EARLY, NOTHING_TO_SETTLE, YEAR_ORDER, APPROVER_INACTIVE, APPROVAL_COUNT.
    """
    active = state.active_set(genesis)
    check_governance_nonce(carry.terms.nonce, governance_nonce)
    check_approved_set(carry.terms.set_hash, active)
    _check_year(carry.year, state)
    if _current_year(genesis, state) <= carry.year + 1:
        raise Rejection(
            Reason.CARRY_EARLY,
            f"the pot of {label(carry.year)} stays where it is until a block after "
            f"{label(FiscalYear(carry.year + 1))}",
        )
    _check_is_next(carry.year, state)
    check_quorum(carry.approvals, active)


def _current_year(genesis: Genesis, state: LedgerState) -> FiscalYear:
    return fiscal_year(genesis.parameters, genesis.time_ms, state.time_ms)


def _unsettled(state: LedgerState) -> list[FiscalYear]:
    return sorted({pot.year for pot in state.pots} | {tally.year for tally in state.tallies})


def _check_year(year: FiscalYear, state: LedgerState) -> None:
    if year <= state.settled_through:
        raise Rejection(
            Reason.SETTLED, f"everything up to {label(state.settled_through)} is settled"
        )


def _check_is_next(year: FiscalYear, state: LedgerState) -> None:
    unsettled = _unsettled(state)
    if year not in unsettled:
        raise Rejection(Reason.NOTHING_TO_SETTLE, f"{label(year)} has neither a pot nor ballots")
    if year != unsettled[0]:
        raise Rejection(Reason.YEAR_ORDER, f"{label(unsettled[0])} comes first")


def _check_counts(settlement: Settlement, tally: Tally) -> None:
    """Without these bounds colluding banks with related keys could move totals (`ballot_tally`)."""
    for item in settlement.claim.counts:
        if item.count > tally.blocks:
            raise Rejection(
                Reason.COUNTS,
                f"{item.count} approvals by bank {item.bank}, of {tally.blocks} blocks",
            )
    counted = sum(item.count for item in settlement.claim.counts)
    if counted != tally.ballots:
        raise Rejection(Reason.COUNTS, f"{counted} approvals, {tally.ballots} are recorded")
