"""`consortium treasury`: stakes, penalties, fees, pots and rewards, and whether they add up."""

from __future__ import annotations

import asyncio
import re

import click

from node.cli.access import Consortium, nobody_answers
from node.cli.activity import activity
from node.cli.failure import EXIT_FAILED, EXIT_USAGE, CommandFailed
from node.cli.options import data_option, find_bank, json_option
from node.cli.table import answer_table
from node.cli.terminal import answer, answer_json
from node.client import SealVerifier
from node.client.errors import LedgerUnavailable
from node.client.money import Money
from node.client.treasury_books import TreasuryBooks
from node.client.treasury_report import TreasuryReport
from node.ledger.fiscal_year import label
from node.ledger.state import BankState
from node.ledger.types import BankIndex, FiscalYear
from node.runtime.consortium_directory import ConsortiumDirectory, short_name
from node.wire.records import TreasuryMovement

_YEAR = re.compile(r"(?:FY)?([0-9]{1,9})", re.ASCII | re.IGNORECASE)


@click.command()
@click.option("--year", metavar="YEAR", help="Show one fiscal year alone: FY2026 or 2026.")
@click.option("--bank", help="Ask this bank first, by name or index.")
@click.option("--rows", is_flag=True, help="List every movement too.")
@data_option
@json_option
def command(
    year: str | None, bank: str | None, rows: bool, directory: ConsortiumDirectory, as_json: bool
) -> None:
    """Show stakes, penalties, fees, pots and rewards by fiscal year, and whether they add up.

    Stakes and pots come from the sealed state and are verified from the genesis alone; movements
    and settlements are the rows of the bank that answers, and are added up against that state.
    Everything must add up for every year and in all, or the command fails.

    \b
    Examples:
      consortium treasury
      consortium treasury --year FY2026
      consortium treasury --rows --json
    """
    consortium = Consortium.load(directory)
    wanted = None if year is None else read_year(year)
    first = BankIndex(0) if bank is None else find_bank(consortium.genesis, bank)
    report = asyncio.run(fetch_treasury(consortium, first))
    if wanted is not None and wanted not in report.years:
        raise CommandFailed(
            f"nothing happened in {label(wanted)}",
            "years with movements: " + (", ".join(map(label, report.years)) or "none"),
        )
    if as_json:
        answer_json(_json_object(report, wanted, with_rows=rows))
    else:
        _show(report, wanted, with_rows=rows)
    if report.faults:
        raise click.exceptions.Exit(EXIT_FAILED)


def read_year(text: str) -> FiscalYear:
    """Read `FY2026` or `2026`; raises `CommandFailed`."""
    match = _YEAR.fullmatch(text.strip())
    if match is None:
        raise CommandFailed(
            f"{text!r} is no fiscal year", "give one such as FY2026 or 2026", EXIT_USAGE
        )
    return FiscalYear(int(match[1]))


async def fetch_treasury(consortium: Consortium, first: BankIndex) -> TreasuryReport:
    """Read and check the treasury; raises `CommandFailed` if no bank answers."""
    genesis, books = consortium.genesis, TreasuryBooks()
    movements: list[TreasuryMovement] = []
    with activity() as tell:
        tell("reading the treasury")
        async with consortium.ledger(first) as ledger:
            try:
                header, state = SealVerifier(genesis).verify_state(await ledger.sealed_state())
                async for page in ledger.treasury():
                    # A block may have been sealed between the two answers.
                    movements += [row for row in page if row.height <= header.height]
                settlements = tuple(
                    [
                        item
                        async for settled in ledger.settlements()
                        for item in settled
                        if item.height <= header.height
                    ]
                )
            except LedgerUnavailable as error:
                raise nobody_answers(consortium) from error
    for row in movements:
        books.add(row)
    return TreasuryReport.of(genesis, header, state, movements, settlements, books)


def _show(report: TreasuryReport, wanted: FiscalYear | None, *, with_rows: bool) -> None:
    money, state = report.money, report.state
    answer(f"block {report.header.height}, amounts in {money.asset.code}")
    answer("")
    if wanted is None:
        answer_table(
            (
                *("bank", "state", "stake", "of initial", "offences", "account", "blocks"),
                *("creator fees", "rewards"),
            ),
            [_bank_cells(money, bank) for bank in state.banks],
            right=range(2, 9),
        )
        answer("")
    answer_table(
        (
            *("fiscal year", "state", "fees", "penalties", "carried in", "rewards"),
            *("carried out", "in the pot"),
        ),
        [_year_cells(report, year) for year in _chosen(report, wanted)],
        right=range(2, 8),
    )
    if wanted is not None:
        _show_settlement(report, wanted)
    if with_rows:
        answer("")
        answer_table(
            ("record", "block", "bank", "fiscal year", "amount", "kind", "reason"),
            [_row_cells(money, row) for row in _rows(report, wanted)],
            right=(0, 1, 4),
        )
    answer("")
    _show_verdict(report)


def _show_settlement(report: TreasuryReport, year: FiscalYear) -> None:
    settled = report.settlement(year)
    answer("")
    if settled is None:
        over = report.standing(year) == "ended"
        answer("the regulator has not settled it yet" if over else "it is not over yet")
        return
    how = "settled" if settled.shares else "carried forward by a quorum of the banks"
    answer(f"{how} in block {settled.height}: transaction {settled.transaction_id.hex()}")
    if settled.shares:
        answer_table(
            ("bank", "approvals", "reward"),
            [
                (short_name(item.bank), str(item.count), report.money.of(item.reward).text)
                for item in settled.shares
            ],
            right=(1, 2),
        )


def _show_verdict(report: TreasuryReport) -> None:
    money, equation = report.money, report.equation
    answer(
        f"came in: initial stakes {money.of(equation.initial_stakes).text} + top-ups "
        f"{money.of(equation.topped_up).text} + fees {money.of(equation.fees).text} = "
        f"{money.of(equation.left).text}"
    )
    answer(
        f"is in: stakes {money.of(equation.stakes).text} + pots {money.of(equation.pots).text} + "
        f"creator fees {money.of(equation.creator_fees).text} + rewards "
        f"{money.of(equation.rewards).text} + withdrawn {money.of(equation.withdrawn).text} = "
        f"{money.of(equation.right).text}"
    )
    for fault in report.faults:
        answer(f"DOES NOT ADD UP: {fault}")
    if not report.faults:
        answer(
            f"adds up: {report.books.rows} movements, stakes, pots, rewards and accounts agree "
            "with the sealed state"
        )


def _chosen(report: TreasuryReport, wanted: FiscalYear | None) -> list[FiscalYear]:
    return report.years if wanted is None else [wanted]


def _rows(report: TreasuryReport, wanted: FiscalYear | None) -> list[TreasuryMovement]:
    return [row for row in report.movements if wanted in (None, row.fiscal_year)]


def _year_cells(report: TreasuryReport, year: FiscalYear) -> tuple[str, ...]:
    money, books = report.money, report.books.years[year]
    amounts = (
        *(books.fees, books.penalties, books.carried_in, books.rewards.total()),
        *(books.carried_out, books.left),
    )
    return (label(year), report.standing(year), *[money.of(amount).text for amount in amounts])


def _bank_cells(money: Money, bank: BankState) -> tuple[str, ...]:
    return (
        short_name(bank.index),
        "active" if bank.active else "observer",
        money.of(bank.stake).text,
        f"{_hundredths_of_percent(bank) / 100:.2f} %",
        str(bank.offences),
        money.of(bank.balance).text,
        str(bank.blocks_created),
        money.of(bank.creator_fees).text,
        money.of(bank.rewards).text,
    )


def _hundredths_of_percent(bank: BankState) -> int:
    return 10_000 * bank.stake // bank.initial_stake if bank.initial_stake else 0


def _row_cells(money: Money, row: TreasuryMovement) -> tuple[str, ...]:
    return (
        str(row.sequence),
        str(row.height),
        "all" if row.bank is None else short_name(row.bank),
        f"FY{row.fiscal_year}",
        money.of(row.amount).text,
        row.kind,
        row.reason,
    )


def _json_object(
    report: TreasuryReport, wanted: FiscalYear | None, *, with_rows: bool
) -> dict[str, object]:
    equation = report.equation
    listed: dict[str, object] = {
        "height": report.header.height,
        "block_id": report.header.block_id.hex(),
        "asset": report.money.asset.code,
        "decimals": report.money.asset.decimals,
        "banks": [_bank_object(bank) for bank in report.state.banks],
        "years": [_year_object(report, year) for year in _chosen(report, wanted)],
        "invariant": {
            "initial_stakes_minor": equation.initial_stakes,
            "topped_up_minor": equation.topped_up,
            "fees_minor": equation.fees,
            "stakes_minor": equation.stakes,
            "pots_minor": equation.pots,
            "creator_fees_minor": equation.creator_fees,
            "rewards_minor": equation.rewards,
            "withdrawn_minor": equation.withdrawn,
            "holds": equation.holds,
        },
        "movements": report.books.rows,
        "verified": True,
        "balanced": not report.faults,
        "faults": list(report.faults),
    }
    if with_rows:
        listed["rows"] = [
            {
                "record": row.sequence,
                "height": row.height,
                "bank": None if row.bank is None else short_name(row.bank),
                "fiscal_year": f"FY{row.fiscal_year}",
                "amount_minor": row.amount,
                "kind": row.kind,
                "reason": row.reason,
            }
            for row in _rows(report, wanted)
        ]
    return listed


def _bank_object(bank: BankState) -> dict[str, object]:
    return {
        "bank": short_name(bank.index),
        "active": bank.active,
        "initial_stake_minor": bank.initial_stake,
        "stake_minor": bank.stake,
        "offences": bank.offences,
        "penalties_minor": bank.penalties,
        "account_minor": bank.balance,
        "blocks_created": bank.blocks_created,
        "creator_fees_minor": bank.creator_fees,
        "rewards_minor": bank.rewards,
    }


def _year_object(report: TreasuryReport, year: FiscalYear) -> dict[str, object]:
    books, settled = report.books.years[year], report.settlement(year)
    tally = next((item for item in report.state.tallies if item.year == year), None)
    return {
        "fiscal_year": label(year),
        "state": report.standing(year),
        "approver_fees_minor": books.fees,
        "penalties_minor": books.penalties,
        "carried_in_minor": books.carried_in,
        "rewards_minor": books.rewards.total(),
        "carried_out_minor": books.carried_out,
        "pot_minor": books.left,
        "slashed": [short_name(bank) for bank in sorted(books.slashed)],
        "recorded_approvals": None if tally is None else tally.ballots,
        "settlement": None
        if settled is None
        else {
            "height": settled.height,
            "transaction_id": settled.transaction_id.hex(),
            "pot_minor": settled.pot,
            "carried_minor": settled.carried,
            "shares": [
                {
                    "bank": short_name(item.bank),
                    "approvals": item.count,
                    "reward_minor": item.reward,
                }
                for item in settled.shares
            ],
        },
    }
