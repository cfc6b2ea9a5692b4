"""`consortium redeem`: from a wallet into a bank's public account."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from node.cli.access import Consortium
from node.cli.options import data_option, find_bank, json_option
from node.cli.payment_run import (
    Spending,
    merge_option,
    spend,
    timeout_option,
    wait_option,
)
from node.cli.wallet_book import WalletBook, passphrase_option
from node.client import Wallet
from node.client.money import read_money
from node.client.wallet_data import PaymentRecord
from node.runtime.consortium_directory import ConsortiumDirectory, short_name


@click.command()
@click.argument("source", metavar="WALLET")
@click.argument("amount")
@click.argument("bank")
@merge_option
@wait_option
@timeout_option
@passphrase_option
@data_option
@json_option
def command(
    source: str,
    amount: str,
    bank: str,
    merge: bool,
    wait: bool,
    timeout_s: int,
    passphrase_file: Path | None,
    directory: ConsortiumDirectory,
    as_json: bool,
) -> None:
    """Turn AMOUNT of the base asset in WALLET into a balance of BANK's public account.

    Everybody sees the amount and the bank, nobody the wallet.

    \b
    Example:
      consortium redeem alice 100 dunmere
    """
    consortium = Consortium.load(directory)
    book = WalletBook(consortium, passphrase_file)
    money = read_money(consortium.genesis, amount, None)
    index = find_bank(consortium.genesis, bank)

    async def submit(wallet: Wallet) -> PaymentRecord:
        return await wallet.redeem(money.amount, index, consolidate=merge)

    account = f"the account of {short_name(index)}"
    spending = Spending(book.require(source), money, account, wait, timeout_s)
    asyncio.run(spend(book, spending, submit)).show("redeemed", as_json=as_json)
