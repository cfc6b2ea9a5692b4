"""BFT-12 section 17: a bank verifies a ballot once, whatever for, and remembers no bad one."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from node.consensus.signatures import RingBallotSigner
from node.ledger.active_set import ActiveSet
from node.ledger.ballots import VerifiedBallot
from node.ledger.genesis import Genesis
from node.ledger.rejection import Reason
from node.ledger.state import genesis_header, genesis_state
from node.ledger.types import BlockId, Height, View
from node.runtime.ballot_verdicts import BallotVerdict, BallotVerdicts
from tests.ledger.chain import ballot_key, make_genesis

HEIGHT = Height(7)
VIEW = View(2)
BLOCK = BlockId(b"\x07" * 32)


@pytest.fixture(scope="module")
def genesis() -> Genesis:
    return make_genesis(banks=4)


@pytest.fixture(scope="module")
def active_set(genesis: Genesis) -> ActiveSet:
    return genesis_state(genesis).active_set(genesis)


@pytest.fixture(scope="module")
def ballots(genesis: Genesis, active_set: ActiveSet) -> list[bytes]:
    return [cast(genesis, active_set, bank) for bank in range(4)]


def cast(genesis: Genesis, active_set: ActiveSet, bank: int, view: View = VIEW) -> bytes:
    signer = RingBallotSigner(ballot_key(bank), genesis.chain_id)
    return signer.sign_ballot(active_set, HEIGHT, view, BLOCK, approve=True)


def changed(ballot: bytes) -> bytes:
    return ballot[:-1] + bytes([ballot[-1] ^ 1])


def shown(verdicts: tuple[BallotVerdict, ...]) -> list[bytes | Reason]:
    return [item.raw if isinstance(item, VerifiedBallot) else item.reason for item in verdicts]


async def verify(
    verdicts: BallotVerdicts, ballots: list[bytes], active_set: ActiveSet, view: View = VIEW
) -> list[bytes | Reason]:
    return shown(await verdicts.verify(ballots, height=HEIGHT, view=view, active_set=active_set))


async def test_section_17_a_ballot_is_verified_once_for_seal_and_record(
    genesis: Genesis, active_set: ActiveSet, ballots: list[bytes]
) -> None:
    verdicts = BallotVerdicts(genesis.chain_id)
    first = verify(verdicts, ballots[:3], active_set)
    again = verify(verdicts, [*ballots[:3], ballots[0]], active_set)
    assert await asyncio.gather(first, again) == [ballots[:3], [*ballots[:3], ballots[0]]]
    parent = replace(genesis_header(genesis), height=HEIGHT)
    about = await verdicts.verify_about(ballots, parent, active_set)
    assert shown(about) == ballots
    assert verdicts.judged_ever == 4


async def test_bad_ballots_are_named_and_judged_every_time(
    genesis: Genesis, active_set: ActiveSet, ballots: list[bytes]
) -> None:
    verdicts = BallotVerdicts(genesis.chain_id)
    bad = changed(ballots[1])
    expected = [ballots[0], Reason.BALLOT, ballots[2]]
    assert await verify(verdicts, [ballots[0], bad, ballots[2]], active_set) == expected
    assert verdicts.judged_ever == 3
    assert await verify(verdicts, [ballots[0], bad, ballots[2]], active_set) == expected
    assert verdicts.judged_ever == 4


async def test_a_known_ballot_is_still_bad_in_another_view(
    genesis: Genesis, active_set: ActiveSet, ballots: list[bytes]
) -> None:
    verdicts = BallotVerdicts(genesis.chain_id)
    assert await verify(verdicts, ballots[:1], active_set) == ballots[:1]
    assert await verify(verdicts, ballots[:1], active_set, View(3)) == [Reason.CONTEXT]
    parent = replace(genesis_header(genesis), height=Height(8))
    assert shown(await verdicts.verify_about(ballots[:1], parent, active_set)) == [Reason.CONTEXT]
    assert await verify(verdicts, ballots[:1], active_set) == ballots[:1]


async def test_a_known_ballot_is_still_bad_under_another_set(
    genesis: Genesis, active_set: ActiveSet, ballots: list[bytes]
) -> None:
    """Section 10: a certificate of a height is judged under the set of that height alone."""
    other = genesis.active_set([bank for bank in active_set.banks if bank != 3])
    verdicts = BallotVerdicts(genesis.chain_id)
    assert await verify(verdicts, ballots[:1], active_set) == ballots[:1]
    refused = await verify(verdicts, ballots[:1], other)
    assert isinstance(refused[0], Reason)
    assert verdicts.judged_ever == 2


async def test_only_so_many_are_kept(
    genesis: Genesis, active_set: ActiveSet, ballots: list[bytes]
) -> None:
    verdicts = BallotVerdicts(genesis.chain_id, kept=2)
    await verify(verdicts, ballots[:3], active_set)
    assert await verify(verdicts, ballots[1:3], active_set) == ballots[1:3]
    assert verdicts.judged_ever == 3
    assert await verify(verdicts, ballots[:1], active_set) == ballots[:1]
    assert verdicts.judged_ever == 4
