"""BFT-12 12 on whole nodes: one bank of seven floods others, and the six go on sealing.

With seven banks six are a quorum, so that the flooding bank is missed nowhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import psutil
import pytest
import pytest_asyncio

from crypto.transaction import transaction_id
from node.client.errors import LedgerUnavailable
from node.client.fuzzing.corpus import collect
from node.client.ledger_client import LedgerClient
from node.ledger.types import TransactionId
from node.storage.embedded_postgres import EmbeddedPostgres
from node.wire.identity import Role
from node.wire.records import TransactionState
from tests.attacks.consortium import (
    DEADLINE_S,
    QUIET,
    Consortium,
    replace_authority,
)
from tests.attacks.flooding import Flood, under
from tests.ledger.chain import Chain
from tests.runtime.cluster import make_cluster

pytestmark = pytest.mark.postgres
in_module_loop = pytest.mark.asyncio(loop_scope="module")

BANKS = 7
LIAR = 6
HONEST = range(6)
TARGETS = range(3)
"""Half of the honest banks: all of them share the processor of one process with the flood itself,
and the proposals of the others must get through as well."""
MEMORY_GROWTH_BYTES = 400 << 20
"""Of six nodes in this process: shares of queues, and pages of answers nobody reads."""


SEALED_WITHIN_S = 3 * DEADLINE_S
"""Seven banks and the flooder share one event loop, and calls left unread last for a minute."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def flooded(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: EmbeddedPostgres
) -> AsyncIterator[Consortium]:
    """Six running banks of seven; the seventh is in the hands of the attacker."""
    directory = tmp_path_factory.mktemp("floods")
    names: list[str] = []

    def make_database_url() -> str:
        name = f"flooded_{directory.name.replace('-', '_')}_{len(names)}"
        postgres_server.create_database(name, name, name)
        names.append(name)
        return postgres_server.url(name, name, name)

    cluster = make_cluster(directory, make_database_url, BANKS, QUIET)
    authority = replace_authority(cluster)
    for bank in HONEST:
        cluster.banks[bank].start()
    consortium = Consortium(
        cluster,
        [cluster.client(bank) for bank in HONEST],
        Chain(cluster.genesis, seed="flooded"),
        authority,
    )
    try:
        await linked(consortium)
        await seal(consortium, 3)
        yield consortium
    finally:
        for client in consortium.clients:
            await client.close()
        await asyncio.gather(*(cluster.banks[bank].stop() for bank in HONEST))
        for name in names:
            postgres_server.drop_database(name, name)


async def linked(consortium: Consortium) -> None:
    async with asyncio.timeout(DEADLINE_S):
        for client in consortium.clients:
            while True:
                with contextlib.suppress(LedgerUnavailable):
                    if (await client.node_status()).linked_banks == len(HONEST):
                        break
                await asyncio.sleep(0.05)


async def seal(consortium: Consortium, count: int) -> None:
    """Issue notes one after another, each sealed at every honest bank."""
    for index in range(count):
        raw = consortium.follower.mint([1 + index, 2])
        async with asyncio.timeout(SEALED_WITHIN_S):
            await consortium.clients[index % len(HONEST)].submit(raw)
            states = await asyncio.gather(*(final_state(c, raw) for c in consortium.clients))
        assert set(states) == {TransactionState.SEALED}
        await consortium.follow()


async def final_state(client: LedgerClient, raw: bytes) -> TransactionState:
    identity = TransactionId(transaction_id(raw))
    state = TransactionState.UNKNOWN
    async for status in client.wait_for(identity, timeout_ms=SEALED_WITHIN_S * 1_000):
        state = status.state
    return state


async def make_flood(consortium: Consortium) -> Flood:
    chain_id = consortium.cluster.genesis.chain_id
    credentials = consortium.credentials_of(Role.BANK, str(LIAR))
    return Flood(
        [consortium.cluster.endpoint(bank) for bank in TARGETS],
        credentials,
        await collect(consortium.clients[0], credentials, chain_id, BANKS),
        LIAR,
    )


FLOODS: dict[str, tuple[Callable[[Flood], Coroutine[Any, Any, None]], str]] = {
    "consensus messages": (lambda f: f.on_streams(f.consensus_frames), "consensus messages"),
    "transactions": (lambda f: f.on_streams(f.transaction_frames), "transactions"),
    "calls and answers left unread": (lambda f: f.with_calls(), "calls refused"),
    "submissions": (lambda f: f.with_submissions(), "submissions"),
}


@in_module_loop
@pytest.mark.parametrize("name", FLOODS)
async def test_section_12_six_banks_go_on_sealing_under_a_flood_of(
    flooded: Consortium, name: str
) -> None:
    make, proof = FLOODS[name]
    flood = await make_flood(flooded)
    process = psutil.Process(os.getpid())
    before_bytes = process.memory_info().rss
    async with under(make(flood)):
        await seal(flooded, 1)
        async with asyncio.timeout(DEADLINE_S):
            while flood.sent.get(proof, 0) < 50:  # noqa: ASYNC110 - a count raises no event
                await asyncio.sleep(0.05)
    assert process.memory_info().rss - before_bytes < MEMORY_GROWTH_BYTES
