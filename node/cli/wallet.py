"""`consortium wallet`: making wallets, and looking into them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from node.cli.access import Consortium
from node.cli.activity import activity
from node.cli.failure import EXIT_FAILED
from node.cli.money import Money, money_of
from node.cli.options import data_option, find_bank, json_option
from node.cli.table import answer_fields, answer_table, printable
from node.cli.terminal import answer, answer_json, warn
from node.cli.wallet_book import (
    WalletBook,
    abbreviated,
    newest_address,
    passphrase_option,
)
from node.client import Wallet, decode_memo, encode_address
from node.client.errors import WalletError
from node.client.wallet_data import WalletData
from node.client.wallet_state import Balance, HistoryEntry, NoteView, balance
from node.ledger.genesis import Genesis
from node.ledger.types import BankIndex
from node.runtime.consortium_directory import ConsortiumDirectory, short_name


@click.group()
def command() -> None:
    """Make wallets, and see what is in them.

    A wallet is one encrypted file in the data directory. It opens with the key file beside it,
    or with a passphrase if it was made with one.

    \b
    Examples:
      consortium wallet new alice
      consortium wallet balance
    """


@command.command()
@click.argument("name")
@click.option("--bank", help="Its home bank, by name or index.  [default: the banks in turn]")
@passphrase_option
@data_option
@json_option
def new(
    name: str,
    bank: str | None,
    passphrase_file: Path | None,
    directory: ConsortiumDirectory,
    as_json: bool,
) -> None:
    """Make the wallet NAME; it reads the ledger from now on.

    \b
    Examples:
      consortium wallet new alice --bank dunmere
      consortium wallet new savings --passphrase-file -
    """
    consortium = Consortium.load(directory)
    book = WalletBook(consortium, passphrase_file)
    home = _home_bank(book, bank)
    address = asyncio.run(_create(book, name, home))
    if as_json:
        answer_json({"name": name, "bank": short_name(home), "address": address})
    else:
        answer(f"wallet {name} of {short_name(home)} is in {book.directory}")
        answer(address)


def _home_bank(book: WalletBook, bank: str | None) -> BankIndex:
    genesis = book.consortium.genesis
    if bank is not None:
        return find_bank(genesis, bank)
    return BankIndex(len(book.names) % len(genesis.banks))


async def _create(book: WalletBook, name: str, home: BankIndex) -> str:
    with activity() as tell:
        tell(f"reading the tip of the ledger for {name}")
        return await book.create(name, home)


@dataclass(frozen=True, slots=True)
class WalletLine:
    """What is known of a wallet without asking a bank."""

    name: str
    protection: str
    """`key file` or `passphrase`."""
    bank: str | None = None
    height: int | None = None
    """Up to which it has read the ledger."""
    address: str | None = None
    problem: str | None = None
    """Why it cannot be opened now."""


@command.command("list")
@data_option
@json_option
def list_command(directory: ConsortiumDirectory, as_json: bool) -> None:
    """List the wallets of the data directory; asks no bank and no passphrase.

    \b
    Example:
      consortium wallet list
    """
    book = WalletBook(Consortium.load(directory))
    lines = [_line(book, name) for name in book.names]
    if as_json:
        answer_json([asdict(line) for line in lines])
        return
    if not lines:
        answer("there are no wallets; make one: `consortium wallet new NAME`")
        return
    answer_table(
        ("wallet", "bank", "opens with", "read to", "address"),
        [
            (
                line.name,
                line.bank or "-",
                line.protection,
                "-" if line.height is None else f"block {line.height}",
                line.problem or ("-" if line.address is None else abbreviated(line.address)),
            )
            for line in lines
        ],
    )


def _line(book: WalletBook, name: str) -> WalletLine:
    if not book.has_key_file(name):
        return WalletLine(name, "passphrase", address=book.written_address(name))
    try:
        file, data = book.open_file(name)
    except WalletError as error:
        address = book.written_address(name)
        return WalletLine(name, "key file", address=address, problem=str(error))
    file.close()
    return WalletLine(
        name, "key file", data.home_bank, data.checkpoint.height, newest_address(data)
    )


@command.command()
@click.argument("name")
@click.option("--new", "begin", is_flag=True, help="Begin a new address first.")
@passphrase_option
@data_option
@json_option
def address(
    name: str,
    begin: bool,
    passphrase_file: Path | None,
    directory: ConsortiumDirectory,
    as_json: bool,
) -> None:
    """Print the newest address of the wallet NAME, for others to pay to.

    Nobody can link a new address to former ones; payments to those still arrive.

    \b
    Examples:
      consortium wallet address alice
      consortium wallet address alice --new
    """
    book = WalletBook(Consortium.load(directory), passphrase_file)
    text = book.new_address(name) if begin else book.address_of(name)
    if as_json:
        answer_json({"name": name, "address": text})
    else:
        answer(text)


@command.command("balance")
@click.argument("name", required=False)
@click.option("--offline", is_flag=True, help="As of the last time the wallet read the ledger.")
@passphrase_option
@data_option
@json_option
def balance_command(
    name: str | None,
    offline: bool,
    passphrase_file: Path | None,
    directory: ConsortiumDirectory,
    as_json: bool,
) -> None:
    """Read the ledger and show what is in the wallet NAME, or in every wallet.

    A note can be spent once its bin is closed, two seconds after it was opened; until then it is
    maturing. Pending is what payments under way hold, their change included.

    \b
    Examples:
      consortium wallet balance alice
      consortium wallet balance --json
    """
    book = WalletBook(Consortium.load(directory), passphrase_file)
    names = book.names if name is None else (book.require(name),)
    rows: list[BalanceLine] = []
    failures = 0
    for wallet in names:
        try:
            rows += _balances(book, wallet, offline=offline)
        except WalletError as error:
            if name is not None:
                raise
            failures += 1
            warn(f"{wallet}: {error}")
    if as_json:
        answer_json([row.to_json_object() for row in rows])
    elif rows:
        _show_balances(rows)
    else:
        answer("there are no wallets; make one: `consortium wallet new NAME`")
    if failures:
        raise click.exceptions.Exit(EXIT_FAILED)


@dataclass(frozen=True, slots=True)
class BalanceLine:
    """What a wallet holds of one asset."""

    wallet: str
    height: int
    total: Money
    balance: Balance

    def to_json_object(self) -> dict[str, object]:
        """Amounts in minor units, and the total as text."""
        return {
            "wallet": self.wallet,
            "height": self.height,
            "asset": self.total.asset.code,
            "decimals": self.total.asset.decimals,
            "total": self.total.text,
            "total_minor": self.balance.total,
            "spendable_minor": self.balance.spendable,
            "maturing_minor": self.balance.maturing,
            "pending_minor": self.balance.pending,
        }


def _balances(book: WalletBook, name: str, *, offline: bool) -> list[BalanceLine]:
    genesis = book.consortium.genesis
    if offline:
        file, data = book.open_file(name)
        file.close()
        by_asset = {asset.code: balance(data, asset.asset_id) for asset in genesis.assets}
        return _balance_lines(genesis, name, data.checkpoint.height, by_asset)

    async def read() -> list[BalanceLine]:
        async with _synchronised(book, name) as wallet:
            by_asset = {asset.code: wallet.balance(asset.code) for asset in genesis.assets}
            return _balance_lines(genesis, name, wallet.height, by_asset)

    return asyncio.run(read())
