"""Openings: proven to anybody from the genesis alone, and never without a row of the audit log."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crypto.ballot import BallotKey
from crypto.ballot_opening import open_partially
from crypto.opener_shares import split_opener
from node.ledger.ballots import ballot_tag
from node.ledger.blocks import Block
from node.ledger.types import Height
from node.runtime.regulator.openings import (
    OpeningDocumentInvalid,
    OpeningRefused,
    verify_opening_document,
)
from tests.ledger import booth
from tests.ledger.settling import OPENER
from tests.regulator.conftest import World

ACTOR = "officer/olga"


async def recorded_tag(world: World, bank: int, height: int = 1) -> bytes:
    """The tag of a bank's ballot on a block, recorded by the next one."""
    while world.ledger.height <= height:
        world.seal()
    await world.follow()
    active = world.follower.active_set_at(Height(height))
    assert active is not None
    header = Block.decode(world.ledger.blocks[height].block).header
    return ballot_tag(booth.cast(active, header, bank))


async def opened_document(world: World, bank: int) -> dict[str, Any]:
    tag = await recorded_tag(world, bank)
    opened = await world.desk.open(
        tag, reason="a court order", order="17/2026", actor=ACTOR, opener=OPENER
    )
    document = opened.to_json_object(world.ledger.chain.genesis)
    return json.loads(json.dumps(document))  # type: ignore[no-any-return]


async def test_idx1_section_9_7_an_opening_names_the_bank_and_proves_it_offline(
    world: World,
) -> None:
    document = await opened_document(world, 2)

    assert verify_opening_document(world.ledger.chain.genesis, document) == 2
    assert (document["bank"], document["bank_name"], document["decision"], document["height"]) == (
        2,
        "Bank 2",
        "approve",
        1,
    )
    (row,) = await world.database.audit_rows()
    said = json.loads(row.event_data)
    assert (row.action, row.actor) == ("opening", ACTOR)
    assert {name: said[name] for name in ("tag", "reason", "order", "bank", "opening")} == {
        "tag": document["tag"],
        "reason": "a court order",
        "order": "17/2026",
        "bank": 2,
        "opening": document["opening"],
    }


FALSE: list[tuple[str, Any]] = [
    ("bank", 1),
    ("bank_name", "Bank 1"),
    ("height", 2),
    ("view", 1),
    ("decision", "reject"),
    ("tag", "00" * 96),
    ("block_id", "00" * 32),
    ("chain_id", "00" * 32),
    ("format", "consortium/opening/2"),
    ("set_changes", [{"header": "", "certificate": "", "active_set": ""}]),
    ("opening", "01" + "00" * 64),
    ("opening", "zz"),
    ("ballot", ""),
    ("view", 1 << 40),
]


async def test_whatever_is_changed_in_an_opening_is_noticed(world: World) -> None:
    genuine = await opened_document(world, 2)
    genesis = world.ledger.chain.genesis
    for name, value in FALSE:
        with pytest.raises(OpeningDocumentInvalid):
            verify_opening_document(genesis, {**genuine, name: value})
        lacking = {key: held for key, held in genuine.items() if key != name}
        with pytest.raises(OpeningDocumentInvalid):
            verify_opening_document(genesis, lacking)
    named_another = bytes((1,)) + bytes.fromhex(genuine["opening"])[1:]
    with pytest.raises(OpeningDocumentInvalid):
        verify_opening_document(genesis, {**genuine, "opening": named_another.hex(), "bank": 1})


@pytest.mark.parametrize(
    ("reason", "opener", "why"),
    [
        ("", OPENER, "a reason of 1 to 500 characters is required"),
        ("x" * 501, OPENER, "a reason of 1 to 500 characters is required"),
        ("order", None, "the opener's key is split"),
        ("order", BallotKey(7), "the key is not the opener of the ballot's ring"),
        ("order", (), "0 partials are outside 1 .. 16"),
    ],
)
async def test_idx_75_a_refusal_to_open_is_a_row_too(
    world: World, reason: str, opener: Any, why: str
) -> None:
    tag = await recorded_tag(world, 0)
    with pytest.raises(OpeningRefused, match=why.replace(".", r"\.")):
        await world.desk.open(tag, reason=reason, order="", actor=ACTOR, opener=opener)

    (row,) = await world.database.audit_rows()
    assert row.action == "opening-refused"
    assert json.loads(row.event_data)["why"].startswith(why)


async def test_a_tag_that_no_block_records_is_not_opened(world: World) -> None:
    await recorded_tag(world, 0)
    with pytest.raises(OpeningRefused, match="no block that was followed records a ballot"):
        await world.desk.open(bytes(96), reason="order", order="", actor=ACTOR, opener=OPENER)
    assert [row.action for row in await world.database.audit_rows()] == ["opening-refused"]


async def test_a_bank_that_shows_another_block_opens_nothing(world: World) -> None:
    tag = await recorded_tag(world, 0)

    async def other_block(height: Height, include_transactions: bool) -> Any:
        return world.ledger.blocks[1]

    for bank in world.banks:
        bank.block_at = other_block  # type: ignore[method-assign]
    with pytest.raises(OpeningRefused, match="the bank shows another block than the sealed one"):
        await world.desk.open(tag, reason="order", order="", actor=ACTOR, opener=OPENER)


async def test_two_of_three_officers_open_together_and_one_alone_does_not(world: World) -> None:
    tag = await recorded_tag(world, 3)
    genesis = world.ledger.chain.genesis
    ballot = (await world.desk.locate(tag)).collect(genesis)
    parts = [open_partially(ballot, share) for share in split_opener(OPENER, 2, 3)]

    with pytest.raises(OpeningRefused):
        await world.desk.open(tag, reason="order", order="", actor=ACTOR, opener=parts[:1])
    opened = await world.desk.open(
        tag, reason="order", order="", actor=ACTOR, opener=[parts[2], parts[0]]
    )
    assert verify_opening_document(genesis, opened.to_json_object(genesis)) == 3
    assert [row.action for row in await world.database.audit_rows()] == [
        "opening-refused",
        "opening",
    ]
