"""Stubs of `consortium.v1.Operator` to values and back."""

from __future__ import annotations

from node.ledger.types import HASH_BYTES, BlockId, Height
from node.wire import operator_pb2
from node.wire.fields import (
    MalformedMessage,
    bounded_count,
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
    ConsensusReport,
    DatabaseReport,
    LedgerDigests,
    MempoolReport,
    NodeReport,
    PeerReport,
    ProcessReport,
    TreasuryRow,
)

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


def report_to_stub(report: NodeReport) -> operator_pb2.NodeReport:
    """Build the stub of a node's report."""
    return to_stub(
        report,
        operator_pb2.NodeReport,
        consensus=to_stub(report.consensus, operator_pb2.ConsensusReport),
        peers=[to_stub(peer, operator_pb2.PeerReport) for peer in report.peers],
        mempool=to_stub(report.mempool, operator_pb2.MempoolReport),
        process=to_stub(report.process, operator_pb2.ProcessReport),
        database=to_stub(report.database, operator_pb2.DatabaseReport),
        alarms=[to_stub(alarm, operator_pb2.AlarmReport) for alarm in report.alarms],
    )


def report_from_stub(stub: operator_pb2.NodeReport) -> NodeReport:
    """Read a node's report."""
    return from_stub(
        stub,
        NodeReport,
        consensus=from_stub(stub.consensus, ConsensusReport),
        peers=tuple(from_stub(peer, PeerReport) for peer in stub.peers),
        mempool=from_stub(stub.mempool, MempoolReport),
        process=from_stub(stub.process, ProcessReport),
        database=from_stub(stub.database, DatabaseReport),
        alarms=tuple(from_stub(alarm, AlarmReport) for alarm in stub.alarms),
    )


def digests_to_stub(digests: LedgerDigests) -> operator_pb2.LedgerDigests:
    """Build the stub of ledger digests."""
    return to_stub(
        digests,
        operator_pb2.LedgerDigests,
        treasury=[to_stub(row, operator_pb2.TreasuryRow) for row in digests.treasury],
    )


def digests_from_stub(stub: operator_pb2.LedgerDigests) -> LedgerDigests:
    """Read ledger digests."""
    bounded_count("block_ids", stub.block_ids, MAX_BLOCK_IDS)
    return from_stub(
        stub,
        LedgerDigests,
        block_ids=tuple(
            BlockId(exact_bytes("block_ids", item, HASH_BYTES)) for item in stub.block_ids
        ),
        treasury=tuple(from_stub(row, TreasuryRow) for row in stub.treasury),
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


def optional_height(value: int) -> Height | None:
    """Read a height field in which 0 stands for the tip."""
    return Height(value) if value else None
