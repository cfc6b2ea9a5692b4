"""Mutations of bytes that know nothing of what the bytes mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random

BOUNDARIES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1)
BOUNDARIES_64 = (2**53, 2**63 - 1, 2**63, 2**64 - 1)
MAX_EXTENSION_BYTES = 256

Mutation = Callable[[bytes, Sequence[bytes], Random], bytes]
"""Takes a valid message, other valid messages and the dice."""


def _flip_bits(data: bytes, others: Sequence[bytes], chance: Random) -> bytes:
    altered = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 8, 64))):
        if altered:
            altered[chance.randrange(len(altered))] ^= 1 << chance.randrange(8)
    return bytes(altered)


def _truncate(data: bytes, others: Sequence[bytes], chance: Random) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _cut_out(data: bytes, others: Sequence[bytes], chance: Random) -> bytes:
    start = chance.randrange(len(data) + 1)
    return data[:start] + data[start + chance.choice((1, 2, 8, 32, 96)) :]


def _extend(data: bytes, others: Sequence[bytes], chance: Random) -> bytes:
    return data + chance.randbytes(chance.randint(1, MAX_EXTENSION_BYTES))


def _insert(data: bytes, others: Sequence[bytes], chance: Random) -> bytes:
    place = chance.randrange(len(data) + 1)
    return data[:place] + chance.randbytes(chance.choice((1, 2, 4, 8, 32))) + data[place:]


def _overwrite_integer(data: bytes, others: Sequence[bytes], chance: Random) -> bytes:
    """A boundary value in the place of some integer, of either byte order."""
    size = chance.choice((1, 2, 4, 8))
    values = BOUNDARIES + (BOUNDARIES_64 if size == 8 else ())
    value = chance.choice([value for value in values if value < 1 << 8 * size])
    place = chance.randrange(max(1, len(data) - size + 1))
    order = chance.choice(("big", "little"))
    encoded = value.to_bytes(size, "big" if order == "big" else "little")
    return (data[:place] + encoded + data[place + size :])[: max(len(data), size)]


def _repeat(data: bytes, others: Sequence[bytes], chance: Random) -> bytes:
    start = chance.randrange(len(data) + 1)
    end = min(len(data), start + chance.choice((1, 8, 96, 1_000)))
    return data[:end] + data[start:end] * chance.choice((1, 2, 16)) + data[end:]


def _splice(data: bytes, others: Sequence[bytes], chance: Random) -> bytes:
    """The beginning of one valid message and the end of another."""
    other = chance.choice(others) if others else data
    place = chance.randrange(len(data) + 1)
    return data[:place] + other[min(place, len(other)) :]


def _transplant(data: bytes, others: Sequence[bytes], chance: Random) -> bytes:
    """A piece of another valid message in the same place."""
    other = chance.choice(others) if others else data
    start = chance.randrange(len(data) + 1)
    end = start + chance.choice((1, 8, 32, 64, 96))
    return data[:start] + other[start:end] + data[end:]


def _noise(data: bytes, others: Sequence[bytes], chance: Random) -> bytes:
    return chance.randbytes(chance.choice((0, 1, 2, 16, len(data))))


MUTATIONS: Mapping[str, Mutation] = {
    "bit-flip": _flip_bits,
    "truncation": _truncate,
    "cut": _cut_out,
    "extension": _extend,
    "insertion": _insert,
    "boundary-integer": _overwrite_integer,
    "repetition": _repeat,
    "splice": _splice,
    "transplant": _transplant,
    "noise": _noise,
}


def mutate(data: bytes, others: Sequence[bytes], chance: Random) -> tuple[str, bytes]:
    """Return the name of a mutation and what it made of the bytes."""
    name = chance.choice(list(MUTATIONS))
    return name, MUTATIONS[name](data, others, chance)
