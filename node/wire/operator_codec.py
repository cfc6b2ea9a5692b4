"""Stubs of `consortium.v1.Operator` to values and back."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import TypeVar

from node.ledger.types import HASH_BYTES, BankIndex, BlockId, Height
from node.wire import operator_pb2
from node.wire.fields import (
    MalformedMessage,
    bounded_count,
    bounded_text,
    exact_bytes,
    from_stub,
    seed,
    to_stub,
)
from node.wire.limits import MAX_BLOCK_IDS
from node.wire.operator_records import (
    AlarmReport,
    AuditExtent,
    AuditFailure,
    AuditReport,
    ByzantineFault,
    ConsensusReport,
    CpuReport,
    DatabaseReport,
    FaultReport,
    LedgerDigests,
    LinkDirection,
    LinkFault,
    MempoolReport,
    NodeReport,
    PeerReport,
    PerformanceReport,
    ProcessReport,
    RefusedReport,
    RoundEvent,
    RoundEventKind,
    RoundReport,
    TrafficReport,
    TransactionCheck,
    TransactionEvent,
    TransactionEventKind,
    TransactionTrace,
)

K = TypeVar("K", bound=StrEnum)

MAX_BANKS = 16
MAX_DELAY_MS = 60_000
MAX_EVENTS = 512
"""Of one height, or one transaction, at one bank."""
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


def report_to_stub(report: NodeReport) -> operator_pb2.NodeReport:
    """Build the stub of a node's report."""
    return to_stub(
        report,
        operator_pb2.NodeReport,
        consensus=_consensus_to_stub(report.consensus),
        peers=[to_stub(peer, operator_pb2.PeerReport) for peer in report.peers],
        mempool=to_stub(report.mempool, operator_pb2.MempoolReport),
        process=to_stub(report.process, operator_pb2.ProcessReport),
        database=to_stub(report.database, operator_pb2.DatabaseReport),
        alarms=[to_stub(alarm, operator_pb2.AlarmReport) for alarm in report.alarms],
        faults=[to_stub(fault, operator_pb2.FaultReport) for fault in report.faults],
        cpu=to_stub(report.cpu, operator_pb2.CpuReport),
        traffic=to_stub(report.traffic, operator_pb2.TrafficReport),
        performance=to_stub(report.performance, operator_pb2.PerformanceReport),
    )


def _consensus_to_stub(report: ConsensusReport) -> operator_pb2.ConsensusReport:
    refused = [to_stub(item, operator_pb2.RefusedReport) for item in report.refused]
    return to_stub(report, operator_pb2.ConsensusReport, refused=refused)


def report_from_stub(stub: operator_pb2.NodeReport) -> NodeReport:
    """Read a node's report."""
    return from_stub(
        stub,
        NodeReport,
        consensus=from_stub(
            stub.consensus,
            ConsensusReport,
            refused=tuple(from_stub(item, RefusedReport) for item in stub.consensus.refused),
        ),
        peers=tuple(from_stub(peer, PeerReport) for peer in stub.peers),
        mempool=from_stub(stub.mempool, MempoolReport),
        process=from_stub(stub.process, ProcessReport),
        database=from_stub(stub.database, DatabaseReport),
        alarms=tuple(from_stub(alarm, AlarmReport) for alarm in stub.alarms),
        faults=tuple(from_stub(fault, FaultReport) for fault in stub.faults),
        cpu=from_stub(stub.cpu, CpuReport),
        traffic=from_stub(stub.traffic, TrafficReport),
        performance=from_stub(stub.performance, PerformanceReport),
    )


def digests_to_stub(digests: LedgerDigests) -> operator_pb2.LedgerDigests:
    """Build the stub of ledger digests."""
    return to_stub(digests, operator_pb2.LedgerDigests)


def digests_from_stub(stub: operator_pb2.LedgerDigests) -> LedgerDigests:
    """Read ledger digests."""
    bounded_count("block_ids", stub.block_ids, MAX_BLOCK_IDS)
    return from_stub(
        stub,
        LedgerDigests,
        block_ids=tuple(
            BlockId(exact_bytes("block_ids", item, HASH_BYTES)) for item in stub.block_ids
        ),
    )


def audit_extent(request: operator_pb2.AuditTransactionsRequest) -> AuditExtent:
    """Read what to audit: a positive sample size, or everything."""
    drawn_by = seed("seed", request.seed)
    match request.WhichOneof("extent"):
        case "sample_size" if request.sample_size > 0:
            return AuditExtent(drawn_by, request.sample_size)
        case "everything" if request.everything:
            return AuditExtent(drawn_by, None)
        case _:
            raise MalformedMessage("extent", "give a sample size above 0 or everything = true")


def audit_to_stub(report: AuditReport) -> operator_pb2.AuditReport:
    """Build the stub of an audit report."""
    return to_stub(
        report,
        operator_pb2.AuditReport,
        failures=[to_stub(failure, operator_pb2.AuditFailure) for failure in report.failures],
    )


def audit_from_stub(stub: operator_pb2.AuditReport) -> AuditReport:
    """Read an audit report."""
    return from_stub(
        stub,
        AuditReport,
        failures=tuple(from_stub(failure, AuditFailure) for failure in stub.failures),
    )


def log_level(request: operator_pb2.SetLogLevelRequest) -> str:
    """Read a log level by its exact name."""
    if request.level not in LOG_LEVELS:
        raise MalformedMessage("level", f"must be one of {', '.join(LOG_LEVELS)}")
    return request.level


def link_fault(stub: operator_pb2.LinkFault) -> LinkFault:
    """Read the conditions of links, every number within its limit."""
    bounded_count("peers", stub.peers, MAX_BANKS)
    for field, limit in (
        ("delay_ms", MAX_DELAY_MS),
        ("jitter_ms", MAX_DELAY_MS),
        ("loss_per_mille", 1_000),
    ):
        if getattr(stub, field) > limit:
            raise MalformedMessage(field, f"must be at most {limit}")
    try:
        direction = LinkDirection(stub.direction)
    except ValueError:
        raise MalformedMessage("direction", "must be OUT, IN or BOTH") from None
    return LinkFault(
        peers=tuple(BankIndex(peer) for peer in stub.peers),
        direction=direction,
        cut=stub.cut,
        delay_ms=stub.delay_ms,
        jitter_ms=stub.jitter_ms,
        loss_per_mille=stub.loss_per_mille,
    )


def fault_from_stub(request: operator_pb2.InjectFaultRequest) -> LinkFault | ByzantineFault:
    """Read which fault to inject."""
    match request.WhichOneof("fault"):
        case "link":
            return link_fault(request.link)
        case "byzantine":
            style = bounded_text("style", request.byzantine.style)
            return ByzantineFault(style, request.byzantine.seed)
        case _:
            raise MalformedMessage("fault", "name a fault")


def fault_to_stub(fault: LinkFault | ByzantineFault) -> operator_pb2.InjectFaultRequest:
    """Build the request that injects a fault."""
    if isinstance(fault, ByzantineFault):
        stub = to_stub(fault, operator_pb2.ByzantineFault)
        return operator_pb2.InjectFaultRequest(byzantine=stub)
    link = to_stub(fault, operator_pb2.LinkFault, direction=fault.direction.value)
    return operator_pb2.InjectFaultRequest(link=link)


def faults_to_stub(faults: Iterable[FaultReport]) -> operator_pb2.FaultsResponse:
    """Build the answer that lists a node's faults."""
    listed = [to_stub(fault, operator_pb2.FaultReport) for fault in faults]
    return operator_pb2.FaultsResponse(faults=listed)


def faults_from_stub(stub: operator_pb2.FaultsResponse) -> tuple[FaultReport, ...]:
    """Read the list of a node's faults."""
    return tuple(from_stub(fault, FaultReport) for fault in stub.faults)


def optional_height(value: int) -> Height | None:
    """Read a height field in which 0 stands for the tip."""
    return Height(value) if value else None


def round_to_stub(report: RoundReport) -> operator_pb2.RoundReport:
    """Build the stub of how a bank saw the decision of a height."""
    return to_stub(
        report,
        operator_pb2.RoundReport,
        events=[to_stub(event, operator_pb2.RoundEvent) for event in report.events],
    )


def round_from_stub(stub: operator_pb2.RoundReport) -> RoundReport:
    """Read how a bank saw the decision of a height."""
    bounded_count("events", stub.events, MAX_EVENTS)
    return from_stub(
        stub,
        RoundReport,
        events=tuple(
            from_stub(event, RoundEvent, kind=_kind(RoundEventKind, event.kind))
            for event in stub.events
        ),
    )


def trace_to_stub(trace: TransactionTrace) -> operator_pb2.TransactionTrace:
    """Build the stub of what a bank did with a transaction."""
    return to_stub(
        trace,
        operator_pb2.TransactionTrace,
        checks=[to_stub(check, operator_pb2.TransactionCheck) for check in trace.checks],
        events=[to_stub(event, operator_pb2.TransactionEvent) for event in trace.events],
    )


def trace_from_stub(stub: operator_pb2.TransactionTrace) -> TransactionTrace:
    """Read what a bank did with a transaction."""
    bounded_count("checks", stub.checks, MAX_EVENTS)
    bounded_count("events", stub.events, MAX_EVENTS)
    return from_stub(
        stub,
        TransactionTrace,
        checks=tuple(from_stub(check, TransactionCheck) for check in stub.checks),
        events=tuple(
            from_stub(event, TransactionEvent, kind=_kind(TransactionEventKind, event.kind))
            for event in stub.events
        ),
    )


def _kind(kinds: type[K], value: str) -> K:
    try:
        return kinds(value)
    except ValueError:
        raise MalformedMessage("kind", f"must be one of {', '.join(kinds)}") from None
