"""A running consortium under attack: four nodes, a follower that knows the notes, raw calls.

`Chain` (tests/ledger) follows the real chain block by block and judges each one again, so the
attackers hold real notes and prove over real rings, and every sealed block is checked once more.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from crypto.transaction import transaction_id
from node.client.connection import ClientCredentials
from node.client.errors import LedgerUnavailable
from node.client.ledger_client import LedgerClient
from node.consensus.evidence_verification import verify_evidence
from node.consensus.signatures import Ed25519Verifier
from node.ledger.blocks import Block, Header
from node.ledger.invalidity import disprove
from node.ledger.offences import VerifiedEvidence
from node.ledger.state import LedgerState
from node.ledger.types import Height, TransactionId
from node.rpc.certificates import CertificateAuthority, IssuedCertificate, utc_now
from node.rpc.credentials import TlsFiles
from node.runtime.exit_code import ExitCode
from node.storage.embedded_postgres import EmbeddedPostgres
from node.wire.identity import Identity, Role, bank_server_name, consortium_slug
from node.wire.records import TransactionState, TransactionStatus
from tests.ledger.chain import GOLD, Chain
from tests.runtime.cluster import FAST, Cluster, make_cluster

BANKS = 4
QUIET = replace(FAST, bin_age_ms=3_600_000, heartbeat_ms=3_600_000)
"""Nothing happens by itself: bins close when they are full, and no block comes without work."""
DEADLINE_S = 60
"""Generous: a busy machine is no failure."""
UNLIMITED = -1


@dataclass(frozen=True)
class Snapshot:
    """What must not move: a bank's tip, its whole ledger state and its mempool."""

    height: int
    block_id: bytes
    state_root: bytes
    mempool_transactions: int


@dataclass
class Consortium:
    """Four banks, a client of each, and what an attacker with notes of its own can know."""

    cluster: Cluster
    clients: list[LedgerClient]
    follower: Chain
    authority: CertificateAuthority
    channels: list[grpc.aio.Channel] = field(default_factory=list)

    def address(self, bank: int) -> str:
        return self.cluster.banks[bank].config.listen

    def channel(self, bank: int, credentials: ClientCredentials | None = None) -> grpc.aio.Channel:
        """A channel without the limits that a well-behaved client sets itself."""
        used = credentials or self.cluster.credentials
        channel = grpc.aio.secure_channel(
            self.address(bank),
            grpc.ssl_channel_credentials(used.ca_certificate, used.key, used.certificate),
            options=self.channel_options(bank),
        )
        self.channels.append(channel)
        return channel

    def channel_options(self, bank: int) -> list[tuple[str, Any]]:
        name = bank_server_name(self.slug, bank)
        return [
            ("grpc.ssl_target_name_override", name),
            ("grpc.default_authority", name),
            ("grpc.max_send_message_length", UNLIMITED),
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.enable_retries", 0),
        ]

    @property
    def slug(self) -> str:
        return consortium_slug(self.cluster.genesis.name)

    def credentials_of(self, role: Role, name: str) -> ClientCredentials:
        """What the consortium's authority would certify for this party."""
        return credentials(self.authority.issue(Identity(self.slug, role, name), utc_now()))

    async def snapshot(self, bank: int) -> Snapshot:
        status, sealed = await asyncio.gather(
            self.clients[bank].node_status(), self.clients[bank].sealed_state()
        )
        assert Header.decode(sealed.header).block_id == status.block_id
        return Snapshot(
            status.height,
            status.block_id,
            LedgerState.decode(sealed.state).root(),
            status.mempool_transactions,
        )

    async def snapshots(self) -> list[Snapshot]:
        """Of every bank, in the order of their indices."""
        return list(await asyncio.gather(*(self.snapshot(bank) for bank in range(BANKS))))

    async def tips(self) -> list[tuple[int, bytes, int]]:
        """Height, block and mempool of every bank: cheap, and a block commits to its state."""
        seen = await asyncio.gather(*(client.node_status() for client in self.clients))
        return [(item.height, item.block_id, item.mempool_transactions) for item in seen]

    async def final_status(self, raw: bytes, bank: int = 0) -> TransactionStatus:
        """Wait for the end of a transaction as one bank tells it."""
        last = None
        identity = TransactionId(transaction_id(raw))
        async for status in self.clients[bank].wait_for(identity, timeout_ms=20_000):
            last = status
        assert last is not None and last.state.is_final, last
        return last

    async def seal(self, *raws: bytes) -> None:
        """Submit at all banks in turn, wait until every bank has sealed all, and follow."""
        for index, raw in enumerate(raws):
            await self.clients[index % BANKS].submit(raw)
        for raw in raws:
            for bank in range(BANKS):
                status = await self.final_status(raw, bank)
                assert status.state is TransactionState.SEALED, status
        await self.follow()

    async def follow(self) -> None:
        """Judge and apply every block since the last time, from the bytes alone."""
        top = (await self.clients[0].node_status()).height
        while self.follower.height < top:
            height = Height(self.follower.height + 1)
            stored = await self.clients[0].block(height, include_transactions=True)
            block = Block.decode(stored.block)
            verified = self.follower.verify(*stored.transactions)
            evidence = [self._proven(raw) for raw in block.evidence]
            transition = self.follower.validate(block, verified, evidence=evidence)
            self.follower.apply(block, transition)

    def _proven(self, raw: bytes) -> VerifiedEvidence:
        """Poisoned proposals convict their leader; the follower checks that as well."""
        genesis, state = self.follower.genesis, self.follower.state
        return verify_evidence(
            raw,
            chain_id=genesis.chain_id,
            active_set_at=partial(state.active_set_at, genesis),
            verifier=Ed25519Verifier(),
            disprove=partial(disprove, genesis),
        )

    async def require_agreement(self) -> None:
        """Wait until every bank has the same tip and no work left; fail if it takes long."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                seen = await self.snapshots()
                if len(set(seen)) == 1 and seen[0].mempool_transactions == 0:
                    return
                await asyncio.sleep(0.05)

    async def require_sealing(self) -> None:
        """Submit one more issue and see every bank seal it in the same block."""
        raw = self.follower.mint([1, 2])
        await self.clients[1].submit(raw)
        seen = [await self.final_status(raw, bank) for bank in range(BANKS)]
        assert {status.state for status in seen} == {TransactionState.SEALED}
        assert len({status.position for status in seen}) == 1
        await self.follow()


def credentials(issued: IssuedCertificate) -> ClientCredentials:
    return ClientCredentials(issued.authority, issued.certificate, issued.key)


def replace_authority(cluster: Cluster) -> CertificateAuthority:
    """Give every bank and the client certificates of an authority whose key the tests hold."""
    slug = consortium_slug(cluster.genesis.name)
    authority = CertificateAuthority.create(slug, utc_now())
    for bank in cluster.banks:
        keys = bank.config.key_directory
        (keys / "ca.crt").unlink()
        identity = Identity.of_bank(slug, bank.config.bank)
        TlsFiles(keys).write(authority.issue(identity, utc_now()))
    cluster.credentials = credentials(
        authority.issue(Identity(slug, Role.CLIENT, "tester"), utc_now())
    )
    return authority


async def until_linked(cluster: Cluster) -> None:
    """Wait until every bank answers and is linked with every other one."""
    for bank in range(len(cluster.banks)):
        async with cluster.client(bank) as client:
            while True:
                with contextlib.suppress(LedgerUnavailable):
                    status = await client.node_status()
                    if status.ready and status.linked_banks == len(cluster.banks):
                        break
                await asyncio.sleep(0.05)


@asynccontextmanager
async def running_consortium(
    directory: Path, server: EmbeddedPostgres
) -> AsyncIterator[Consortium]:
    """Start a consortium with databases of its own, and stop and drop everything at the end."""
    names: list[str] = []

    def make_database_url() -> str:
        name = f"attacked_{directory.name.replace('-', '_')}_{len(names)}"
        server.create_database(name, name, name)
        names.append(name)
        return server.url(name, name, name)

    cluster = make_cluster(directory, make_database_url, BANKS, QUIET)
    authority = replace_authority(cluster)
    cluster.start()
    consortium = Consortium(
        cluster,
        [cluster.client(bank) for bank in range(BANKS)],
        Chain(cluster.genesis, seed="attacked"),
        authority,
    )
    try:
        async with asyncio.timeout(DEADLINE_S):
            await until_linked(cluster)
        yield consortium
    finally:
        for client in consortium.clients:
            await client.close()
        for channel in consortium.channels:
            await channel.close()
        exits = await cluster.stop()
        for name in names:
            server.drop_database(name, name)
    assert set(exits) == {ExitCode.STOPPED}


async def fund(consortium: Consortium) -> None:
    """Bins 0 and 1 full of the base asset, bin 2 of gold, bin 3 open; bank 1's account has 1000
    at least, for leaders earn fees.
    """
    chain = consortium.follower
    for bank in (0, 2):
        await consortium.seal(*(chain.mint([5_000] * 4, bank=bank) for _ in range(4)))
    await consortium.seal(*(chain.mint([700] * 4, asset=GOLD) for _ in range(4)))
    await consortium.seal(chain.transfer(chain.mature()[:1], redeem=1_000))
