"""Putting a node's gRPC server together: services, gate, TLS, health and reflection."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from node.rpc.backend import LedgerBackend, OperatorBackend, PeerBackend
from node.rpc.certificates import utc_now
from node.rpc.credentials import TlsFiles, server_credentials
from node.rpc.gate import Admittance, Gate
from node.rpc.ledger_service import LedgerService
from node.rpc.operator_service import OperatorService
from node.rpc.peer_service import PeerService
from node.rpc.regulator_supervision import SupervisionBackend, SupervisionService
from node.rpc.revocation import Revocations
from node.rpc.roles import HEALTH, LEDGER, OPERATOR, PEER, REFLECTION, SUPERVISION
from node.rpc.traffic import Traffic
from node.rpc.transport import SERVER_OPTIONS
from node.wire.ledger_pb2_grpc import add_LedgerServicer_to_server
from node.wire.operator_pb2_grpc import add_OperatorServicer_to_server
from node.wire.peer_pb2_grpc import add_PeerServicer_to_server
from node.wire.regulator_pb2_grpc import add_SupervisionServicer_to_server

MAX_CONCURRENT_CALLS = 2_048
"""Of the whole server; more are refused with RESOURCE_EXHAUSTED."""

_SERVICES = (LEDGER, PEER, OPERATOR, SUPERVISION)
_log = logging.getLogger(__name__)


class AddressUnusable(Exception):
    """The server cannot listen where it was told to; the message names the address."""


@dataclass(frozen=True, slots=True)
class Backends:
    """What the services are served from."""

    ledger: LedgerBackend
    peer: PeerBackend
    operator: OperatorBackend
    supervision: SupervisionBackend | None = None
    """None: this server has nothing for the regulator."""


class NodeServer:
    """A running server. Health says NOT_SERVING until `set_ready(True)`."""

    def __init__(self, server: Any, gate: Gate, health_servicer: Any, port: int) -> None:
        self._server = server
        self._gate = gate
        self._health = health_servicer
        self._watch = asyncio.create_task(gate.watch_revocations(), name="revocations")
        self.port = port
        """Port that was bound, also if the address asked for port 0."""

    async def set_ready(self, ready: bool) -> None:
        """Tell the standard health service whether this bank answers and takes transactions."""
        status = health_pb2.HealthCheckResponse
        for service in ("", *_SERVICES):
            await self._health.set(service, status.SERVING if ready else status.NOT_SERVING)

    async def stop(self, grace_s: float) -> None:
        """Refuse new calls, let running ones finish for `grace_s` seconds, then cancel them.

        Streams that live on (links, followed blocks, watched health) are ended at once.
        """
        self._watch.cancel()
        await asyncio.gather(self._watch, return_exceptions=True)
        await self._health.enter_graceful_shutdown()
        self._gate.end_streams()
        await self._server.stop(grace_s)

    async def wait_stopped(self) -> None:
        """Wait until the server has stopped."""
        await self._server.wait_for_termination()


async def serve(
    backends: Backends,
    tls: TlsFiles,
    address: str,
    admittance: Admittance,
    traffic: Traffic | None = None,
) -> NodeServer:
    """Start serving on `address` (`host:port`; port 0 picks one); count bytes in `traffic`.

    Raises `CertificateInvalid` if the TLS files cannot be used and `AddressUnusable` if the
    address is taken or not ours.
    """
    credentials = server_credentials(tls, utc_now())
    gate = Gate(admittance, Revocations(tls), traffic=traffic)
    server = grpc.aio.server(
        interceptors=(gate,),
        options=SERVER_OPTIONS,
        maximum_concurrent_rpcs=MAX_CONCURRENT_CALLS,
    )
    add_LedgerServicer_to_server(LedgerService(backends.ledger), server)
    add_PeerServicer_to_server(PeerService(backends.peer), server)
    add_OperatorServicer_to_server(OperatorService(backends.operator), server)
    if backends.supervision is not None:
        add_SupervisionServicer_to_server(SupervisionService(backends.supervision), server)
    health_servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    reflection.enable_server_reflection((*_SERVICES, HEALTH, REFLECTION), server)
    try:
        port = server.add_secure_port(address, credentials)
    except RuntimeError:
        port = 0
    if port == 0:
        raise AddressUnusable(f"cannot listen on {address}: it is in use or not of this machine")
    running = NodeServer(server, gate, health_servicer, port)
    await running.set_ready(False)
    await server.start()
    _log.info("serving", extra={"address": address, "port": port})
    return running
