"""Verifying again from stored bytes: what a bank damaged, and what a quorum should have refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from crypto.merkle import merkle_root
from crypto.transaction import transaction_id
from node.ledger.blocks import Block
from node.ledger.invalidity import disprove
from node.ledger.rejection import Reason
from node.ledger.types import Height, TransactionId
from node.runtime.regulator.reverification import NobodyAnswers
from node.storage.errors import NotFound
from node.storage.regulator.records import Alarm, ReverificationResult
from node.wire.records import PublishedBlock
from tests.client.small_bank import certify
from tests.regulator.conftest import World


async def sealed_transfers(world: World) -> None:
    """Blocks 1 and 2 mint and mature notes, block 3 transfers one, block 4 records its vote."""
    chain = world.ledger.chain
    world.ledger.seal_matured(chain.mint([5_000] * 4))
    world.seal(chain.transfer([chain.mature()[0]]))
    world.seal()
    await world.follow()


async def test_section_18_a_block_is_verified_from_the_bytes_of_one_bank_after_another(
    world: World,
) -> None:
    await sealed_transfers(world)
    looks = [await world.reverifier.verify_again(Height(height)) for height in (1, 2, 3)]

    assert [(look.height, look.bank, look.result, look.transactions) for look in looks] == [
        (1, 0, ReverificationResult.CORRECT, 1),
        (2, 1, ReverificationResult.CORRECT, 0),
        (3, 0, ReverificationResult.CORRECT, 1),
    ]
    assert world.alarms == []
    assert await world.database.reverifications(10) == tuple(reversed(looks))


def other_transaction(block: PublishedBlock) -> PublishedBlock:
    raw = block.transactions[0]
    return replace(block, transactions=(raw[:-1] + bytes((raw[-1] ^ 1,)),))


def no_votes(block: PublishedBlock) -> PublishedBlock:
    return replace(block, block=replace(Block.decode(block.block), parent_ballots=()).encode())


def no_certificate(block: PublishedBlock) -> PublishedBlock:
    return replace(block, certificate=b"\0" * 48)


def other_header(block: PublishedBlock) -> PublishedBlock:
    return replace(block, header=block.header[:-1] + bytes((block.header[-1] ^ 1,)))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (other_transaction, "the transactions are not those that the block names"),
        (no_votes, "the voting record does not have the Merkle root of the header"),
        (no_certificate, "the ballot certificate is of another block"),
        (other_header, "the header is another one"),
    ],
)
async def test_stored_bytes_that_were_not_sealed_raise_an_alarm_about_the_bank(
    world: World, damage: Any, says: str
) -> None:
    await sealed_transfers(world)
    truth = world.ledger.blocks[3]
    shown = damage(truth)

    async def block_at(height: Height, include_transactions: bool) -> PublishedBlock:
        return shown if height == 3 else world.ledger.blocks[height]

    world.banks[0].block_at = block_at  # type: ignore[method-assign]
    last = await world.reverifier.verify_again(Height(3))

    assert (last.bank, last.result) == (1, ReverificationResult.CORRECT)
    (alarm,) = world.alarms
    assert (alarm.kind, alarm.bank, alarm.height) == ("bytes-differ", 0, 3)
    assert alarm.text.startswith(f"bank 0 does not show block 3 as it was sealed: {says}")
    looks = await world.database.reverifications(10)
    assert [(look.bank, look.result.value) for look in looks] == [
        (1, "correct"),
        (0, "bytes-differ"),
    ]


async def test_section_9_an_invalid_block_that_a_quorum_sealed_is_shown_to_everybody(
    world: World,
) -> None:
    """Ten of twelve who approve anything: no bank objects, but the regulator's alarm proves it."""
    chain = world.ledger.chain
    raw = chain.mint([5_000])
    forged = raw[:-1] + bytes((raw[-1] ^ 1,))
    built = chain.build()
    header = replace(
        built.block.header, transactions_root=merkle_root([forged]), transaction_count=1
    )
    block = replace(
        built.block,
        header=header,
        transaction_ids=(TransactionId(transaction_id(forged)),),
    )
    certificate = certify(header, chain.state.active_set(chain.genesis))
    world.ledger.blocks.append(
        PublishedBlock(header.encode(), block.encode(), certificate.encode(), (forged,))
    )
    for bank in world.banks:
        bank.lag = -1
    await world.follow()
    look = await world.reverifier.verify_again(Height(1))

    assert look.result is ReverificationResult.INVALID
    (alarm,) = world.alarms
    assert isinstance(alarm, Alarm)
    assert alarm.kind == "invalid"
    assert alarm.text.startswith("block 1 was sealed although it is invalid: transaction 0: ")
    assert alarm.proof is not None
    assert disprove(chain.genesis, header, alarm.proof) in set(Reason)


async def test_a_challenge_is_answered_once_and_repeated_only_by_a_new_one(world: World) -> None:
    world.seal()
    await world.follow()
    challenge = await world.database.add_challenge(Height(1), world.endpoints[1].bank, "odd")
    first = await world.reverifier.verify_again(Height(1), challenge)
    again = await world.reverifier.verify_again(Height(1), challenge)

    assert first == again
    assert first.challenge == challenge.challenge
    assert await world.database.unanswered_challenges() == ()
    assert len(await world.database.reverifications(10)) == 1


async def test_what_nobody_shows_waits(world: World) -> None:
    world.seal()
    await world.follow()
    with pytest.raises(NotFound):
        await world.reverifier.verify_again(Height(2))
    for server in world.servers:
        await server.stop(0)
    with pytest.raises(NobodyAnswers):
        await world.reverifier.verify_again(Height(1))
    assert await world.database.reverifications(10) == ()
