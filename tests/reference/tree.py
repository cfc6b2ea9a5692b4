"""The Merkle tree by its recursive definition and the verification of 11.3 as written (IDX1 11)."""

from __future__ import annotations

from hashlib import sha256

from tests.reference.framing import little


def leaf(data: bytes) -> bytes:
    return sha256(b"\x00" + data).digest()


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def root(leaves: list[bytes]) -> bytes:
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaf(leaves[0])
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node(root(leaves[:split]), root(leaves[split:]))


def path(leaves: list[bytes], index: int) -> list[bytes]:
    """Siblings from the leaf upward (RFC 6962 2.1.1)."""
    if len(leaves) == 1:
        return []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if index < split:
        return [*path(leaves[:split], index), root(leaves[split:])]
    return [*path(leaves[split:], index - split), root(leaves[:split])]


def included(data: bytes, proof: bytes, expected_root: bytes) -> bool:
    """11.3, with the size that stands inside the proof."""
    if len(proof) < 17 or len(proof) != 17 + 32 * proof[16]:
        return False
    index, size = little(proof[:8]), little(proof[8:16])
    if index >= size:
        return False
    fn, sn, h = index, size - 1, leaf(data)
    for start in range(17, len(proof), 32):
        p = proof[start : start + 32]
        if sn == 0:
            return False
        if fn % 2 == 1 or fn == sn:
            h = node(p, h)
            while fn % 2 == 0 and fn != 0:
                fn, sn = fn // 2, sn // 2
        else:
            h = node(h, p)
        fn, sn = fn // 2, sn // 2
    return sn == 0 and h == expected_root
