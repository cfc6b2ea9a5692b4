"""Vote keys, their proofs of possession and the ring they form (IDX1 9.1, 9.2)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property

from crypto.accumulator import BaseRow, single_row
from crypto.curve import Point, decode_strict, encode_point, msm
from crypto.encoding import u32
from crypto.errors import IdentityPoint, ProofOfPossessionInvalid, ProvingError, Rejected
from crypto.fixed_base import FixedBase, MultiplesTable
from crypto.generators import VOTE_RING_MAX, vote_key_generator
from crypto.randomness import RandomBytes, hedge
from crypto.scalar import ORDER, SCALAR_BYTES, decode_scalar, encode_scalar
from crypto.transcript import h2s, hash32

VOTE_RING_MIN = 2
CHAIN_ID_BYTES = 32
PROOF_BYTES = 2 * SCALAR_BYTES
"""A proof of possession and an opening are c || z (IDX1 9.1, 9.7)."""

_SECRET_DRAW_BYTES = 64


@cache
def vote_key_base() -> FixedBase:
    """KV, ready to be multiplied often."""
    return FixedBase(vote_key_generator())


@dataclass(frozen=True)
class BallotKey:
    """A secret vote key, or the opener's; it serves nothing else and never exists in G2 (IDX1 9.1).

    Raises ValueError unless 0 < secret < r.
    """

    secret: int = field(repr=False)

    def __post_init__(self) -> None:
        if not 0 < self.secret < ORDER:
            raise ValueError("a vote key lies between 1 and the group order minus 1")

    @classmethod
    def generate(cls, random_bytes: RandomBytes = os.urandom) -> BallotKey:
        """A fresh key; raises ValueError only if `random_bytes` yields zeros."""
        return cls(int.from_bytes(random_bytes(_SECRET_DRAW_BYTES), "little") % int(ORDER))

    @classmethod
    def from_bytes(cls, data: bytes) -> BallotKey:
        """The key of `to_bytes`; raises ValueError for anything else."""
        if len(data) != SCALAR_BYTES:
            raise ValueError(f"a vote key has {SCALAR_BYTES} bytes, not {len(data)}")
        return cls(int.from_bytes(data, "little"))

    def to_bytes(self) -> bytes:
        """32 little-endian bytes, secret."""
        return encode_scalar(self.secret)

    @cached_property
    def public(self) -> bytes:
        """P = x KV, encoded (IDX1 9.1)."""
        return encode_point(vote_key_base().multiply(self.secret))


def prove_possession(
    key: BallotKey, chain_id: bytes, bank_index: int, random_bytes: RandomBytes = os.urandom
) -> bytes:
    """64 bytes that show knowledge of the key, bound to one bank of one ledger (IDX1 9.1).

    Raises ValueError for a chain id that is not 32 bytes, OverflowError for an index outside u32.
    """
    owner = _owner(chain_id, bank_index)
    nonce = hedge(random_bytes, key.to_bytes(), b"IDX1/vote-pop" + owner).scalar()
    announced = encode_point(vote_key_base().multiply(nonce))
    challenge = h2s("IDX1/vote-pop", owner, key.public, announced)
    return encode_scalar(challenge) + encode_scalar(nonce + challenge * key.secret)


def verify_possession(public_key: bytes, chain_id: bytes, bank_index: int, proof: bytes) -> None:
    """Check that whoever registers `public_key` as this bank knows its secret (IDX1 9.1).

    Raises ProofOfPossessionInvalid for a key outside G1, a malformed proof, a false one, and an
    owner for whom there is none: a chain id that is not 32 bytes, an index outside u32.
    """
    if len(proof) != PROOF_BYTES:
        raise ProofOfPossessionInvalid(f"{len(proof)} bytes instead of {PROOF_BYTES}")
    try:
        owner = _owner(chain_id, bank_index)
        key_point = decode_strict(public_key)
        challenge = decode_scalar(proof[:SCALAR_BYTES])
        response = decode_scalar(proof[SCALAR_BYTES:])
        announced = encode_point(msm((vote_key_generator(), key_point), (response, -challenge)))
    except (Rejected, IdentityPoint, ValueError, OverflowError) as error:
        raise ProofOfPossessionInvalid(str(error)) from error
    if challenge != h2s("IDX1/vote-pop", owner, public_key, announced):
        raise ProofOfPossessionInvalid("the challenge is another one")


def _owner(chain_id: bytes, bank_index: int) -> bytes:
    if len(chain_id) != CHAIN_ID_BYTES:
        raise ValueError(f"a chain id has {CHAIN_ID_BYTES} bytes, not {len(chain_id)}")
    return chain_id + u32(bank_index)


@dataclass(frozen=True)
class BallotRing:
    """The opener's key Y and the active vote keys of a height, in index order, all encoded (IDX1
    9.2).

    Raises ValueError for fewer than 2 or more than 16 keys or a repeated one, Rejected for a key
    that `strict` refuses. The node keeps one ring object as long as the active set lasts.
    """

    opener: bytes
    keys: tuple[bytes, ...]
    opener_point: Point = field(init=False, repr=False, compare=False)
    key_points: tuple[Point, ...] = field(init=False, repr=False, compare=False)

    def __init__(self, opener: bytes, keys: Sequence[bytes]) -> None:
        if not VOTE_RING_MIN <= len(keys) <= VOTE_RING_MAX:
            raise ValueError(
                f"{len(keys)} vote keys are outside {VOTE_RING_MIN} .. {VOTE_RING_MAX}"
            )
        if len(set(keys)) != len(keys):
            raise ValueError("a vote key occurs twice in the ring")
        object.__setattr__(self, "opener", opener)
        object.__setattr__(self, "keys", tuple(keys))
        object.__setattr__(self, "opener_point", decode_strict(opener))
        object.__setattr__(self, "key_points", tuple(decode_strict(key) for key in keys))

    @property
    def size(self) -> int:
        """n, the number of keys."""
        return len(self.keys)

    @cached_property
    def digest(self) -> bytes:
        """32 bytes that every ballot of this ring is bound to (IDX1 9.2)."""
        return hash32("IDX1/vote-ring", self.opener, *self.keys)

    @cached_property
    def opener_base(self) -> FixedBase:
        """Y, ready to be multiplied often."""
        return FixedBase(self.opener_point)

    @cached_property
    def key_tables(self) -> tuple[MultiplesTable, ...]:
        """The keys, ready to be summed often."""
        return tuple([MultiplesTable(point) for point in self.key_points])

    @cached_property
    def key_row(self) -> BaseRow:
        """The accumulator row of the keys."""
        return BaseRow(("vote-ring/P", self.digest), lambda: self.key_points)

    @cached_property
    def opener_row(self) -> BaseRow:
        """The accumulator row of Y."""
        return single_row(("vote-ring/Y", self.opener), lambda: self.opener_point)

    def index_of(self, key: BallotKey) -> int:
        """Position of the key; raises ProvingError if it is not in the ring."""
        try:
            return self.keys.index(key.public)
        except ValueError:
            raise ProvingError("the vote key is not in the ring") from None
