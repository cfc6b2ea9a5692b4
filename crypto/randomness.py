"""Prover coins: the operating system's randomness hedged with the secret and the statement (IDX1
12.5).

Equal coins under two challenges give away the witness. With hedging, a broken source of randomness
repeats coins only for the very same secret and statement, and then the whole proof repeats.
"""

import os
from collections.abc import Callable
from hashlib import blake2b

from crypto.encoding import u64
from crypto.scalar import ORDER
from crypto.transcript import hash64

RandomBytes = Callable[[int], bytes]
"""A cryptographically secure source: takes a number of bytes, returns that many fresh ones."""

SYSTEM_RANDOMNESS: RandomBytes = os.urandom
_ENTROPY_BYTES = 64
_BLOCK_BYTES = 64


class Coins:
    """A stream of secret bytes: block i is BLAKE2b-512(seed || u64 i), each draw takes whole
    blocks."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._counter = 0

    def take(self, size_bytes: int) -> bytes:
        """The next `size_bytes` bytes; usable as a `RandomBytes`."""
        blocks = []
        for _ in range(-(-size_bytes // _BLOCK_BYTES)):
            blocks.append(blake2b(self._seed + u64(self._counter)).digest())
            self._counter += 1
        return b"".join(blocks)[:size_bytes]

    def scalar(self) -> int:
        """A scalar uniform up to 2^-256: 64 bytes modulo the group order."""
        return int.from_bytes(self.take(_BLOCK_BYTES), "little") % ORDER

    def scalars(self, count: int) -> list[int]:
        """`count` independent scalars."""
        return [self.scalar() for _ in range(count)]


def hedge(random_bytes: RandomBytes, secret: bytes, statement: bytes) -> Coins:
    """Coins from 64 bytes of randomness, the prover's secret and all it is about to prove."""
    return Coins(hash64("IDX1/coins", random_bytes(_ENTROPY_BYTES), secret, statement))
