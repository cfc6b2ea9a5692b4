"""Running hashes: one constant-size commitment to a list that only grows.

`next = SHA-256(domain || previous || item)`. Notes, nullifiers and closed bins enter the state
root this way, so the root costs the same however long the ledger is. Whoever holds the list, in
ledger order, recomputes the value; the storage and the doctor do.
"""

from __future__ import annotations

import hashlib

from node.ledger.types import HASH_BYTES

NOTE_DOMAIN = b"consortium/accumulator/note"
NULLIFIER_DOMAIN = b"consortium/accumulator/nullifier"
CLOSED_BIN_DOMAIN = b"consortium/accumulator/closed-bin"

EMPTY = bytes(HASH_BYTES)
"""The value over no items."""


def add_note(
    accumulator: bytes,
    *,
    asset: bytes,
    bin_id: int,
    position: int,
    output_index: int,
    output: bytes,
) -> bytes:
    """Append a note: asset 16, bin id u64, position u16, output index u8, output 281 (IDX1 3.2).

    The whole output and not only P and C: a bank that altered an ephemeral key or a ciphertext
    would hide a payment from its owner, and the recomputed value tells.
    """
    place = bin_id.to_bytes(8, "big") + position.to_bytes(2, "big") + bytes([output_index])
    return _extend(NOTE_DOMAIN, accumulator, asset + place + output)


def add_nullifier(accumulator: bytes, nullifier: bytes) -> bytes:
    """Append a nullifier, 96 bytes, in the order of inputs within transactions within blocks."""
    return _extend(NULLIFIER_DOMAIN, accumulator, nullifier)


def add_closed_bin(accumulator: bytes, *, bin_id: int, count: int, digest: bytes) -> bytes:
    """Append a closed bin: id u64, real notes u16, digest 32 (IDX1 4.2), in closing order.

    The count is there because the digest alone does not tell padding from notes.
    """
    item = bin_id.to_bytes(8, "big") + count.to_bytes(2, "big") + digest
    return _extend(CLOSED_BIN_DOMAIN, accumulator, item)


def _extend(domain: bytes, accumulator: bytes, item: bytes) -> bytes:
    return hashlib.sha256(domain + accumulator + item).digest()
