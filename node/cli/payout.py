"""`consortium payout`: from a bank's public account back into notes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import click

from node.cli.access import Consortium
from node.cli.issue import MAX_NOTES
from node.cli.minting import MintOrder, mint
from node.cli.options import data_option, find_bank, json_option
from node.cli.payment_run import timeout_option
from node.cli.wallet_book import WalletBook
from node.client import LedgerClient, payout
from node.client.issuing import SubmittedMint
from node.client.money import read_money
from node.client.wallet_data import Recipient
from node.runtime.consortium_directory import ConsortiumDirectory


@click.command()
@click.argument("bank")
@click.argument("wallet", metavar="WALLET")
@click.argument("amount")
@click.option(
    "--notes",
    "note_count",
    type=click.IntRange(1, MAX_NOTES),
    default=1,
    show_default=True,
    help="Divide AMOUNT evenly into N notes.",
)
@timeout_option
@data_option
@json_option
def command(
    bank: str,
    wallet: str,
    amount: str,
    note_count: int,
    timeout_s: int,
    directory: ConsortiumDirectory,
    as_json: bool,
) -> None:
    """Turn AMOUNT of BANK's public account into notes for a wallet or address WALLET.

    \b
    Example:
      consortium payout dunmere alice 100
    """
    consortium = Consortium.load(directory)
    money = read_money(consortium.genesis, amount, None)
    payee, address = WalletBook(consortium).payee(wallet)
    index = find_bank(consortium.genesis, bank)
    order = MintOrder(index, payee, address, money, note_count, timeout_s)

    async def submit(
        ledger: LedgerClient, secret: bytes, notes: Sequence[Recipient]
    ) -> SubmittedMint:
        return await payout(ledger, secret, notes)

    asyncio.run(mint(consortium, order, submit)).show("paid out", as_json=as_json)
