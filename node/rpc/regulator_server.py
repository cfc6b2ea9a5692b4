"""The regulator's gRPC server: the same gate as a bank's, one service of its own."""

from __future__ import annotations

import logging

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from node.rpc.certificates import utc_now
from node.rpc.credentials import TlsFiles, server_credentials
from node.rpc.gate import Admittance, Gate
from node.rpc.regulator_service import (
    REGULATOR,
    REGULATOR_METHODS,
    RegulatorBackend,
    RegulatorService,
)
from node.rpc.revocation import Revocations
from node.rpc.roles import HEALTH, REFLECTION
from node.rpc.server import AddressUnusable, NodeServer
from node.rpc.transport import SERVER_OPTIONS
from node.wire.regulator_pb2_grpc import add_RegulatorServicer_to_server

MAX_CONCURRENT_CALLS = 256

_log = logging.getLogger(__name__)


async def serve_regulator(
    backend: RegulatorBackend, tls: TlsFiles, address: str, admittance: Admittance
) -> NodeServer:
    """Start serving on `address` (`host:port`; port 0 picks one).

    Raises `CertificateInvalid` and `AddressUnusable` as `node.rpc.server.serve` does.
    """
    credentials = server_credentials(tls, utc_now())
    gate = Gate(admittance, Revocations(tls), REGULATOR_METHODS)
    server = grpc.aio.server(
        interceptors=(gate,),
        options=SERVER_OPTIONS,
        maximum_concurrent_rpcs=MAX_CONCURRENT_CALLS,
    )
    add_RegulatorServicer_to_server(RegulatorService(backend), server)
    health_servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    reflection.enable_server_reflection((REGULATOR, HEALTH, REFLECTION), server)
    try:
        port = server.add_secure_port(address, credentials)
    except RuntimeError:
        port = 0
    if port == 0:
        raise AddressUnusable(f"cannot listen on {address}: it is in use or not of this machine")
    running = NodeServer(server, gate, health_servicer, port)
    await server.start()
    for service in ("", REGULATOR):
        await health_servicer.set(service, health_pb2.HealthCheckResponse.SERVING)
    _log.info("serving", extra={"address": address, "port": port})
    return running
