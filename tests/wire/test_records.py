"""Records and stubs have the same fields, so that none is lost between them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from node.wire import ledger_pb2, operator_pb2, peer_pb2, types_pb2
from node.wire.operator_records import (
    AlarmReport,
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
from node.wire.records import (
    BinRecord,
    BlockRange,
    ClosedBinDigest,
    EvidenceItem,
    EvidenceStatus,
    Hello,
    InclusionProof,
    LedgerParameters,
    NodeStatus,
    NoteRecord,
    NullifierRecord,
    Position,
    Receipt,
    Refusal,
    SealedState,
    SetChange,
    TransactionState,
    TreasuryMovement,
)


@pytest.mark.parametrize(
    ("record", "stub"),
    [
        (Receipt, ledger_pb2.Receipt),
        (Refusal, types_pb2.Rejection),
        (Position, types_pb2.TransactionStatus.Position),
        (SetChange, ledger_pb2.SetChange),
        (InclusionProof, ledger_pb2.InclusionProof),
        (NoteRecord, ledger_pb2.Note),
        (NullifierRecord, ledger_pb2.Nullifier),
        (ClosedBinDigest, ledger_pb2.ClosedBinDigest),
        (BinRecord, ledger_pb2.Bin),
        (SealedState, ledger_pb2.SealedState),
        (EvidenceItem, ledger_pb2.EvidenceItem),
        (TreasuryMovement, ledger_pb2.TreasuryMovement),
        (LedgerParameters, ledger_pb2.GetParametersResponse),
        (NodeStatus, ledger_pb2.GetNodeStatusResponse),
        (Hello, peer_pb2.Hello),
        (BlockRange, peer_pb2.FetchBlocksResponse),
        (NodeReport, operator_pb2.NodeReport),
        (ConsensusReport, operator_pb2.ConsensusReport),
        (PeerReport, operator_pb2.PeerReport),
        (MempoolReport, operator_pb2.MempoolReport),
        (ProcessReport, operator_pb2.ProcessReport),
        (DatabaseReport, operator_pb2.DatabaseReport),
        (AlarmReport, operator_pb2.AlarmReport),
        (LedgerDigests, operator_pb2.LedgerDigests),
        (TreasuryRow, operator_pb2.TreasuryRow),
        (AuditReport, operator_pb2.AuditReport),
        (AuditFailure, operator_pb2.AuditFailure),
    ],
)
def test_a_record_has_the_fields_of_its_stub(record: type, stub: Any) -> None:
    assert {field.name for field in dataclasses.fields(record)} == set(
        stub.DESCRIPTOR.fields_by_name
    )


def test_the_states_are_those_of_the_contract() -> None:
    assert {f"TRANSACTION_STATE_{state.name}": state.value for state in TransactionState} == {
        name: number
        for name, number in types_pb2.TransactionState.items()
        if name != "TRANSACTION_STATE_UNSPECIFIED"
    }


def test_the_statuses_of_evidence_are_those_of_the_contract() -> None:
    assert {f"EVIDENCE_STATUS_{status.name}": status.value for status in EvidenceStatus} == {
        name: number
        for name, number in ledger_pb2.EvidenceStatus.items()
        if name != "EVIDENCE_STATUS_UNSPECIFIED"
    }


def test_three_states_are_final() -> None:
    assert {state.name for state in TransactionState if state.is_final} == {
        "SEALED",
        "REJECTED",
        "EXPIRED",
    }
