"""Whether many points lie in G1, asked at once (IDX1 2.2, 10.2).

The curve has |G1| times h points, h = 3 x 11^2 x 10177^2 x 859267^2 x 52437899^2 (IDX1 2.1), so a
point is its part in G1 plus a torsion part of an order that divides h. One round adds up the points
with coefficients -1, 0, 1, independent and uniform, and looks whether the sum lies in G1.

- If every point lies in G1, every sum does: no honest batch fails.
- If a point has a torsion part t other than zero, take the other coefficients as given: the sum's
  torsion part is c t + u for a fixed u. The differences of two coefficients are 1 and 2 in absolute
  value, t has an odd order of at least 3, so the three values differ and at most one of them is
  zero. The round misses with a probability of at most 1/3, whatever the other points are, and
  ROUNDS independent rounds of at most 3^-42 < 2^-66.

Larger coefficients would not help: h is divisible by 3, a part of order 3 sees a coefficient modulo
3 alone, and any sum misses it in one case of three. For the same reason the random weights of
`crypto.accumulator` say nothing about torsion, which the cofactored test forgives anyhow.

The coefficients must be unknown to whoever made the points, fresh for every batch, and of this
process alone. Coefficients derived from the judged bytes would let an attacker try 2^66 batches at
home; where verdicts have to be reproduced from bytes, every point is asked for itself: by
`SubgroupCheck.AT_ONCE`, or because up to FEW_POINTS are, more than any transaction has. With fresh
coefficients each attempt costs a submission, and a miss deceives one bank: the others draw their
own, refuse the block, and a quorum of 10 misses at once with at most 2^-462 (seven of the ten at
least are honest). A lone miss makes a bank propose or approve what the others refuse, with the
probability of 2^-66 per attempt that its operator may well take for that of a broken machine.

Points are added by the method of the four Russians: r rounds share one addition a point, which
puts the point, or its opposite, into one of (3^r - 1) / 2 buckets by its r coefficients; the sums
of the r rounds then come from the buckets (Bellare, Garay, Rabin: Fast batch verification for
modular exponentiation and digital signatures, 1998, has the test and its buckets).
"""

from collections.abc import Sequence

from crypto.curve import Point, identity, require_subgroup
from crypto.randomness import RandomBytes

ROUNDS = 42
"""At least so many sums are looked at: 3^-42 < 2^-66."""

FEW_POINTS = 85
"""So many points, and fewer, are always asked one by one, whatever `random_bytes` is; from here on
sums are cheaper."""

_MAX_SHARED_ROUNDS = 5
_UNIFORM_BYTES = 3**_MAX_SHARED_ROUNDS
"""A byte below 243 is uniform modulo 3^r for every r up to 5; the others are drawn again."""

_REFUSED_BYTES = bytes(range(_UNIFORM_BYTES, 256))

_COST_OF_SUM_CHECK = 85
"""Measured in additions of two points; for a point as decoded it is 60."""


def require_all_in_subgroup(points: Sequence[Point], random_bytes: RandomBytes) -> None:
    """Raise Rejected(subgroup) unless every point lies in G1, not telling which one does not.

    Up to FEW_POINTS are asked one by one; of more, random sums, which let a torsion part pass with
    a probability of at most 2^-66. `random_bytes` is drawn from after the points are fixed.
    """
    candidates = points
    if len(points) > FEW_POINTS:
        candidates = _random_sums(points, _shared_rounds(len(points)), random_bytes)
    for point in candidates:
        require_subgroup(point)


def _shared_rounds(count: int) -> int:
    """How many rounds best share the additions of `count` points."""
    return min(range(1, _MAX_SHARED_ROUNDS + 1), key=lambda shared: _cost(count, shared))


def _groups(shared: int) -> int:
    return -(-ROUNDS // shared)


def _cost(count: int, shared: int) -> int:
    buckets: int = 3**shared
    return _groups(shared) * (count + buckets + shared * _COST_OF_SUM_CHECK)


def _random_sums(points: Sequence[Point], shared: int, random_bytes: RandomBytes) -> list[Point]:
    """At least ROUNDS sums of the points with fresh coefficients, `shared` of them at a time.

    The `shared` coefficients of a point are the balanced ternary digits of one uniform number
    between -(3^shared - 1) / 2 and (3^shared - 1) / 2.
    """
    count, groups = len(points), _groups(shared)
    largest = (3**shared - 1) // 2
    drawn = _uniform_bytes(count * groups, random_bytes)
    codes = drawn.translate(bytes(byte % 3**shared for byte in range(256)))
    signed = [(-point, point) for point in points]
    sums: list[Point] = []
    for start in range(0, count * groups, count):
        buckets: list[list[Point]] = [[] for _ in range(largest + 1)]
        targets = [buckets[abs(number)] for number in range(-largest, largest + 1)]
        for code, pair in zip(codes[start : start + count], signed, strict=True):
            targets[code].append(pair[code > largest])
        sums.extend(_sums_of_rounds([sum(bucket, identity()) for bucket in buckets[1:]]))
    return sums


def _sums_of_rounds(buckets: list[Point]) -> list[Point]:
    """The sums of each round, lowest digit first; buckets[k - 1] has the points of number k."""
    sums: list[Point] = []
    while buckets:
        # numbers 1, 4, 7, .. end in the digit 1, numbers 2, 5, 8, .. in -1
        sums.append(sum(buckets[0::3], identity()) - sum(buckets[1::3], identity()))
        # without its last digit, number 3k - 1, 3k or 3k + 1 is k
        triples = zip(buckets[1::3], buckets[2::3], buckets[3::3], strict=True)
        buckets = [below + exact + above for below, exact, above in triples]
    return sums


def _uniform_bytes(count: int, random_bytes: RandomBytes) -> bytes:
    """`count` bytes, independent and uniform below _UNIFORM_BYTES."""
    drawn = b""
    while len(drawn) < count:
        missing = count - len(drawn)
        drawn += random_bytes(missing + missing // 16 + 16).translate(None, _REFUSED_BYTES)
    return drawn[:count]


assert _UNIFORM_BYTES <= 256
