"""Conservation of money, as far as the public totals show it (BFT-12 18).

Values of notes are hidden, but every unit enters and leaves them through a public amount. So per
asset, in minor units:

    supply of notes            = issued + paid out - redeemed - fees, never negative
    issued                     = sum over banks, none above its limit

and for the base asset alone, whose public amounts meet the banks' accounts, stakes and pots:

    sum of public accounts     = redeemed + creator fees + rewards - paid out - top-ups
                                 + withdrawals
    sum of pots + rewards      = fees - creator fees + penalties ever
    stake of each bank         = initial stake + its top-ups - its withdrawals - its penalties
    initial stakes + top-ups + fees
                               = stakes + pots + creator fees + rewards + withdrawals

where a pot is its fees, its penalties and what was carried into it. The last equation is that of
BFT-12 18; it follows from the others and is checked by itself. No pot holds more fees or penalties
than there ever were, no bank has withdrawn more than it ever held above its initial stake, and
other assets are never redeemed, paid out or charged. Pots and tallies of settled years are gone.
"""

from __future__ import annotations

from node.ledger.fiscal_year import label
from node.ledger.genesis import Genesis
from node.ledger.state import AssetState, LedgerState
from node.ledger.types import Amount


class InvariantBroken(Exception):
    """The totals of a state contradict each other: no sealed ledger may ever get here."""


def note_supply(asset: AssetState) -> Amount:
    """Return the value held in unspent notes of the asset, in minor units.

    Raises `InvariantBroken` if it is negative.
    """
    supply = asset.issued + asset.paid_out - asset.redeemed - asset.fees
    if supply < 0:
        raise InvariantBroken(f"asset {asset.asset_id.hex()}: the supply of notes is {supply}")
    return Amount(supply)


def check_conservation(genesis: Genesis, state: LedgerState) -> None:
    """Check every equation above on one state; raises `InvariantBroken` naming the first broken."""
    for asset in state.assets:
        note_supply(asset)
        _check_issuance(asset)
        is_base = asset.asset_id == genesis.base_asset.asset_id
        if not is_base and (asset.redeemed or asset.paid_out or asset.fees):
            raise InvariantBroken(
                f"asset {asset.asset_id.hex()} is not the base asset, yet it was redeemed, "
                "paid out or charged"
            )
    base = state.asset(genesis.base_asset.asset_id)
    assert base is not None, "every state has the base asset"
    _check_accounts(base, state)
    _check_pots(base, state)
    _check_stakes(base, state)


def _check_issuance(asset: AssetState) -> None:
    _require_equal(
        f"asset {asset.asset_id.hex()}: issued and the banks' sum",
        asset.issued,
        sum(entry.issued for entry in asset.issuance),
    )
    for entry in asset.issuance:
        if entry.issued > entry.limit:
            raise InvariantBroken(
                f"asset {asset.asset_id.hex()}: bank {entry.bank} issued {entry.issued}, "
                f"its limit is {entry.limit}"
            )


def _check_accounts(base: AssetState, state: LedgerState) -> None:
    creator_fees = sum(bank.creator_fees for bank in state.banks)
    _require_equal(
        "public accounts and redeemed + creator fees + rewards - paid out - top-ups + withdrawals",
        sum(bank.balance for bank in state.banks),
        base.redeemed
        + creator_fees
        + _rewarded(state)
        - base.paid_out
        - _topped_up(state)
        + _withdrawn(state),
    )


def _check_pots(base: AssetState, state: LedgerState) -> None:
    creator_fees = sum(bank.creator_fees for bank in state.banks)
    penalties = sum(bank.penalties for bank in state.banks)
    _require_equal(
        "pots + rewards and fees - creator fees + penalties",
        sum(pot.total for pot in state.pots) + _rewarded(state),
        base.fees - creator_fees + penalties,
    )
    _require_at_most(
        "fees in pots", sum(pot.approver_fees for pot in state.pots), base.fees - creator_fees
    )
    _require_at_most("penalties in pots", sum(pot.penalties for pot in state.pots), penalties)
    unsettled = [pot.year for pot in state.pots] + [tally.year for tally in state.tallies]
    for year in unsettled:
        if year <= state.settled_through:
            raise InvariantBroken(
                f"{label(year)} has a pot or a tally, yet everything up to "
                f"{label(state.settled_through)} is settled"
            )


def _check_stakes(base: AssetState, state: LedgerState) -> None:
    for bank in state.banks:
        _require_equal(
            f"bank {bank.index}: stake and initial stake + top-ups - withdrawals - penalties",
            bank.stake,
            bank.initial_stake + bank.topped_up - bank.withdrawn - bank.penalties,
        )
        if bank.withdrawn > bank.topped_up:
            raise InvariantBroken(
                f"bank {bank.index} withdrew {bank.withdrawn}, more than its top-ups of "
                f"{bank.topped_up}"
            )
    _require_equal(
        "initial stakes + top-ups + fees and stakes + pots + creator fees + rewards + withdrawals",
        sum(bank.initial_stake for bank in state.banks) + _topped_up(state) + base.fees,
        sum(bank.stake for bank in state.banks)
        + sum(pot.total for pot in state.pots)
        + sum(bank.creator_fees for bank in state.banks)
        + _rewarded(state)
        + _withdrawn(state),
    )


def _topped_up(state: LedgerState) -> int:
    return sum(bank.topped_up for bank in state.banks)


def _withdrawn(state: LedgerState) -> int:
    return sum(bank.withdrawn for bank in state.banks)


def _rewarded(state: LedgerState) -> int:
    return sum(bank.rewards for bank in state.banks)


def _require_at_most(what: str, found: int, most: int) -> None:
    if found > most:
        raise InvariantBroken(f"{what}: {found}, there ever were {most}")


def _require_equal(what: str, found: int, expected: int) -> None:
    if found != expected:
        raise InvariantBroken(f"{what} differ: {found} is not {expected}")
