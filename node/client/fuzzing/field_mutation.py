"""Mutations of the fields of an encoded protobuf message, below what any library would write."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random

VARINT, FIXED64, LENGTH, GROUP_START, GROUP_END, FIXED32 = range(6)
HUGE_VARINT = b"\xff" * 9 + b"\x7f"
"""More than 64 bits: no integer of protobuf."""
ENDLESS_VARINT = b"\xff" * 12


@dataclass(frozen=True, slots=True)
class EncodedField:
    """One field as it stands on the wire."""

    number: int
    wire_type: int
    content: bytes
    """The value without tag and length."""

    def encode(self) -> bytes:
        tag = varint(self.number << 3 | self.wire_type)
        if self.wire_type == LENGTH:
            return tag + varint(len(self.content)) + self.content
        return tag + self.content


def varint(value: int) -> bytes:
    """Encode an integer of up to 64 bits."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def fields_of(message: bytes) -> list[EncodedField]:
    """Take a valid message apart; raises ValueError for anything else."""
    fields: list[EncodedField] = []
    place = 0
    while place < len(message):
        tag, place = _read_varint(message, place)
        wire_type = tag & 7
        if wire_type == VARINT:
            _, end = _read_varint(message, place)
        elif wire_type in (FIXED64, FIXED32):
            end = place + (8 if wire_type == FIXED64 else 4)
        elif wire_type == LENGTH:
            size, place = _read_varint(message, place)
            end = place + size
        else:
            raise ValueError(f"wire type {wire_type} is not written by anybody")
        fields.append(EncodedField(tag >> 3, wire_type, message[place:end]))
        place = end
    return fields


def _read_varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if place >= len(message) or shift > 63:
            raise ValueError("not a varint")
        byte = message[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place


Fields = list[EncodedField]


def _join(fields: Fields) -> bytes:
    return b"".join(field.encode() for field in fields)


def _duplicate(fields: Fields, chance: Random) -> bytes:
    chosen = chance.choice(fields)
    return _join([*fields, *[chosen] * chance.choice((1, 2, 100))])


def _remove(fields: Fields, chance: Random) -> bytes:
    left = list(fields)
    del left[chance.randrange(len(left))]
    return _join(left)


def _reorder(fields: Fields, chance: Random) -> bytes:
    shuffled = list(fields)
    chance.shuffle(shuffled)
    return _join(shuffled)


def _lie_about_length(fields: Fields, chance: Random) -> bytes:
    chosen = chance.randrange(len(fields))
    field = fields[chosen]
    lie = chance.choice((0, 1, len(field.content) + 1, 2**31 - 1, 2**32 - 1, 2**63))
    lying = varint(field.number << 3 | LENGTH) + varint(lie) + field.content
    return _join(fields[:chosen]) + lying + _join(fields[chosen + 1 :])


def _huge_varint(fields: Fields, chance: Random) -> bytes:
    number = chance.choice(fields).number
    return _join(fields) + varint(number << 3) + chance.choice((HUGE_VARINT, ENDLESS_VARINT))


def _boundary(fields: Fields, chance: Random) -> bytes:
    chosen = chance.randrange(len(fields))
    value = chance.choice((0, 1, 2**31, 2**32 - 1, 2**32, 2**63, 2**64 - 1))
    altered = list(fields)
    altered[chosen] = replace(fields[chosen], wire_type=VARINT, content=varint(value))
    return _join(altered)


def _retype(fields: Fields, chance: Random) -> bytes:
    chosen = chance.randrange(len(fields))
    altered = list(fields)
    altered[chosen] = replace(fields[chosen], wire_type=chance.randrange(8))
    return _join(altered)


def _renumber(fields: Fields, chance: Random) -> bytes:
    chosen = chance.randrange(len(fields))
    altered = list(fields)
    altered[chosen] = replace(
        fields[chosen], number=chance.choice((0, 1, 2, 3, 15, 16, 19_000, 2**29 - 1))
    )
    return _join(altered)


def _unknown(fields: Fields, chance: Random) -> bytes:
    extra = EncodedField(chance.choice((99, 2**29 - 1)), LENGTH, chance.randbytes(32))
    return _join([*fields, extra])


def _nest(fields: Fields, chance: Random) -> bytes:
    """The message inside itself, many times."""
    nested = _join(fields)
    number = chance.choice(fields).number
    for _ in range(chance.choice((2, 20, 120))):
        nested = EncodedField(number, LENGTH, nested).encode()
    return nested


def _groups(fields: Fields, chance: Random) -> bytes:
    """Groups, which nobody uses any more, opened and never closed."""
    return _join(fields) + varint(1 << 3 | GROUP_START) * chance.choice((1, 200))


FieldMutation = Callable[[Fields, Random], bytes]
MUTATIONS: Mapping[str, FieldMutation] = {
    "duplicated-field": _duplicate,
    "removed-field": _remove,
    "reordered-fields": _reorder,
    "length-lie": _lie_about_length,
    "huge-varint": _huge_varint,
    "boundary-field": _boundary,
    "wrong-wire-type": _retype,
    "wrong-number": _renumber,
    "unknown-field": _unknown,
    "nesting": _nest,
    "open-groups": _groups,
}


def mutate(message: bytes, chance: Random) -> tuple[str, bytes]:
    """Return the name of a mutation and what it made of a valid message.

    A message without fields can only grow.
    """
    fields = fields_of(message) or [EncodedField(1, VARINT, b"\x01")]
    name = chance.choice(list(MUTATIONS))
    return name, MUTATIONS[name](fields, chance)
