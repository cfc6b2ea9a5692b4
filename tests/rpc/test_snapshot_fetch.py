"""Asking a real server for a snapshot: the very bank, within limits of time and size."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

import pytest

from node.ledger.types import AssetId, Height
from node.rpc.credentials import TlsFiles
from node.rpc.peer_link import PeerMisbehaved, PeerUnavailable
from node.rpc.snapshot_fetch import FetchTiming, fetch_snapshot
from node.wire.identity import Identity
from node.wire.snapshot_codec import NOTES_PER_PART
from node.wire.snapshot_records import NotePart, SnapshotNote, SnapshotPart
from tests.rpc.conftest import CONSORTIUM, ServedNode
from tests.rpc.doubles import SNAPSHOT

BANK = Identity.of_bank(CONSORTIUM, 0)
Files = Callable[[str], TlsFiles]


async def fetched(
    node: ServedNode,
    tls_files: Files,
    *,
    peer: Identity = BANK,
    minimum_height: int = 1,
    timing: FetchTiming | None = None,
) -> list[SnapshotPart]:
    tls = tls_files("bank/3")
    parts = fetch_snapshot(peer, node.address, tls, Height(minimum_height), timing)
    return [part async for part in parts]


def serving(node: ServedNode, *parts: SnapshotPart, pause_s: float = 0.0) -> None:
    async def snapshot(minimum_height: Height) -> AsyncGenerator[SnapshotPart, None]:
        for part in parts:
            yield part
            await asyncio.sleep(pause_s)

    node.peer.snapshot = snapshot  # type: ignore[method-assign]


async def test_the_parts_arrive_as_they_were_sent(node: ServedNode, tls_files: Files) -> None:
    assert tuple(await fetched(node, tls_files)) == SNAPSHOT


async def test_what_the_bank_says_when_it_has_none(node: ServedNode, tls_files: Files) -> None:
    with pytest.raises(PeerUnavailable, match="UNAVAILABLE: the tip of this bank is at height 5"):
        await fetched(node, tls_files, minimum_height=6)


async def test_another_bank_at_the_address_is_not_asked(node: ServedNode, tls_files: Files) -> None:
    with pytest.raises(PeerUnavailable, match="UNAVAILABLE"):
        await fetched(node, tls_files, peer=Identity.of_bank(CONSORTIUM, 5))


async def test_a_bank_that_keeps_one_waiting_is_given_up(
    node: ServedNode, tls_files: Files
) -> None:
    serving(node, *SNAPSHOT, pause_s=30)
    with pytest.raises(PeerUnavailable, match=r"^no part within 0.5 s$"):
        await fetched(node, tls_files, timing=FetchTiming(part_s=0.5))


async def test_a_bank_that_trickles_is_given_up(node: ServedNode, tls_files: Files) -> None:
    serving(node, *SNAPSHOT[1:] * 50, pause_s=0.02)
    timing = FetchTiming(grace_s=0.1, slowest_bytes_per_s=1 << 20)
    with pytest.raises(PeerUnavailable, match=r"^only \d+ bytes a second$"):
        await fetched(node, tls_files, timing=timing)


async def test_a_part_beyond_the_limit_is_misbehaviour(node: ServedNode, tls_files: Files) -> None:
    note = SnapshotNote(AssetId(bytes(16)), 0, 0, 0, bytes(281))
    serving(node, NotePart((note,) * (NOTES_PER_PART + 1)))
    with pytest.raises(PeerMisbehaved, match=r"^notes: must have 308 to 1048576 bytes"):
        await fetched(node, tls_files)
