"""Checks of single fields, and the translation of records whose fields carry the stub's names.

Whatever comes out of a stub has passed these checks: byte strings of fixed meaning have their
exact length, text is short, enumerations are known. A violation raises `MalformedMessage`, whose
fault is the sender's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any, TypeVar

from google.protobuf.message import Message as Stub

from node.ledger.types import ASSET_BYTES, HASH_BYTES, POINT_BYTES
from node.wire.limits import MAX_SEED_BYTES, MAX_TEXT_BYTES

OUTPUT_BYTES = 281
"""A note on the ledger (IDX1 3.2)."""

FIXED_LENGTHS = {
    "asset": ASSET_BYTES,
    "block_id": HASH_BYTES,
    "chain_id": HASH_BYTES,
    "digest": HASH_BYTES,
    "evidence_id": HASH_BYTES,
    "leaf_hash": HASH_BYTES,
    "note_digest": HASH_BYTES,
    "nullifier": POINT_BYTES,
    "nullifier_digest": HASH_BYTES,
    "output": OUTPUT_BYTES,
    "state_root": HASH_BYTES,
    "tag": POINT_BYTES,
    "transaction_id": HASH_BYTES,
    "treasury_digest": HASH_BYTES,
    "voting_record_digest": HASH_BYTES,
}
"""Byte fields that mean the same in every message and always have one length."""

R = TypeVar("R")
S = TypeVar("S", bound=Stub)


class MalformedMessage(ValueError):
    """A field breaks the contract of the `.proto` files: the sender's fault."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


def exact_bytes(field: str, value: bytes, length: int) -> bytes:
    """Return `value`; raises `MalformedMessage` unless it has exactly `length` bytes."""
    if len(value) != length:
        raise MalformedMessage(field, f"must have {length} bytes, not {len(value)}")
    return value


def bounded_bytes(field: str, value: bytes, limit: int, *, minimum: int = 0) -> bytes:
    """Return `value`; raises `MalformedMessage` unless it has `minimum` to `limit` bytes."""
    if not minimum <= len(value) <= limit:
        raise MalformedMessage(field, f"must have {minimum} to {limit} bytes, not {len(value)}")
    return value


def bounded_text(field: str, value: str) -> str:
    """Return `value`; raises `MalformedMessage` if it is longer than `MAX_TEXT_BYTES`."""
    if len(value.encode()) > MAX_TEXT_BYTES:
        raise MalformedMessage(field, f"text is longer than {MAX_TEXT_BYTES} bytes")
    return value


def bounded_count(field: str, values: Collection[Any], limit: int, *, minimum: int = 0) -> None:
    """Raise `MalformedMessage` unless there are `minimum` to `limit` values."""
    if not minimum <= len(values) <= limit:
        raise MalformedMessage(field, f"must list {minimum} to {limit} items, not {len(values)}")


def seed(field: str, value: bytes) -> bytes:
    """Return the seed of a sample; raises `MalformedMessage` if it is too long."""
    return bounded_bytes(field, value, MAX_SEED_BYTES)


def to_stub(record: Any, stub_class: type[S], **nested: object) -> S:
    """Build a stub from a record with the same field names; `nested` replaces some of them."""
    values = {
        field.name: getattr(record, field.name)
        for field in dataclasses.fields(record)
        if field.name not in nested
    }
    return stub_class(**values, **nested)


def from_stub(stub: Stub, record_class: type[R], **nested: object) -> R:
    """Build a record from a stub with the same field names, checked; `nested` replaces some.

    Raises `MalformedMessage`. Absent optional scalars become None, repeated ones tuples.
    """
    values: dict[str, object] = dict(nested)
    for field in dataclasses.fields(record_class):  # type: ignore[arg-type]
        if field.name not in nested:
            values[field.name] = _read(stub, field.name)
    return record_class(**values)


def _read(stub: Stub, name: str) -> object:
    descriptor = stub.DESCRIPTOR.fields_by_name[name]
    value = getattr(stub, name)
    if descriptor.is_repeated:
        return tuple(_check(name, item) for item in value)
    if descriptor.has_presence and not stub.HasField(name):
        return None
    return _check(name, value)


def _check(name: str, value: object) -> object:
    if isinstance(value, bytes) and name in FIXED_LENGTHS:
        return exact_bytes(name, value, FIXED_LENGTHS[name])
    if isinstance(value, str):
        return bounded_text(name, value)
    return value
