"""`consortium.v1.Supervision`: what a bank serves to the regulator alone."""

from __future__ import annotations

import logging
from typing import Protocol

from node.ledger.rejection import Rejection
from node.rpc.errors import CallRefused, fault_of_rejection
from node.rpc.gate import Context, caller
from node.wire import regulator_codec, regulator_pb2
from node.wire.regulator_pb2_grpc import SupervisionServicer

_log = logging.getLogger(__name__)


class SupervisionBackend(Protocol):
    """Behind `consortium.v1.Supervision`."""

    async def submit_evidence(self, item: bytes) -> bytes:
        """Verify evidence and pass it on; return its id, 32 bytes. Raises `Rejection`."""
        ...


class SupervisionService(SupervisionServicer):
    """Parses requests, calls the backend; what was handed in is logged."""

    def __init__(self, backend: SupervisionBackend) -> None:
        self._backend = backend

    async def SubmitEvidence(  # noqa: N802
        self, request: regulator_pb2.SubmitEvidenceRequest, context: Context
    ) -> regulator_pb2.SubmitEvidenceResponse:
        item = regulator_codec.evidence_item(request)
        try:
            evidence_id = await self._backend.submit_evidence(item)
        except Rejection as rejection:
            raise CallRefused(fault_of_rejection(rejection)) from rejection
        _log.info(
            "evidence_handed_in", extra={"caller": str(caller()), "evidence": evidence_id.hex()}
        )
        return regulator_pb2.SubmitEvidenceResponse(evidence_id=evidence_id)
