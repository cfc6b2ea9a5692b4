"""Joining by a snapshot over real databases: what is taken over, and every lie that is not."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import replace

import psycopg
import pytest

from node.consensus.certificates import Seal
from node.ledger.facts import facts_needed
from node.ledger.types import BankIndex, Height
from node.rpc.backend import NotReady, Overloaded
from node.rpc.peer_link import PeerMisbehaved, PeerUnavailable
from node.runtime.integrity_scrubber import IntegrityScrubber
from node.runtime.snapshot_join import Attempt, Joined, NoSnapshot, SnapshotSource, join_by_snapshot
from node.runtime.snapshot_serving import SnapshotServer
from node.storage.database import Database
from node.storage.errors import BeforeSnapshot, StorageConflict
from node.storage.migrations import migrate_async
from node.wire.records import SetChange
from node.wire.snapshot_records import (
    BinPart,
    HeaderPart,
    NotePart,
    NullifierPart,
    SnapshotPart,
    SnapshotStart,
    TreasuryPart,
)
from tests.ledger.booth import vouched
from tests.ledger.chain import Chain, make_genesis
from tests.snapshots.conftest import BANKS, HEIGHTS, JOINING, SERVING, Ledger, opened
from tests.snapshots.long_chain import long_chain

pytestmark = pytest.mark.postgres


def honest(ledger: Ledger, database: Database, bank: BankIndex = SERVING) -> SnapshotSource:
    return SnapshotSource(bank, SnapshotServer(ledger.chain.genesis, database).serve)


async def parts_of(ledger: Ledger, serving: Database) -> list[SnapshotPart]:
    server = SnapshotServer(ledger.chain.genesis, serving)
    return [part async for part in server.serve(Height(1))]


def replaying(parts: list[SnapshotPart], bank: int = 2) -> SnapshotSource:
    async def send(minimum_height: Height) -> AsyncGenerator[SnapshotPart, None]:
        for part in parts:
            yield part

    return SnapshotSource(BankIndex(bank), send)


async def join(ledger: Ledger, joining: Database, *sources: SnapshotSource) -> Joined:
    return await join_by_snapshot(ledger.chain.genesis, joining, sources, rounds=1, round_pause_s=0)


def untouched(url: str) -> bool:
    """Whether a database holds genesis and nothing else."""
    with psycopg.connect(url) as connection:
        counts = [
            connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
            for table in ("blocks", "notes", "nullifiers", "bins", "snapshot_origin")
        ]
    return counts == [(1,), (0,), (0,), (0,), (0,)]


async def test_a_bank_that_joined_has_the_state_the_lists_and_the_digests_of_the_others(
    ledger: Ledger, serving: Database, joining: Database
) -> None:
    joined = await join(ledger, joining, honest(ledger, serving))

    assert (joined.height, joined.source, joined.attempts) == (HEIGHTS, SERVING, ())
    ours, theirs = await joining.load_tip(), await serving.load_tip()
    assert ours == theirs
    assert ours.state.notes.count > 20
    assert ours.state.nullifiers.count > 3
    assert ours.state.closed_bins.count > 3
    assert await joining.set_changes(HEIGHTS + 1) == await serving.set_changes(HEIGHTS + 1)
    assert len(await joining.set_changes(HEIGHTS + 1)) == 2
    assert await joining.block_ids(0, 1_000) == await serving.block_ids(0, 1_000)
    for digest in ("nullifier_digest", "notes_digest", "transaction_count", "treasury_rows"):
        assert await getattr(joining, digest)(HEIGHTS) == await getattr(serving, digest)(HEIGHTS)
    bins = range(ours.state.next_bin_id)
    closed = {
        bin_id: (item.asset, item.closed and item.closed.digest)
        for bin_id, item in (await joining.bins(list(bins))).items()
    }
    assert closed == {
        bin_id: (item.asset, item.closed and item.closed.digest)
        for bin_id, item in (await serving.bins(list(bins))).items()
    }


async def test_it_goes_on_from_there_to_the_same_state_roots_and_refuses_what_was_spent(
    ledger: Ledger, serving: Database, joining: Database
) -> None:
    """BFT-12 section 11; a note spent before the snapshot cannot be spent after it."""
    await join(ledger, joining, honest(ledger, serving))
    chain = ledger.chain.fork()
    spent = [raw.nullifiers for sealed in ledger.blocks for raw in sealed.built.transactions]
    for sealed in long_chain(chain, 30, every=4):
        built = sealed.built
        await joining.apply_block(built.block, sealed.seal, built.transition, built.transactions)

    tip = await joining.load_tip()
    await IntegrityScrubber(chain.genesis, joining, lambda: tip.state.height, 100).walk()
    assert tip.state == chain.state
    assert tip.state.root() == chain.header.post_state_root
    assert (await joining.blocks(HEIGHTS + 1, 100))[-1].height == HEIGHTS + 30
    replayed = [item for sealed in ledger.blocks for item in sealed.built.transactions]
    facts = await joining.facts(facts_needed(replayed))
    assert facts.spent == {item for nullifiers in spent for item in nullifiers}
    assert facts.known_notes == {key for item in replayed for key in item.one_time_keys}
    assert facts.sealed_transactions == frozenset()


async def test_a_bank_that_joined_serves_a_snapshot_itself(
    ledger: Ledger, serving: Database, joining: Database, make_database_url: Callable[[], str]
) -> None:
    await join(ledger, joining, honest(ledger, serving))
    url = make_database_url()
    await migrate_async(url)
    async with opened(url, ledger.chain, BankIndex(0)) as third:
        joined = await join(ledger, third, honest(ledger, joining, JOINING))
        assert joined.source == JOINING
        assert await third.load_tip() == await serving.load_tip()
        assert await parts_of(ledger, third) == await parts_of(ledger, serving)


async def test_what_is_older_is_answered_with_where_to_ask(
    ledger: Ledger, serving: Database, joining: Database
) -> None:
    await join(ledger, joining, honest(ledger, serving))

    assert await joining.first_height() == HEIGHTS + 1
    for question in (
        joining.block_by_height(7),
        joining.block_by_id(ledger.blocks[6].built.block.block_id),
        joining.blocks(7, 10),
        joining.notes(0, 10),
        joining.nullifiers(0, 10),
        joining.notes_digest(7),
    ):
        with pytest.raises(BeforeSnapshot) as refused:
            await question
        assert refused.value.first_height == HEIGHTS + 1
    with pytest.raises(BeforeSnapshot, match="this bank joined by a snapshot of height 120"):
        await joining.block_by_height(7)
    assert (await joining.block_by_height(0)).height == 0
    assert (await joining.header_at(7)).height == 7


async def test_a_ledger_that_is_there_is_never_overwritten(
    ledger: Ledger, serving: Database, joining: Database
) -> None:
    first = ledger.blocks[0]
    built = first.built
    await joining.apply_block(built.block, first.seal, built.transition, built.transactions)
    with pytest.raises(NoSnapshot, match="a snapshot goes into an empty one only"):
        await join(ledger, joining, honest(ledger, serving))
    assert (await joining.load_tip()).state.height == 1


Lie = Callable[[list[SnapshotPart]], list[SnapshotPart]]


def changed(kind: type, change: Callable[..., SnapshotPart | None]) -> Lie:
    """Replace the first part of a kind, or leave it out."""

    def lie(parts: list[SnapshotPart]) -> list[SnapshotPart]:
        at = next(index for index, part in enumerate(parts) if isinstance(part, kind))
        replaced = change(parts[at])
        return [*parts[:at], *([] if replaced is None else [replaced]), *parts[at + 1 :]]

    return lie


def flipped(data: bytes, at: int = -1) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + (data[at + 1 :] if at != -1 else b"")


def tip_with(**fields: bytes) -> Lie:
    return changed(SnapshotStart, lambda part: replace(part, tip=replace(part.tip, **fields)))


def other_note(part: NotePart) -> NotePart:
    """A bit of one commitment: a forged amount."""
    first = part.notes[0]
    return NotePart((first._replace(output=flipped(first.output, 100)), *part.notes[1:]))


def other_treasury(part: TreasuryPart) -> TreasuryPart:
    return TreasuryPart((replace(part.rows[0], amount=part.rows[0].amount + 1), *part.rows[1:]))


def endless(parts: list[SnapshotPart]) -> list[SnapshotPart]:
    at = next(index for index, part in enumerate(parts) if isinstance(part, NotePart))
    return [*parts[: at + 1], *[parts[at]] * 1_000]


def set_change_with(change: Callable[[SetChange], SetChange | None]) -> Lie:
    def lie(part: SnapshotStart) -> SnapshotStart:
        changes = [changed for item in part.tip.set_changes if (changed := change(item))]
        return replace(part, tip=replace(part.tip, set_changes=tuple(changes)))

    return changed(SnapshotStart, lie)


def tip_seal(change: Callable[[bytes], bytes]) -> Lie:
    return changed(
        SnapshotStart,
        lambda part: replace(part, tip=replace(part.tip, seal=change(part.tip.seal))),
    )


def repeated_ballot(data: bytes) -> bytes:
    """One bank counted twice (BFT-12 section 17)."""
    seal = Seal.decode(data)
    return replace(seal, ballots=(seal.ballots[0], *seal.ballots[:-1])).encode()


LIES: dict[str, tuple[str, Lie]] = {
    "a change of the active set left out": ("seal", set_change_with(lambda item: None)),
    "a change of the active set that nobody sealed": (
        "seal",
        set_change_with(lambda item: replace(item, seal=flipped(item.seal))),
    ),
    "another active set": (
        "active-set",
        set_change_with(lambda item: replace(item, active_set=flipped(item.active_set))),
    ),
    "a seal with a false signature": ("seal", tip_seal(lambda seal: flipped(seal, 60))),
    "a seal without ballots": (
        "seal",
        tip_seal(lambda seal: replace(Seal.decode(seal), ballots=()).encode()),
    ),
    "a seal with a ballot twice": ("seal", tip_seal(repeated_ballot)),
    "a change whose seal has a false signature": (
        "seal",
        set_change_with(lambda item: replace(item, seal=flipped(item.seal, 60))),
    ),
    "a seal with a forged ballot": ("seal", tip_seal(flipped)),
    "no seal": ("seal", tip_with(seal=b"")),
    "another state": (
        "state",
        changed(
            SnapshotStart,
            lambda part: replace(part, tip=replace(part.tip, state=flipped(part.tip.state))),
        ),
    ),
    "another header": (
        "seal",
        changed(
            SnapshotStart,
            lambda part: replace(part, tip=replace(part.tip, header=flipped(part.tip.header, 70))),
        ),
    ),
    "a header left out": (
        "headers",
        changed(HeaderPart, lambda part: HeaderPart((*part.headers[:50], *part.headers[51:]))),
    ),
    "an altered header": (
        "headers",
        changed(
            HeaderPart,
            lambda part: HeaderPart(
                (*part.headers[:50], flipped(part.headers[50], 120), *part.headers[51:])
            ),
        ),
    ),
    "headers of another chain up to the tip": (
        "headers",
        changed(HeaderPart, lambda part: HeaderPart(other_headers(len(part.headers)))),
    ),
    "no headers": ("truncated", changed(HeaderPart, lambda part: None)),
    "headers beyond the tip": (
        "excess",
        changed(HeaderPart, lambda part: HeaderPart((*part.headers, part.headers[-1]))),
    ),
    "an altered note": ("notes", changed(NotePart, other_note)),
    "a missing note": ("truncated", changed(NotePart, lambda part: NotePart(part.notes[:-1]))),
    "two notes exchanged": (
        "notes",
        changed(NotePart, lambda part: NotePart((part.notes[1], part.notes[0], *part.notes[2:]))),
    ),
    "a note in another bin": (
        "notes",
        changed(
            NotePart,
            lambda part: NotePart((part.notes[0]._replace(bin_id=1 << 62), *part.notes[1:])),
        ),
    ),
    "a note twice": (
        "refused-by-database",
        changed(NotePart, lambda part: NotePart((part.notes[0], part.notes[0]))),
    ),
    "a missing nullifier": (
        "truncated",
        changed(NullifierPart, lambda part: NullifierPart(part.nullifiers[:-1])),
    ),
    "an altered nullifier": (
        "nullifiers",
        changed(
            NullifierPart,
            lambda part: NullifierPart((flipped(part.nullifiers[0]), *part.nullifiers[1:])),
        ),
    ),
    "another digest of a bin": (
        "closed-bins",
        changed(
            BinPart,
            lambda part: BinPart((part.bins[0]._replace(digest=bytes(32)), *part.bins[1:])),
        ),
    ),
    "a missing bin": ("truncated", changed(BinPart, lambda part: BinPart(part.bins[1:]))),
    "a larger fee": ("treasury", changed(TreasuryPart, other_treasury)),
    "a text that no database holds": (
        "refused-by-database",
        changed(
            TreasuryPart,
            lambda part: TreasuryPart((replace(part.rows[0], reason="\0"), *part.rows[1:])),
        ),
    ),
    "fewer treasury rows": (
        "truncated",
        changed(TreasuryPart, lambda part: TreasuryPart(part.rows[1:])),
    ),
    "more treasury rows": (
        "excess",
        changed(TreasuryPart, lambda part: TreasuryPart((*part.rows, part.rows[-1]))),
    ),
    "a truncated stream": ("truncated", lambda parts: parts[:3]),
    "nothing at all": ("order", lambda parts: []),
    "no tip": ("order", lambda parts: parts[1:]),
    "two tips": ("order", lambda parts: [parts[0], *parts]),
    "lists in another order": ("truncated", lambda parts: [parts[0], *parts[:0:-1]]),
    "an endless stream": ("excess", endless),
}


def other_headers(count: int) -> tuple[bytes, ...]:
    """A chain of its own from the same genesis, as long as the real one."""
    chain = Chain(make_genesis(banks=BANKS), seed="other")
    headers = []
    for _ in range(count):
        ballots = vouched(chain.parent_set, chain.header) if chain.height else ()
        built = chain.build(after_ms=999, ballots=ballots)
        chain.apply(built.block, built.transition)
        headers.append(built.block.header.encode())
    return tuple(headers)


@pytest.mark.parametrize("what", LIES)
async def test_a_lie_is_named_leaves_nothing_and_the_next_bank_is_asked(
    ledger: Ledger, serving: Database, joining: Database, joining_url: str, what: str
) -> None:
    fault, lie = LIES[what]
    liar = replaying(lie(await parts_of(ledger, serving)))
    with pytest.raises(NoSnapshot):
        await join(ledger, joining, liar)
    assert untouched(joining_url)

    joined = await join(ledger, joining, liar, honest(ledger, serving))
    assert [(item.bank, item.fault) for item in joined.attempts] == [(2, fault)]
    assert (await joining.load_tip()) == (await serving.load_tip())


async def test_a_bank_that_breaks_off_or_babbles_is_passed_over(
    ledger: Ledger, serving: Database, joining: Database
) -> None:
    parts = await parts_of(ledger, serving)

    def breaking(error: Exception) -> SnapshotSource:
        async def send(minimum_height: Height) -> AsyncGenerator[SnapshotPart, None]:
            for part in parts[:4]:
                yield part
            raise error

        return SnapshotSource(BankIndex(0), send)

    joined = await join(
        ledger,
        joining,
        breaking(PeerUnavailable("no part within 15 s")),
        breaking(PeerMisbehaved("notes: 5 bytes are no items of 308 bytes")),
        honest(ledger, serving),
    )
    assert joined.attempts == (
        Attempt(BankIndex(0), "unavailable", "no part within 15 s"),
        Attempt(BankIndex(0), "misbehaved", "notes: 5 bytes are no items of 308 bytes"),
    )


async def test_an_old_snapshot_is_of_no_use(
    ledger: Ledger, serving: Database, joining: Database
) -> None:
    old = replaying(await parts_of(ledger, serving))
    with pytest.raises(NoSnapshot, match="it is of height 120"):
        await join_by_snapshot(
            ledger.chain.genesis, joining, [old], minimum_height=Height(121), rounds=1
        )


async def test_only_so_many_snapshots_are_served_at_once(ledger: Ledger, serving: Database) -> None:
    server = SnapshotServer(ledger.chain.genesis, serving)
    under_way = [server.serve(Height(1)) for _ in range(2)]
    for parts in under_way:
        await anext(parts)
    with pytest.raises(Overloaded):
        await anext(server.serve(Height(1)))
    for parts in under_way:
        await parts.aclose()
    with pytest.raises(NotReady):
        await anext(server.serve(Height(HEIGHTS + 1)))


async def test_the_writer_refuses_a_second_ledger(
    ledger: Ledger, serving: Database, joining: Database
) -> None:
    await join(ledger, joining, honest(ledger, serving))
    with pytest.raises(StorageConflict):
        async with joining.installing_snapshot(SERVING):
            pass
