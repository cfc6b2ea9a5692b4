"""Banks that cheat with ballots, on real nodes: the six others seal, and what counts is true.

BFT-12 section 17. With seven banks six are a quorum, so that the liar's ballot is never needed and
never harms.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from node.client.ledger_client import LedgerClient
from node.ledger.active_set import ActiveSet
from node.ledger.ballots import BallotCertificate, verify_ballot_certificate, verify_parent_ballots
from node.ledger.blocks import Block, Header
from node.ledger.rejection import Rejection
from node.ledger.types import BankIndex, Height
from node.runtime.exit_code import ExitCode
from node.storage.embedded_postgres import EmbeddedPostgres
from node.wire.operator_records import AlarmReport, ByzantineFault
from tests.runtime.cluster import Cluster, make_cluster
from tests.runtime.test_node import make_issue, sealed_at, submit, until_ready

pytestmark = pytest.mark.postgres
in_module_loop = pytest.mark.asyncio(loop_scope="module")

BANKS = 7
LIAR = BankIndex(6)
HONEST = range(6)
DEADLINE_S = 60
BALLOT_STYLES = (
    "ballot-copier",
    "ballot-forger",
    "ballot-replacer",
    "ballot-replayer",
    "ballot-withholder",
    "record-forger",
    "tag-repeater",
    "double-balloter",
)
"""The last one is noticed by an alarm; the others by nothing but what they fail to do."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: EmbeddedPostgres
) -> AsyncIterator[Cluster]:
    names: list[str] = []

    def make_database_url() -> str:
        names.append(f"ballot_faults_{len(names)}")
        postgres_server.create_database(names[-1], names[-1], names[-1])
        return postgres_server.url(names[-1], names[-1], names[-1])

    directory = tmp_path_factory.mktemp("ballot-faults")
    made = make_cluster(directory, make_database_url, BANKS, allow_faults=True)
    made.start()
    try:
        async with asyncio.timeout(DEADLINE_S):
            await until_ready(made, *range(BANKS))
        yield made
    finally:
        assert set(await made.stop()) == {ExitCode.STOPPED}
        for name in names:
            postgres_server.drop_database(name, name)


async def seal_rounds(cluster: Cluster, count: int) -> None:
    """Seal some issues, each at every honest bank."""
    for number in range(count):
        bank = number % len(HONEST)
        raw = make_issue(cluster, 1 + number, bank)
        await submit(cluster, bank, raw)
        assert len(set(await sealed_at(cluster, raw, *HONEST))) == 1


async def alarms(cluster: Cluster) -> list[AlarmReport]:
    found: list[AlarmReport] = []
    for bank in HONEST:
        async with cluster.operator(bank) as operator:
            found += (await operator.report()).alarms
    return found


@in_module_loop
@pytest.mark.parametrize("style", BALLOT_STYLES)
async def test_section_17_six_banks_go_on_sealing_beside_a(cluster: Cluster, style: str) -> None:
    async with asyncio.timeout(DEADLINE_S), cluster.operator(LIAR) as operator:
        await operator.inject_fault(ByzantineFault(style))
        await seal_rounds(cluster, BANKS)
        await operator.heal_faults()


@in_module_loop
async def test_section_17_two_ballots_in_one_view_are_told_to_the_operators(
    cluster: Cluster,
) -> None:
    """After the style above; who cast them is for the regulator to say (E8)."""
    assert "conflicting-ballots" in {alarm.kind for alarm in await alarms(cluster)}


@in_module_loop
async def test_section_17_every_block_has_a_quorum_of_ballots_and_the_next_one_records_it(
    cluster: Cluster,
) -> None:
    genesis = cluster.genesis
    active_set = genesis.active_set([bank.index for bank in genesis.banks])
    async with cluster.client(0) as ledger:
        height = (await ledger.node_status()).height
        parent = None
        for at in range(1, height + 1):
            parent = await check_block(ledger, Height(at), active_set, parent)
    assert height >= BANKS * len(BALLOT_STYLES)


async def check_block(
    ledger: LedgerClient, height: Height, active_set: ActiveSet, parent: Header | None
) -> Header:
    found = await ledger.block(height)
    block = Block.decode(found.block)
    certificate = BallotCertificate.decode(found.certificate)
    assert (certificate.height, certificate.block_id) == (height, block.block_id)
    verify_ballot_certificate(certificate, block.header.chain_id, active_set)
    if parent is not None:
        verdicts = verify_parent_ballots(block.parent_ballots, parent, active_set)
        assert not any(isinstance(item, Rejection) for item in verdicts)
        assert len({item.tag for item in verdicts if not isinstance(item, Rejection)}) >= 6
    return block.header
