"""Range proof: every output's value lies in 0 .. 2^64 - 1 (IDX1 6).

The un-folded vector-commitment form: A commits to all bits, S and T to the blinding of the
responses f. The responses are sent, not folded; that costs bytes and saves the verifier most of its
work. The proof's soundness argument is IDX1 6.8, why each power of x stands where it does is 6.9.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from operator import mul

import gmpy2

from crypto.accumulator import SLOT_BITS, Accumulator, BaseRow, blinding_row, pack, value_row
from crypto.curve import POINT_BYTES, Point, encode_point, msm, multiply
from crypto.encoding import U64_MAX
from crypto.errors import ProvingError
from crypto.generators import blinding_generator, range_generators, value_generator
from crypto.layout import MAX_OUTPUTS, VALUE_BITS
from crypto.randomness import RandomBytes, hedge
from crypto.scalar import ORDER, encode_scalar
from crypto.transcript import expand, h2s, hash64

_CHALLENGE_BYTES = 16
_CHALLENGE_BITS = 8 * _CHALLENGE_BYTES
_POINTS_BYTES = 3 * POINT_BYTES
_VALUE_SLOTS_BITS = VALUE_BITS * SLOT_BITS


@cache
def range_row() -> BaseRow:
    """The accumulator row of R_0 .. R_255."""
    return BaseRow("range", range_generators)


@dataclass(frozen=True, slots=True)
class RangeEquation:
    """Equation (R) of one proof, all challenges drawn (IDX1 6.3)."""

    points: tuple[Point, Point, Point]
    """A, S, T."""
    h1: bytes
    challenge: int
    """x; zero is refused."""
    value_challenges: Sequence[int]
    """z_j, one per value: the coefficient of C_j."""
    packed_responses: int
    """f_0 .. f_{N-1} in slots of SLOT_BITS."""
    value_sum: int
    """Q, the coefficient of H; not reduced."""
    blinding: int
    """mu, the coefficient of G."""

    def accumulate(self, accumulator: Accumulator, asset: bytes, weight: int) -> list[int]:
        """Add the equation under `weight`; return what the commitments C_j still have to get."""
        if self.challenge == 0:
            accumulator.refuse()
        weighted_challenge = weight * self.challenge % ORDER
        accumulator.add_left(
            self.points, (weight, weighted_challenge, weighted_challenge * self.challenge)
        )
        accumulator.add_right(range_row(), weight * self.packed_responses)
        accumulator.add_right(value_row(asset), weight * self.value_sum)
        accumulator.add_right(blinding_row(), weight * self.blinding)
        return [weight * challenge for challenge in self.value_challenges]


def _first_hash(core: bytes, commitments: Sequence[bytes], encoded_a: bytes) -> bytes:
    return hash64("IDX1/range-1", core, bytes((len(commitments),)), *commitments, encoded_a)


def _bit_challenges(h1: bytes, value_count: int) -> tuple[list[int], list[int]]:
    bit_count = VALUE_BITS * value_count
    count = bit_count + value_count
    data = expand("IDX1/range-yz", h1, _CHALLENGE_BYTES * count)
    challenges = gmpy2.unpack(gmpy2.mpz.from_bytes(data, "little"), _CHALLENGE_BITS)
    # unpack drops leading zero slots
    challenges.extend([gmpy2.mpz(0)] * (count - len(challenges)))
    return challenges[:bit_count], challenges[bit_count:]


def _sum_of_doublings(packed: int) -> int:
    """Sum 2^i v_i, i = 0..63, of 64 values in slots of SLOT_BITS, none above 2^385 (IDX1 6.5).

    The upper half of the slots is added to the lower one, doubled as often as the half has slots;
    six times. Before the last time a slot holds 2^385 (1 + 2^2 + .. + 2^62) < 2^448 at most.
    """
    count = VALUE_BITS
    while count > 1:
        count //= 2
        half_bits = count * SLOT_BITS
        packed = gmpy2.f_mod_2exp(packed, half_bits) + ((packed >> half_bits) << count)
    return packed


def collect_range_proof(
    core: bytes,
    commitments: Sequence[bytes],
    points: tuple[Point, Point, Point],
    proof: bytes,
    scalars: Sequence[int],
) -> RangeEquation:
    """Draw the challenges and prepare equation (R) (IDX1 6.3).

    `points` are the decoded A, S, T and `scalars` the decoded f_0 .. f_{N-1}, mu of the bytes
    `proof`; `commitments` are the encoded C_j.
    """
    h1 = _first_hash(core, commitments, proof[:POINT_BYTES])
    y, z = _bit_challenges(h1, len(commitments))
    x = h2s("IDX1/range-2", h1, proof[POINT_BYTES : 2 * POINT_BYTES], proof[192:_POINTS_BYTES])
    responses = scalars[:-1]
    packed = pack(responses)
    weighted = list(map(mul, y, responses))
    value_sum = sum(weighted) - sum(map(mul, weighted, responses))
    scaled = 0
    for index, challenge in enumerate(z):
        slots = gmpy2.f_mod_2exp(packed >> (index * _VALUE_SLOTS_BITS), _VALUE_SLOTS_BITS)
        scaled += challenge * slots
    value_sum += _sum_of_doublings(scaled)
    return RangeEquation(points, h1, x, z, packed, value_sum, scalars[-1])


def _bits_of(values: Sequence[int]) -> list[int]:
    return [value >> bit & 1 for value in values for bit in range(VALUE_BITS)]


def prove_range(
    *,
    core: bytes,
    asset: bytes,
    values: Sequence[int],
    blindings: Sequence[int],
    commitments: Sequence[bytes],
    random_bytes: RandomBytes,
) -> bytes:
    """Prove that each C_j = v_j H + b_j G has 0 <= v_j < 2^64 (IDX1 6.2).

    `commitments` are the encodings of the C_j; the caller computed them from the values and
    blindings. Raises ProvingError for a value outside the range.
    """
    for value in values:
        if not 0 <= value <= U64_MAX:
            raise ProvingError("a value lies outside 0 .. 2^64 - 1")
    secret = b"".join(encode_scalar(number) for number in (*values, *blindings))
    coins = hedge(random_bytes, secret, hash64("IDX1/range-coins", core, *commitments))
    bits = _bits_of(values)
    alpha, rho, tau = coins.scalars(3)
    s = coins.scalars(len(bits))
    value_base, blinding_base = value_generator(asset), blinding_generator()
    bases = range_generators()[: len(bits)]

    encoded_a = encode_point(msm(bases, bits) + multiply(blinding_base, alpha))
    h1 = _first_hash(core, commitments, encoded_a)
    y, z = _bit_challenges(h1, len(values))
    q1, q2 = _blinding_sums(bits, s, y, z)
    encoded_s = encode_point(msm((*bases, value_base, blinding_base), (*s, q1, rho)))
    encoded_t = encode_point(multiply(value_base, q2) + multiply(blinding_base, tau))
    x = h2s("IDX1/range-2", h1, encoded_s, encoded_t)
    if x == 0:
        raise ProvingError("the challenge is zero; prove again with fresh coins")
    responses = [bit + x * blind for bit, blind in zip(bits, s, strict=True)]
    mu = alpha + sum(map(mul, z, blindings)) + x * rho + x * x * tau
    scalars = b"".join(map(encode_scalar, (*responses, mu)))
    return encoded_a + encoded_s + encoded_t + scalars


def _blinding_sums(
    bits: Sequence[int], s: Sequence[int], y: Sequence[int], z: Sequence[int]
) -> tuple[int, int]:
    q1 = q2 = 0
    for index, (bit, blind, challenge) in enumerate(zip(bits, s, y, strict=True)):
        value, exponent = divmod(index, VALUE_BITS)
        q1 += (challenge * (1 - 2 * bit) + (z[value] << exponent)) * blind
        q2 -= challenge * blind * blind
    return q1 % ORDER, q2 % ORDER


assert MAX_OUTPUTS * ORDER << _CHALLENGE_BITS <= 1 << 385
assert 3 << SLOT_BITS > (1 << 385) * (4**32 - 1)
"""What `_sum_of_doublings` needs."""
