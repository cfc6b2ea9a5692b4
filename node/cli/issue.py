"""`consortium issue`: a bank mints notes against its issuance limit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import click

from node.cli.access import Consortium
from node.cli.minting import MintOrder, mint
from node.cli.options import data_option, find_bank, json_option
from node.cli.payment_run import timeout_option
from node.cli.wallet_book import WalletBook
from node.client import LedgerClient, issue
from node.client.issuing import SubmittedMint
from node.client.money import read_money
from node.client.wallet_data import Recipient
from node.runtime.consortium_directory import ConsortiumDirectory

DEFAULT_NOTES = 4
MAX_NOTES = 400
"""A hundred transactions: a whole block."""


@click.command()
@click.argument("bank")
@click.argument("wallet", metavar="WALLET")
@click.argument("amount")
@click.option("--asset", metavar="CODE", help="Asset to issue.  [default: the base asset]")
@click.option(
    "--notes",
    "note_count",
    type=click.IntRange(1, MAX_NOTES),
    help=f"Divide AMOUNT evenly into N notes.  [default: {DEFAULT_NOTES}]",
)
@timeout_option
@data_option
@json_option
def command(
    bank: str,
    wallet: str,
    amount: str,
    asset: str | None,
    note_count: int | None,
    timeout_s: int,
    directory: ConsortiumDirectory,
    as_json: bool,
) -> None:
    """Mint AMOUNT in all as BANK, for a wallet or address WALLET.

    Everybody sees the amount and the bank, nobody the wallet. A wallet can have as many payments
    under way as it has notes; the four notes that are made by default cost no more than one.

    \b
    Examples:
      consortium issue dunmere alice 1000
      consortium issue 0 alice 50000 --notes 40
      consortium issue amberfield alice 100 --asset USD
    """
    consortium = Consortium.load(directory)
    money = read_money(consortium.genesis, amount, asset)
    payee, address = WalletBook(consortium).payee(wallet)
    order = MintOrder(
        find_bank(consortium.genesis, bank),
        payee,
        address,
        money,
        note_count or min(DEFAULT_NOTES, money.amount),
        timeout_s,
    )

    async def submit(
        ledger: LedgerClient, secret: bytes, notes: Sequence[Recipient]
    ) -> SubmittedMint:
        return await issue(ledger, secret, notes, asset=money.asset.code)

    asyncio.run(mint(consortium, order, submit)).show("issued", as_json=as_json)
