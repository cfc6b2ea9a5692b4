"""Requests built from their descriptors, with hostile values in their fields."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message_factory import GetMessageClass

UNSIGNED_32 = (0, 1, 2, 199, 200, 201, 1_000, 2**31, 2**32 - 1)
UNSIGNED_64 = (*UNSIGNED_32, 2**32, 2**53, 2**63 - 1, 2**63, 2**64 - 1)
SIGNED_32 = (0, 1, -1, 2**31 - 1, -(2**31))
SIGNED_64 = (*SIGNED_32, 2**63 - 1, -(2**63))
LENGTHS = (0, 1, 15, 16, 31, 32, 33, 64, 65, 96, 281, 4_096, 17_000)
TEXTS = ("", "a", "ERROR", "\x00", "%s%n", "../../etc/passwd", "'; --", "\u202e", "x" * 5_000)
REPETITIONS = (0, 1, 2, 64, 65, 201)
MAX_DEPTH = 3

_SIGNED_64 = (FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_SINT64)
_SIGNED_32 = (FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_SINT32)


def request(descriptor: Descriptor, lent: Sequence[bytes], chance: Random) -> bytes:
    """Encode a message of this type; byte fields often hold something that the ledger knows."""
    encoded: bytes = _message(descriptor, lent, chance, MAX_DEPTH).SerializeToString()
    return encoded


def _message(descriptor: Descriptor, lent: Sequence[bytes], chance: Random, depth: int) -> Any:
    message = GetMessageClass(descriptor)()
    for field in descriptor.fields:
        if chance.random() < 0.2:
            continue
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            if depth > 0:
                _set_message(message, field, lent, chance, depth)
        elif field.is_repeated:
            count = chance.choice(REPETITIONS)
            value = _value(field, lent, chance)
            getattr(message, field.name).extend(
                value if chance.random() < 0.5 else _value(field, lent, chance)
                for _ in range(count)
            )
        else:
            setattr(message, field.name, _value(field, lent, chance))
    return message


def _set_message(
    message: Any, field: FieldDescriptor, lent: Sequence[bytes], chance: Random, depth: int
) -> None:
    assert field.message_type is not None, "the field is a message"
    inner = _message(field.message_type, lent, chance, depth - 1)
    if field.is_repeated:
        getattr(message, field.name).append(inner)
    else:
        getattr(message, field.name).CopyFrom(inner)


def _value(field: FieldDescriptor, lent: Sequence[bytes], chance: Random) -> Any:
    if field.type == FieldDescriptor.TYPE_BYTES:
        if lent and chance.random() < 0.5:
            return chance.choice(lent)
        return chance.randbytes(chance.choice(LENGTHS))
    if field.type == FieldDescriptor.TYPE_STRING:
        return chance.choice(TEXTS)
    if field.type == FieldDescriptor.TYPE_BOOL:
        return chance.random() < 0.5
    if field.type == FieldDescriptor.TYPE_UINT64:
        return chance.choice(UNSIGNED_64)
    if field.type in _SIGNED_64:
        return chance.choice(SIGNED_64)
    if field.type in _SIGNED_32:
        return chance.choice(SIGNED_32)
    if field.type == FieldDescriptor.TYPE_ENUM:
        return chance.choice((0, 1, 2, 3, 99))
    return chance.choice(UNSIGNED_32)
