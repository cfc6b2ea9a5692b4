"""`consortium stake`: between a bank's public account and its stake (BFT-12 section 18)."""

from __future__ import annotations

import asyncio

import click

from node.cli.access import Consortium
from node.cli.activity import activity
from node.cli.governance_run import Sealed, hand_in, reach
from node.cli.minting import ISSUER_KEY_FILE
from node.cli.options import data_option, find_bank, json_option
from node.cli.payment_run import timeout_option
from node.client.governance import stake_movement
from node.client.money import Money, read_money
from node.ledger.governance import GovernanceKind
from node.ledger.types import BankIndex
from node.runtime.consortium_directory import ConsortiumDirectory, short_name
from node.runtime.secrets_directory import read_secret


@click.group()
def command() -> None:
    """Move money between a bank's public account and its stake.

    A slashed bank tops its stake up before it can be readmitted; `consortium redeem` brings money
    into its account. What exceeds the initial stake may be withdrawn.
    """


@command.command("top-up")
@click.argument("bank")
@click.argument("amount")
@timeout_option
@data_option
@json_option
def top_up(
    bank: str, amount: str, timeout_s: int, directory: ConsortiumDirectory, as_json: bool
) -> None:
    """Move AMOUNT of the base asset from BANK's public account into its stake.

    \b
    Example:
      consortium stake top-up dunmere 22.50
    """
    _move(GovernanceKind.STAKE_TOP_UP, bank, amount, timeout_s, directory, as_json=as_json)


@command.command("withdraw")
@click.argument("bank")
@click.argument("amount")
@timeout_option
@data_option
@json_option
def withdraw(
    bank: str, amount: str, timeout_s: int, directory: ConsortiumDirectory, as_json: bool
) -> None:
    """Move AMOUNT of BANK's stake above its initial stake into its public account.

    \b
    Example:
      consortium stake withdraw dunmere 10
    """
    _move(GovernanceKind.STAKE_WITHDRAWAL, bank, amount, timeout_s, directory, as_json=as_json)


def _move(
    kind: GovernanceKind,
    bank: str,
    amount: str,
    timeout_s: int,
    directory: ConsortiumDirectory,
    *,
    as_json: bool,
) -> None:
    consortium = Consortium.load(directory)
    money = read_money(consortium.genesis, amount, None)
    index = find_bank(consortium.genesis, bank)
    sealed = asyncio.run(_run(consortium, kind, index, money, timeout_s))
    verb = "added to" if kind is GovernanceKind.STAKE_TOP_UP else "withdrawn from"
    stake = money.of(sealed.state.banks[index].stake)
    text = f"{money} {verb} the stake of {short_name(index)}, which is now {stake}"
    sealed.show(index, text, as_json=as_json)


async def _run(
    consortium: Consortium, kind: GovernanceKind, bank: BankIndex, money: Money, timeout_s: int
) -> Sealed:
    secret = read_secret(consortium.directory.bank(bank).keys / ISSUER_KEY_FILE)
    with activity() as tell:
        async with consortium.ledger(bank) as ledger:
            await reach(consortium, ledger)
            raw = await stake_movement(ledger, kind, bank, money.amount, secret)
            return await hand_in(consortium, ledger, raw, timeout_s, tell)
