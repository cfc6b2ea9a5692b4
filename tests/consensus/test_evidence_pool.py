"""BFT-12 sections 9 and 12: what waits to be recorded is bounded, ordered and fairly told."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from node.consensus import evidence_pool
from node.consensus.evidence_pool import (
    EXAMINED_FOR,
    MAX_GOSSIP_BYTES,
    MAX_GOSSIP_ITEMS,
    MAX_PENDING,
    MAX_PENDING_BYTES,
    MAX_PENDING_PER_ACCUSED,
    MAX_SETTLED,
    EvidencePool,
)
from node.ledger.blocks import MAX_EVIDENCE
from node.ledger.offences import OffenceClass
from node.ledger.state_records import PunishedOffence
from node.ledger.types import BankIndex, Height

NOW = Height(500)


def key(height: int, bank: int = 3) -> PunishedOffence:
    return PunishedOffence(Height(height), BankIndex(bank), OffenceClass.VOTE)


def filled(count: int, bank: int = 3) -> EvidencePool:
    pool = EvidencePool()
    for height in range(count):
        assert pool.accept(key(height, bank), b"%d" % height, NOW)
    return pool


@given(st.permutations(range(100)))
def test_a_block_is_offered_the_lowest_keys_in_order(heights: list[int]) -> None:
    pool = EvidencePool()
    for height in heights:
        assert pool.accept(key(height), b"%d" % height, NOW)
    assert pool.for_block() == tuple(b"%d" % height for height in range(MAX_EVIDENCE))


def test_one_bank_cannot_crowd_out_the_others() -> None:
    pool = filled(MAX_PENDING_PER_ACCUSED)
    assert not pool.accept(key(999), b"one too many", NOW)
    assert pool.accept(key(999, bank=4), b"of another", NOW)
    pool.drop(b"0")
    assert pool.accept(key(999), b"one too many", NOW)


def test_the_pool_is_bounded_in_items_and_bytes() -> None:
    pool = EvidencePool()
    for number in range(MAX_PENDING):
        assert pool.accept(key(number, bank=number % 16), b"%d" % number, NOW)
    assert not pool.accept(key(0, bank=99), b"more", NOW)
    heavy = EvidencePool()
    item = bytes(1 << 20)
    for bank in range(MAX_PENDING_BYTES >> 20):
        assert heavy.accept(key(1, bank), item, NOW)
    assert not heavy.accept(key(1, 99), b"more", NOW)
    heavy.punished([key(1, 0)])
    assert heavy.accept(key(1, 99), b"more", NOW)


def test_every_item_has_its_turn_with_every_peer() -> None:
    pool = filled(3 * MAX_GOSSIP_ITEMS)
    told = [item for _ in range(3) for item in pool.for_peer()]
    assert sorted(told) == sorted(b"%d" % height for height in range(3 * MAX_GOSSIP_ITEMS))
    assert EvidencePool().for_peer() == []


def test_large_items_are_told_one_at_a_time() -> None:
    pool = EvidencePool()
    items = [bytes([bank]) * MAX_GOSSIP_BYTES for bank in range(3)]
    for bank, item in enumerate(items):
        pool.accept(key(1, bank), item, NOW)
    assert [pool.for_peer() for _ in range(4)] == [[items[bank]] for bank in (0, 1, 2, 0)]


def test_what_stays_too_long_is_examined_again_and_then_has_its_time_anew() -> None:
    pool = filled(1)
    assert pool.stale(Height(NOW + EXAMINED_FOR - 1)) == []
    assert pool.stale(Height(NOW + EXAMINED_FOR)) == [b"0"]
    assert not pool.accept(key(0), b"0", Height(NOW + EXAMINED_FOR))
    assert pool.stale(Height(NOW + EXAMINED_FOR + 1)) == []


def test_an_answer_that_comes_after_the_punishment_changes_nothing() -> None:
    pool = EvidencePool()
    pool.examine(b"item", BankIndex(1))
    pool.punished([key(7)])
    assert pool.examined(b"item") == 1
    assert not pool.accept(key(7), b"item", NOW)
    assert not pool.needs(key(7))
    assert pool.for_block() == ()


def test_forgetting_what_was_settled_is_bounded() -> None:
    pool = EvidencePool()
    for number in range(MAX_SETTLED + 1):
        pool.settle(b"%d" % number)
    assert pool.would_hear(b"0", BankIndex(1))
    assert not pool.would_hear(b"1", BankIndex(1))
    assert len(pool._settled) == evidence_pool.MAX_SETTLED
