"""Spend proof: one note of the ring is spent, its value is C', its nullifier is J (IDX1 7.1-7.5).

Triptych's parallel form with a two-point bit commitment, and the inverse nullifier J = x^-1 U: a
payer who knows h of two notes it paid cannot link their spends (IDX1 3.5).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from crypto.accumulator import (
    RING_SLOT_BITS,
    Accumulator,
    BaseRow,
    blinding_row,
    key_row,
    nullifier_row,
    pack,
)
from crypto.curve import Point, encode_point, msm, multiply
from crypto.errors import ProvingError
from crypto.generators import (
    INDEX_DIGITS,
    blinding_generator,
    index_generators,
    key_generator,
    nullifier_generator,
)
from crypto.randomness import Coins, RandomBytes, hedge
from crypto.ring import ClosedBin
from crypto.scalar import ORDER, encode_scalar, invert
from crypto.transcript import h2s


@cache
def index_rows(ring_base: int) -> tuple[BaseRow, BaseRow]:
    """The accumulator rows of Ma and Mb."""
    return (
        BaseRow(("M/a", ring_base), lambda: index_generators(ring_base)[0]),
        BaseRow(("M/b", ring_base), lambda: index_generators(ring_base)[1]),
    )


def nullifier_point(spend_key: int) -> Point:
    """J = x^-1 U (IDX1 3.4)."""
    return multiply(nullifier_generator(), invert(spend_key))


def _mix_challenge(
    digest: bytes, ring_digest: bytes, nullifier: bytes, index: int, commitment: bytes
) -> int:
    return h2s("IDX1/spend-mu", digest, ring_digest, nullifier, bytes((index,)) + commitment)


@dataclass(frozen=True, slots=True)
class SpendEquations:
    """Equations (E1)-(E3) of one input, all challenges drawn (IDX1 7.4)."""

    ring: ClosedBin
    points: tuple[Point, ...]
    """A, B, X_0, X_1, Y_0, Y_1, J."""
    mix: int
    """mu, which ties key and commitment of a ring member together; zero is refused."""
    challenge: int
    """xi; zero is refused."""
    responses: tuple[Sequence[int], Sequence[int]]
    """f_{0,0..n-1} and f_{1,0..n-1}, the first of each row derived."""
    z_bits: int
    """zA, the blinding of the bit commitment."""
    z_key: int
    """zK, shared by (E2) and (E3)."""
    z_blinding: int
    """zG."""

    def accumulate(self, accumulator: Accumulator) -> int:
        """Add the three equations; return what C' still has to get on the left side."""
        if self.mix == 0 or self.challenge == 0:
            accumulator.refuse()
        draw = accumulator.draw_weight
        bit_weight, ring_weight, tag_weight = draw(), draw(), draw()
        xi = self.challenge
        accumulator.add_left(
            self.points,
            (
                bit_weight,
                bit_weight * xi,
                ring_weight,
                ring_weight * xi,
                tag_weight,
                tag_weight * xi,
                tag_weight * self.z_key,
            ),
        )
        self._add_bits(accumulator, bit_weight)
        self._add_ring(accumulator, ring_weight)
        accumulator.add_right(
            blinding_row(), bit_weight * self.z_bits - ring_weight * self.z_blinding
        )
        accumulator.add_right(key_row(), -ring_weight * self.z_key)
        accumulator.add_right(nullifier_row(), tag_weight * (xi * xi % ORDER))
        return ring_weight * (self.mix * (xi * xi % ORDER) % ORDER)

    def _add_bits(self, accumulator: Accumulator, weight: int) -> None:
        xi = self.challenge
        responses = [*self.responses[0], *self.responses[1]]
        row_a, row_b = index_rows(self.ring.ring_base)
        accumulator.add_right(row_a, weight * pack(responses))
        accumulator.add_right(row_b, weight * pack([f * (xi - f) % ORDER for f in responses]))

    def _add_ring(self, accumulator: Accumulator, weight: int) -> None:
        # F_k = f_{0,k0} f_{1,k1}: one row of n slots, scaled once per k1 (IDX1 6.5)
        low, high = self.responses
        slots = pack(low, RING_SLOT_BITS)
        row_bits = RING_SLOT_BITS * self.ring.ring_base
        factors = [weight * f % ORDER for f in high]
        mix = self.mix
        self.ring.accumulate(
            accumulator,
            pack([f * slots for f in factors], row_bits),
            pack([mix * f % ORDER * slots for f in factors], row_bits),
        )


def collect_spend_proof(
    *,
    digest: bytes,
    index: int,
    ring: ClosedBin,
    nullifier: bytes,
    nullifier_decoded: Point,
    commitment: bytes,
    points: tuple[Point, ...],
    proof: bytes,
    scalars: Sequence[int],
) -> SpendEquations:
    """Draw the challenges and prepare (E1)-(E3) of input `index` (IDX1 7.4).

    `points` are the decoded A, B, X_0, X_1, Y_0, Y_1 and `scalars` the decoded scalars of the bytes
    `proof`; `commitment` is the encoded C', empty for the last input.
    """
    mix = _mix_challenge(digest, ring.digest, nullifier, index, commitment)
    encoded_points = [proof[start : start + 96] for start in range(0, 576, 96)]
    xi = h2s("IDX1/spend-xi", encode_scalar(mix), digest, *encoded_points)
    sent = ring.ring_base - 1
    low, high = scalars[:sent], scalars[sent : INDEX_DIGITS * sent]
    z_bits, z_key, z_blinding = scalars[INDEX_DIGITS * sent :]
    return SpendEquations(
        ring=ring,
        points=(*points, nullifier_decoded),
        mix=mix,
        challenge=xi,
        responses=(
            ((xi - sum(low)) % ORDER, *low),
            ((xi - sum(high)) % ORDER, *high),
        ),
        z_bits=z_bits,
        z_key=z_key,
        z_blinding=z_blinding,
    )


@dataclass(frozen=True, slots=True)
class SpendWitness:
    """What the spender knows: the ring, the position in it, x, and t with C_l - C' = tG."""

    ring: ClosedBin
    position: int
    spend_key: int
    opening: int


def _digit_blindings(coins: Coins, ring_base: int) -> list[list[int]]:
    rows = []
    for _ in range(INDEX_DIGITS):
        free = coins.scalars(ring_base - 1)
        rows.append([-sum(free) % ORDER, *free])
    return rows


def _sparse_msm(points: Sequence[Point], scalars: Sequence[int]) -> Point:
    # most coefficients of X_1 and B are zero, and the backend does not skip them for free
    pairs = [(point, scalar) for point, scalar in zip(points, scalars, strict=True) if scalar]
    return msm([point for point, _ in pairs], [scalar for _, scalar in pairs])


def _bit_commitments(
    a: list[list[int]], sigma: list[list[int]], blindings: tuple[int, int], ring_base: int
) -> tuple[bytes, bytes]:
    ma, mb = index_generators(ring_base)
    bases = (*ma, *mb, blinding_generator())
    flat_a = [value for row in a for value in row]
    flat_sigma = [value for row in sigma for value in row]
    squares = [-value * value for value in flat_a]
    cross = [value * (1 - 2 * bit) for value, bit in zip(flat_a, flat_sigma, strict=True)]
    return (
        encode_point(msm(bases, (*flat_a, *squares, blindings[0]))),
        encode_point(_sparse_msm(bases, (*flat_sigma, *cross, blindings[1]))),
    )


def _ring_coefficients(a: list[list[int]], sigma: list[list[int]]) -> tuple[list[int], list[int]]:
    constant = [a0 * a1 for a1 in a[1] for a0 in a[0]]
    linear = [
        a0 * s1 + a1 * s0
        for a1, s1 in zip(a[1], sigma[1], strict=True)
        for a0, s0 in zip(a[0], sigma[0], strict=True)
    ]
    return constant, linear


def _ring_commitments(
    ring: ClosedBin, mix: int, rows: Sequence[Sequence[int]], rho: Sequence[int]
) -> list[bytes]:
    """X_0 and X_1, each under a blinding of its own for K and for G (IDX1 7.5)."""
    bases = (*ring.key_points, *ring.commitment_points, key_generator(), blinding_generator())
    commitments = []
    for row, key_blinding, value_blinding in zip(rows, rho[:2], rho[2:], strict=True):
        scalars = (*row, *(mix * value for value in row), key_blinding, value_blinding)
        commitments.append(encode_point(_sparse_msm(bases, scalars)))
    return commitments


def prove_spend(
    *,
    digest: bytes,
    index: int,
    witness: SpendWitness,
    nullifier: Point,
    commitment: bytes,
    random_bytes: RandomBytes,
) -> bytes:
    """Prove the spend of input `index` (IDX1 7.3); `commitment` is the encoded C', empty for the
    last.

    The caller checked that the witness opens the ring's note and that `nullifier` is J = x^-1 U.
    Raises ProvingError for a position that holds no real note and for challenges of zero.
    """
    ring, n = witness.ring, witness.ring.ring_base
    if not 0 <= witness.position < ring.count:
        raise ProvingError(f"position {witness.position} holds no real note")
    mix = _mix_challenge(digest, ring.digest, encode_point(nullifier), index, commitment)
    secret = encode_scalar(witness.spend_key) + encode_scalar(witness.opening)
    coins = hedge(random_bytes, secret, digest + encode_scalar(mix))
    digits = (witness.position % n, witness.position // n)
    sigma = [[int(value == digit) for value in range(n)] for digit in digits]
    a = _digit_blindings(coins, n)
    r_a, r_b, *rho = coins.scalars(6)
    announced = (
        *_bit_commitments(a, sigma, (r_a, r_b), n),
        *_ring_commitments(ring, mix, _ring_coefficients(a, sigma), rho),
        *(encode_point(multiply(nullifier, blinding)) for blinding in rho[:2]),
    )
    xi = h2s("IDX1/spend-xi", encode_scalar(mix), digest, *announced)
    if mix == 0 or xi == 0:
        raise ProvingError("a challenge is zero; prove again with fresh coins")
    scalars = [
        a_value + xi * bit
        for a_row, sigma_row in zip(a, sigma, strict=True)
        for a_value, bit in zip(a_row[1:], sigma_row[1:], strict=True)
    ]
    scalars += [
        r_a + xi * r_b,
        witness.spend_key * xi * xi - rho[0] - rho[1] * xi,
        mix * witness.opening * xi * xi - rho[2] - rho[3] * xi,
    ]
    return b"".join((*announced, *map(encode_scalar, scalars)))
