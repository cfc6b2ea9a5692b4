"""Stubs of `consortium.v1.Regulator` and `Supervision` to values and back."""

from __future__ import annotations

from collections.abc import Sequence

from node.ledger.blocks import MAX_EVIDENCE_BYTES
from node.ledger.types import HASH_BYTES, Height
from node.wire import regulator_pb2
from node.wire.fields import (
    MalformedMessage,
    bounded_bytes,
    bounded_count,
    exact_bytes,
    from_stub,
    to_stub,
)
from node.wire.regulator_records import (
    AuditRecord,
    ChallengeCounts,
    ChallengeOutcome,
    RegulatorAlarm,
    RegulatorStatus,
    ReverificationRecord,
    SettlementStatus,
)

MAX_LISTED = 100
"""Items of one answer."""
MAX_REASON_CHARACTERS = 500


def listed(limit: int) -> int:
    """Return how many items are wanted; 0 stands for as many as one answer holds."""
    if limit > MAX_LISTED:
        raise MalformedMessage("limit", f"must be at most {MAX_LISTED}")
    return limit or MAX_LISTED


def status_to_stub(status: RegulatorStatus) -> regulator_pb2.RegulatorStatus:
    """Build the stub of the regulator's status."""
    settlements = [to_stub(item, regulator_pb2.SettlementStatus) for item in status.settlements]
    counts = [to_stub(item, regulator_pb2.ChallengeCounts) for item in status.challenge_counts]
    return to_stub(
        status, regulator_pb2.RegulatorStatus, settlements=settlements, challenge_counts=counts
    )


def status_from_stub(stub: regulator_pb2.RegulatorStatus) -> RegulatorStatus:
    """Read the regulator's status."""
    settlements = tuple([from_stub(item, SettlementStatus) for item in stub.settlements])
    counts = tuple([from_stub(item, ChallengeCounts) for item in stub.challenge_counts])
    return from_stub(stub, RegulatorStatus, settlements=settlements, challenge_counts=counts)


def alarms_to_stub(alarms: Sequence[RegulatorAlarm]) -> regulator_pb2.AlarmList:
    """Build the stub of a list of alarms."""
    return regulator_pb2.AlarmList(
        alarms=[to_stub(item, regulator_pb2.RegulatorAlarm) for item in alarms]
    )


def alarms_from_stub(stub: regulator_pb2.AlarmList) -> tuple[RegulatorAlarm, ...]:
    """Read a list of alarms."""
    bounded_count("alarms", stub.alarms, MAX_LISTED)
    return tuple([from_stub(item, RegulatorAlarm) for item in stub.alarms])


def reverifications_to_stub(
    records: Sequence[ReverificationRecord],
) -> regulator_pb2.ReverificationList:
    """Build the stub of a list of re-verifications."""
    return regulator_pb2.ReverificationList(
        reverifications=[to_stub(item, regulator_pb2.ReverificationRecord) for item in records]
    )


def reverifications_from_stub(
    stub: regulator_pb2.ReverificationList,
) -> tuple[ReverificationRecord, ...]:
    """Read a list of re-verifications."""
    bounded_count("reverifications", stub.reverifications, MAX_LISTED)
    return tuple([from_stub(item, ReverificationRecord) for item in stub.reverifications])


def challenge_from_stub(request: regulator_pb2.ChallengeRequest) -> tuple[Height, str]:
    """Read which block is challenged, and why."""
    if not 1 <= len(request.reason) <= MAX_REASON_CHARACTERS:
        raise MalformedMessage("reason", f"must have 1 to {MAX_REASON_CHARACTERS} characters")
    if request.height == 0:
        raise MalformedMessage("height", "block 0 is the genesis, which nobody voted on")
    return Height(request.height), request.reason


def outcome_to_stub(outcome: ChallengeOutcome) -> regulator_pb2.ChallengeResponse:
    """Build the stub of what came of a challenge."""
    return regulator_pb2.ChallengeResponse(
        challenge=outcome.challenge,
        outcome=to_stub(outcome.outcome, regulator_pb2.ReverificationRecord),
    )


def outcome_from_stub(stub: regulator_pb2.ChallengeResponse) -> ChallengeOutcome:
    """Read what came of a challenge."""
    return ChallengeOutcome(stub.challenge, from_stub(stub.outcome, ReverificationRecord))


def openings_to_stub(records: Sequence[AuditRecord]) -> regulator_pb2.OpeningList:
    """Build the stub of a list of openings."""
    return regulator_pb2.OpeningList(
        openings=[to_stub(item, regulator_pb2.AuditRecord) for item in records]
    )


def openings_from_stub(stub: regulator_pb2.OpeningList) -> tuple[AuditRecord, ...]:
    """Read a list of openings."""
    bounded_count("openings", stub.openings, MAX_LISTED)
    for item in stub.openings:
        exact_bytes("hash", item.hash, HASH_BYTES)
    return tuple([from_stub(item, AuditRecord) for item in stub.openings])


def evidence_item(request: regulator_pb2.SubmitEvidenceRequest) -> bytes:
    """Return the evidence item if its size is that of one at all."""
    return bounded_bytes("item", request.item, MAX_EVIDENCE_BYTES, minimum=1)


def evidence_id(stub: regulator_pb2.SubmitEvidenceResponse) -> bytes:
    """Read the id under which a bank took an item."""
    return exact_bytes("evidence_id", stub.evidence_id, HASH_BYTES)
