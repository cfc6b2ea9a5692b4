"""What the demonstration shows of the treasury: years that end, are settled and add up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from node.cli.access import Consortium
from node.cli.terminal import Meter
from node.cli.treasury import fetch_treasury
from node.client import LedgerClient
from node.client.treasury_report import TreasuryReport
from node.ledger.effects import TreasuryKind
from node.ledger.types import BankIndex, Height
from node.wire.records import SettledYear

SETTLEMENTS_SHOWN = 2
LOOK_EVERY_S = 0.5
SETTLED_WITHIN_YEARS = 3
"""The year that runs, the one to wait for, and one to spare."""
SETTLED_WITHIN_S = 90.0
"""And this much: an idle ledger seals the block that ends a year with its heartbeat."""
HOME = BankIndex(0)


@dataclass(frozen=True, slots=True)
class DemoTreasury:
    """What happened to the treasury since a height; minor units of the base asset."""

    settlements: int
    """Fiscal years settled by their counted votes; carried pots are none."""
    rewards_paid: int
    penalties: int
    balanced: bool
    """Whether the whole treasury adds up, from genesis on (BFT-12 18)."""
    faults: tuple[str, ...]


async def wait_for_settlements(
    consortium: Consortium, first_height: Height, wanted: int, meter: Meter
) -> int:
    """Wait until so many years were settled above a height; return how many were.

    Fewer if they do not come in time, which the caller tells.
    """
    year_s = consortium.genesis.parameters.fiscal_year_seconds
    assert year_s is not None, "nobody waits for calendar years"
    deadline_s = time.monotonic() + SETTLED_WITHIN_YEARS * year_s + SETTLED_WITHIN_S
    async with consortium.ledger(HOME) as ledger:
        while True:
            settled = len(await _settled_above(ledger, first_height))
            meter(min(settled, wanted), wanted)
            if settled >= wanted or time.monotonic() > deadline_s:
                return settled
            await asyncio.sleep(LOOK_EVERY_S)


async def examine_treasury(consortium: Consortium, first_height: Height) -> DemoTreasury:
    """Read the treasury of the first bank that answers, and check it against the sealed state."""
    async with consortium.ledger(HOME) as ledger:
        settled = await _settled_above(ledger, first_height)
    report = await fetch_treasury(consortium, HOME)
    return DemoTreasury(
        settlements=len(settled),
        rewards_paid=sum(share.reward for year in settled for share in year.shares),
        penalties=_penalties(report, first_height),
        balanced=not report.faults,
        faults=report.faults,
    )


async def _settled_above(ledger: LedgerClient, first_height: Height) -> Sequence[SettledYear]:
    return [
        year
        async for page in ledger.settlements()
        for year in page
        if year.height > first_height and year.shares
    ]


def _penalties(report: TreasuryReport, first_height: Height) -> int:
    return sum(
        row.amount
        for row in report.movements
        if row.kind == TreasuryKind.PENALTY and row.height > first_height
    )
