"""The ballot's proof: one key of the ring signed this message in this context (IDX1 9.3-9.6).

Coins are derived from the secret key, the ring, the context and the message, the masks of the proof
once more from T, E1 and E2 (BFT-12 17). Equal coins under two challenges would give away the key;
here the challenge is a function of what the coins are derived from, so equal coins mean equal
bytes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import Enum
from functools import cache, lru_cache

from crypto.accumulator import Accumulator, BaseRow, EquationsFail, pack, single_row
from crypto.ballot_keys import (
    CHAIN_ID_BYTES,
    BallotKey,
    BallotRing,
    vote_key_base,
)
from crypto.curve import (
    POINT_BYTES,
    Point,
    decode_curve,
    decode_strict,
    encode_point,
    multiply,
)
from crypto.encoding import u32, u64
from crypto.errors import ProvingError, Reason, Rejected
from crypto.fixed_base import MultiplesTable, sum_of_multiples
from crypto.generators import (
    VOTE_RING_MAX,
    vote_blinding_generator,
    vote_context_generator,
    vote_index_generators,
    vote_key_generator,
)
from crypto.randomness import Coins, RandomBytes
from crypto.scalar import ORDER, SCALAR_BYTES, decode_scalars, encode_scalar
from crypto.transcript import h2s, hash64

VERSION = 0x01
KIND = 0x03
"""A ballot's kind byte, never a transaction's (IDX1 5.1)."""

BLOCK_ID_BYTES = 32
CONTEXT_BYTES = 46
"""Version, kind, chain id, height u64 and round u32 open the head (IDX1 9.3)."""

HEAD_BYTES = 79
MESSAGE_BYTES = 33
POINT_COUNT = 9
STRICT_POINT_COUNT = 3
_SCALARS_OFFSET = HEAD_BYTES + POINT_COUNT * POINT_BYTES


def ballot_bytes(ring_size: int) -> int:
    """Length of a ballot of a ring of that size: 1391 for 12 banks (IDX1 9.4)."""
    return _SCALARS_OFFSET + SCALAR_BYTES * (ring_size + 2)


MAX_BALLOT_BYTES = ballot_bytes(VOTE_RING_MAX)


class Decision(Enum):
    """What a ballot says about its block; the value is the byte of IDX1 9.3."""

    APPROVE = b"A"
    """The bank commits to the block."""
    REJECT = b"R"
    """The bank refuses the block."""


_DECISIONS = {decision.value: decision for decision in Decision}


@dataclass(frozen=True, slots=True)
class BallotContext:
    """One vote of one ledger; a bank has one tag in it (IDX1 9.3).

    Raises ValueError for a chain id that is not 32 bytes or a number outside its u64 or u32.
    """

    chain_id: bytes
    height: int
    round_number: int

    def __post_init__(self) -> None:
        if len(self.chain_id) != CHAIN_ID_BYTES:
            raise ValueError(f"a chain id has {CHAIN_ID_BYTES} bytes, not {len(self.chain_id)}")
        if not (0 <= self.height < 2**64 and 0 <= self.round_number < 2**32):
            raise ValueError(f"height {self.height} or round {self.round_number} is out of range")

    def encode(self) -> bytes:
        """The first 46 bytes of every ballot of the context (IDX1 9.3)."""
        numbers = u64(self.height) + u32(self.round_number)
        return bytes((VERSION, KIND)) + self.chain_id + numbers

    @property
    def base(self) -> Point:
        """Bc, the base of the context's tags (IDX1 2.4)."""
        return vote_context_generator(self.chain_id, self.height, self.round_number)


@dataclass(frozen=True, slots=True, eq=False)
class CollectedBallot:
    """A ballot past every check of IDX1 9.6 but its equations; a batch item (IDX1 10.4)."""

    data: bytes
    ring: BallotRing
    context: BallotContext
    points: tuple[Point, ...]
    """T, E1, E2, A, B, X1, X2, R2, R3."""

    digits: tuple[int, ...]
    """f_0 .. f_(n-1), the first one completed to the sum xi."""

    responses: tuple[int, int, int]
    """zA, zr, zx."""

    challenge: int
    """xi."""

    @property
    def tag(self) -> bytes:
        """T in its 96 bytes: the same for every ballot of one bank in one context."""
        return self.data[HEAD_BYTES : HEAD_BYTES + POINT_BYTES]

    @property
    def ciphertext(self) -> bytes:
        """E1 || E2, 192 bytes: the signer's key, encrypted for the opener (IDX1 9.4)."""
        start = HEAD_BYTES + POINT_BYTES
        return self.data[start : start + 2 * POINT_BYTES]

    @property
    def message(self) -> bytes:
        """Block id and decision byte, 33 bytes (IDX1 9.3)."""
        return self.data[CONTEXT_BYTES:HEAD_BYTES]

    @property
    def block_id(self) -> bytes:
        """The 32 bytes of the block that was voted on."""
        return self.message[:BLOCK_ID_BYTES]

    @property
    def decision(self) -> Decision:
        """What was decided about the block."""
        return _DECISIONS[self.message[BLOCK_ID_BYTES:]]

    @property
    def unchecked_points(self) -> tuple[Point, ...]:
        """None: ballots are also verified with weights drawn from their bytes, where a search for
        colliding coefficients could be made at home (see `crypto.subgroup`)."""
        return ()

    @property
    def equation_kinds(self) -> tuple[Reason, ...]:
        """The reasons its equations can fail with."""
        return (Reason.BALLOT,)

    def accumulate(self, accumulator: Accumulator, only: Reason | None = None) -> None:
        """Add (V1)-(V5), each under its own fresh weight (IDX1 9.5, 10.5)."""
        if only not in (None, Reason.BALLOT):
            return
        xi = self.challenge
        if xi == 0:
            accumulator.refuse()
            return
        w1, w2, w3, w4, w5 = (accumulator.draw_weight() for _ in range(5))
        z_a, z_r, z_x = self.responses
        accumulator.add_left(
            self.points,
            (w5 * xi, w2 * xi, (w3 + w4) * xi, w1, w1 * xi, w2, w3, w4, w5),
        )
        digits = pack(list(self.digits))
        products = pack([digit * (xi - digit) % ORDER for digit in self.digits])
        first_row, second_row = _index_rows()
        accumulator.add_right(first_row, w1 * digits)
        accumulator.add_right(second_row, w1 * products)
        accumulator.add_right(_blinding_row(), w1 * z_a)
        accumulator.add_right(_key_row(), w2 * z_r + w4 * z_x)
        accumulator.add_right(self.ring.key_row, w3 * digits)
        accumulator.add_right(self.ring.opener_row, (w3 + w4) * z_r)
        accumulator.add_right(_context_row(self.context), w5 * z_x)


@cache
def _index_rows() -> tuple[BaseRow, BaseRow]:
    return (
        BaseRow("vote/a", lambda: vote_index_generators()[0]),
        BaseRow("vote/b", lambda: vote_index_generators()[1]),
    )


@cache
def _blinding_row() -> BaseRow:
    return single_row("vote/F", vote_blinding_generator)


@cache
def _key_row() -> BaseRow:
    return single_row("vote/key", vote_key_generator)


@lru_cache(maxsize=32)
def _context_row(context: BallotContext) -> BaseRow:
    return single_row(("vote/ctx", context), lambda: context.base)


def sign_ballot(
    key: BallotKey, ring: BallotRing, context: BallotContext, block_id: bytes, decision: Decision
) -> bytes:
    """The one ballot of this key on this block, decision and context (IDX1 9.4).

    A function of its arguments. Raises ProvingError for a key outside the ring or a block id that
    is not 32 bytes.
    """
    if len(block_id) != BLOCK_ID_BYTES:
        raise ProvingError(f"a block id has {BLOCK_ID_BYTES} bytes, not {len(block_id)}")
    position = ring.index_of(key)
    head = context.encode() + block_id + decision.value
    secret = key.to_bytes()
    generator, opener = vote_key_base(), ring.opener_base
    encryption_coin = Coins(hash64("IDX1/vote-coins", secret, ring.digest, head)).scalar()
    statement_points = (
        multiply(context.base, key.secret),
        generator.multiply(encryption_coin),
        ring.key_points[position] + opener.multiply(encryption_coin),
    )
    encoded = [encode_point(point) for point in statement_points]
    statement = hash64("IDX1/vote", head, ring.digest, *encoded)

    masks = Coins(hash64("IDX1/vote-masks", secret, statement))
    digit_masks = masks.scalars(ring.size - 1)
    digit_masks.insert(0, -sum(digit_masks) % ORDER)
    r_a, r_b, alpha, rho = masks.scalars(4)
    bit_points = _commit_bits(digit_masks, position, r_a, r_b)
    opener_mask = opener.multiply(rho)
    announced = (
        *bit_points,
        generator.multiply(rho),
        sum_of_multiples(ring.key_tables, digit_masks) + opener_mask,
        generator.multiply(alpha) + opener_mask,
        multiply(context.base, alpha),
    )
    encoded += [encode_point(point) for point in announced]
    xi = h2s("IDX1/vote-xi", statement, *encoded[STRICT_POINT_COUNT:])
    digits = [mask + (xi if i == position else 0) for i, mask in enumerate(digit_masks)]
    responses = (r_a + xi * r_b, rho + xi * encryption_coin, alpha + xi * key.secret)
    scalars = [encode_scalar(value) for value in (*digits[1:], *responses)]
    return b"".join((head, *encoded, *scalars))


def _commit_bits(digit_masks: list[int], position: int, r_a: int, r_b: int) -> tuple[Point, Point]:
    """A and B of IDX1 9.4: the masks and the one-hot position, each in one two-point commitment."""
    first, second, blinding = _bit_tables()
    size = len(digit_masks)
    masked = sum_of_multiples(
        (*first[:size], *second[:size], blinding),
        (*digit_masks, *(-mask * mask for mask in digit_masks), r_a),
    )
    signed = list(digit_masks)
    signed[position] = -signed[position]
    one_hot = sum_of_multiples((*second[:size], blinding), (*signed, r_b))
    return masked, first[position].point + one_hot


_Tables = tuple[MultiplesTable, ...]


@cache
def _bit_tables() -> tuple[_Tables, _Tables, MultiplesTable]:
    """Va, Vb and F."""
    first, second = vote_index_generators()
    return (
        tuple([MultiplesTable(point) for point in first]),
        tuple([MultiplesTable(point) for point in second]),
        MultiplesTable(vote_blinding_generator()),
    )


def collect_ballot(
    data: bytes, ring: BallotRing, context: BallotContext, *, points_checked: bool = False
) -> CollectedBallot:
    """Every check of IDX1 9.6 in its order, but the equations; raises Rejected.

    `ring` and `context` come from certified state. `points_checked` skips the subgroup checks, for
    bytes that passed them before.
    """
    _check_form(data, ring, context)
    cuts = range(HEAD_BYTES, _SCALARS_OFFSET, POINT_BYTES)
    encoded = [data[start : start + POINT_BYTES] for start in cuts]
    decode_statement = decode_curve if points_checked else decode_strict
    points = [decode_statement(piece) for piece in encoded[:STRICT_POINT_COUNT]]
    points += [decode_curve(piece) for piece in encoded[STRICT_POINT_COUNT:]]
    *sent, z_a, z_r, z_x = decode_scalars(data[_SCALARS_OFFSET:])
    head = data[:HEAD_BYTES]
    statement = hash64("IDX1/vote", head, ring.digest, *encoded[:STRICT_POINT_COUNT])
    xi = h2s("IDX1/vote-xi", statement, *encoded[STRICT_POINT_COUNT:])
    return CollectedBallot(
        data=data,
        ring=ring,
        context=context,
        points=tuple(points),
        digits=((xi - sum(sent)) % ORDER, *sent),
        responses=(z_a, z_r, z_x),
        challenge=xi,
    )


def _check_form(data: bytes, ring: BallotRing, context: BallotContext) -> None:
    if len(data) < 2:
        raise Rejected(Reason.LENGTH, f"{len(data)} bytes hold no version and kind")
    if data[0] != VERSION:
        raise Rejected(Reason.VERSION, f"version {data[0]} instead of {VERSION}")
    if data[1] != KIND:
        raise Rejected(Reason.KIND, f"kind {data[1]} instead of {KIND}")
    expected_bytes = ballot_bytes(ring.size)
    if len(data) != expected_bytes:
        reason = Reason.LENGTH if len(data) < expected_bytes else Reason.TRAILING
        raise Rejected(reason, f"{len(data)} bytes instead of {expected_bytes}")
    expected = context.encode()
    if data[2 : 2 + CHAIN_ID_BYTES] != expected[2 : 2 + CHAIN_ID_BYTES]:
        raise Rejected(Reason.CHAIN, "ballot of another ledger")
    if data[:CONTEXT_BYTES] != expected:
        raise Rejected(Reason.CONTEXT, "ballot for another height or round")
    if data[HEAD_BYTES - 1 : HEAD_BYTES] not in _DECISIONS:
        raise Rejected(Reason.MESSAGE, f"decision byte {data[HEAD_BYTES - 1]:#04x}")


def verify_ballot(
    data: bytes, ring: BallotRing, context: BallotContext, random_bytes: RandomBytes = os.urandom
) -> CollectedBallot:
    """Collect one ballot and check its equations (IDX1 9.5, 9.6); raises Rejected."""
    ballot = collect_ballot(data, ring, context)
    accumulator = Accumulator(random_bytes)
    ballot.accumulate(accumulator)
    try:
        accumulator.check()
    except EquationsFail as error:
        raise Rejected(Reason.BALLOT, str(error)) from error
    return ballot
