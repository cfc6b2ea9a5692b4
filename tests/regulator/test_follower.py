"""Following the ledger: verified from the genesis on, counted by the sums of the ballots."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import Any

import pytest

from crypto.ballot_tally import EMPTY_SUM, add_ciphertexts
from node.client.errors import ActiveSetInvalid, HeaderInvalid, SealInvalid, VerificationError
from node.ledger.ballots import BallotCertificate, ballot_tag
from node.ledger.blocks import Block
from node.ledger.draw import is_drawn
from node.ledger.types import BankIndex, Height
from node.wire.records import PublishedBlock
from tests.client.small_bank import certify
from tests.ledger import booth
from tests.regulator.conftest import SEEDS, MakeWorld, World


async def test_section_18_blocks_are_followed_and_their_votes_counted(world: World) -> None:
    for _ in range(4):
        world.seal()
    await world.follow()

    tip = await world.database.tip()
    assert tip is not None
    assert (tip.height, tip.block_id) == (4, world.ledger.chain.header.block_id)
    assert (tip.approvals, tip.ciphertext_sum) == (None, None)
    year = world.year()
    # The first quorum of the set approves every block; the tip's vote is not recorded yet.
    assert await world.database.year_counts(year) == {BankIndex(bank): 3 for bank in range(4)}
    active = world.follower.active_set_at(Height(1))
    assert active is not None
    header = Block.decode(world.ledger.blocks[2].block).header
    expected = [item.ciphertext for item in booth.votes(active, header)]
    second = await world.database.block(Height(2))
    assert second.ciphertext_sum == add_ciphertexts(EMPTY_SUM, expected)
    assert (second.approvals, second.rejections) == (4, 0)


async def test_section_18_a_block_is_drawn_by_the_sealed_seed_of_its_year(world: World) -> None:
    for _ in range(12):
        world.seal()
    await world.follow()

    seed = SEEDS.seed(world.ledger.chain.genesis, world.year())
    blocks = [await world.database.block(Height(height)) for height in range(1, 13)]
    assert [block.drawn for block in blocks] == [is_drawn(seed, block.block_id) for block in blocks]
    assert any(block.drawn for block in blocks)
    drawn, done = await world.database.counts()
    assert (drawn, done) == (sum(block.drawn for block in blocks), 0)


async def test_a_restart_goes_on_where_it_was(world: World) -> None:
    world.seal()
    world.seal()
    await world.follow()
    world.seal()
    later = world.new_follower()
    await later.load()

    assert later.tip == world.follower.tip
    await later.take(world.ledger.blocks[3])
    assert later.tip.height == 3
    assert await world.database.year_counts(world.year()) == dict.fromkeys(range(4), 2)


def other_certificate(block: PublishedBlock, world: World) -> PublishedBlock:
    """The ballots of a quorum minus one."""
    certificate = BallotCertificate.decode(block.certificate)
    fewer = replace(certificate, ballots=certificate.ballots[1:])
    return replace(block, certificate=fewer.encode())


def other_parent(block: PublishedBlock, world: World) -> PublishedBlock:
    header = replace(Block.decode(block.block).header, parent_id=bytes(32))
    return replace(block, header=header.encode())


def repeated_ballot(block: PublishedBlock, world: World) -> PublishedBlock:
    certificate = BallotCertificate.decode(block.certificate)
    ballots = (certificate.ballots[0], *certificate.ballots[:-1])
    return replace(block, certificate=replace(certificate, ballots=ballots).encode())


def other_votes(block: PublishedBlock, world: World) -> PublishedBlock:
    """The voting record leaves a ballot out, under ballots that really certify the header."""
    decoded = Block.decode(block.block)
    fewer = replace(decoded, parent_ballots=decoded.parent_ballots[1:])
    return replace(block, block=fewer.encode())


@pytest.mark.parametrize(
    ("forge", "error"),
    [
        (other_certificate, SealInvalid),
        (repeated_ballot, SealInvalid),
        (other_parent, HeaderInvalid),
        (other_votes, SealInvalid),
    ],
)
async def test_section_17_what_no_quorum_sealed_is_refused(
    world: World, forge: Any, error: type[VerificationError]
) -> None:
    world.seal()
    world.seal()
    await world.follower.take(world.ledger.blocks[1])

    with pytest.raises(error):
        await world.follower.take(forge(world.ledger.blocks[2], world))
    assert world.follower.tip.height == 1
    await world.follower.take(world.ledger.blocks[2])


async def test_a_lying_bank_gets_an_alarm_and_is_passed_over(world: World) -> None:
    world.seal()
    world.seal()
    world.banks[0].forge["blocks"] = lambda block: other_certificate(block, world)
    running = asyncio.create_task(world.follower.run())
    await asyncio.wait_for(world.follower.advanced.wait(), 20)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running

    (alarm,) = world.alarms
    assert (alarm.kind, alarm.bank, alarm.height) == ("block-not-sealed", 0, 1)
    assert alarm.text.startswith("bank 0 shows a block that no quorum sealed: ")
    assert await world.database.alarms(10) == (alarm,)


async def test_certificates_of_other_ballots_than_the_record_are_followed(world: World) -> None:
    """Valid seals of one block differ from bank to bank; a later view seals it too."""
    world.seal()
    active = world.follower.active_set_at(Height(1))
    assert active is not None
    block = world.ledger.blocks[1]
    certificate = certify(Block.decode(block.block).header, active, view=1)
    await world.follower.take(replace(block, certificate=certificate.encode()))
    assert world.follower.tip.height == 1
    world.seal()
    await world.follow()
    assert world.follower.tip.height == 2
    tags = [ballot_tag(raw) for raw in Block.decode(world.ledger.blocks[2].block).parent_ballots]
    assert [await world.database.height_of_tag(tag) for tag in tags] == [1] * len(tags)


async def test_section_10_the_set_that_decides_next_is_known_from_its_hash(world: World) -> None:
    """A bank that has just removed another need not show the new set for a block to be taken."""
    genesis = world.ledger.chain.genesis
    built = world.ledger.chain.build()
    everybody = genesis.active_set([bank.index for bank in genesis.banks])
    header = replace(built.block.header, next_set_hash=bytes(32))
    block = replace(built.block, header=header)
    certificate = certify(header, everybody)
    with pytest.raises(ActiveSetInvalid, match="no banks of the genesis make the set"):
        await world.follower.take(
            PublishedBlock(header.encode(), block.encode(), certificate.encode())
        )


async def test_section_10_banks_leave_and_return_in_what_is_followed(make_world: MakeWorld) -> None:
    world = await make_world(banks=6)
    genesis = world.ledger.chain.genesis
    fewer = genesis.active_set([BankIndex(bank) for bank in (0, 1, 3, 5)])
    header = replace(world.ledger.chain.build().block.header, next_set_hash=fewer.set_hash)
    block = replace(world.ledger.chain.build().block, header=header)
    everybody = genesis.active_set([bank.index for bank in genesis.banks])
    published = PublishedBlock(header.encode(), block.encode(), certify(header, everybody).encode())
    await world.follower.take(published)

    assert world.follower.active_set_at(Height(1)) == everybody
    assert world.follower.active_set_at(Height(2)) == fewer
    assert world.follower.active_set_at(Height(3)) is None
    again = world.new_follower()
    await again.load()
    assert again.active_set_at(Height(2)) == fewer
