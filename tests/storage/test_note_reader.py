"""Notes, nullifiers and bins, read back."""

from __future__ import annotations

import pytest

from node.ledger import accumulators
from node.ledger.facts import BlockFacts, FactsNeeded, facts_needed
from node.ledger.types import TransactionId
from node.storage.database import Database
from node.storage.errors import IntegrityViolation, NotFound
from node.storage.records import StoredBin, StoredClosedBin, StoredNote, StoredNullifier
from tests.storage.conftest import Query, Story
from tests.storage.test_chain_reader import BEYOND


def known(facts: BlockFacts) -> tuple[object, ...]:
    """Facts by value; bins by what their digests commit to."""
    bins = {bin_id: closed.digest for bin_id, closed in facts.closed_bins.items()}
    return facts.spent, facts.known_notes, bins, facts.sealed_transactions


async def test_facts_are_those_of_the_chain(told_story: Database, story: Story) -> None:
    """Every transaction ever sealed collides with itself, and its bins are found."""
    transactions = [item for built in story.blocks for item in built.transactions]
    needed = facts_needed(transactions)

    found = await told_story.facts(needed)

    assert known(found) == known(story.chain.history.facts(needed))
    assert found.spent == frozenset(needed.nullifiers)
    assert found.sealed_transactions == frozenset(needed.transaction_ids)


async def test_absent_things_are_not_facts(told_story: Database) -> None:
    """Ids beyond what a table can hold are absent like any other."""
    needed = FactsNeeded(
        (bytes(96),), (bytes(96),), (77, BEYOND, 1 << 63), (TransactionId(bytes(32)),)
    )

    assert await told_story.facts(needed) == BlockFacts()
    assert await told_story.facts(FactsNeeded((), (), (), ())) == BlockFacts()


async def test_notes_in_ledger_order(told_story: Database, story: Story) -> None:
    expected = tuple(
        StoredNote(
            sequence=note.sequence,
            transaction_id=note.transaction_id,
            transaction_kind=item.kind,
            output_index=note.output_index,
            asset=note.asset,
            bin_id=note.bin_id,
            position=note.position,
            height=built.block.height,
            output=note.output.encode(),
        )
        for built in story.blocks
        for note in built.transition.notes
        for item in built.transactions
        if item.transaction_id == note.transaction_id
    )

    page = await told_story.notes(0, 5)
    rest = await told_story.notes(5, 1_000_000)

    assert page + rest == expected
    assert [note.sequence for note in expected] == list(range(len(expected)))
    assert await told_story.notes(BEYOND, 5) == ()


async def test_nullifiers_in_ledger_order(told_story: Database, story: Story) -> None:
    expected = tuple(
        StoredNullifier(sequence, spent.nullifier, spent.transaction_id, height)
        for sequence, (height, spent) in enumerate(
            (built.block.height, spent)
            for built in story.blocks
            for spent in built.transition.nullifiers
        )
    )

    assert await told_story.nullifiers(0, 2) == expected[:2]
    assert await told_story.nullifiers(2, 10) == expected[2:]


async def test_closed_bins_in_closing_order(told_story: Database, story: Story) -> None:
    records = [record for built in story.blocks for record in built.transition.closed_bins]

    assert await told_story.closed_bins(0, 100) == tuple(
        StoredClosedBin(
            sequence,
            record.bin.bin_id,
            record.bin.asset,
            record.bin.digest,
            record.bin.count,
            record.closed_at_height,
        )
        for sequence, record in enumerate(records)
    )
    assert {record.bin.count for record in records} > {16}, "a full bin and bins of age"


async def test_the_streams_have_the_accumulators_of_the_state(
    told_story: Database, story: Story
) -> None:
    """A wallet recomputes the sealed state's running hashes from what it is given."""
    notes = nullifiers = bins = accumulators.EMPTY
    for note in await told_story.notes(0, 1_000):
        notes = accumulators.add_note(
            notes,
            asset=note.asset,
            bin_id=note.bin_id,
            position=note.position,
            output_index=note.output_index,
            output=note.output,
        )
    for spent in await told_story.nullifiers(0, 1_000):
        nullifiers = accumulators.add_nullifier(nullifiers, spent.nullifier)
    for closed in await told_story.closed_bins(0, 1_000):
        bins = accumulators.add_closed_bin(
            bins, bin_id=closed.bin_id, count=closed.count, digest=closed.digest
        )

    state = story.chain.state
    assert (notes, nullifiers, bins) == (
        state.notes.accumulator,
        state.nullifiers.accumulator,
        state.closed_bins.accumulator,
    )


async def test_bins(told_story: Database, story: Story) -> None:
    records = [record for built in story.blocks for record in built.transition.closed_bins]
    (open_bin,) = [asset.open_bin for asset in story.chain.state.assets if asset.open_bin]

    found = await told_story.bins([*range(10), BEYOND])

    assert set(found) == {record.bin.bin_id for record in records} | {open_bin.bin_id}
    assert found[open_bin.bin_id] == StoredBin(
        open_bin.bin_id, story.genesis.base_asset.asset_id, None, None
    )
    for record in records:
        stored = found[record.bin.bin_id]
        assert stored.closed is not None
        assert stored.closed.notes == record.bin.notes
        assert (stored.closed.count, stored.closed.digest, stored.closed_at_height) == (
            record.bin.count,
            record.bin.digest,
            record.closed_at_height,
        )
    closed = await told_story.closed_bin(records[0].bin.bin_id)
    assert closed.digest == records[0].bin.digest
    for absent in (open_bin.bin_id, 77, BEYOND):
        with pytest.raises(NotFound, match=f"^no closed bin {absent}$"):
            await told_story.closed_bin(absent)


@pytest.mark.parametrize(
    ("tampering", "message"),
    [
        (
            "UPDATE notes SET commitment = set_byte(commitment, 0, 0) WHERE sequence = 0",
            "damaged row in notes at height 3: the notes of bin 0 do not have its digest",
        ),
        (
            "DELETE FROM notes WHERE sequence = 5",
            "damaged row in notes at height 3: bin 0 has 5 notes, not 6",
        ),
    ],
)
async def test_a_tampered_bin_is_noticed(
    tampering: str, message: str, full_database: Database, query: Query
) -> None:
    query(tampering)

    with pytest.raises(IntegrityViolation) as corrupt:
        await full_database.closed_bin(0)

    assert str(corrupt.value) == message
