"""Amounts as people write them, to and from integer minor units."""

from __future__ import annotations

import re

from node.client.errors import AmountInvalid
from node.ledger.types import Amount

MAX_AMOUNT = (1 << 64) - 1
"""Values of notes are u64 (IDX1 3.2)."""

_PATTERN = re.compile(r"[0-9]{1,20}(\.[0-9]{1,18})?", re.ASCII)


def parse_amount(text: str, decimals: int) -> Amount:
    """Read `12.5` of an asset with two decimals as 1250; raises `AmountInvalid`.

    More decimal places than the asset has are refused, never rounded.
    """
    stripped = text.strip()
    if not _PATTERN.fullmatch(stripped):
        raise AmountInvalid(f"{text!r} is not an amount such as 12 or 12.50")
    whole, _, fraction = stripped.partition(".")
    if len(fraction) > decimals:
        raise AmountInvalid(f"{text!r} has more than {decimals} decimal places")
    amount = int(whole) * 10**decimals + int(fraction.ljust(decimals, "0") or "0")
    if amount > MAX_AMOUNT:
        raise AmountInvalid(f"{text!r} exceeds the largest amount of a note")
    return Amount(amount)


def format_amount(amount: int, decimals: int) -> str:
    """Return 1250 of an asset with two decimals as `12.50`; negative amounts keep their sign."""
    sign, magnitude = ("-", -amount) if amount < 0 else ("", amount)
    if decimals == 0:
        return f"{sign}{magnitude}"
    whole, fraction = divmod(magnitude, 10**decimals)
    return f"{sign}{whole}.{fraction:0{decimals}d}"
