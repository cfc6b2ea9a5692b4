"""`consortium wallet`: making wallets, and looking into them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from node.cli.access import Consortium
from node.cli.activity import activity
from node.cli.failure import EXIT_FAILED
from node.cli.options import data_option, find_bank, json_option
from node.cli.table import answer_table
from node.cli.terminal import answer, answer_json, say, warn
from node.cli.wallet_book import WalletBook, abbreviated, newest_address, passphrase_option
from node.cli.wallet_records import history, notes, resume
from node.client import format_amount
from node.client.errors import ClientError, VerificationError, WalletError
from node.client.wallet_state import Balance, balance
from node.ledger.definitions import AssetDefinition
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


@command.command(short_help="Make a wallet.")
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


@command.command("list", short_help="List the wallets of the data directory.")
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


@command.command(short_help="Print a wallet's address, or begin a new one.")
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


@command.command("balance", short_help="Show what is in a wallet, or in all.")
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
    if not names:
        say("there are no wallets; make one: `consortium wallet new NAME`")
    skipped: list[str] = []
    if name is None and passphrase_file is None:
        skipped = [each for each in names if not book.has_key_file(each)]
        names = tuple(each for each in names if each not in skipped)
    lines, failures = asyncio.run(_balances(book, names, offline=offline))
    if as_json:
        answer_json([line.to_json_object() for line in lines])
    elif lines:
        _show_balances(lines)
    if skipped:
        warn(f"left out, because they open with a passphrase: {', '.join(skipped)}")
    for failure in failures:
        warn(str(failure))
    if failures:
        raise click.exceptions.Exit(EXIT_FAILED)


@dataclass(frozen=True, slots=True)
class BalanceLine:
    """What a wallet holds of one asset."""

    wallet: str
    height: int
    asset: AssetDefinition
    balance: Balance

    def to_json_object(self) -> dict[str, object]:
        """The total in major units as text, everything in minor units as numbers."""
        return {
            "wallet": self.wallet,
            "height": self.height,
            "asset": self.asset.code,
            "decimals": self.asset.decimals,
            "total": self.text(self.balance.total),
            "total_minor": self.balance.total,
            "spendable_minor": self.balance.spendable,
            "maturing_minor": self.balance.maturing,
            "pending_minor": self.balance.pending,
        }

    def text(self, amount: int) -> str:
        """Return an amount of the asset in major units."""
        return format_amount(amount, self.asset.decimals)


async def _balances(
    book: WalletBook, names: Sequence[str], *, offline: bool
) -> tuple[list[BalanceLine], list[ClientError]]:
    """Return the lines of these wallets, and why some of them have none."""
    lines: list[BalanceLine] = []
    failures: list[ClientError] = []
    with activity() as tell:
        for name in names:
            tell(f"reading the ledger for {name}")
            try:
                lines += await _balances_of(book, name, offline=offline)
            except (WalletError, VerificationError) as error:
                if len(names) == 1:
                    raise
                failures.append(error)
    return lines, failures


async def _balances_of(book: WalletBook, name: str, *, offline: bool) -> list[BalanceLine]:
    """Return a line for the base asset, and one for every other asset the wallet holds."""
    assets = book.consortium.genesis.assets
    if offline:
        file, data = book.open_file(name)
        file.close()
        height = data.checkpoint.height
        by_asset = [(asset, balance(data, asset.asset_id)) for asset in assets]
    else:
        async with book.open(name) as wallet:
            height = await wallet.sync()
            by_asset = [(asset, wallet.balance(asset.code)) for asset in assets]
    return [
        BalanceLine(name, height, asset, held)
        for asset, held in by_asset
        if asset.is_base or held.total
    ]


def _show_balances(lines: Sequence[BalanceLine]) -> None:
    answer_table(
        ("wallet", "total", "", "spendable", "maturing", "pending", "as of"),
        [
            (
                line.wallet,
                line.text(line.balance.total),
                line.asset.code,
                line.text(line.balance.spendable),
                line.text(line.balance.maturing),
                line.text(line.balance.pending),
                f"block {line.height}",
            )
            for line in lines
        ],
        right=(1, 3, 4, 5),
    )


command.add_command(history)
command.add_command(notes)
command.add_command(resume)
