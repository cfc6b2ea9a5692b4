"""Typed access to the regulator's own service, and to what banks serve to the regulator alone."""

from __future__ import annotations

from node.client.connection import ClientCredentials, Endpoint
from node.client.service_client import ServiceClient
from node.ledger.types import Height
from node.wire import regulator_codec, regulator_pb2, regulator_pb2_grpc
from node.wire.regulator_records import (
    AuditRecord,
    ChallengeOutcome,
    RegulatorAlarm,
    RegulatorStatus,
    ReverificationRecord,
)

DEFAULT_DEADLINE_MS = 10_000
CHALLENGE_DEADLINE_MS = 120_000
"""Verifying a full block takes seconds, and others may be challenged before it."""


class RegulatorClient(ServiceClient):
    """Client of the regulator; `async with RegulatorClient(...) as regulator:`.

    All methods raise `LedgerError` subclasses.
    """

    def __init__(
        self,
        address: str,
        credentials: ClientCredentials,
        *,
        deadline_ms: int = DEFAULT_DEADLINE_MS,
    ) -> None:
        """`address` is `host:port`."""
        super().__init__(
            credentials.open_regulator_channel(address),
            regulator_pb2_grpc.RegulatorStub,
            f"regulator@{address}",
            deadline_ms,
        )

    async def status(self) -> RegulatorStatus:
        """Return how far the regulator is, and what it has done."""
        return await self._call(
            "GetRegulatorStatus",
            regulator_pb2.GetRegulatorStatusRequest(),
            regulator_codec.status_from_stub,
        )

    async def alarms(self, limit: int = 0) -> tuple[RegulatorAlarm, ...]:
        """Return the latest alarms, newest first; 0 for as many as one answer holds."""
        return await self._call(
            "ListAlarms",
            regulator_pb2.ListAlarmsRequest(limit=limit),
            regulator_codec.alarms_from_stub,
        )

    async def reverifications(self, limit: int = 0) -> tuple[ReverificationRecord, ...]:
        """Return the latest re-verifications, newest first."""
        return await self._call(
            "ListReverifications",
            regulator_pb2.ListReverificationsRequest(limit=limit),
            regulator_codec.reverifications_from_stub,
        )

    async def challenge(self, height: Height, reason: str) -> ChallengeOutcome:
        """Have a block verified again, as the bank that the credentials are of."""
        return await self._call(
            "Challenge",
            regulator_pb2.ChallengeRequest(height=height, reason=reason),
            regulator_codec.outcome_from_stub,
            deadline_ms=CHALLENGE_DEADLINE_MS,
        )

    async def openings(self, from_sequence: int = 0) -> tuple[AuditRecord, ...]:
        """Return openings of ballots and refusals to open, oldest first."""
        return await self._call(
            "ListOpenings",
            regulator_pb2.ListOpeningsRequest(from_sequence=from_sequence),
            regulator_codec.openings_from_stub,
        )


class SupervisionClient(ServiceClient):
    """The regulator's access to one bank, beyond what everybody may read."""

    def __init__(self, endpoint: Endpoint, credentials: ClientCredentials) -> None:
        """`credentials` are those of the regulator."""
        channel = credentials.open_channel(endpoint)
        stub = regulator_pb2_grpc.SupervisionStub
        super().__init__(channel, stub, str(endpoint), DEFAULT_DEADLINE_MS)
        self.endpoint = endpoint

    async def submit_evidence(self, item: bytes) -> bytes:
        """Hand in an evidence item; return its id. Raises `LedgerError` subclasses."""
        return await self._call(
            "SubmitEvidence",
            regulator_pb2.SubmitEvidenceRequest(item=item),
            regulator_codec.evidence_id,
        )
