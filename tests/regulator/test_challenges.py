"""Challenges (IDX-64): whose bytes answer them, and what is counted of them bank by bank."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.ledger.types import BankIndex, Height
from node.runtime.regulator.reverification import NobodyAnswers
from node.storage.regulator.database import RegulatorDatabase
from node.storage.regulator.records import ChallengeCounts, Reverification, ReverificationResult
from node.wire.records import PublishedBlock
from tests.regulator.conftest import WatchedBank, World
from tests.regulator.test_database import block


def show_another_header(world: World, bank: WatchedBank) -> None:
    async def block_at(height: Height, include_transactions: bool) -> PublishedBlock:
        truth = world.ledger.blocks[height]
        return replace(truth, header=truth.header[:-1] + bytes((truth.header[-1] ^ 1,)))

    bank.block_at = block_at  # type: ignore[method-assign]


@pytest.mark.parametrize("challenger", [0, 1])
async def test_idx_64_a_challenge_is_verified_with_bytes_of_another_bank(
    world: World, challenger: int
) -> None:
    world.seal()
    await world.follow()
    for _ in range(3):
        challenge = await world.database.add_challenge(Height(1), BankIndex(challenger), "odd")
        look = await world.reverifier.verify_again(Height(1), challenge)
        assert (look.bank, look.result) == (1 - challenger, ReverificationResult.CORRECT)


async def test_idx_64_the_challenger_is_looked_at_once_another_bank_shows_other_bytes(
    world: World,
) -> None:
    world.seal()
    await world.follow()
    show_another_header(world, world.banks[1])
    challenge = await world.database.add_challenge(Height(1), BankIndex(0), "bank 1 looks odd")
    await world.reverifier.verify_again(Height(1), challenge)

    looks = await world.database.reverifications(5)
    assert [(look.bank, look.result.value) for look in reversed(looks)] == [
        (1, "bytes-differ"),
        (0, "correct"),
    ]
    assert await world.database.challenge_counts() == (ChallengeCounts(BankIndex(0), 1, 0, 0),)


async def test_idx_64_the_challenger_alone_answers_nothing_and_drawn_blocks_go_on(
    world: World,
) -> None:
    world.seal()
    await world.follow()
    await world.servers[1].stop(0)
    challenge = await world.database.add_challenge(Height(1), BankIndex(0), "odd")
    with pytest.raises(NobodyAnswers, match="no bank shows block 1 but the one that challenges it"):
        await world.reverifier.verify_again(Height(1), challenge)

    assert await world.database.reverifications(5) == ()
    assert await world.database.unanswered_challenges() == (challenge,)
    assert (await world.reverifier.verify_again(Height(1))).bank == 0
    assert await world.database.challenge_counts() == (ChallengeCounts(BankIndex(0), 0, 0, 1),)


async def test_idx_64_counts_are_those_of_the_rows(database: RegulatorDatabase) -> None:
    """A challenge is honest if any look that it led to found something wrong."""
    found = block(1)

    async def challenge_of(bank: int, *results: str) -> None:
        challenge = await database.add_challenge(Height(1), BankIndex(bank), "odd")
        for result in results:
            await database.add_reverification(
                Reverification(
                    height=found.height,
                    block_id=found.block_id,
                    fiscal_year=found.fiscal_year,
                    challenge=challenge.challenge,
                    bank=BankIndex(3),
                    result=ReverificationResult(result),
                    detail="",
                    transactions=0,
                    time_ms=challenge.time_ms,
                )
            )

    assert await database.challenge_counts() == ()
    await challenge_of(2, "correct")
    await challenge_of(2, "bytes-differ", "correct")
    await challenge_of(0, "correct")
    await challenge_of(2, "invalid")
    await challenge_of(0)
    await challenge_of(0, "correct")
    assert await database.challenge_counts() == (
        ChallengeCounts(BankIndex(0), honest=0, malicious=2, open=1),
        ChallengeCounts(BankIndex(2), honest=2, malicious=1, open=0),
    )
