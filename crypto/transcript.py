"""Framed hashing: every challenge and digest is a hash of unambiguously delimited parts (IDX1 1).
"""

from functools import lru_cache
from hashlib import blake2b

from crypto.scalar import ORDER

HASH64_BYTES = 64
HASH32_BYTES = 32


@lru_cache(maxsize=256)
def _tag_prefix(tag: str) -> bytes:
    encoded = tag.encode("ascii")
    return len(encoded).to_bytes(1, "little") + encoded


def frame(tag: str, *parts: bytes) -> bytes:
    """Length of the ASCII tag, the tag, then each part behind its length as u32 (IDX1 1.1).

    Raises UnicodeEncodeError for a tag that is not ASCII, OverflowError for one above 255 bytes.
    """
    pieces = [_tag_prefix(tag)]
    for part in parts:
        pieces.append(len(part).to_bytes(4, "little"))
        pieces.append(part)
    return b"".join(pieces)


def hash64(tag: str, *parts: bytes) -> bytes:
    """BLAKE2b-512 of the frame, 64 bytes (IDX1 1.2)."""
    return blake2b(frame(tag, *parts)).digest()


def hash32(tag: str, *parts: bytes) -> bytes:
    """The first 32 bytes of `hash64` (IDX1 1.2)."""
    return hash64(tag, *parts)[:HASH32_BYTES]


def h2s(tag: str, *parts: bytes) -> int:
    """`hash64` as a little-endian integer modulo the group order: a scalar (IDX1 1.2)."""
    return int.from_bytes(hash64(tag, *parts), "little") % ORDER


def expand(tag: str, seed: bytes, size_bytes: int) -> bytes:
    """The first `size_bytes` bytes of hash64(tag, seed, u32 0) || hash64(tag, seed, u32 1) || ..
    (IDX1 1.3)."""
    prefix = blake2b(frame(tag, seed) + (4).to_bytes(4, "little"))
    blocks = []
    for counter in range(-(-size_bytes // HASH64_BYTES)):
        block = prefix.copy()
        block.update(counter.to_bytes(4, "little"))
        blocks.append(block.digest())
    return b"".join(blocks)[:size_bytes]
