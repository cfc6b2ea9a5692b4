"""The regulator executes every block again: what banks agree on by a defect is seen (BFT-12 18)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.client.errors import RecordsInvalid
from node.consensus.evidence_items import SealedInvalid, decode_item
from node.ledger.invalidity import disprove
from node.ledger.rejection import Reason
from node.ledger.state import LedgerState
from node.ledger.types import Height
from node.runtime.regulator.execution import KEPT_EVERY, carried_by_alarm
from node.storage.regulator.records import ReverificationResult
from tests.regulator.conftest import World
from tests.regulator.defective import (
    DEFECTS,
    seal_above_the_limit,
    seal_two_spends,
    seal_wrong_state,
)
from tests.regulator.test_reverification import sealed_transfers


async def catch_up(world: World) -> None:
    await world.follow()
    await world.executor._go_on()


async def test_section_18_execution_leads_to_the_state_that_every_header_names(
    world: World,
) -> None:
    await sealed_transfers(world)
    world.end_year()
    await catch_up(world)

    assert world.executor.height == world.ledger.height
    before = await world.executor.state_before(Height(world.ledger.height + 1))
    assert before is not None
    assert before.encode() == world.ledger.states[world.ledger.height]
    assert world.alarms == []


async def test_a_restart_goes_on_from_a_kept_state_and_leads_to_the_same(world: World) -> None:
    await sealed_transfers(world)
    await catch_up(world)
    await world.database.keep_state(Height(2), world.ledger.states[2])
    again = world.new_executor()
    await again.load()

    assert again.height == 2
    await again._go_on()
    assert again.height == world.ledger.height
    for height in range(1, world.ledger.height + 1):
        state = await again.state_before(Height(height))
        assert state is not None
        assert state.encode() == world.ledger.states[height - 1]


async def test_states_are_kept_before_drawn_blocks_until_they_were_verified(world: World) -> None:
    while not await world.database.drawn_pending(1):
        assert world.ledger.height < 60, "one block in ten is drawn"
        world.seal()
        await world.follow()
    world.seal()
    await catch_up(world)
    drawn = [item.height for item in await world.database.drawn_pending(30)]
    assert drawn
    rounded = [height - 1 for height in drawn if (height - 1) % KEPT_EVERY]
    assert [LedgerState.decode(raw).height for raw in await kept(world)] == [0, *rounded]

    for height in drawn:
        look = await world.reverifier.verify_again(height)
        assert (look.result, look.detail) == (ReverificationResult.CORRECT, "")
    assert [LedgerState.decode(raw).height for raw in await kept(world)] == [0]


async def kept(world: World) -> list[bytes]:
    found = {}
    for height in range(world.ledger.height + 1):
        state = await world.database.kept_state(Height(height))
        if state is not None:
            found[LedgerState.decode(state).height] = state
    return [found[height] for height in sorted(found)]


@pytest.mark.parametrize("name", [name for name in DEFECTS if name != "a false proof"])
async def test_section_9_a_wrong_outcome_is_told_and_accuses_whoever_created_the_block(
    world: World, name: str
) -> None:
    world.seal()
    DEFECTS[name](world.ledger)
    creator = world.ledger.chain.header.proposer
    world.seal()
    await catch_up(world)

    (alarm,) = world.alarms
    (waiting,) = await world.database.waiting_accusations()
    assert (alarm.kind, alarm.height, alarm.bank) == ("executed-wrongly", 2, None)
    assert alarm.text.startswith("block 2 was sealed although execution does not lead there: ")
    assert alarm.text.endswith(f"; evidence {waiting.evidence_id.hex()}")
    if name == "a wrong state":
        expected = LedgerState.decode(world.ledger.states[2]).root().hex()
        assert f"the header says {expected}, computed " in alarm.text
    item = decode_item(waiting.item)
    assert isinstance(item, SealedInvalid)
    assert (item.height, item.bank, waiting.bank) == (2, creator, creator)
    assert alarm.proof == carried_by_alarm(item.proof)


async def test_section_9_a_note_spent_in_two_blocks_accuses_whoever_created_the_second(
    world: World,
) -> None:
    seal_two_spends(world.ledger)
    await catch_up(world)

    assert world.executor.height == world.ledger.height == 6
    (alarm,) = world.alarms
    (waiting,) = await world.database.waiting_accusations()
    assert (alarm.kind, alarm.height) == ("spent-twice", 5)
    assert alarm.text.startswith(
        "block 5 was sealed although it spends a note that block 3 had spent: "
    )
    item = decode_item(waiting.item)
    assert isinstance(item, SealedInvalid)
    assert item.header.encode() == world.ledger.blocks[5].header
    assert disprove(world.ledger.chain.genesis, item.header, item.proof) is Reason.NULLIFIER

    again = world.new_executor()
    await again.load()
    await again._go_on()
    assert again.height == 6
    assert len(world.alarms) == 1


async def test_after_a_wrong_outcome_execution_goes_on_from_a_sealed_state(world: World) -> None:
    world.seal()
    seal_wrong_state(world.ledger)
    world.seal()
    await catch_up(world)
    assert world.executor.height == 1
    assert world.executor.has_reached(Height(9))
    await world.executor._go_on()

    assert world.executor.height == world.ledger.height
    world.seal(world.ledger.chain.mint([700]))
    await catch_up(world)
    assert world.executor.height == world.ledger.height
    assert len(world.alarms) == 1
    again = world.new_executor()
    await again.load()
    assert again.height == 3, "a restart does not meet the same block again"
    look = await world.reverifier.verify_again(Height(3))
    assert (look.result, look.detail) == (
        ReverificationResult.CORRECT,
        "it was not executed: the state before it is not known",
    )


async def test_blocks_that_were_not_sealed_are_not_executed(world: World) -> None:
    await sealed_transfers(world)
    for height in (1, 2):
        await world.executor.take(world.ledger.blocks[height])
    shown = world.ledger.blocks[3]
    raw = shown.transactions[0]
    with pytest.raises(RecordsInvalid):
        await world.executor.take(replace(shown, transactions=(raw[:-1] + bytes((raw[-1] ^ 1,)),)))
    with pytest.raises(RecordsInvalid):
        await world.executor.take(world.ledger.blocks[2])
    assert world.executor.height == 2
    await world.executor.take(shown)
    assert world.executor.height == 3
    assert world.alarms == []


async def test_section_18_a_challenged_block_is_executed_from_stored_bytes(world: World) -> None:
    """Also where the executor is not yet: from the nearest state that is kept."""
    world.seal()
    seal_above_the_limit(world.ledger)
    await world.follow()
    look = await world.reverifier.verify_again(Height(2))

    assert look.result is ReverificationResult.INVALID
    (waiting,) = await world.database.waiting_accusations()
    assert look.detail.startswith("transaction 0: issuance-limit: ")
    assert look.detail.endswith(f"; evidence {waiting.evidence_id.hex()}")
