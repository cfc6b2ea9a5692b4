"""The treasury for the page: the certified state, and the rows that add up to it.

Rows are read once and added up as they come; what is kept of them are sums and the newest ones, so
that a ledger of a million movements costs as much memory as a new one.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Iterable
from contextlib import aclosing

from node.client.treasury_books import TreasuryBooks
from node.client.treasury_report import TreasuryReport
from node.dashboard.ledger_reading import LedgerReading
from node.ledger.blocks import Header
from node.ledger.fiscal_year import label
from node.ledger.state import BankState, LedgerState
from node.ledger.types import BankIndex, FiscalYear
from node.runtime.consortium_directory import short_name
from node.wire.records import SettledYear, TreasuryMovement

SHOWN_MOVEMENTS = 200


class TreasuryFollower:
    """Keeps the books of the ledger up to the height that was asked for last."""

    def __init__(self, reading: LedgerReading) -> None:
        self._reading = reading
        self._books = TreasuryBooks()
        self._next_sequence = 0
        self._newest: deque[TreasuryMovement] = deque(maxlen=SHOWN_MOVEMENTS)
        self._of_bank: defaultdict[int, deque[TreasuryMovement]] = defaultdict(
            lambda: deque(maxlen=SHOWN_MOVEMENTS)
        )
        self._report: TreasuryReport | None = None

    async def report(self) -> TreasuryReport:
        """Return the treasury at the newest sealed height; raises `ClientError`."""
        return await self._reading.recent.get_part("treasury", self._read)

    async def _read(self) -> TreasuryReport:
        reading = self._reading
        published = await reading.sealed_state()
        header, state = await asyncio.to_thread(reading.verifier.verify_state, published)
        known = self._report
        if known is not None and header.height <= known.header.height:
            return known
        await self._read_rows(header)
        settlements = [
            item
            async for page in reading.ledger.settlements()
            for item in page
            if item.height <= header.height
        ]
        self._report = TreasuryReport.of(
            reading.genesis, header, state, tuple(self._newest), settlements, self._books
        )
        return self._report

    async def _read_rows(self, header: Header) -> None:
        """Enter the rows up to a height; those above it are read again later."""
        async with aclosing(self._reading.ledger.treasury(self._next_sequence)) as pages:
            async for page in pages:
                for row in page:
                    if row.height > header.height:
                        return
                    self._books.add(row)
                    self._newest.append(row)
                    if row.bank is not None:
                        self._of_bank[row.bank].append(row)
                    self._next_sequence = row.sequence + 1

    def of_bank(self, bank: BankIndex) -> list[dict[str, object]]:
        """Return the newest movements of one bank, newest first."""
        return movement_objects(self._of_bank[bank])

    def newest(self) -> list[dict[str, object]]:
        """Return the newest movements of all, newest first."""
        return movement_objects(self._newest)


def treasury_object(
    report: TreasuryReport, movements: list[dict[str, object]]
) -> dict[str, object]:
    """Return what the treasury page shows; amounts in minor units of the base asset."""
    asset = report.genesis.base_asset
    return {
        "height": report.header.height,
        "block_id": report.header.block_id.hex(),
        "asset": {"code": asset.code, "decimals": asset.decimals},
        "years": [_year(report, year) for year in report.years],
        "stakes": [stake_object(report, bank) for bank in report.state.banks],
        "pots": _pots(report.state),
        "invariant": _invariant(report),
        "rows": report.books.rows,
        "movements": movements,
    }


def stake_object(report: TreasuryReport, bank: BankState) -> dict[str, object]:
    """Return the certified account of one bank."""
    floor_percent = report.genesis.parameters.slash_floor_percent
    return {
        "bank": bank.index,
        "name": short_name(bank.index),
        "stake": bank.stake,
        "initial_stake": bank.initial_stake,
        "floor": -(-bank.initial_stake * floor_percent // 100),
        "active": bank.active,
        "offences": bank.offences,
        "penalties": bank.penalties,
        "account": bank.balance,
        "blocks_created": bank.blocks_created,
        "creator_fees": bank.creator_fees,
        "rewards": bank.rewards,
        "topped_up": bank.topped_up,
        "withdrawn": bank.withdrawn,
    }


def movement_objects(rows: Iterable[TreasuryMovement]) -> list[dict[str, object]]:
    """Return movements, the newest first."""
    listed: list[dict[str, object]] = [
        {
            "sequence": row.sequence,
            "height": row.height,
            "bank": row.bank,
            "name": None if row.bank is None else short_name(row.bank),
            "fiscal_year": row.fiscal_year,
            "label": label(FiscalYear(row.fiscal_year)),
            "amount": row.amount,
            "kind": str(row.kind),
            "reason": row.reason,
        }
        for row in rows
    ]
    listed.reverse()
    return listed


def _pots(state: LedgerState) -> dict[str, object]:
    return {
        "total": sum(pot.total for pot in state.pots),
        "years": [
            {
                "year": pot.year,
                "label": label(pot.year),
                "fees": pot.approver_fees,
                "penalties": pot.penalties,
                "carried": pot.carried,
                "total": pot.total,
                "slashed": [short_name(bank) for bank in pot.slashed],
            }
            for pot in state.pots
        ],
    }


def _year(report: TreasuryReport, year: FiscalYear) -> dict[str, object]:
    books, settled = report.books.years[year], report.settlement(year)
    tally = next((item for item in report.state.tallies if item.year == year), None)
    return {
        "year": year,
        "label": label(year),
        "state": report.standing(year),
        "fees": books.fees,
        "penalties": books.penalties,
        "carried_in": books.carried_in,
        "carried_out": books.carried_out,
        "rewards": books.rewards.total(),
        "pot": books.left,
        "slashed": [short_name(bank) for bank in sorted(books.slashed)],
        "recorded_approvals": None if tally is None else tally.ballots,
        **_settlement(settled),
    }


def _settlement(settled: SettledYear | None) -> dict[str, object]:
    if settled is None:
        return {"settled_height": None, "transaction_id": None, "settled_pot": None, "shares": []}
    return {
        "settled_height": settled.height,
        "transaction_id": settled.transaction_id.hex(),
        "settled_pot": settled.pot,
        "shares": [
            {
                "bank": share.bank,
                "name": short_name(share.bank),
                "count": share.count,
                "reward": share.reward,
            }
            for share in settled.shares
        ],
    }


def _invariant(report: TreasuryReport) -> dict[str, object]:
    equation, money = report.equation, report.money

    def terms(side: str, *listed: tuple[str, int]) -> list[dict[str, object]]:
        return [{"side": side, "name": name, "amount": amount} for name, amount in listed]

    if report.faults:
        words = "does not add up: " + "; ".join(report.faults)
    else:
        total = money.of(equation.left)
        words = (
            f"{total} ever came in as initial stakes, top-ups and fees, and {total} are in stakes, "
            f"pots, creators' fees, rewards and what was withdrawn; {report.books.rows} movements "
            "agree with the sealed state"
        )
    return {
        "holds": equation.holds and not report.faults,
        "words": words,
        "faults": list(report.faults),
        "left": equation.left,
        "right": equation.right,
        "terms": [
            *terms(
                "in",
                ("initial stakes", equation.initial_stakes),
                ("topped up", equation.topped_up),
                ("fees", equation.fees),
            ),
            *terms(
                "where",
                ("stakes", equation.stakes),
                ("pots", equation.pots),
                ("creator fees", equation.creator_fees),
                ("rewards", equation.rewards),
                ("withdrawn", equation.withdrawn),
            ),
        ],
    }
