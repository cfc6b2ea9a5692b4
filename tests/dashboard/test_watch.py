"""Following the blocks of one bank: in order, without gaps, and not those of another chain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from node.client.connection import ClientCredentials, Endpoint
from node.client.errors import VerificationError
from node.dashboard.place import Place
from node.dashboard.watch import RECENT_BLOCKS, Watch
from node.ledger.blocks import Header
from node.ledger.state import genesis_header
from node.ledger.types import BankIndex, BlockId, Height, TimeMs
from node.wire.records import PublishedBlock
from tests.ledger.chain import make_genesis

GENESIS = make_genesis()
OLD = -1
"""Nothing is old: every block was sealed just now."""


@pytest.fixture
def watch() -> Watch:
    place = Place(
        genesis=GENESIS,
        credentials=ClientCredentials(b"", b"", b""),
        endpoints=lambda: [Endpoint(BankIndex(0), "127.0.0.1:1")],
        processes=dict,
        corrupted=dict,
    )
    return Watch(place, lambda session: {"operator": session is not None})


def headers(count: int, *, branch: int = 0) -> list[Header]:
    """A chain of headers; branches differ from height 2 on."""
    made = [genesis_header(GENESIS)]
    for height in range(1, count):
        made.append(
            replace(
                made[-1],
                height=Height(height),
                parent_id=made[-1].block_id,
                time_ms=TimeMs(GENESIS.time_ms + 1_000 * height + (branch if height > 1 else 0)),
                transaction_count=height % 3,
            )
        )
    return made


def take(watch: Watch, chain: Sequence[Header]) -> None:
    for header in chain:
        watch._take(PublishedBlock(header.encode(), b"", b""), OLD)


def heights(watch: Watch) -> list[int]:
    return [row.height for row in watch.blocks]


def test_the_newest_are_kept(watch: Watch) -> None:
    take(watch, headers(RECENT_BLOCKS + 10))
    assert heights(watch) == list(range(10, RECENT_BLOCKS + 10))
    assert watch.height == RECENT_BLOCKS + 9


@pytest.mark.parametrize(
    "wrong",
    [
        lambda chain: headers(6, branch=1)[4],
        lambda chain: chain[5],
        lambda chain: chain[2],
        lambda chain: replace(chain[4], parent_id=BlockId(bytes(32))),
    ],
)
def test_what_does_not_follow_begins_the_list_anew(watch: Watch, wrong: object) -> None:
    assert callable(wrong)
    chain = headers(6)
    take(watch, chain[:4])
    with pytest.raises(VerificationError, match="does not follow"):
        take(watch, [wrong(chain)])
    assert (heights(watch), watch.height) == ([], 0)
    take(watch, headers(6, branch=1)[2:])
    assert heights(watch) == [2, 3, 4, 5]


def test_blocks_of_another_chain_are_none(watch: Watch) -> None:
    take(watch, headers(3))
    with pytest.raises(VerificationError, match="another chain"):
        take(watch, [replace(headers(4)[3], chain_id=bytes(32))])
    assert heights(watch) == [0, 1, 2]


def test_old_blocks_count_for_no_rate_and_were_seen_when_they_were_made(watch: Watch) -> None:
    for header in headers(4):
        watch._take(PublishedBlock(header.encode(), b"", b""), 2)
    seen = [row.seen_ms == row.time_ms for row in watch.blocks]
    assert seen == [True, True, True, False]
