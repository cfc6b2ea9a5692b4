"""Many byte strings as one parameter of a statement.

The driver encodes an array element by element, in Python; the keys of one batch took it as long as
the server took to look them up.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format

_BYTEA = psycopg.adapters.types["bytea"]
_HEAD = struct.Struct("!iiIii")
"""Dimensions, whether any element is null, type of the elements; length and lower bound of the one
dimension (PostgreSQL, `array_send`)."""
_LENGTH_BYTES = 4


@dataclass(frozen=True, slots=True)
class ByteStrings:
    """A `bytea[]`."""

    items: Sequence[bytes]

    def encode(self) -> bytes:
        """Return PostgreSQL's binary format of the array."""
        items = self.items
        if not items:
            return struct.pack("!iiI", 0, 0, _BYTEA.oid)
        head = _HEAD.pack(1, 0, _BYTEA.oid, len(items), 1)
        parts = [head]
        for item in items:
            parts += (len(item).to_bytes(_LENGTH_BYTES, "big"), item)
        return b"".join(parts)


class ByteStringsDumper(Dumper):
    """Sends `ByteStrings`."""

    format = Format.BINARY
    oid = _BYTEA.array_oid

    def dump(self, obj: ByteStrings) -> bytes:
        """Return what is sent."""
        return obj.encode()
