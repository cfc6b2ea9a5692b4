"""Reading what a browser asks for: heights, ids, banks, numbers; everything has a limit."""

from __future__ import annotations

import re

from node.dashboard.errors import PageError, invalid, not_found
from node.ledger.types import BankIndex, Height

MAX_HEIGHT_DIGITS = 15
"""Heights stay below 2^53, exact in a browser."""
_ID = re.compile(r"[0-9a-f]{64}", re.ASCII)


def read_number(text: str, what: str, *, lowest: int = 0, highest: int | None = None) -> int:
    """Read a whole number; raises `PageError`."""
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_HEIGHT_DIGITS):
        raise invalid(f"{what} must be a whole number")
    number = int(text)
    if number < lowest or (highest is not None and number > highest):
        span = f"from {lowest}" + ("" if highest is None else f" to {highest}")
        raise invalid(f"{what} must be {span}")
    return number


def read_height(text: str) -> Height:
    """Read a height; raises `PageError`."""
    return Height(read_number(text, "the height"))


def read_bank(text: str, bank_count: int) -> BankIndex:
    """Read the index of a bank; raises `PageError`."""
    number = read_number(text, "the bank")
    if number >= bank_count:
        raise not_found(f"there is no bank {number}", f"the banks are 0 to {bank_count - 1}")
    return BankIndex(number)


def read_id(text: str) -> bytes:
    """Read 64 hexadecimal digits; raises `PageError`."""
    found = find_id(text)
    if found is None:
        raise PageError(400, "invalid", "an id is 64 hexadecimal digits", "copy the id whole")
    return found


def find_id(text: str) -> bytes | None:
    """Return the 32 bytes of an id, None if the text is no id."""
    digits = text.strip().lower()
    return bytes.fromhex(digits) if _ID.fullmatch(digits) else None
