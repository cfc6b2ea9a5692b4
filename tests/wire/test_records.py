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
)
from node.wire.records import (
    BallotConflict,
    BinRecord,
    BlockRange,
    BlockVotes,
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
    PublishedSetChange,
    PublishedState,
    Receipt,
    RecordedVote,
    Refusal,
    SealedState,
    SetChange,
    SettledYear,
    StoredBlock,
    TransactionState,
    TreasuryMovement,
    VotingStatus,
    YearShare,
)


@pytest.mark.parametrize(
    ("record", "stub"),
    [
        (Receipt, ledger_pb2.Receipt),
        (Refusal, types_pb2.Rejection),
        (Position, types_pb2.TransactionStatus.Position),
        (SetChange, types_pb2.SetChange),
        (PublishedSetChange, ledger_pb2.PublishedSetChange),
        (PublishedState, ledger_pb2.PublishedState),
        (StoredBlock, types_pb2.SealedBlock),
        (BlockVotes, ledger_pb2.BlockVotes),
        (RecordedVote, ledger_pb2.RecordedVote),
        (SettledYear, ledger_pb2.SettledYear),
        (YearShare, ledger_pb2.SettledYear.Share),
        (BallotConflict, ledger_pb2.BallotConflict),
        (InclusionProof, ledger_pb2.InclusionProof),
        (NoteRecord, ledger_pb2.Note),
        (NullifierRecord, ledger_pb2.Nullifier),
        (ClosedBinDigest, ledger_pb2.ClosedBinDigest),
        (BinRecord, ledger_pb2.Bin),
        (SealedState, types_pb2.SealedState),
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


def test_the_statuses_of_votes_are_those_of_the_contract() -> None:
    assert {f"VOTING_STATUS_{status.name}": status.value for status in VotingStatus} == {
        name: number
        for name, number in ledger_pb2.VotingStatus.items()
        if name != "VOTING_STATUS_UNSPECIFIED"
    }


def test_three_states_are_final() -> None:
    assert {state.name for state in TransactionState if state.is_final} == {
        "SEALED",
        "REJECTED",
        "EXPIRED",
    }
