"""`consortium.v1.Regulator` over a `RegulatorBackend`, and who may call it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from node.ledger.types import BankIndex, Height
from node.rpc.gate import Context, caller
from node.rpc.roles import HEALTH, METHODS, REFLECTION, SMALL_REQUEST_BYTES, MethodRule
from node.wire import regulator_codec, regulator_pb2
from node.wire.identity import Role
from node.wire.regulator_codec import listed
from node.wire.regulator_pb2_grpc import RegulatorServicer
from node.wire.regulator_records import (
    AuditRecord,
    ChallengeOutcome,
    RegulatorAlarm,
    RegulatorStatus,
    ReverificationRecord,
)

REGULATOR = "consortium.v1.Regulator"
CHALLENGE_REQUEST_BYTES = 4_096
READ_SECONDS = 15.0
CHALLENGE_SECONDS = 120.0
"""A full block at a bank that is busy takes seconds; others may be challenged before it."""

_EVERYBODY = frozenset(Role)

REGULATOR_METHODS: Mapping[str, MethodRule] = {
    f"/{REGULATOR}/GetRegulatorStatus": MethodRule(_EVERYBODY, SMALL_REQUEST_BYTES, READ_SECONDS),
    f"/{REGULATOR}/ListAlarms": MethodRule(_EVERYBODY, SMALL_REQUEST_BYTES, READ_SECONDS),
    f"/{REGULATOR}/ListReverifications": MethodRule(_EVERYBODY, SMALL_REQUEST_BYTES, READ_SECONDS),
    f"/{REGULATOR}/ListOpenings": MethodRule(_EVERYBODY, SMALL_REQUEST_BYTES, READ_SECONDS),
    f"/{REGULATOR}/Challenge": MethodRule(
        frozenset({Role.BANK}), CHALLENGE_REQUEST_BYTES, CHALLENGE_SECONDS, 2
    ),
    **{
        path: rule
        for path, rule in METHODS.items()
        if path.startswith((f"/{HEALTH}/", f"/{REFLECTION}/"))
    },
}
"""Every method of the regulator's server, as `node.rpc.roles.METHODS` is for a bank's."""


class RegulatorBackend(Protocol):
    """Behind `consortium.v1.Regulator`."""

    async def status(self) -> RegulatorStatus:
        """Return how far the regulator is."""
        ...

    async def alarms(self, limit: int) -> Sequence[RegulatorAlarm]:
        """Return the latest alarms, newest first."""
        ...

    async def reverifications(self, limit: int) -> Sequence[ReverificationRecord]:
        """Return the latest re-verifications, newest first."""
        ...

    async def challenge(self, height: Height, reason: str, bank: BankIndex) -> ChallengeOutcome:
        """Verify a block again; raises `Overloaded` ("challenges"), `NotFound`, `NotReady`."""
        ...

    async def openings(self, from_sequence: int) -> Sequence[AuditRecord]:
        """Return openings and refusals to open, oldest first."""
        ...


class RegulatorService(RegulatorServicer):
    """Parses requests, calls the backend, builds answers; errors are the gate's business."""

    def __init__(self, backend: RegulatorBackend) -> None:
        self._backend = backend

    async def GetRegulatorStatus(  # noqa: N802
        self, request: regulator_pb2.GetRegulatorStatusRequest, context: Context
    ) -> regulator_pb2.RegulatorStatus:
        return regulator_codec.status_to_stub(await self._backend.status())

    async def ListAlarms(  # noqa: N802
        self, request: regulator_pb2.ListAlarmsRequest, context: Context
    ) -> regulator_pb2.AlarmList:
        return regulator_codec.alarms_to_stub(await self._backend.alarms(listed(request.limit)))

    async def ListReverifications(  # noqa: N802
        self, request: regulator_pb2.ListReverificationsRequest, context: Context
    ) -> regulator_pb2.ReverificationList:
        found = await self._backend.reverifications(listed(request.limit))
        return regulator_codec.reverifications_to_stub(found)

    async def Challenge(  # noqa: N802
        self, request: regulator_pb2.ChallengeRequest, context: Context
    ) -> regulator_pb2.ChallengeResponse:
        height, reason = regulator_codec.challenge_from_stub(request)
        outcome = await self._backend.challenge(height, reason, caller().bank)
        return regulator_codec.outcome_to_stub(outcome)

    async def ListOpenings(  # noqa: N802
        self, request: regulator_pb2.ListOpeningsRequest, context: Context
    ) -> regulator_pb2.OpeningList:
        found = await self._backend.openings(request.from_sequence)
        return regulator_codec.openings_to_stub(found)
