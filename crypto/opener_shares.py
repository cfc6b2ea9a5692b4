"""The opener's key split among officers, and decryptions that any t of them prove together.

The opener's secret y is the value at 0 of a polynomial of degree t - 1 (Shamir); officer i holds
y_i, its value at i, and everybody may know the share key Y_i = y_i KV. A partial decryption of a
ciphertext (E1, E2) is D_i = y_i E1 with a proof that log_KV Y_i = log_E1 D_i. With Lagrange's
coefficients l_i for the indices at hand, sum(l_i D_i) = yE1.

Who judges needs no list of officers: a decryption is a list of partials with sum(l_i Y_i) = Y, and
each partial proves D_i = log(Y_i) E1, so sum(l_i D_i) = log(Y) E1, whatever the Y_i are. To make
such a list one must know every log(Y_i) (the proofs are of knowledge), hence y or t shares of it.
One officer who holds y itself is the case of one partial, with index 1 and Y_1 = Y.

Nobody needs ever to hold y. Each officer deals a secret of his own (`deal`), everybody checks what
he was dealt against the public commitments (`verify_dealt`), and a share is the sum of what one was
dealt (`join_dealings`); Y is the sum of the dealers' keys (`dealt_opener_key`). The officers must
have exchanged hashes of all commitments before anybody shows his: who deals last could otherwise
choose his key by the others'. `split_opener` is the case of one dealer, who then knows y and has to
forget it.

Boundary: t officers together open any ballot without leaving a trace; the ledger only sees what
they publish. A partial decryption that leaves an officer's machine helps to open the very
ciphertext it is about, and no other.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from crypto.ballot_keys import PROOF_BYTES, BallotKey, vote_key_base
from crypto.curve import (
    POINT_BYTES,
    Point,
    decode_strict,
    encode_point,
    identity,
    msm,
    multiply,
)
from crypto.errors import DecryptionInvalid, ProvingError, Rejected, ShareInvalid
from crypto.generators import vote_key_generator
from crypto.randomness import RandomBytes, hedge
from crypto.scalar import ORDER, SCALAR_BYTES, decode_scalar, encode_scalar, invert
from crypto.transcript import h2s

MAX_OFFICERS = 16
PARTIAL_BYTES = 1 + 2 * POINT_BYTES + PROOF_BYTES
MAX_PARTIALS_BYTES = 1 + MAX_OFFICERS * PARTIAL_BYTES
SOLE_OFFICER = 1
"""Index of the opener who holds the whole key."""

_IDENTITY_BYTES = bytes(POINT_BYTES)


def encode_element(point: Point) -> bytes:
    """Encode a group element where the identity may occur: it is 96 zero bytes."""
    return point.to_xy_bytes_be()


def decode_element(data: bytes) -> Point:
    """Decode what `encode_element` gave; raises Rejected as `decode_strict` does."""
    return identity() if data == _IDENTITY_BYTES else decode_strict(data)


@dataclass(frozen=True, slots=True)
class OpenerShare:
    """What one officer keeps secret: his index, 1 .. 16, and y_i.

    Raises ValueError for an index outside that.
    """

    index: int
    key: BallotKey

    def __post_init__(self) -> None:
        if not 1 <= self.index <= MAX_OFFICERS:
            raise ValueError(f"officer {self.index} is outside 1 .. {MAX_OFFICERS}")

    @staticmethod
    def whole(opener: BallotKey) -> OpenerShare:
        """The share of an opener who holds the whole key."""
        return OpenerShare(SOLE_OFFICER, opener)

    @property
    def public(self) -> bytes:
        """Y_i, 96 bytes."""
        return self.key.public


@dataclass(frozen=True, slots=True)
class Dealing:
    """A dealer's secret in t of m parts: what is published, and what each officer is told."""

    commitments: tuple[bytes, ...]
    """a_k KV for the t coefficients of the polynomial, 96 bytes each; the first is the dealer's
    key."""
    values: tuple[int, ...] = field(repr=False)
    """The polynomial at 1 .. m; the one at i is for officer i alone."""


def deal(
    secret: BallotKey, threshold: int, officers: int, random_bytes: RandomBytes = os.urandom
) -> Dealing:
    """Share a secret so that any `threshold` of the officers have it together and fewer nothing.

    Raises ValueError unless 1 <= threshold <= officers <= 16.
    """
    if not 1 <= threshold <= officers <= MAX_OFFICERS:
        raise ValueError(f"{threshold} of {officers} officers, at most {MAX_OFFICERS}")
    drawn = [BallotKey.generate(random_bytes) for _ in range(threshold - 1)]
    coefficients = [secret, *drawn]
    return Dealing(
        commitments=tuple([coefficient.public for coefficient in coefficients]),
        values=tuple([_value_at(index, coefficients) for index in range(1, officers + 1)]),
    )


def _value_at(index: int, coefficients: Sequence[BallotKey]) -> int:
    value = 0
    for coefficient in reversed(coefficients):
        value = (value * index + coefficient.secret) % int(ORDER)
    return value


def verify_dealt(commitments: Sequence[bytes], index: int, value: int) -> None:
    """Check what officer `index` was dealt against the dealer's commitments; `ShareInvalid`."""
    if not 1 <= index <= MAX_OFFICERS:
        raise ShareInvalid(f"officer {index} is outside 1 .. {MAX_OFFICERS}")
    try:
        expected = _commitment_at(index, commitments)
    except Rejected as error:
        raise ShareInvalid(f"a commitment: {error}") from error
    if vote_key_base().multiply(value) != expected:
        raise ShareInvalid(f"what officer {index} was dealt is not what the dealer committed to")


def join_dealings(index: int, dealt: Iterable[int]) -> OpenerShare:
    """The share of officer `index` from what each dealer told him; the values were verified.

    Raises ValueError if they add up to zero, which no honest dealing does.
    """
    return OpenerShare(index, BallotKey(int(sum(dealt) % ORDER)))


def dealt_opener_key(dealings: Iterable[Sequence[bytes]]) -> bytes:
    """Y of the joint key, 96 bytes, from every dealer's commitments.

    Raises Rejected for a commitment that is no point of G1, IdentityPoint if they cancel out.
    """
    return encode_point(_sum(decode_strict(commitments[0]) for commitments in dealings))


def dealt_share_key(dealings: Iterable[Sequence[bytes]], index: int) -> bytes:
    """Y_i of officer `index`, 96 bytes, from every dealer's commitments; raises as
    `dealt_opener_key`."""
    return encode_point(_sum(_commitment_at(index, commitments) for commitments in dealings))


def split_opener(
    opener: BallotKey, threshold: int, officers: int, random_bytes: RandomBytes = os.urandom
) -> tuple[OpenerShare, ...]:
    """Split an existing key among officers 1 .. m; raises ValueError as `deal` does."""
    dealing = deal(opener, threshold, officers, random_bytes)
    return tuple([join_dealings(index, (value,)) for index, value in enumerate(dealing.values, 1)])


def _commitment_at(index: int, commitments: Sequence[bytes]) -> Point:
    points = [decode_strict(item) for item in commitments]
    return msm(points, [pow(index, power, int(ORDER)) for power in range(len(points))])


def _sum(points: Iterable[Point]) -> Point:
    total = identity()
    for point in points:
        total = total + point
    return total


@dataclass(frozen=True, slots=True)
class PartialDecryption:
    """One officer's part in a decryption, with its proof."""

    index: int
    share_key: bytes
    """Y_i, 96 bytes."""
    point: bytes
    """D_i = y_i E1, 96 bytes; zero bytes are the identity."""
    proof: bytes
    """c || z, 64 bytes."""

    def encode(self) -> bytes:
        """Index byte | Y_i | D_i | c || z: 257 bytes."""
        return bytes((self.index,)) + self.share_key + self.point + self.proof

    @staticmethod
    def decode(data: bytes) -> PartialDecryption:
        """Decode 257 bytes of `encode`; raises DecryptionInvalid for another length."""
        if len(data) != PARTIAL_BYTES:
            raise DecryptionInvalid(f"a partial has {PARTIAL_BYTES} bytes, not {len(data)}")
        second, third = 1 + POINT_BYTES, 1 + 2 * POINT_BYTES
        return PartialDecryption(data[0], data[1:second], data[second:third], data[third:])


def encode_partials(partials: Sequence[PartialDecryption]) -> bytes:
    """Count byte and the partials; raises ValueError unless there are 1 .. 16."""
    if not 1 <= len(partials) <= MAX_OFFICERS:
        raise ValueError(f"{len(partials)} partials are outside 1 .. {MAX_OFFICERS}")
    return bytes((len(partials),)) + b"".join([partial.encode() for partial in partials])


def decode_partials(data: bytes) -> tuple[PartialDecryption, ...]:
    """Decode what `encode_partials` gave; raises DecryptionInvalid. Nothing is verified."""
    count = data[0] if data else 0
    if not 1 <= count <= MAX_OFFICERS:
        raise DecryptionInvalid(f"{count} partials are outside 1 .. {MAX_OFFICERS}")
    if len(data) != 1 + count * PARTIAL_BYTES:
        raise DecryptionInvalid(f"{count} partials do not have {len(data)} bytes")
    starts = range(1, len(data), PARTIAL_BYTES)
    return tuple([PartialDecryption.decode(data[at : at + PARTIAL_BYTES]) for at in starts])


def decrypt_partially(
    blinded_base: bytes,
    share: OpenerShare,
    statement: bytes,
    random_bytes: RandomBytes = os.urandom,
) -> PartialDecryption:
    """Decrypt E1 (96 bytes, zero bytes are the identity) with one share, and prove it.

    `statement` says what the decryption is for; the proof serves nothing else. Raises ProvingError
    for an E1 that is no element of the group.
    """
    try:
        base = decode_element(blinded_base)
    except Rejected as error:
        raise ProvingError(f"E1: {error}") from error
    point = encode_element(multiply(base, share.key.secret))
    claim = statement + bytes((share.index,)) + blinded_base
    nonce = hedge(random_bytes, share.key.to_bytes(), b"IDX1/partial" + claim).scalar()
    announced = (vote_key_base().multiply(nonce), multiply(base, nonce))
    challenge = _challenge(statement, share.index, share.public, blinded_base, point, announced)
    response = nonce + challenge * share.key.secret
    proof = encode_scalar(challenge) + encode_scalar(response)
    return PartialDecryption(share.index, share.public, point, proof)


def verify_partial(partial: PartialDecryption, blinded_base: bytes, statement: bytes) -> Point:
    """Check one officer's proof and return D_i; raises DecryptionInvalid naming the officer."""
    if not 1 <= partial.index <= MAX_OFFICERS:
        raise DecryptionInvalid(f"officer {partial.index} is outside 1 .. {MAX_OFFICERS}")
    try:
        share_point = decode_strict(partial.share_key)
        base, point = decode_element(blinded_base), decode_element(partial.point)
        challenge = decode_scalar(partial.proof[:SCALAR_BYTES])
        response = decode_scalar(partial.proof[SCALAR_BYTES:])
    except Rejected as error:
        raise DecryptionInvalid(f"officer {partial.index}: {error}") from error
    announced = (
        msm((vote_key_generator(), share_point), (response, -challenge)),
        msm((base, point), (response, -challenge)),
    )
    expected = _challenge(
        statement, partial.index, partial.share_key, blinded_base, partial.point, announced
    )
    if challenge != expected:
        raise DecryptionInvalid(f"officer {partial.index}: the challenge is another one")
    return point


def combine_partials(
    partials: Sequence[PartialDecryption], opener_key: bytes, blinded_base: bytes, statement: bytes
) -> Point:
    """Verify a whole decryption of E1 and return y E1.

    Raises DecryptionInvalid: for indices that do not increase strictly, unless the share keys
    combine to the opener's key Y, and for a partial that does not hold. The keys come first, for
    whoever has no share fails there or with his first partial, however many he made.
    """
    if not 1 <= len(partials) <= MAX_OFFICERS:
        raise DecryptionInvalid(f"{len(partials)} partials are outside 1 .. {MAX_OFFICERS}")
    indices = [partial.index for partial in partials]
    if any(left >= right for left, right in pairwise(indices)):
        raise DecryptionInvalid(f"officers {indices} are not in strictly increasing order")
    if not (indices[0] >= 1 and indices[-1] <= MAX_OFFICERS):
        raise DecryptionInvalid(f"officers {indices} are not all in 1 .. {MAX_OFFICERS}")
    coefficients = _lagrange_at_zero(indices)
    try:
        share_points = [decode_strict(partial.share_key) for partial in partials]
    except Rejected as error:
        raise DecryptionInvalid(f"a share key: {error}") from error
    if encode_element(msm(share_points, coefficients)) != opener_key:
        raise DecryptionInvalid(f"the share keys of officers {indices} are not the opener's key")
    points = [verify_partial(partial, blinded_base, statement) for partial in partials]
    return msm(points, coefficients)


def _lagrange_at_zero(indices: Sequence[int]) -> list[int]:
    coefficients = []
    for own in indices:
        numerator, denominator = 1, 1
        for other in indices:
            if other != own:
                numerator = numerator * other % ORDER
                denominator = denominator * (other - own) % ORDER
        coefficients.append(numerator * invert(denominator) % ORDER)
    return coefficients


def _challenge(
    statement: bytes,
    index: int,
    share_key: bytes,
    blinded_base: bytes,
    point: bytes,
    announced: tuple[Point, Point],
) -> int:
    return h2s(
        "IDX1/partial",
        statement,
        bytes((index,)),
        share_key,
        blinded_base,
        point,
        *(encode_element(item) for item in announced),
    )
