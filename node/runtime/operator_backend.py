"""What a bank's operators ask: health, digests for the doctor, audits, a clean stop."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence

import psutil

from node.consensus.core import Consensus
from node.consensus.status import ConsensusStatus
from node.consensus.waiting import WaitingFor
from node.ledger.types import BlockId, Height, TransactionId
from node.rpc.backend import NotFound
from node.rpc.traffic import Traffic
from node.runtime.admission import Admission
from node.runtime.audit import Audit
from node.runtime.chain import Chain
from node.runtime.clock import Clock
from node.runtime.config import NodeConfig
from node.runtime.consensus_host import ConsensusHost
from node.runtime.cpu_account import CpuAccount
from node.runtime.fault_injection import FaultInjection
from node.runtime.observation import Observation
from node.runtime.observation.round_log import HEIGHTS_KEPT
from node.runtime.observation.transaction_log import TRANSACTIONS_KEPT
from node.runtime.peer_network import PeerNetwork
from node.runtime.stored_blocks import naming_the_snapshot, published_block, stored_blocks
from node.runtime.transaction_pool import TransactionPool
from node.runtime.version import SOFTWARE_VERSION
from node.storage.database import Database
from node.storage.errors import StorageError
from node.wire.identity import Identity
from node.wire.limits import MAX_BLOCK_IDS
from node.wire.operator_records import (
    AuditExtent,
    AuditReport,
    ByzantineFault,
    ConsensusReport,
    DatabaseReport,
    FaultReport,
    LedgerDigests,
    LinkFault,
    MempoolReport,
    NodeReport,
    ProcessReport,
    RefusedReport,
    RoundReport,
    TrafficReport,
    TransactionTrace,
)
from node.wire.records import PublishedBlock

logger = logging.getLogger(__name__)

SIZE_LASTS_S = 5.0
"""How long the size of the database is taken from memory: every look at the status asks."""


class OperatorBackend:
    """Implements `node.rpc.backend.OperatorBackend` for one bank."""

    def __init__(
        self,
        config: NodeConfig,
        chain: Chain,
        database: Database,
        core: Consensus,
        host: ConsensusHost,
        pool: TransactionPool,
        admission: Admission,
        network: PeerNetwork,
        faults: FaultInjection,
        audit: Audit,
        clock: Clock,
        unready_reason: Callable[[], str | None],
        stop: Callable[[str], None],
        cpu: CpuAccount | None = None,
        traffic: Traffic | None = None,
        observation: Observation | None = None,
    ) -> None:
        self._config = config
        self._chain = chain
        self._database = database
        self._core = core
        self._host = host
        self._pool = pool
        self._admission = admission
        self._network = network
        self._faults = faults
        self._audit = audit
        self._clock = clock
        self._unready_reason = unready_reason
        self._stop = stop
        self._cpu = cpu or CpuAccount()
        self._traffic = traffic or Traffic()
        self._observation = observation or Observation(config.bank)
        self._started_s = clock.monotonic_s()
        self._process = psutil.Process(os.getpid())
        self._size_bytes = 0
        self._size_until_s = 0.0
        self._answered = True
        """Whether the database did when it was asked last."""

    async def report(self) -> NodeReport:
        return self._report(await self._database_report())

    def report_from_memory(self) -> NodeReport:
        """Return the report without asking the database; its size is what was heard last."""
        connected = self._answered and self._database.writer_lost is None
        version = self._database.server_version
        return self._report(DatabaseReport(connected, version, self._size_bytes))

    def _report(self, database: DatabaseReport) -> NodeReport:
        chain = self._chain
        bank = chain.genesis.banks[self._config.bank]
        return NodeReport(
            bank=bank.index,
            bank_name=bank.name,
            software_version=SOFTWARE_VERSION,
            chain_id=chain.genesis.chain_id,
            height=chain.height,
            block_id=chain.header.block_id,
            state_root=chain.header.post_state_root,
            time_ms=chain.header.time_ms,
            last_seal_age_ms=self._host.last_seal_age_ms,
            ready=self._unready_reason() is None,
            halted=self._host.halted or self._core.status().halted or "",
            consensus=self._consensus(),
            peers=self._network.reports(),
            mempool=self._mempool(),
            process=self._process_report(),
            database=database,
            alarms=tuple(self._host.alarms),
            faults=self._faults.reports(),
            faults_allowed=self._faults.allowed,
            cpu=self._cpu.report(),
            traffic=self._traffic_report(),
            performance=self._observation.performance(),
        )

    def _traffic_report(self) -> TrafficReport:
        """What was served, and what the links of this bank wrote."""
        linked_bytes = sum(peer.sent_bytes for peer in self._network.reports())
        served = self._traffic
        return TrafficReport(
            peers_sent_bytes=served.peers_sent_bytes + linked_bytes,
            peers_received_bytes=served.peers_received_bytes,
            clients_sent_bytes=served.clients_sent_bytes,
            clients_received_bytes=served.clients_received_bytes,
        )

    def _consensus(self) -> ConsensusReport:
        status = self._core.status()
        return ConsensusReport(
            height=status.height,
            view=status.view,
            leader=status.leader,
            active_banks=status.bank_count,
            quorum=status.quorum,
            has_work=status.has_work,
            approvals=status.approved,
            rejections=tuple([bank for bank, _ in status.rejected]),
            commits=status.committed,
            timed_out=status.gave_up,
            missing=status.missing,
            margin=status.margin,
            highest_view=status.highest_view,
            refused=self._refused(status),
            last_refusal=status.last_refusal,
            waiting_for="" if status.waiting_for is WaitingFor.NOTHING else status.waiting_for,
            behind=status.behind,
            active=status.active,
            accused=tuple(sorted({conflict.bank for conflict in self._core.conflicts()})),
        )

    def _refused(self, status: ConsensusStatus) -> tuple[RefusedReport, ...]:
        """What the core refused, and what ended a bank's stream before it reached the core."""
        counts = Counter(dict(status.refused)) + Counter(self._network.misbehaved())
        return tuple([RefusedReport(bank, counts[bank]) for bank in sorted(counts)])

    def _mempool(self) -> MempoolReport:
        counters = self._admission.counters
        return MempoolReport(
            transactions=len(self._pool.mempool),
            bytes=self._pool.mempool.size_bytes,
            capacity_transactions=self._config.mempool_transactions,
            capacity_bytes=self._config.mempool_bytes,
            admitted=counters.verified,
            refused=counters.refused,
            batches=counters.batches,
        )

    def _process_report(self) -> ProcessReport:
        with self._process.oneshot():
            times = self._process.cpu_times()
            resident = self._process.memory_info().rss
        return ProcessReport(
            pid=self._process.pid,
            uptime_ms=int((self._clock.monotonic_s() - self._started_s) * 1000),
            resident_bytes=resident,
            cpu_ms=int((times.user + times.system) * 1000),
        )

    async def _database_report(self) -> DatabaseReport:
        now_s = self._clock.monotonic_s()
        try:
            if now_s >= self._size_until_s:
                self._size_bytes = await self._database.database_size_bytes()
                self._size_until_s = now_s + SIZE_LASTS_S
                self._answered = True
        except StorageError:
            self._answered = False
            # An operator asks because something is wrong: answer with what still works.
            return DatabaseReport(False, "", 0)
        return DatabaseReport(
            self._database.writer_lost is None, self._database.server_version, self._size_bytes
        )

    async def shutdown(self, reason: str, requested_by: Identity) -> None:
        logger.info("shutdown requested", extra={"reason": reason, "by": str(requested_by)})
        self._stop(f"requested by {requested_by}: {reason}" if reason else f"by {requested_by}")

    async def digests(self, from_height: Height, at_height: Height | None) -> LedgerDigests:
        tip = self._chain.height
        height = tip if at_height is None else at_height
        if height > tip or from_height > height:
            raise NotFound(f"height {max(height, from_height)} is above the tip {tip}")
        count = min(height - from_height + 1, MAX_BLOCK_IDS)
        block_ids = await self._database.block_ids(from_height, count)
        at = await self._database.header_at(height)
        with naming_the_snapshot():
            nullifiers = await self._database.nullifier_digest(height)
        notes = await self._database.notes_digest(height)
        votes = await self._database.voting_records_digest(height)
        treasury = await self._database.treasury_digest(height)
        return LedgerDigests(
            from_height=from_height,
            at_height=height,
            block_ids=tuple([BlockId(item) for item in block_ids]),
            state_root=at.post_state_root,
            transaction_count=await self._database.transaction_count(height),
            nullifier_count=nullifiers.count,
            nullifier_digest=nullifiers.digest,
            note_count=notes.count,
            note_digest=notes.digest,
            voting_record_count=votes.count,
            voting_record_digest=votes.digest,
            treasury_count=treasury.count,
            treasury_digest=treasury.digest,
            tip_height=self._chain.height,
        )

    async def stored_blocks(
        self, from_height: Height, to_height: Height | None
    ) -> AsyncGenerator[PublishedBlock, None]:
        last = self._chain.height if to_height is None else to_height
        async for stored in stored_blocks(self._database, from_height, last):
            yield await published_block(self._database, stored, True)

    def audit(self, extent: AuditExtent) -> AsyncGenerator[AuditReport, None]:
        return self._audit.run(extent)

    async def set_log_level(self, level: str) -> str:
        root = logging.getLogger()
        previous = logging.getLevelName(root.level)
        root.setLevel(level.upper())
        return str(previous)

    async def inject_fault(self, fault: LinkFault | ByzantineFault) -> Sequence[FaultReport]:
        self._faults.inject(fault)
        return self._faults.reports()

    async def heal_faults(self) -> Sequence[FaultReport]:
        self._faults.heal()
        return self._faults.reports()

    async def round(self, height: Height) -> RoundReport:
        found = self._observation.round(height)
        if found is None:
            raise NotFound(
                f"nothing is kept of the round of height {height}: this bank keeps rounds of the "
                f"last {HEIGHTS_KEPT} heights since its start, and its tip is {self._chain.height}"
            )
        return found

    async def transaction_trace(self, transaction_id: TransactionId) -> TransactionTrace:
        found = self._observation.transaction_trace(transaction_id)
        if found is None:
            raise NotFound(
                f"nothing is kept of transaction {transaction_id.hex()}: this bank keeps traces of "
                f"the last {TRANSACTIONS_KEPT} transactions since its start"
            )
        return found
