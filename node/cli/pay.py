"""`consortium pay`: a confidential payment from a wallet."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from node.cli.access import Consortium
from node.cli.options import data_option, json_option
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
from node.client.payment_order import encode_memo
from node.client.wallet_data import PaymentRecord
from node.runtime.consortium_directory import ConsortiumDirectory


@click.command()
@click.argument("source", metavar="FROM")
@click.argument("to", metavar="TO")
@click.argument("amount")
@click.option("--memo", default="", help="At most 32 bytes that only the payee can read.")
@click.option("--asset", metavar="CODE", help="Asset to pay in.  [default: the base asset]")
@merge_option
@wait_option
@timeout_option
@passphrase_option
@data_option
@json_option
def command(
    source: str,
    to: str,
    amount: str,
    memo: str,
    asset: str | None,
    merge: bool,
    wait: bool,
    timeout_s: int,
    passphrase_file: Path | None,
    directory: ConsortiumDirectory,
    as_json: bool,
) -> None:
    """Pay AMOUNT, such as 12.50, from the wallet FROM to a wallet or address TO.

    The banks see neither who pays whom nor how much; they see the fee. Returns when the payment is
    sealed and its proof is verified.

    \b
    Examples:
      consortium pay alice bob 12.50 --memo "rent"
      consortium pay alice idx1... 3 --asset USD --json
    """
    consortium = Consortium.load(directory)
    book = WalletBook(consortium, passphrase_file)
    money = read_money(consortium.genesis, amount, asset)
    encoded = encode_memo(memo)
    payee, address = book.payee(to)

    async def submit(wallet: Wallet) -> PaymentRecord:
        return await wallet.pay(
            address, money.amount, asset=money.asset.code, memo=encoded, consolidate=merge
        )

    spending = Spending(book.require(source), money, payee, wait, timeout_s)
    asyncio.run(spend(book, spending, submit)).show("paid", as_json=as_json)
