"""Copies of blocks: a judged copy stays, an unjudged one may be replaced by another."""

from __future__ import annotations

from dataclasses import replace

from node.consensus.blocks import KnownBlocks
from node.consensus.events import Approved, BodyUnusable, Rejected
from node.ledger.types import BankIndex
from tests.consensus import toy_ledger
from tests.consensus.consortium import Consortium

BLOCK = Consortium(4).block(ids=[1])
FORGED = replace(BLOCK, transaction_ids=(toy_ledger.transaction_id(2),))
A, B = BankIndex(1), BankIndex(2)


def test_another_copy_replaces_an_unjudged_one_and_its_pending_question() -> None:
    blocks = KnownBlocks()
    blocks.offer(FORGED, A).ticket = blocks.next_ticket()
    known = blocks.offer(BLOCK, B)
    assert (known.block, known.source, known.ticket) == (BLOCK, B, None)
    assert blocks.answer(1, BodyUnusable("forged")) is None
    assert blocks.get(BLOCK.block_id) is known


def test_a_judged_copy_is_never_replaced() -> None:
    for verdict in (Approved(), Rejected("fee", deterministic=True)):
        blocks = KnownBlocks()
        known = blocks.offer(BLOCK, A)
        known.verdict = verdict
        assert blocks.offer(FORGED, B) is known
        assert (known.block, known.verdict) == (BLOCK, verdict)


def test_an_unusable_copy_is_dropped() -> None:
    blocks = KnownBlocks()
    known = blocks.offer(BLOCK, A)
    known.ticket = blocks.next_ticket()
    assert blocks.answer(known.ticket, BodyUnusable("no such transactions")) == BLOCK.block_id
    assert blocks.get(BLOCK.block_id) is None


def test_the_clock_judges_only_where_it_is_asked() -> None:
    """BFT-12 section 8: a class S rejection says nothing about a certified block."""
    known = KnownBlocks().offer(BLOCK, A)
    known.verdict = Rejected("clock", deterministic=False)
    assert known.judged(with_clock=True) == Rejected("clock", deterministic=False)
    assert known.judged(with_clock=False) is None
    known.verdict = Rejected("fee", deterministic=True)
    assert known.judged(with_clock=False) == known.verdict
