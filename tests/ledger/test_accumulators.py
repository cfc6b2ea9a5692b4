"""Running hashes over what grows with the ledger."""

from __future__ import annotations

import hashlib

from node.ledger import accumulators

EMPTY = bytes(32)


def test_definitions() -> None:
    """`next = SHA-256(domain || previous || item)`, items as the state's table defines them."""
    assert accumulators.EMPTY == EMPTY
    note = accumulators.add_note(
        EMPTY, asset=b"a" * 16, bin_id=1, position=2, output_index=3, output=b"o" * 281
    )
    item = b"a" * 16 + bytes.fromhex("0000000000000001" "0002" "03") + b"o" * 281
    assert note == hashlib.sha256(b"consortium/accumulator/note" + EMPTY + item).digest()
    assert accumulators.add_nullifier(note, b"J" * 96) == (
        hashlib.sha256(b"consortium/accumulator/nullifier" + note + b"J" * 96).digest()
    )
    assert accumulators.add_closed_bin(EMPTY, bin_id=3, count=4, digest=b"d" * 32) == (
        hashlib.sha256(
            b"consortium/accumulator/closed-bin" + EMPTY
            + bytes.fromhex("0000000000000003" "0004") + b"d" * 32
        ).digest()
    )  # fmt: skip


def test_order_counts() -> None:
    first, second = b"1" * 96, b"2" * 96
    one_way = accumulators.add_nullifier(accumulators.add_nullifier(EMPTY, first), second)
    other_way = accumulators.add_nullifier(accumulators.add_nullifier(EMPTY, second), first)
    assert one_way != other_way
