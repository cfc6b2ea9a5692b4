"""Where each field of a transaction lies, written down a second time from IDX1 5, 6.2 and 7.3.

The attack tables aim at fields by name; they must not take the offsets from the code under attack.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

POINT, SCALAR = 96, 32
RING_BASE = 4


@dataclass(frozen=True)
class Field:
    """One field of the encoding; its bytes are data[start:end]."""

    name: str
    start: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start

    def of(self, data: bytes) -> bytes:
        return data[self.start : self.end]

    def put(self, data: bytes, value: bytes) -> bytes:
        """`data` with other bytes of the same length here."""
        assert len(value) == self.size, f"{self.name} has {self.size} bytes"
        return data[: self.start] + value + data[self.end :]


def _common() -> Iterator[tuple[str, int]]:
    yield from (("version", 1), ("kind", 1), ("chain", 32), ("asset", 16))
    yield from (("input count", 1), ("output count", 1))


def _outputs(count: int) -> Iterator[tuple[str, int]]:
    for index in range(count):
        yield f"P{index}", POINT
        yield f"C{index}", POINT
        yield f"E{index}", 32
        yield f"view tag {index}", 1
        yield f"ciphertext {index}", 56
    yield from (("escrow length", 4), ("attestation length", 4))


def _range_proof(output_count: int) -> Iterator[tuple[str, int]]:
    yield from (("range A", POINT), ("range S", POINT), ("range T", POINT))
    yield "range f first", SCALAR
    yield "range f others", SCALAR * (64 * output_count - 2)
    yield from (("range f last", SCALAR), ("range mu", SCALAR))


def _spend_proof(index: int) -> Iterator[tuple[str, int]]:
    for name in ("A", "B", "X0", "X1", "Y0", "Y1"):
        yield f"spend{index} {name}", POINT
    for row in range(2):
        for digit in range(1, RING_BASE):
            yield f"spend{index} f{row}{digit}", SCALAR
    yield from ((f"spend{index} {name}", SCALAR) for name in ("zA", "zK", "zG"))


def _transfer(input_count: int, output_count: int) -> Iterator[tuple[str, int]]:
    yield from _common()
    yield from (("fee", 8), ("redeem", 8), ("account", 32), ("expiry", 8))
    for index in range(input_count):
        yield f"bin{index}", 8
        yield f"J{index}", POINT
        if index < input_count - 1:
            yield f"C'{index}", POINT
    yield from _outputs(output_count)
    yield from _range_proof(output_count)
    for index in range(input_count):
        yield from _spend_proof(index)


def _mint(output_count: int) -> Iterator[tuple[str, int]]:
    yield from _common()
    yield from (("amount", 8), ("issuer", 32), ("expiry", 8))
    yield from _outputs(output_count)
    yield from _range_proof(output_count)
    yield from (("issue R", POINT), ("issue z", SCALAR), ("signature", 64))


def _placed(sizes: Iterator[tuple[str, int]]) -> dict[str, Field]:
    fields: dict[str, Field] = {}
    offset = 0
    for name, size in sizes:
        fields[name] = Field(name, offset, offset + size)
        offset += size
    return fields


TRANSFER_FIELDS = _placed(_transfer(2, 2))
"""Of a TRANSFER with two inputs and two outputs, ring base 4."""
MINT_FIELDS = _placed(_mint(2))
"""Of an ISSUE or PAYOUT with two outputs."""
FIELDS = {"transfer": TRANSFER_FIELDS, "issue": MINT_FIELDS, "payout": MINT_FIELDS}


def length_of(fields: dict[str, Field]) -> int:
    return max(field.end for field in fields.values())
