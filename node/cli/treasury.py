"""`consortium treasury`: stakes, penalties, fees and pots, and whether they add up."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import click

from node.cli.access import Consortium, nobody_answers
from node.cli.activity import activity
from node.cli.digest_comparison import treasury_faults
from node.cli.money import Money
from node.cli.options import data_option, find_bank, json_option
from node.cli.table import answer_table
from node.cli.terminal import answer, answer_json
from node.client import SealVerifier
from node.client.errors import LedgerUnavailable
from node.ledger.blocks import Header
from node.ledger.invariants import InvariantBroken, check_conservation
from node.ledger.state import BankState, LedgerState
from node.ledger.types import BankIndex
from node.runtime.consortium_directory import ConsortiumDirectory, short_name
from node.wire.records import TreasuryMovement


@dataclass(frozen=True, slots=True)
class TreasuryReport:
    """The verified state of one height, with the movements that led to it."""

    money: Money
    """Some amount of the base asset; others are made with `of`."""
    header: Header
    state: LedgerState
    movements: tuple[TreasuryMovement, ...]
    """Up to that height, in ledger order."""
    faults: tuple[str, ...]
    """What does not add up; empty if everything does."""


@click.command()
@click.option("--bank", help="Ask this bank first, by name or index.")
@click.option("--rows", is_flag=True, help="List every movement too.")
@data_option
@json_option
def command(bank: str | None, rows: bool, directory: ConsortiumDirectory, as_json: bool) -> None:
    """Show stakes, accounts and the pots of each fiscal year, and whether it all adds up.

    Stakes and pots come from the sealed state and are verified from the genesis alone; the
    movements are the rows of the bank that answers, and are added up against that state.

    \b
    Examples:
      consortium treasury
      consortium treasury --rows --json
    """
    consortium = Consortium.load(directory)
    first = BankIndex(0) if bank is None else find_bank(consortium.genesis, bank)
    report = asyncio.run(fetch_treasury(consortium, first))
    if as_json:
        answer_json(_json_object(report, with_rows=rows))
    else:
        _show(report, with_rows=rows)
    if report.faults:
        raise SystemExit(1)


async def fetch_treasury(consortium: Consortium, first: BankIndex) -> TreasuryReport:
    """Read and check the treasury; raises `CommandFailed` if no bank answers."""
    genesis = consortium.genesis
    with activity() as tell:
        tell("reading the treasury")
        async with consortium.ledger(first) as ledger:
            try:
                sealed = await ledger.sealed_state()
                pages = [page async for page in ledger.treasury()]
            except LedgerUnavailable as error:
                raise nobody_answers(consortium) from error
    header, state = SealVerifier(genesis).verify_state(sealed)
    # A block may have been sealed between the two answers.
    movements = tuple([row for page in pages for row in page if row.height <= header.height])
    faults = treasury_faults(state, movements)
    try:
        check_conservation(genesis, state)
    except InvariantBroken as error:
        faults.append(str(error))
    return TreasuryReport(_base_money(consortium), header, state, movements, tuple(faults))


def _base_money(consortium: Consortium) -> Money:
    return Money.none_of(consortium.genesis.base_asset)


def _show(report: TreasuryReport, *, with_rows: bool) -> None:
    money, state = report.money, report.state
    answer(f"block {report.header.height}, amounts in {money.asset.code}")
    answer("")
    answer_table(
        ("bank", "state", "stake", "of initial", "offences", "account", "blocks", "creator fees"),
        [_bank_cells(money, bank) for bank in state.banks],
        right=(2, 3, 4, 5, 6, 7),
    )
    answer("")
    answer_table(
        ("fiscal year", "approvers' fees", "penalties"),
        [
            (f"FY{pot.year}", money.of(pot.approver_fees).text, money.of(pot.penalties).text)
            for pot in state.pots
        ],
        right=(1, 2),
    )
    if with_rows:
        answer("")
        answer_table(
            ("record", "block", "bank", "fiscal year", "amount", "kind", "reason"),
            [_row_cells(money, row) for row in report.movements],
            right=(0, 1, 4),
        )
    answer("")
    for fault in report.faults:
        answer(f"DOES NOT ADD UP: {fault}")
    if not report.faults:
        answer(
            f"adds up: {len(report.movements)} movements, stakes, pots and accounts agree with "
            "the sealed state"
        )


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
    )


def _hundredths_of_percent(bank: BankState) -> int:
    return 10_000 * bank.stake // bank.initial_stake if bank.initial_stake else 0


def _row_cells(money: Money, row: TreasuryMovement) -> tuple[str, ...]:
    sign = "-" if row.amount < 0 else ""
    return (
        str(row.sequence),
        str(row.height),
        "all" if row.bank is None else short_name(row.bank),
        f"FY{row.fiscal_year}",
        sign + money.of(abs(row.amount)).text,
        row.kind,
        row.reason,
    )


def _json_object(report: TreasuryReport, *, with_rows: bool) -> dict[str, object]:
    state = report.state
    listed: dict[str, object] = {
        "height": report.header.height,
        "block_id": report.header.block_id.hex(),
        "asset": report.money.asset.code,
        "decimals": report.money.asset.decimals,
        "banks": [
            {
                "bank": short_name(bank.index),
                "active": bank.active,
                "initial_stake_minor": bank.initial_stake,
                "stake_minor": bank.stake,
                "offences": bank.offences,
                "account_minor": bank.balance,
                "blocks_created": bank.blocks_created,
                "creator_fees_minor": bank.creator_fees,
            }
            for bank in state.banks
        ],
        "pots": [
            {
                "fiscal_year": f"FY{pot.year}",
                "approver_fees_minor": pot.approver_fees,
                "penalties_minor": pot.penalties,
            }
            for pot in state.pots
        ],
        "movements": len(report.movements),
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
            for row in report.movements
        ]
    return listed
