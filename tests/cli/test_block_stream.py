"""The line of a sealed block."""

from __future__ import annotations

from dataclasses import replace

from node.cli.block_stream import BlockLine

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
