"""`consortium.v1.Operator` over an `OperatorBackend`."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing

from node.ledger.types import Height
from node.rpc.backend import OperatorBackend
from node.rpc.gate import Context, caller
from node.wire import codec, operator_codec, operator_pb2, types_pb2
from node.wire.fields import bounded_text
from node.wire.operator_pb2_grpc import OperatorServicer

_log = logging.getLogger(__name__)


class OperatorService(OperatorServicer):
    """Parses requests, calls the backend, builds answers; acts are logged with who asked."""

    def __init__(self, backend: OperatorBackend) -> None:
        self._backend = backend

    async def GetStatus(  # noqa: N802
        self, request: operator_pb2.GetStatusRequest, context: Context
    ) -> operator_pb2.NodeReport:
        return operator_codec.report_to_stub(await self._backend.report())

    async def Shutdown(  # noqa: N802
        self, request: operator_pb2.ShutdownRequest, context: Context
    ) -> operator_pb2.ShutdownResponse:
        reason = bounded_text("reason", request.reason)
        _log.info("shutdown_requested", extra={"caller": str(caller()), "reason": reason})
        await self._backend.shutdown(reason, caller())
        return operator_pb2.ShutdownResponse()

    async def GetDigests(  # noqa: N802
        self, request: operator_pb2.GetDigestsRequest, context: Context
    ) -> operator_pb2.LedgerDigests:
        digests = await self._backend.digests(
            Height(request.from_height), operator_codec.optional_height(request.at_height)
        )
        return operator_codec.digests_to_stub(digests)

    async def ListBlocks(  # noqa: N802
        self, request: operator_pb2.ListBlocksRequest, context: Context
    ) -> AsyncGenerator[types_pb2.PublishedBlock, None]:
        blocks = self._backend.stored_blocks(
            Height(request.from_height), operator_codec.optional_height(request.to_height)
        )
        async with aclosing(blocks):
            async for block in blocks:
                yield codec.published_block_to_stub(block)

    async def AuditTransactions(  # noqa: N802
        self, request: operator_pb2.AuditTransactionsRequest, context: Context
    ) -> AsyncGenerator[operator_pb2.AuditReport, None]:
        extent = operator_codec.audit_extent(request)
        _log.info("audit_requested", extra={"caller": str(caller()), "sample": extent.sample_size})
        reports = self._backend.audit(extent)
        async with aclosing(reports):
            async for report in reports:
                yield operator_codec.audit_to_stub(report)

    async def SetLogLevel(  # noqa: N802
        self, request: operator_pb2.SetLogLevelRequest, context: Context
    ) -> operator_pb2.SetLogLevelResponse:
        level = operator_codec.log_level(request)
        previous = await self._backend.set_log_level(level)
        _log.info("log_level_set", extra={"caller": str(caller()), "level": level})
        return operator_pb2.SetLogLevelResponse(previous_level=previous)

    async def InjectFault(  # noqa: N802
        self, request: operator_pb2.InjectFaultRequest, context: Context
    ) -> operator_pb2.FaultsResponse:
        fault = operator_codec.fault_from_stub(request)
        faults = await self._backend.inject_fault(fault)
        _log.warning("fault_injected", extra={"caller": str(caller()), "fault": str(fault)})
        return operator_codec.faults_to_stub(faults)

    async def HealFaults(  # noqa: N802
        self, request: operator_pb2.HealFaultsRequest, context: Context
    ) -> operator_pb2.FaultsResponse:
        faults = await self._backend.heal_faults()
        _log.warning("faults_healed", extra={"caller": str(caller())})
        return operator_codec.faults_to_stub(faults)

    async def GetRound(  # noqa: N802
        self, request: operator_pb2.GetRoundRequest, context: Context
    ) -> operator_pb2.RoundReport:
        return operator_codec.round_to_stub(await self._backend.round(Height(request.height)))

    async def GetTransactionTrace(  # noqa: N802
        self, request: operator_pb2.GetTransactionTraceRequest, context: Context
    ) -> operator_pb2.TransactionTrace:
        wanted = codec.transaction_id(request.transaction_id)
        return operator_codec.trace_to_stub(await self._backend.transaction_trace(wanted))
