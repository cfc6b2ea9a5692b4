"""Typed access to the regulator's own service, and to what banks serve to the regulator alone."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

import grpc

from node.client.connection import ClientCredentials, Endpoint
from node.client.errors import LedgerFault
from node.client.status import error_of_call
from node.ledger.types import Height
from node.wire import regulator_codec, regulator_pb2, regulator_pb2_grpc
from node.wire.fields import MalformedMessage
from node.wire.regulator_records import (
    AuditRecord,
    ChallengeOutcome,
    RegulatorAlarm,
    RegulatorStatus,
    ReverificationRecord,
)

T = TypeVar("T")

DEFAULT_DEADLINE_MS = 10_000
CHALLENGE_DEADLINE_MS = 120_000
"""Verifying a full block takes seconds, and others may be challenged before it."""


async def _call(
    method: Any, request: Any, read: Callable[[Any], T], deadline_ms: int, callee: str
) -> T:
    """Make one call; raises `LedgerError` subclasses."""
    try:
        return read(await method(request, timeout=deadline_ms / 1000))
    except grpc.aio.AioRpcError as error:
        raise error_of_call(error, callee) from error
    except MalformedMessage as error:
        raise LedgerFault(f"the answer breaks the contract: {error}", endpoint=callee) from error


class RegulatorClient:
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
        """`address` is `host:port`; the connection is made when it is first needed."""
        self._channel = credentials.open_regulator_channel(address)
        self._stub: Any = regulator_pb2_grpc.RegulatorStub(self._channel)
        self._deadline_ms = deadline_ms
        self._callee = f"regulator@{address}"

    async def __aenter__(self) -> RegulatorClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()

    async def status(self) -> RegulatorStatus:
        """Return how far the regulator is, and what it has done."""
        return await _call(
            self._stub.GetRegulatorStatus,
            regulator_pb2.GetRegulatorStatusRequest(),
            regulator_codec.status_from_stub,
            self._deadline_ms,
            self._callee,
        )

    async def alarms(self, limit: int = 0) -> tuple[RegulatorAlarm, ...]:
        """Return the latest alarms, newest first; 0 for as many as one answer holds."""
        return await _call(
            self._stub.ListAlarms,
            regulator_pb2.ListAlarmsRequest(limit=limit),
            regulator_codec.alarms_from_stub,
            self._deadline_ms,
            self._callee,
        )

    async def reverifications(self, limit: int = 0) -> tuple[ReverificationRecord, ...]:
        """Return the latest re-verifications, newest first."""
        return await _call(
            self._stub.ListReverifications,
            regulator_pb2.ListReverificationsRequest(limit=limit),
            regulator_codec.reverifications_from_stub,
            self._deadline_ms,
            self._callee,
        )

    async def challenge(self, height: Height, reason: str) -> ChallengeOutcome:
        """Have a block verified again, as the bank that the credentials are of."""
        return await _call(
            self._stub.Challenge,
            regulator_pb2.ChallengeRequest(height=height, reason=reason),
            regulator_codec.outcome_from_stub,
            CHALLENGE_DEADLINE_MS,
            self._callee,
        )

    async def openings(self, from_sequence: int = 0) -> tuple[AuditRecord, ...]:
        """Return openings of ballots and refusals to open, oldest first."""
        return await _call(
            self._stub.ListOpenings,
            regulator_pb2.ListOpeningsRequest(from_sequence=from_sequence),
            regulator_codec.openings_from_stub,
            self._deadline_ms,
            self._callee,
        )


class SupervisionClient:
    """The regulator's access to one bank, beyond what everybody may read."""

    def __init__(self, endpoint: Endpoint, credentials: ClientCredentials) -> None:
        """`credentials` are those of the regulator."""
        self.endpoint = endpoint
        self._channel = credentials.open_channel(endpoint)
        self._stub: Any = regulator_pb2_grpc.SupervisionStub(self._channel)

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()

    async def submit_evidence(self, item: bytes) -> bytes:
        """Hand in an evidence item; return its id. Raises `LedgerError` subclasses."""
        return await _call(
            self._stub.SubmitEvidence,
            regulator_pb2.SubmitEvidenceRequest(item=item),
            regulator_codec.evidence_id,
            DEFAULT_DEADLINE_MS,
            str(self.endpoint),
        )
