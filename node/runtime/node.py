"""One bank's node: the composition root, the only place that knows every part.

Start: load the durable consensus record; serve; link to the other banks; resume consensus where it
was left. Stop: refuse new work, cancel what runs. `node.runtime.node_process` opens before what a
node needs, and releases it afterwards.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Coroutine
from typing import Any

from node.consensus.core import Consensus
from node.consensus.effects import Effect
from node.consensus.events import TransactionsAvailable, WorkDue, WorkKind
from node.consensus.messages import Seal
from node.consensus.parameters import ConsensusParameters
from node.consensus.signatures import Ed25519Verifier
from node.ledger.block_validity import next_bin_due_ms
from node.ledger.blocks import Block
from node.ledger.genesis import Genesis
from node.ledger.rejection import Rejection
from node.ledger.types import BankIndex, Height, View
from node.rpc.credentials import TlsFiles
from node.rpc.gate import Admittance
from node.rpc.server import Backends, NodeServer, serve
from node.rpc.traffic import Traffic
from node.runtime.admission import Admission
from node.runtime.audit import Audit
from node.runtime.bank_signers import BankSigners
from node.runtime.block_feed import BlockFeed
from node.runtime.catch_up import CatchUp
from node.runtime.chain import Chain
from node.runtime.clock import SystemClock
from node.runtime.config import NodeConfig
from node.runtime.consensus_host import ConsensusHost
from node.runtime.cpu_account import CpuAccount, CpuCategory
from node.runtime.driver import ConsensusDriver
from node.runtime.evidence_examiner import EvidenceExaminer
from node.runtime.fault_injection import FaultInjection, set_byzantine
from node.runtime.fault_links import DisturbedPeerBackend
from node.runtime.guard_file import (
    GuardFile,
    SignaturePoint,
)
from node.runtime.incoming_links import IncomingLinks
from node.runtime.integrity import Integrity, check_record, run_unless_damaged
from node.runtime.integrity_scrubber import IntegrityScrubber
from node.runtime.ledger_backend import LedgerBackend
from node.runtime.mempool import Mempool, MempoolLimits
from node.runtime.observation import Observation
from node.runtime.operator_backend import OperatorBackend
from node.runtime.peer_backend import PeerBackend
from node.runtime.peer_network import PeerNetwork
from node.runtime.regulator_supervision import SupervisionBackend
from node.runtime.tracing import BankTracing
from node.runtime.transaction_pool import UNVERIFIED, TransactionPool
from node.runtime.transaction_tracker import TransactionTracker
from node.runtime.verification_workers import WorkerPool, make_verification
from node.storage.database import Database
from node.storage.errors import (
    IntegrityViolation,
    StorageError,
)
from node.storage.records import StoredConsensus
from node.wire.identity import consortium_slug

logger = logging.getLogger(__name__)

REGOSSIP_S = 2.0
"""Own transactions that wait this long are told to the other banks again."""
OBSERVED_AHEAD = 4
"""Heights above the tip whose proposals are observed: others may be ahead by some."""
PARENT_CHECK_S = 0.5
STOP_GRACE_S = 0.5


def silent_through(
    guard: SignaturePoint | None, tip: Height, record: StoredConsensus | None
) -> Height | None:
    """Return the height up to which this bank must not sign, None if it may (BFT-12 D4).

    The guard is written after the database; if it is ahead, the database has lost its end.
    """
    if guard is None or guard.height <= tip:
        return None
    if record is not None:
        stored = SignaturePoint(record.height, record.view, record.step)
        if guard <= stored:
            return None
    return Height(guard.height)


def _make_core(bank: BankIndex, genesis: Genesis, signers: BankSigners) -> Consensus:
    return Consensus(
        bank,
        tuple([member.index for member in genesis.banks]),
        genesis.chain_id,
        ConsensusParameters.of(genesis),
        signers.statements,
        Ed25519Verifier(),
        signers.ballots,
    )


class Node:
    """A running node. Built by `run_node`, which owns what must be released."""

    def __init__(
        self,
        config: NodeConfig,
        genesis: Genesis,
        signers: BankSigners,
        guard: GuardFile,
        database: Database,
        chain: Chain,
        integrity: Integrity,
        stopping: asyncio.Event,
        cpu: CpuAccount,
        pool: WorkerPool | None,
    ) -> None:
        self._config = config
        self._cpu = cpu
        self._traffic = Traffic()
        self._chain = chain
        self._database = database
        self._guard = guard
        self._integrity = integrity
        self._clock = SystemClock()
        self._stopping = stopping
        self._started = False
        self._bin_timer: asyncio.TimerHandle | None = None
        self._tls = TlsFiles(config.key_directory)
        self._consortium = consortium_slug(genesis.name)
        self._incoming = IncomingLinks([bank.index for bank in genesis.banks])
        self._feed = BlockFeed(chain.height)
        self._tracker = TransactionTracker()
        self._observation = Observation(config.bank, self._leader_of)
        self._tracing = BankTracing.configured(config, self._observation, os.environ)
        self._core = _make_core(config.bank, genesis, signers)
        self._network = PeerNetwork(
            self._consortium,
            config.peers,
            self._tls,
            lambda: self._peer_backend.hello(),
            self._incoming,
            self._clock,
            self._on_linked,
        )
        verification = make_verification(pool, cpu)
        self._admission = Admission(
            chain,
            verification,
            self._clock,
            self._on_blame,
            lambda: self._pool.fills_blocks,
            self._observation,
        )
        self._catch_up = CatchUp(
            chain, self._admission, database, self._network, self._observation
        )
        self._pool = self._make_pool()
        self._examiner = EvidenceExaminer(chain, Ed25519Verifier())
        self._host = self._make_host()
        cpu.measure_calls(self._host, CpuCategory.CONSENSUS)
        cpu.measure_calls(self._pool, CpuCategory.OTHER, ("submit", "take_gossip"))
        integrity.on_alarm(self._host.halt)
        self._driver = ConsensusDriver(self._core, self._host, self._observation)
        self._peer_backend = self._make_peer_backend()
        self._faults = FaultInjection(
            [peer.bank for peer in config.peers],
            self._network,
            self._peer_backend if isinstance(self._peer_backend, DisturbedPeerBackend) else None,
            lambda fault: set_byzantine(fault, self._core, signers, self._driver, chain),
            self._clock,
        )

    def _make_pool(self) -> TransactionPool:
        limits = MempoolLimits(self._config.mempool_transactions, self._config.mempool_bytes)
        return TransactionPool(
            self._chain,
            self._admission,
            Mempool(limits),
            self._tracker,
            self._network,
            self._catch_up,
            self._clock,
            self._on_available,
            self._observation,
        )

    def _make_host(self) -> ConsensusHost:
        return ConsensusHost(
            self._config.bank,
            self._chain,
            self._pool,
            self._examiner,
            self._database,
            self._guard,
            self._network,
            self._clock,
            self._on_applied,
            self._observation,
        )

    def _make_peer_backend(self) -> PeerBackend:
        kind = DisturbedPeerBackend if self._config.allow_faults else PeerBackend
        return kind(
            self._config.bank,
            self._chain,
            self._database,
            self._pool,
            self._incoming,
            self._clock,
            self._network.greet,
            self._driver.post_message,
            self._host.raise_alarm,
            self._catch_up,
        )

    def _make_ledger_backend(self) -> LedgerBackend:
        return LedgerBackend(
            self._config.bank,
            self._chain,
            self._database,
            self._pool,
            self._tracker,
            self._feed,
            lambda: self._network.linked_banks,
            self._unready_reason,
            lambda: self._catch_up.heights_behind,
        )

    def _make_operator_backend(self) -> OperatorBackend:
        return OperatorBackend(
            self._config,
            self._chain,
            self._database,
            self._core,
            self._host,
            self._pool,
            self._admission,
            self._network,
            self._faults,
            Audit(self._chain, self._database, os.urandom),
            self._clock,
            self._unready_reason,
            self._begin_stop,
            self._cpu,
            self._traffic,
            self._observation,
        )

    def _leader_of(self, height: Height, view: View) -> BankIndex | None:
        """Return who leads a view of one of the next heights; None of any other."""
        if not 0 < height - self._chain.height <= OBSERVED_AHEAD:
            return None
        return self._chain.active_set.leader(height, view)

    def _unready_reason(self) -> str | None:
        if self._stopping.is_set():
            return "this bank is stopping"
        if not self._started:
            return "this bank is starting"
        halted = self._integrity.reason or self._core.status().halted
        return None if halted is None else f"this bank has halted: {halted}"

    def _begin_stop(self, why: str) -> None:
        logger.info("stopping", extra={"why": why})
        self._stopping.set()

    def _on_linked(self, bank: BankIndex) -> None:
        """A bank came up: what waits here may be news to it."""
        self._network.gossip_to(bank, [item.raw for item in self._pool.mempool])

    def _on_available(self, count: int) -> None:
        self._driver.post(TransactionsAvailable(count))

    def _on_blame(self, source: str, rejection: Rejection) -> None:
        who = source
        if source.endswith(UNVERIFIED):
            who = f"{source.removesuffix(UNVERIFIED)}, for a client of it in good standing,"
        self._host.raise_alarm(
            "bad-proof", f"{who} sent a transaction with a bad proof ({rejection.reason.value})"
        )
        logger.warning(
            "source verified one by one", extra={"source": source, "reason": rejection.reason.value}
        )

    def _on_applied(self, block: Block) -> None:
        header = block.header
        logger.info(
            "sealed",
            extra={
                "height": header.height,
                "block": block.block_id.hex(),
                "transactions": header.transaction_count,
                "proposer": header.proposer,
                "view": header.original_view,
            },
        )
        self._feed.applied(header.height)
        if self._tracing is not None:
            self._tracing.applied(block)
        self._schedule_bin()

    def _schedule_bin(self) -> None:
        """Tell the core when the oldest open bin becomes due for closing."""
        if self._bin_timer is not None:
            self._bin_timer.cancel()
            self._bin_timer = None
        due_ms = next_bin_due_ms(self._chain.state, self._chain.genesis)
        if due_ms is None:
            return
        delay_s = max(0, due_ms - self._clock.wall_ms()) / 1000
        self._bin_timer = asyncio.get_running_loop().call_later(
            delay_s, self._driver.post, WorkDue(WorkKind.BIN)
        )

    async def run(self) -> None:
        """Serve and decide until asked to stop; whatever else ends it is raised."""
        record = await self._load_record()
        initial = self._core.restart(
            None if record is None else record.record,
            tip=self._chain.header,
            tip_seal=Seal.decode(self._chain.seal) if self._chain.seal else None,
            active_set=self._chain.active_set,
            blocks=() if record is None else record.blocks,
            evidence=await self._pending_evidence(),
            silent_through=silent_through(self._guard.last, self._chain.height, record),
        )
        operator = self._make_operator_backend()
        server = await serve(
            Backends(
                self._make_ledger_backend(),
                self._peer_backend,
                operator,
                SupervisionBackend(self._config.bank, self._examiner, self._driver.post_message),
            ),
            self._tls,
            self._config.listen,
            Admittance(
                self._consortium,
                operators=self._config.operators,
                operators_from_anywhere=self._config.operators is not None,
                banks=[bank.index for bank in self._chain.genesis.banks],
            ),
            self._traffic,
        )
        self._cpu.serving()
        self._network.start()
        self._started = True
        await server.set_ready(True)
        self._schedule_bin()
        logger.info(
            "started",
            extra={
                "height": self._chain.height,
                "listen": self._config.listen,
                "chain": self._chain.genesis.chain_id.hex(),
            },
        )
        try:
            await self._run_until_stopped(
                self._decide(initial, server),
                self._cpu.measured(CpuCategory.OTHER, self._admission.run()),
                self._repeat_gossip(),
                self._serve_metrics(operator),
                self._watch_parent(os.getppid()),
            )
        finally:
            await self._close(server)

    async def _load_record(self) -> StoredConsensus | None:
        """Return what was signed at this height; if that is damaged, halt instead."""
        try:
            record = await self._database.load_consensus()
            if record is not None:
                check_record(
                    record,
                    self._config.bank,
                    self._chain.genesis.chain_id,
                    self._chain.height,
                    self._chain.active_set,
                    Ed25519Verifier(),
                )
        except IntegrityViolation as violation:
            self._integrity.report(violation)
            return None
        return record

    async def _pending_evidence(self) -> tuple[bytes, ...]:
        """Return the evidence that no block has settled; if it is damaged, halt instead."""
        try:
            return await self._database.pending_evidence()
        except IntegrityViolation as violation:
            self._integrity.report(violation)
            return ()

    async def _decide(self, initial: list[Effect], server: NodeServer) -> None:
        """Take part in consensus until the database turns out damaged; then only answer.

        What is cancelled may be a statement whose record was just written: it is never sent.
        """
        if self._integrity.violation is None:
            deciding = self._cpu.measured(CpuCategory.CONSENSUS, self._driver.run(initial))
            scrubbing = self._cpu.measured(CpuCategory.OTHER, self._scrub())
            await run_unless_damaged(self._integrity, deciding, scrubbing)
        self._driver.end()
        await server.set_ready(False)
        await self._remember_damage()
        await asyncio.Event().wait()

    async def _scrub(self) -> None:
        """Look for damage in the whole history until cancelled."""
        if self._config.scrub_percent == 0:
            await asyncio.Event().wait()
        await IntegrityScrubber(
            self._chain.genesis,
            self._database,
            lambda: self._chain.height,
            self._config.scrub_percent,
        ).run()

    async def _remember_damage(self) -> None:
        violation = self._integrity.violation
        assert violation is not None, "called when damage was reported"
        try:
            if not await self._database.findings():
                await self._database.add_finding(violation)
        except StorageError as error:
            logger.error("the damage could not be noted", extra={"detail": str(error)})

    async def _run_until_stopped(self, *work: Coroutine[Any, Any, None]) -> None:
        tasks = [asyncio.create_task(item) for item in work]
        stop = asyncio.create_task(self._stopping.wait())
        try:
            done, _ = await asyncio.wait([stop, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (stop, *tasks):
                task.cancel()
            await asyncio.gather(stop, *tasks, return_exceptions=True)

    async def _close(self, server: NodeServer) -> None:
        self._stopping.set()
        if self._bin_timer is not None:
            self._bin_timer.cancel()
        await self._catch_up.close()
        await self._network.close()
        self._faults.close()
        await server.stop(STOP_GRACE_S)
        if self._tracing is not None:
            await self._tracing.close()

    async def _repeat_gossip(self) -> None:
        while True:
            await asyncio.sleep(REGOSSIP_S / 2)
            self._pool.gossip_again(REGOSSIP_S)

    async def _serve_metrics(self, operator: OperatorBackend) -> None:
        """Serve what Prometheus reads, if this bank is to, until cancelled."""
        if self._config.metrics_listen is None:
            await asyncio.Event().wait()
            return
        from node.runtime.metrics_source import MetricsSource

        source = MetricsSource(operator, self._chain, self._admission, self._observation)
        await source.serve(self._config.metrics_listen, self._cpu)

    async def _watch_parent(self, parent: int) -> None:
        """A supervised node does not outlive the launcher that would stop it."""
        while True:
            await asyncio.sleep(PARENT_CHECK_S)
            if self._config.supervised and os.getppid() != parent:
                self._begin_stop("the process that started this node has ended")
