"""What a word in the search box means: a height, an id, the name of a bank."""

from __future__ import annotations

from node.client.errors import RecordNotFound
from node.dashboard.ledger_reading import LedgerReading
from node.dashboard.question import MAX_HEIGHT_DIGITS, find_id
from node.ledger.blocks import Header
from node.ledger.types import BankIndex, BlockId, TransactionId
from node.runtime.consortium_directory import short_name

MAX_QUERY_CHARACTERS = 100


async def search_object(reading: LedgerReading, query: str) -> dict[str, object]:
    """Return where a query leads, or why nowhere; raises `LedgerError` if no bank answers."""
    words = query.strip().lower()[:MAX_QUERY_CHARACTERS]
    if not words:
        return _nothing("type a height, an id of 64 hexadecimal digits, or the name of a bank")
    identity = find_id(words)
    if identity is not None:
        return await _of_id(reading, identity)
    number = words.removeprefix("block").removeprefix("#").strip().replace(",", "")
    if number.isascii() and number.isdigit():
        return await _of_height(reading, number)
    bank = _bank(reading, words)
    if bank is not None:
        return _found("bank", f"/banks/{bank}", f"{short_name(bank)} is bank {bank}")
    if len(words) > 8 and all(digit in "0123456789abcdef" for digit in words):
        return _nothing(
            f"an id has 64 hexadecimal digits, this has {len(words)}: copy the id whole"
        )
    return _nothing("no bank has that name, and it is neither a height nor an id")


async def _of_height(reading: LedgerReading, digits: str) -> dict[str, object]:
    tip = await reading.tip()
    if len(digits) > MAX_HEIGHT_DIGITS or int(digits) > tip:
        return _nothing(f"there is no such block yet: the newest one is block {tip}")
    return _found("block", f"/blocks/{int(digits)}", f"block {int(digits)}")


async def _of_id(reading: LedgerReading, identity: bytes) -> dict[str, object]:
    name = identity.hex()
    for bank in _asked(reading):
        try:
            await reading.connections.of_bank(bank).transaction(TransactionId(identity))
        except RecordNotFound:
            continue
        return _found("transaction", f"/transactions/{name}", f"{short_name(bank)} knows it")
    try:
        stored = await reading.ledger.block(BlockId(identity))
    except RecordNotFound:
        return _nothing("no bank that answers knows a transaction or a block with this id")
    height = Header.decode(stored.header).height
    return _found("block", f"/blocks/{height}", f"the id of block {height}")


def _asked(reading: LedgerReading) -> list[BankIndex]:
    """Return the banks that answered last, the one whose blocks are followed first."""
    source = reading.watch.source
    return sorted(reading.watch.reports, key=lambda bank: bank != source)


def _bank(reading: LedgerReading, words: str) -> BankIndex | None:
    digits = words.removeprefix("bank").strip()
    banks = [bank.index for bank in reading.genesis.banks]
    if words != digits and digits.isascii() and digits.isdigit() and int(digits[:4]) in banks:
        return BankIndex(int(digits[:4]))
    matching = [bank for bank in banks if short_name(bank).startswith(words)]
    exact = [bank for bank in matching if short_name(bank) == words]
    if exact or len(matching) == 1:
        return (exact or matching)[0]
    return None


def _found(kind: str, path: str, why: str) -> dict[str, object]:
    return {"kind": kind, "path": path, "why": why}


def _nothing(why: str) -> dict[str, object]:
    return {"kind": "none", "path": None, "why": why}
