"""Mutations of decoded values: other fields in messages that stay well-formed.

They work on any of the frozen records of the ledger and the consensus, field by field and as deep
as records go, so that a new message or a new field is mutated from its first day.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from enum import Enum
from random import Random
from typing import Any, TypeVar

R = TypeVar("R")

INTEGERS = (0, 1, 2, 49, 50, 51, 255, 2**16 - 1, 2**31 - 1, 2**32 - 1, 2**63, 2**64 - 1)
NEAR = (-2, -1, 1, 2)


def mutate(record: R, others: Sequence[object], chance: Random) -> R:
    """Return the record with one to three fields changed; `others` lend theirs.

    The result need not be encodable: integers may exceed their width.
    """
    changed = record
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        changed = _changed(changed, others, chance)
    return changed


def _changed(record: Any, others: Sequence[object], chance: Random) -> Any:
    fields = dataclasses.fields(record)
    if not fields:
        return record
    name = chance.choice(fields).name
    value = getattr(record, name)
    lenders = [other for other in others if type(other) is type(record)]
    if lenders and chance.random() < 0.3:
        lent = getattr(chance.choice(lenders), name)
        return dataclasses.replace(record, **{name: lent})
    return dataclasses.replace(record, **{name: _other(value, others, chance)})


def _other(value: Any, others: Sequence[object], chance: Random) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return None if chance.random() < 0.2 else _changed(value, others, chance)
    if isinstance(value, Enum):
        return chance.choice(list(type(value)))
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        near = value + chance.choice(NEAR)
        return near if chance.random() < 0.5 else chance.choice(INTEGERS)
    if isinstance(value, bytes):
        return _other_bytes(value, chance)
    if isinstance(value, str):
        return chance.choice(("", "spend", "x" * 64, "\x00", "\u202e", "é" * 31))
    if isinstance(value, tuple):
        return _other_items(value, others, chance)
    return value


def _other_bytes(value: bytes, chance: Random) -> bytes:
    return chance.choice(
        (
            bytes(len(value)),
            b"\xff" * len(value),
            chance.randbytes(len(value)),
            value[:-1],
            value + b"\x00",
            bytes([value[0] ^ 1]) + value[1:] if value else b"\x01",
        )
    )


def _other_items(items: tuple[Any, ...], others: Sequence[object], chance: Random) -> Any:
    if not items:
        return items
    chosen = chance.randrange(len(items))
    item = items[chosen]
    if dataclasses.is_dataclass(item) and not isinstance(item, type) and chance.random() < 0.5:
        altered: Any = _changed(item, others, chance)
    elif isinstance(item, bytes) and chance.random() < 0.5:
        altered = _other_bytes(item, chance)
    else:
        return chance.choice(
            (
                items[:chosen] + items[chosen + 1 :],
                (*items, item),
                items[::-1],
                items[:1],
                (),
                items * chance.choice((2, 40)),
            )
        )
    return (*items[:chosen], altered, *items[chosen + 1 :])
