"""`consortium wallet history`, `notes` and `resume`: what happened, what is held, what is open."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from crypto.note import Address
from node.cli.access import Consortium
from node.cli.activity import activity
from node.cli.failure import EXIT_FAILED
from node.cli.options import data_option, json_option
from node.cli.payment_run import timeout_option
from node.cli.table import answer_table, printable
from node.cli.terminal import answer, answer_json
from node.cli.wallet_book import WalletBook, abbreviated, passphrase_option
from node.client import decode_memo, encode_address
from node.client.errors import LedgerTimeout, PaymentFailed, TransactionRefused
from node.client.money import Money, money_of
from node.client.payment_order import flat_fee
from node.client.wallet_data import PaymentRecord, PaymentStatus
from node.client.wallet_state import HistoryEntry, HistoryKind, NoteState, NoteView, view_notes
from node.client.wallet_state import history as history_of
from node.ledger.genesis import Genesis
from node.ledger.types import Height
from node.runtime.consortium_directory import ConsortiumDirectory, short_name

offline_option = click.option(
    "--offline", is_flag=True, help="As of the last time the wallet read the ledger."
)


@click.command(short_help="Show what came into and left a wallet.")
@click.argument("name")
@offline_option
@passphrase_option
@data_option
@json_option
def history(
    name: str,
    offline: bool,
    passphrase_file: Path | None,
    directory: ConsortiumDirectory,
    as_json: bool,
) -> None:
    """Show what came into and left the wallet NAME, oldest first.

    \b
    Examples:
      consortium wallet history alice
      consortium wallet history alice --json
    """
    book = WalletBook(Consortium.load(directory), passphrase_file)
    height, entries = asyncio.run(_read_history(book, name, offline=offline))
    names = book.names_by_address()
    lines = [HistoryLine.of(book.consortium.genesis, names, entry) for entry in entries]
    if as_json:
        answer_json([line.to_json_object() for line in lines])
    elif not lines:
        answer(f"nothing has happened in {name} up to block {height}")
    else:
        answer_table(
            ("block", "what", "amount", "fee", "with", "memo", "transaction"),
            [line.cells() for line in lines],
            right=(0, 2, 3),
        )


async def _read_history(
    book: WalletBook, name: str, *, offline: bool
) -> tuple[Height, tuple[HistoryEntry, ...]]:
    if offline:
        genesis = book.consortium.genesis
        file, data = book.open_file(name)
        file.close()
        fees = {asset.asset_id: flat_fee(genesis, asset) for asset in genesis.assets}
        return data.checkpoint.height, history_of(data, fees)
    with activity() as tell:
        tell(f"reading the ledger for {name}")
        async with book.open(name) as wallet:
            return await wallet.sync(), wallet.history()


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One entry of the history in words."""

    kind: str
    height: int | None
    amount: Money
    fee: Money
    counterpart: str
    """Wallet or address paid, or the bank redeemed to; empty for what came in."""
    memo: str
    transaction_id: str
    reason: str
    """Why it failed."""

    @staticmethod
    def of(genesis: Genesis, names: Mapping[str, str], entry: HistoryEntry) -> HistoryLine:
        """Return an entry with the wallets' names by address put in."""
        amount = money_of(genesis, entry.amount, entry.asset)
        texts = filter(None, (printable(decode_memo(memo)) for memo in entry.memos))
        failed = entry.kind is HistoryKind.FAILED
        pending = entry.height is None and not failed
        return HistoryLine(
            kind=f"{entry.kind.value} (pending)" if pending else entry.kind.value,
            height=entry.height,
            amount=amount,
            fee=amount.of(entry.fee),
            counterpart=_counterpart(genesis, names, entry),
            memo=", ".join(texts),
            transaction_id="" if entry.transaction_id is None else entry.transaction_id.hex(),
            reason=entry.note if failed else "",
        )

    def cells(self) -> tuple[str, ...]:
        """Return the cells of a table's row."""
        return (
            "-" if self.height is None else str(self.height),
            self.kind,
            str(self.amount),
            self.fee.text if self.fee.amount else "-",
            self.counterpart or "-",
            self.memo or self.reason or "-",
            self.transaction_id or "-",
        )

    def to_json_object(self) -> dict[str, object]:
        """Return everything by name; the amount as text and in minor units."""
        return {
            "kind": self.kind,
            "height": self.height,
            "amount": self.amount.text,
            "amount_minor": self.amount.amount,
            "fee_minor": self.fee.amount,
            "asset": self.amount.asset.code,
            "with": self.counterpart,
            "memo": self.memo,
            "transaction_id": self.transaction_id,
            "reason": self.reason,
        }


def _counterpart(genesis: Genesis, names: Mapping[str, str], entry: HistoryEntry) -> str:
    if entry.kind is HistoryKind.REDEEMED:
        bank = genesis.bank_of_account(bytes.fromhex(entry.note))
        return "" if bank is None else short_name(bank)
    addresses = [encode_address(Address.decode(item)) for item in entry.recipients]
    return ", ".join(names.get(address, abbreviated(address)) for address in addresses)


@click.command(short_help="Show a wallet's unspent notes and their ring sizes.")
@click.argument("name")
@offline_option
@passphrase_option
@data_option
@json_option
def notes(
    name: str,
    offline: bool,
    passphrase_file: Path | None,
    directory: ConsortiumDirectory,
    as_json: bool,
) -> None:
    """Show the unspent notes of the wallet NAME, and among how many each one hides.

    A note is maturing until its bin is closed. The ring size is the number of real notes of its
    bin: the most among which a payment that spends it can hide.

    \b
    Example:
      consortium wallet notes alice
    """
    book = WalletBook(Consortium.load(directory), passphrase_file)
    genesis = book.consortium.genesis
    views = asyncio.run(_read_notes(book, name, offline=offline))
    held = [view for view in views if view.state is not NoteState.SPENT]
    if as_json:
        answer_json([_note_json(genesis, view) for view in held])
    elif not held:
        answer(f"{name} holds no notes")
    else:
        answer_table(
            ("note", "amount", "state", "ring size", "block", "memo"),
            [_note_cells(genesis, view) for view in held],
            right=(0, 1, 3, 4),
        )


async def _read_notes(book: WalletBook, name: str, *, offline: bool) -> tuple[NoteView, ...]:
    if offline:
        file, data = book.open_file(name)
        file.close()
        return view_notes(data)
    with activity() as tell:
        tell(f"reading the ledger for {name}")
        async with book.open(name) as wallet:
            await wallet.sync()
            assets = book.consortium.genesis.assets
            return tuple(view for asset in assets for view in wallet.notes(asset.code))


def _note_cells(genesis: Genesis, view: NoteView) -> tuple[str, ...]:
    return (
        str(view.note.sequence),
        str(money_of(genesis, view.note.value, view.note.asset)),
        view.state.value,
        "-" if view.ring_size is None else str(view.ring_size),
        str(view.note.height),
        printable(decode_memo(view.note.memo)) or "-",
    )


def _note_json(genesis: Genesis, view: NoteView) -> dict[str, object]:
    money = money_of(genesis, view.note.value, view.note.asset)
    return {
        "note": view.note.sequence,
        "amount": money.text,
        "amount_minor": money.amount,
        "asset": money.asset.code,
        "state": view.state.value,
        "ring_size": view.ring_size,
        "height": view.note.height,
        "memo": printable(decode_memo(view.note.memo)),
        "transaction_id": view.note.transaction_id.hex(),
    }


@click.command(short_help="Go on with payments that were left open.")
@click.argument("name")
@timeout_option
@passphrase_option
@data_option
@json_option
def resume(
    name: str,
    timeout_s: int,
    passphrase_file: Path | None,
    directory: ConsortiumDirectory,
    as_json: bool,
) -> None:
    """Go on with payments of the wallet NAME that were left open, until each is sealed or failed.

    It never pays twice: whatever is sent again spends the same notes.

    \b
    Example:
      consortium wallet resume alice
    """
    book = WalletBook(Consortium.load(directory), passphrase_file)
    records = asyncio.run(_resume(book, name, timeout_s))
    if as_json:
        answer_json([_payment_json(book.consortium.genesis, record) for record in records])
    elif not records:
        answer(f"no payment of {name} is open")
    for record in () if as_json else records:
        amount = money_of(book.consortium.genesis, record.amount, record.asset)
        where = f" in block {record.sealed_height}" if record.sealed_height else ""
        why = f": {record.failure}" if record.failure else ""
        answer(f"payment {record.number} of {amount}: {record.status.name.lower()}{where}{why}")
    if any(record.status is not PaymentStatus.SEALED for record in records):
        raise click.exceptions.Exit(EXIT_FAILED)


async def _resume(book: WalletBook, name: str, timeout_s: int) -> list[PaymentRecord]:
    with activity() as tell:
        tell(f"reading the ledger for {name}")
        async with book.open(name) as wallet:
            opened = await wallet.resume()
            numbers = {payment.number for payment in opened}
            for payment in opened:
                tell(f"waiting for the seal of payment {payment.number}")
                # The record says what has become of it.
                with contextlib.suppress(PaymentFailed, TransactionRefused, LedgerTimeout):
                    await wallet.wait_sealed(payment, timeout_ms=timeout_s * 1000)
            return [payment for payment in wallet.payments if payment.number in numbers]


def _payment_json(genesis: Genesis, record: PaymentRecord) -> dict[str, object]:
    money = money_of(genesis, record.amount, record.asset)
    attempt = record.last_attempt
    return {
        "payment": record.number,
        "status": record.status.name.lower(),
        "amount": money.text,
        "amount_minor": money.amount,
        "asset": money.asset.code,
        "height": record.sealed_height,
        "transaction_id": None if attempt is None else attempt.transaction_id.hex(),
        "reason": record.failure,
    }
