"""The line of a sealed block."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace

from node.cli.access import Consortium
from node.cli.block_stream import BlockLine, stream_block_lines
from tests.cli.served_consortium import ServedConsortium

LINE = BlockLine(
    height=12,
    transactions=1,
    proposer="dunmere",
    view=0,
    block_id="ab" * 32,
    since_last_ms=1_540,
    finality_ms=310,
)


def test_a_block_for_people() -> None:
    assert str(LINE) == "block 12  1 transaction  by dunmere  +1.5 s  final in 310 ms"
    assert str(replace(LINE, transactions=100, view=2, since_last_ms=None)) == (
        "block 12  100 transactions  by dunmere  final in 310 ms  view 2"
    )


def test_a_block_for_programs() -> None:
    assert LINE.to_json_object() == {
        "event": "block",
        "height": 12,
        "transactions": 1,
        "proposer": "dunmere",
        "view": 0,
        "block_id": "ab" * 32,
        "since_last_ms": 1_540,
        "finality_ms": 310,
    }


async def test_blocks_from_before_have_no_finality(consortium: ServedConsortium) -> None:
    consortium.in_loop(consortium.ledger.seal)
    consortium.in_loop(consortium.ledger.seal)
    consortium.in_loop(consortium.ledger.seal)
    endpoints = Consortium.load(consortium.directory).endpoints
    stream = stream_block_lines(consortium.directory, endpoints, earlier=2)
    async with aclosing(stream):
        old = [await anext(stream), await anext(stream)]
        consortium.in_loop(consortium.ledger.seal)
        new = await anext(stream)
    assert [(line.height, line.since_last_ms, line.finality_ms) for line in old] == [
        (2, None, None),
        (3, 1_000, None),
    ]
    assert str(old[1]) == "block 3  0 transactions  by dunmere  +1.0 s"
    assert (new.height, new.since_last_ms) == (4, 1_000)
    assert new.finality_ms is not None
