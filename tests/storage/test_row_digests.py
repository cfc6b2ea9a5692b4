"""A bank never signs on top of rows that are not what it wrote (BFT-12 D1)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.ledger.types import Height, View
from node.storage.database import Database
from node.storage.errors import BodyMissing, IntegrityViolation
from tests.storage.conftest import BANK, Query, Story, apply_story, small_config
from tests.storage.test_journal import bodies_of

TIP = Height(3)
NEXT = Height(4)

FLIP = "UPDATE {0} SET {1} = set_byte({1}, 9, get_byte({1}, 9) # 16)"

DAMAGE = [
    pytest.param(
        FLIP.format("blocks", "header") + " WHERE block_number = 3",
        ("blocks", 3, "the header of the tip is not what this bank wrote"),
        id="header",
    ),
    pytest.param(
        FLIP.format("blocks", "contents") + " WHERE block_number = 3",
        ("blocks", 3, "the list of the tip's transactions is not what this bank wrote"),
        id="lists",
    ),
    pytest.param(
        FLIP.format("blocks", "seal") + " WHERE block_number = 3",
        ("blocks", 3, "the seal of the tip is not what this bank wrote"),
        id="seal",
    ),
    pytest.param(
        FLIP.format("ledger_state", "state"),
        ("ledger_state", 3, "the state is not what this bank wrote"),
        id="state",
    ),
    pytest.param(
        "DELETE FROM ledger_state",
        ("ledger_state", 3, "the name of the tip is missing"),
        id="state row gone",
    ),
    pytest.param(
        "UPDATE ledger_state SET block_hash = previous_hash FROM blocks WHERE block_number = 3",
        ("ledger_state", 3, "the name of the tip is not what this bank wrote"),
        id="another tip",
    ),
    pytest.param(
        FLIP.format("consensus_record", "record"),
        ("consensus_record", 4, "the consensus record is not what this bank wrote"),
        id="consensus record",
    ),
    pytest.param(
        "DELETE FROM consensus_record",
        ("consensus_record", 4, "the consensus record is missing"),
        id="consensus record gone",
    ),
    pytest.param(
        FLIP.format("consensus_bodies", "block"),
        ("consensus_bodies", 4, "a block held for a vote is not what this bank wrote"),
        id="held block",
    ),
]


def place(violation: IntegrityViolation) -> tuple[str, int | None, str]:
    return violation.table, violation.height, violation.detail


async def vote(database: Database, story: Story) -> None:
    """Sign something about the fourth block."""
    block = story.blocks[TIP].block
    await database.persist_consensus(
        b"first record", NEXT, View(0), 1, (block,), bodies_of(story, 4)
    )


@pytest.mark.parametrize(("damage", "expected"), DAMAGE)
async def test_d1_nothing_is_written_for_a_signature_on_damaged_rows(
    damage: str, expected: tuple[str, int, str], database: Database, story: Story, query: Query
) -> None:
    told: list[IntegrityViolation] = []
    database._on_violation = told.append
    await apply_story(database, story, through=TIP)
    await vote(database, story)
    query(damage)
    before = query("SELECT height, view, step, record, digest FROM consensus_record")

    with pytest.raises(IntegrityViolation) as refused:
        await database.persist_consensus(b"second record", NEXT, View(0), 2)

    assert place(refused.value) == expected
    assert told == [refused.value]
    assert query("SELECT height, view, step, record, digest FROM consensus_record") == before


@pytest.mark.parametrize(("damage", "expected"), DAMAGE)
async def test_p7_no_block_is_applied_on_damaged_rows(
    damage: str, expected: tuple[str, int, str], database: Database, story: Story, query: Query
) -> None:
    await apply_story(database, story, through=TIP)
    await vote(database, story)
    query(damage)
    fourth = story.blocks[TIP]

    with pytest.raises(IntegrityViolation) as refused:
        await database.apply_block(fourth.block, b"seal", fourth.transition, fourth.transactions)

    assert place(refused.value) == expected
    assert query("SELECT max(block_number) FROM blocks") == [(3,)]


async def test_rows_that_are_read_again_after_a_failure_are_held_to_what_was_written(
    database: Database, story: Story, query: Query
) -> None:
    """Who changes a seal can change the digest beside it, but this process wrote another."""
    await apply_story(database, story, through=TIP)
    block = story.blocks[TIP].block
    with pytest.raises(BodyMissing):
        await database.persist_consensus(b"first record", NEXT, View(0), 1, (block,), {})
    query(FLIP.format("blocks", "seal") + " WHERE block_number = 3")
    query("UPDATE blocks SET seal_digest = sha256(seal)")

    with pytest.raises(IntegrityViolation) as refused:
        await vote(database, story)

    assert place(refused.value) == ("blocks", 3, "the seal of the tip is not what this bank wrote")


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (
            FLIP.format("ledger_state", "state"),
            ("ledger_state", 3, "the state does not have the root that the header names"),
        ),
        (
            FLIP.format("blocks", "header") + " WHERE block_number = 3",
            ("blocks", 3, "the header does not have the block's hash"),
        ),
        (
            FLIP.format("blocks", "seal") + " WHERE block_number = 3",
            ("blocks", 3, "the seal does not have the digest stored with it"),
        ),
        (
            FLIP.format("consensus_record", "record"),
            ("consensus_record", 4, "the record does not have the digest stored with it"),
        ),
        (
            "UPDATE consensus_bodies SET block = substr(block, 1, 40)",
            ("consensus_bodies", 4, "a held block does not decode: "),
        ),
        (
            FLIP.format("consensus_bodies", "block").replace("9", "40"),
            ("consensus_bodies", 4, "a held block has another hash"),
        ),
    ],
)
async def test_d3_a_restarted_bank_does_not_sign_on_damaged_rows(
    damage: str,
    expected: tuple[str, int, str],
    database: Database,
    migrated_url: str,
    story: Story,
    query: Query,
) -> None:
    await apply_story(database, story, through=TIP)
    await vote(database, story)
    await database.close()
    query(damage)
    told: list[IntegrityViolation] = []
    again = await Database.open(
        replace(small_config(migrated_url), lock_wait_s=5),
        genesis=story.genesis,
        bank=BANK,
        on_violation=told.append,
    )

    with pytest.raises(IntegrityViolation) as refused:
        await again.persist_consensus(b"second record", NEXT, View(0), 2)

    await again.close()
    assert place(refused.value)[:2] == expected[:2]
    assert refused.value.detail.startswith(expected[2])
    assert told == [refused.value]


async def test_findings_outlive_a_restart(
    database: Database, migrated_url: str, story: Story
) -> None:
    assert await database.findings() == ()
    await database.add_finding(IntegrityViolation("blocks", 7, "the seal: signature"))
    await database.add_finding(IntegrityViolation("ledger_state", None, "the row is missing"))
    await database.close()

    again = await Database.open(
        replace(small_config(migrated_url), lock_wait_s=5), genesis=story.genesis, bank=BANK
    )

    assert [place(item) for item in await again.findings()] == [
        ("blocks", 7, "the seal: signature"),
        ("ledger_state", None, "the row is missing"),
    ]
    await again.close()
