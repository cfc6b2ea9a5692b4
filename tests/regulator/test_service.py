"""The regulator's own service, over its server and with every role; and a bank's SubmitEvidence."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from node.client.connection import ClientCredentials
from node.client.errors import (
    AccessDenied,
    LedgerError,
    LedgerOverloaded,
    LedgerUnavailable,
    RecordNotFound,
    RequestInvalid,
)
from node.client.regulator_client import RegulatorClient, SupervisionClient
from node.ledger.types import BankIndex, Height
from node.rpc.credentials import TlsFiles
from node.rpc.gate import Admittance
from node.rpc.regulator_server import serve_regulator
from node.runtime.regulator.backend import CHALLENGES_PER_HOUR, HOUR_MS, RegulatorBackend
from node.storage.regulator.records import Alarm
from node.wire.regulator_records import ChallengeCounts, RegulatorAlarm
from tests.regulator.conftest import BANKS, CONSORTIUM, World
from tests.regulator.defective import seal_wrong_state

Connect = Callable[[str], RegulatorClient]


@pytest_asyncio.fixture
async def connect(world: World, tls: Path) -> AsyncIterator[Connect]:
    """Connects to the regulator in a party's name."""
    backend = RegulatorBackend(
        world.ledger.chain.genesis,
        world.database,
        world.follower,
        world.executor,
        world.reverifier,
        world.settling,
        world.clock.ms,
        opener_is_split=False,
    )
    server = await serve_regulator(
        backend,
        TlsFiles(tls / "regulator"),
        "127.0.0.1:0",
        Admittance(CONSORTIUM, banks=[BankIndex(bank) for bank in range(BANKS)]),
    )
    clients: list[RegulatorClient] = []

    def connected(party: str) -> RegulatorClient:
        credentials = ClientCredentials.load(tls / party)
        clients.append(RegulatorClient(f"127.0.0.1:{server.port}", credentials))
        return clients[-1]

    yield connected
    for client in clients:
        await client.close()
    await server.stop(0)


async def test_everybody_reads_what_the_regulator_found(world: World, connect: Connect) -> None:
    world.seal()
    world.seal()
    await world.follow()
    alarm = Alarm("bytes-differ", "bank 1 lies", BankIndex(1), Height(1), b"p", world.clock.ms())
    await world.raise_alarm(alarm)
    await world.database.audit("opening-refused", "officer/olga", {"why": "no reason"})

    for party in ("client", "bank-3", "operator", "regulator"):
        client = connect(party)
        status = await client.status()
        assert (status.height, status.alarms, status.openings, status.challenges) == (2, 1, 0, 0)
        assert status.chain_id == world.ledger.chain.genesis.chain_id
        assert await client.alarms() == (
            RegulatorAlarm(
                "bytes-differ", "bank 1 lies", BankIndex(1), Height(1), b"p", world.clock.ms()
            ),
        )
        (opening,) = await client.openings()
        assert (opening.action, opening.event_data) == (
            "opening-refused",
            '{"why":"no reason"}',
        )


async def test_section_9_everybody_reads_how_many_invalid_blocks_were_found(
    world: World, connect: Connect
) -> None:
    seal_wrong_state(world.ledger)
    world.seal()
    await world.follow()
    for block in world.ledger.blocks[1:]:
        await world.executor.take(block)
        if world.alarms:
            break
    for waiting in (1, 0):
        status = await connect("client").status()
        assert (status.executed_height, status.accusations) == (0, 1)
        assert status.waiting_accusations == waiting
        await world.accusations.hand_in()


async def test_idx_64_a_bank_challenges_a_block_and_learns_what_came_of_it(
    world: World, connect: Connect
) -> None:
    world.seal()
    await world.follow()
    outcome = await connect("bank-2").challenge(Height(1), "our copy looks odd")

    assert (outcome.challenge, outcome.outcome.height, outcome.outcome.result) == (1, 1, "correct")
    (challenge,) = await world.database.challenges(5)
    assert (challenge.height, challenge.challenged_by, challenge.reason) == (
        1,
        2,
        "our copy looks odd",
    )
    assert await connect("client").reverifications() == (outcome.outcome,)
    status = await connect("client").status()
    assert status.challenges == 1
    assert status.challenge_counts == (ChallengeCounts(BankIndex(2), 0, 1, 0),)


@pytest.mark.parametrize("party", ["client", "operator", "regulator"])
async def test_nobody_but_a_bank_challenges(world: World, connect: Connect, party: str) -> None:
    world.seal()
    await world.follow()
    with pytest.raises(AccessDenied):
        await connect(party).challenge(Height(1), "odd")
    assert await world.database.challenges(5) == ()


async def test_challenges_are_limited_bank_by_bank(world: World, connect: Connect) -> None:
    world.seal()
    await world.follow()
    for _ in range(CHALLENGES_PER_HOUR):
        await world.database.add_challenge(Height(1), BankIndex(1), "again")
    with pytest.raises(LedgerOverloaded) as refused:
        await connect("bank-1").challenge(Height(1), "again")
    assert refused.value.reason_code == "challenges"
    await connect("bank-2").challenge(Height(1), "first")
    world.clock.now += HOUR_MS + 1
    await connect("bank-1").challenge(Height(1), "an hour later")


Ask = Callable[[RegulatorClient], Awaitable[object]]


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        (lambda client: client.challenge(Height(9), "odd"), RecordNotFound),
        (lambda client: client.challenge(Height(0), "odd"), RequestInvalid),
        (lambda client: client.challenge(Height(1), ""), RequestInvalid),
        (lambda client: client.challenge(Height(1), "x" * 501), RequestInvalid),
        (lambda client: client.alarms(101), RequestInvalid),
    ],
)
async def test_requests_that_make_no_sense_are_refused(
    connect: Connect, ask: Ask, error: type[LedgerError]
) -> None:
    with pytest.raises(error):
        await ask(connect("bank-1"))


async def test_no_bank_poses_as_the_regulator(world: World, tls: Path) -> None:
    address = world.endpoints[0].address
    async with RegulatorClient(address, ClientCredentials.load(tls / "client")) as client:
        with pytest.raises(LedgerUnavailable):
            await client.status()


async def test_evidence_is_taken_from_the_regulator_alone(world: World, tls: Path) -> None:
    for party, refused in (("regulator", False), ("bank-1", True), ("client", True)):
        client = SupervisionClient(world.endpoints[0], ClientCredentials.load(tls / party))
        if refused:
            with pytest.raises(AccessDenied):
                await client.submit_evidence(b"item")
        else:
            assert len(await client.submit_evidence(b"item")) == 32
        await client.close()
    client = SupervisionClient(world.endpoints[0], world.credentials)
    with pytest.raises(LedgerError) as proves_nothing:
        await client.submit_evidence(b"\0nothing")
    assert proves_nothing.value.reason_code == "evidence"
    await client.close()
    assert world.supervision[0].taken == [b"item"]
