"""Typed access to the `consortium.v1.Operator` service of one bank, for the people who run it.

There is no failover: a question about one bank is answered by that bank or not at all.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

from node.client.connection import ClientCredentials, Endpoint
from node.client.service_client import ServiceClient
from node.ledger.types import Height, TransactionId
from node.wire import codec, operator_codec, operator_pb2, operator_pb2_grpc
from node.wire.operator_records import (
    AuditExtent,
    AuditReport,
    ByzantineFault,
    FaultReport,
    LedgerDigests,
    LinkFault,
    NodeReport,
    RoundReport,
    TransactionTrace,
)
from node.wire.records import PublishedBlock

DEFAULT_DEADLINE_MS = 5_000
SCAN_DEADLINE_MS = 300_000
"""For answers that read everything a bank stores."""
AUDIT_DEADLINE_MS = 3_600_000
"""For verifying everything again, as long as the bank allows."""


class OperatorClient(ServiceClient):
    """Client of one bank's Operator service; `async with OperatorClient(...) as bank:`.

    All methods raise `LedgerError` subclasses.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        credentials: ClientCredentials,
        *,
        deadline_ms: int = DEFAULT_DEADLINE_MS,
    ) -> None:
        """`credentials` are those of an operator."""
        channel = credentials.open_channel(endpoint)
        super().__init__(channel, operator_pb2_grpc.OperatorStub, str(endpoint), deadline_ms)
        self.endpoint = endpoint

    async def report(self) -> NodeReport:
        """Return everything about the node's health."""
        request = operator_pb2.GetStatusRequest()
        return await self._call("GetStatus", request, operator_codec.report_from_stub)

    async def shutdown(self, reason: str) -> None:
        """Ask the node to stop cleanly; it answers before it does."""
        request = operator_pb2.ShutdownRequest(reason=reason)
        await self._call("Shutdown", request, lambda _: None)

    async def digests(self, from_height: Height, at_height: Height | None = None) -> LedgerDigests:
        """Return digests of what the bank stores up to a height (None: its tip).

        Block ids are listed from `from_height` on.
        """
        request = operator_pb2.GetDigestsRequest(from_height=from_height, at_height=at_height or 0)
        return await self._call(
            "GetDigests",
            request,
            operator_codec.digests_from_stub,
            deadline_ms=SCAN_DEADLINE_MS,
        )

    def blocks(
        self, from_height: Height, to_height: Height | None = None
    ) -> AsyncGenerator[PublishedBlock, None]:
        """Yield stored blocks with transaction bodies up to a height (None: the tip)."""
        request = operator_pb2.ListBlocksRequest(from_height=from_height, to_height=to_height or 0)
        read = codec.published_block_from_stub
        return self._stream("ListBlocks", request, read, SCAN_DEADLINE_MS)

    def audit(self, extent: AuditExtent) -> AsyncGenerator[AuditReport, None]:
        """Have the bank verify stored transactions again; yields progress, the last one `done`."""
        request = operator_pb2.AuditTransactionsRequest(seed=extent.seed)
        if extent.sample_size is None:
            request.everything = True
        else:
            request.sample_size = extent.sample_size
        return self._stream(
            "AuditTransactions", request, operator_codec.audit_from_stub, AUDIT_DEADLINE_MS
        )

    async def set_log_level(self, level: str) -> str:
        """Set the level of the node's log until it restarts; return the previous one."""
        request = operator_pb2.SetLogLevelRequest(level=level)
        return await self._call("SetLogLevel", request, lambda answer: str(answer.previous_level))

    async def inject_fault(self, fault: LinkFault | ByzantineFault) -> tuple[FaultReport, ...]:
        """Break something of this bank on purpose; return all that is broken in it."""
        request = operator_codec.fault_to_stub(fault)
        return await self._call("InjectFault", request, operator_codec.faults_from_stub)

    async def heal_faults(self) -> tuple[FaultReport, ...]:
        """End every fault that was injected into this bank; return what is left."""
        request = operator_pb2.HealFaultsRequest()
        return await self._call("HealFaults", request, operator_codec.faults_from_stub)

    async def round(self, height: Height) -> RoundReport:
        """Return when each step of deciding a height happened at this bank.

        Raises `RecordNotFound` for heights that the bank does not keep in memory.
        """
        request = operator_pb2.GetRoundRequest(height=height)
        return await self._call("GetRound", request, operator_codec.round_from_stub)

    async def transaction_trace(self, transaction_id: TransactionId) -> TransactionTrace:
        """Return what this bank checked of a transaction, and when what happened to it.

        Raises `RecordNotFound` for transactions that the bank does not keep in memory.
        """
        request = operator_pb2.GetTransactionTraceRequest(transaction_id=transaction_id)
        return await self._call("GetTransactionTrace", request, operator_codec.trace_from_stub)
