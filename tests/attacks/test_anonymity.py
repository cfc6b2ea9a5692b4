"""Who cast a ballot cannot be told from the public record (BFT-12 17, IDX1 9).

Statistics over a record of 2,040 ballots: ten of twelve banks at each of 204 heights, as blocks
carry them. What an outsider has is their bytes, their sizes and their order; each must differ
between banks no more than chance allows. Keys and blocks are fixed and signing is a function of
them (BFT-12 17), so the outcome is too. A record that leaks is tried with each statistic first:
a statistic that notices nothing proves nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from math import sqrt
from operator import attrgetter

import pytest

from crypto.ballot import (
    BallotContext,
    BallotKey,
    BallotRing,
    Decision,
    ballot_bytes,
    sign_ballot,
)
from crypto.ballot_proof import HEAD_BYTES
from crypto.curve import POINT_BYTES

BANKS = 12
RECORDED = 10
HEIGHTS = 204
CHAIN_ID = hashlib.sha256(b"anonymity").digest()
TAG = slice(HEAD_BYTES, HEAD_BYTES + POINT_BYTES)

DEGREES = BANKS - 1
HIGHEST_OF_ONE = 60.0
"""A chi-square of 11 degrees exceeds it once in 10^8 tries."""
DEVIATIONS = 5.0
"""How many standard deviations of a sum over many bits are still chance."""


@dataclass(frozen=True, slots=True)
class Cast:
    """One ballot of the record, and who cast it, which the record does not say."""

    height: int
    bank: int
    ballot: bytes

    @property
    def tag(self) -> bytes:
        return self.ballot[TAG]


Record = Sequence[Cast]


@pytest.fixture(scope="module")
def record() -> Record:
    """The parents' ballots of consecutive blocks, in the order in which blocks carry them."""
    opener = BallotKey(int.from_bytes(hashlib.sha256(b"opener").digest()[:31]))
    keys = [
        BallotKey(int.from_bytes(hashlib.sha256(b"voter %d" % bank).digest()[:31]))
        for bank in range(BANKS)
    ]
    ring = BallotRing(opener.public, [key.public for key in keys])
    cast: list[Cast] = []
    for height in range(1, HEIGHTS + 1):
        context = BallotContext(CHAIN_ID, height, 0)
        block_id = hashlib.sha256(b"block %d" % height).digest()
        votes = [
            Cast(height, bank, sign_ballot(keys[bank], ring, context, block_id, Decision.APPROVE))
            for bank in _recorded(height)
        ]
        cast += sorted(votes, key=attrgetter("tag"))
    return cast


def _recorded(height: int) -> list[int]:
    """Ten banks, drawn anew at each height."""
    return sorted(
        range(BANKS), key=lambda bank: hashlib.sha256(b"%d of %d" % (bank, height)).digest()
    )[:RECORDED]


def difference_between_banks(banks: Sequence[int], values: Sequence[float]) -> float:
    """How much the banks' means differ: a chi-square of 11 degrees if the values are independent
    of the bank."""
    count = len(values)
    mean = sum(values) / count
    variance = sum((value - mean) ** 2 for value in values) / count
    if variance == 0:
        return 0.0
    sums, sizes = [0.0] * BANKS, [0] * BANKS
    for bank, value in zip(banks, values, strict=True):
        sums[bank] += value
        sizes[bank] += 1
    between = sum(
        size * (total / size - mean) ** 2 for total, size in zip(sums, sizes, strict=True) if size
    )
    return between / variance


def bits_of(cast: Cast) -> int:
    """The bits after the head, each in a lane wide enough to count all ballots in."""
    return int.from_bytes(b"".join(_LANES[byte] for byte in cast.ballot[HEAD_BYTES:]))


LANE_BYTES = 2
_LANES = [
    b"".join((byte >> (7 - bit) & 1).to_bytes(LANE_BYTES) for bit in range(8))
    for byte in range(256)
]
"""The bits of a byte, most significant first, one to a lane."""


def counts_by_bank(record: Record) -> tuple[list[int], list[list[int]]]:
    """Ballots of each bank, and of each bit position in how many of them it is set."""
    sizes, sums = [0] * BANKS, [0] * BANKS
    for cast in record:
        sizes[cast.bank] += 1
        sums[cast.bank] += bits_of(cast)
    width = 8 * (ballot_bytes(BANKS) - HEAD_BYTES)
    packed = [total.to_bytes(LANE_BYTES * width) for total in sums]
    return sizes, [
        [
            int.from_bytes(lanes[start : start + LANE_BYTES])
            for start in range(0, len(lanes), LANE_BYTES)
        ]
        for lanes in packed
    ]


def bits_that_tell(record: Record) -> list[float]:
    """The difference between banks of each bit that is not the same in all ballots."""
    sizes, counts = counts_by_bank(record)
    total = len(record)
    differences = []
    for ones in zip(*counts, strict=True):
        share = sum(ones) / total
        if 0 < share < 1:
            between = sum(
                size * (one / size - share) ** 2 for size, one in zip(sizes, ones, strict=True)
            )
            differences.append(between / (share * (1 - share)))
    return differences


def ranks(record: Record) -> list[int]:
    """The place of each ballot among those of its height."""
    return [
        rank
        for _, votes in groupby(record, key=attrgetter("height"))
        for rank, _ in enumerate(votes)
    ]


def distance_to_own_last_tag(record: Record) -> tuple[float, float]:
    """Mean differing bits of a bank's tag to its own last tag, and to the others' last tags."""
    last: dict[int, int] = {}
    own: list[int] = []
    others: list[int] = []
    for _, votes in groupby(record, key=attrgetter("height")):
        now = {cast.bank: int.from_bytes(cast.tag) for cast in votes}
        for bank, tag in now.items():
            for earlier, earlier_tag in last.items():
                (own if earlier == bank else others).append((tag ^ earlier_tag).bit_count())
        last = now
    return sum(own) / len(own), sum(others) / len(others)


def guessed_right(record: Record) -> float:
    """Share of the second half's ballots that are nearest to what most ballots of their own bank
    in the first half look like."""
    half = len(record) // 2
    sizes, counts = counts_by_bank(record[:half])
    typical = [
        int("".join("1" if 2 * one > size else "0" for one in ones), 2)
        for size, ones in zip(sizes, counts, strict=True)
    ]
    right = 0
    for cast in record[half:]:
        body = int.from_bytes(cast.ballot[HEAD_BYTES:])
        distances = [(body ^ bits).bit_count() for bits in typical]
        right += distances.index(min(distances)) == cast.bank
    return right / (len(record) - half)


def leaking(record: Record, change: Callable[[Cast], bytes]) -> Record:
    """The same record with something of the bank in each ballot."""
    return [Cast(cast.height, cast.bank, change(cast)) for cast in record]


def reveals_a_bit(cast: Cast) -> bytes:
    """One bit of ten thousand follows the bank."""
    body = bytearray(cast.ballot)
    body[HEAD_BYTES + 700] = body[HEAD_BYTES + 700] & 0xFE | cast.bank & 1
    return bytes(body)


def reveals_a_little(cast: Cast) -> bytes:
    """One bit of every third byte follows the bank in one ballot of eight: no bit shows it."""
    body = bytearray(cast.ballot)
    for position in range(HEAD_BYTES, len(body), 3):
        if body[position] >> 5 == 0:
            body[position] = body[position] & 0xFE | cast.bank & 1
    return bytes(body)


def reveals_a_pattern(cast: Cast) -> bytes:
    """One bit of every second byte is the bank's own."""
    body = bytearray(cast.ballot)
    pattern = hashlib.shake_256(b"%d" % cast.bank).digest(len(body))
    for position in range(HEAD_BYTES, len(body), 2):
        body[position] = body[position] & 0xFE | pattern[position] & 1
    return bytes(body)


def chance(record: Record) -> float:
    """The share that guessing names right, at most."""
    tried = len(record) - len(record) // 2
    share = 1 / BANKS
    return share + DEVIATIONS * sqrt(share * (1 - share) / tried)


def within(values: Iterable[float], expected: float, variance: float) -> float:
    """By how many standard deviations a sum of independent values misses what is expected."""
    listed = list(values)
    return abs(sum(listed) - expected * len(listed)) / sqrt(variance * len(listed))


def test_section_17_every_ballot_has_the_same_size_and_head(record: Record) -> None:
    assert {len(cast.ballot) for cast in record} == {ballot_bytes(BANKS)}
    for height in (1, HEIGHTS):
        heads = {cast.ballot[:HEAD_BYTES] for cast in record if cast.height == height}
        assert len(heads) == 1


def test_section_17_no_bit_differs_between_banks_beyond_chance(record: Record) -> None:
    told = bits_that_tell(leaking(record, reveals_a_bit))
    assert max(told) > HIGHEST_OF_ONE
    bits = bits_that_tell(record)
    assert len(bits) > 10_000
    assert max(bits) < HIGHEST_OF_ONE
    # Neither do all of them together, each a little: a chi-square has the variance 2 DEGREES.
    told = bits_that_tell(leaking(record, reveals_a_little))
    assert within(told, DEGREES, 2 * DEGREES) > DEVIATIONS
    assert within(bits, DEGREES, 2 * DEGREES) < DEVIATIONS


def test_section_17_the_order_of_a_record_is_that_of_tags_and_tells_no_bank(
    record: Record,
) -> None:
    for _, votes in groupby(record, key=attrgetter("height")):
        assert all(left.tag < right.tag for left, right in pairwise(votes))
    banks = [cast.bank for cast in record]
    assert difference_between_banks(banks, ranks(record)) < HIGHEST_OF_ONE
    by_bank = sorted(record, key=lambda cast: (cast.height, cast.bank))
    told = difference_between_banks([cast.bank for cast in by_bank], ranks(by_bank))
    assert told > HIGHEST_OF_ONE


def test_section_17_tags_of_one_bank_are_no_nearer_to_each_other_than_to_others(
    record: Record,
) -> None:
    assert len({cast.tag for cast in record}) == len(record)

    def same_key_every_time(cast: Cast) -> bytes:
        """A tag half of which the context does not change."""
        mark = hashlib.shake_256(b"%d" % cast.bank).digest(POINT_BYTES // 2)
        return cast.ballot[:HEAD_BYTES] + mark + cast.ballot[HEAD_BYTES + POINT_BYTES // 2 :]

    own, others = distance_to_own_last_tag(leaking(record, same_key_every_time))
    assert others - own > 100
    own, others = distance_to_own_last_tag(record)
    deviation = sqrt(8 * POINT_BYTES) / 2 / sqrt(len(record) * RECORDED / BANKS)
    assert abs(own - others) < DEVIATIONS * deviation


def test_section_17_who_learns_from_opened_ballots_guesses_no_better_than_chance(
    record: Record,
) -> None:
    """Even who knows the bank of a thousand ballots cannot tell that of the next."""
    assert guessed_right(leaking(record, reveals_a_pattern)) > 2 * chance(record)
    assert guessed_right(record) < chance(record)
