"""Revoked certificates (ARCHITECTURE 6): refused at the next call, running streams ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
import pytest_asyncio
from cryptography import x509

from node.rpc.certificates import CertificateAuthority, CertificateInvalid, IssuedCertificate
from node.rpc.credentials import TlsFiles
from node.rpc.gate import Admittance
from node.rpc.revocation import (
    REVOCATION_FILE,
    Revocations,
    read_list,
    require_valid_server,
    write_list,
)
from node.rpc.server import Backends, NodeServer, serve
from node.rpc.transport import link_options
from node.wire import ledger_pb2
from node.wire.identity import Identity, Role, bank_server_name
from node.wire.ledger_pb2_grpc import LedgerStub
from tests.rpc.conftest import CONSORTIUM
from tests.rpc.doubles import LedgerDouble, OperatorDouble, PeerDouble
from tests.rpc.faults import fault_of_call

ALICE = Identity(CONSORTIUM, Role.CLIENT, "alice")
BOB = Identity(CONSORTIUM, Role.CLIENT, "bob")


def serial(issued: IssuedCertificate) -> int:
    return x509.load_pem_x509_certificate(issued.certificate).serial_number


@dataclass
class Guarded:
    """Bank 0 in a directory of its own, so that a list can be put beside its certificate."""

    server: NodeServer
    files: TlsFiles
    authority: CertificateAuthority
    now: datetime

    @property
    def list_file(self) -> Path:
        return self.files.directory / REVOCATION_FILE

    def revoke(self, *issued: IssuedCertificate) -> None:
        write_list(self.authority, self.list_file, [serial(item) for item in issued], self.now)

    def channel(self, issued: IssuedCertificate) -> Any:
        credentials = grpc.ssl_channel_credentials(
            self.authority.pem, issued.key, issued.certificate
        )
        return grpc.aio.secure_channel(
            f"127.0.0.1:{self.server.port}",
            credentials,
            options=link_options(Identity.of_bank(CONSORTIUM, 0)),
        )


@pytest_asyncio.fixture
async def guarded(
    authority: CertificateAuthority, now: datetime, tmp_path: Path
) -> AsyncIterator[Guarded]:
    files = TlsFiles(tmp_path)
    files.write(authority.issue(Identity.of_bank(CONSORTIUM, 0), now))
    server = await serve(
        Backends(LedgerDouble(), PeerDouble(), OperatorDouble()),
        files,
        "127.0.0.1:0",
        Admittance(CONSORTIUM),
    )
    yield Guarded(server, files, authority, now)
    await server.stop(0)


async def name_of_bank(channel: Any) -> str:
    request = ledger_pb2.GetNodeStatusRequest()
    return str((await LedgerStub(channel).GetNodeStatus(request, timeout=10)).bank_name)


async def until_revoked(channel: Any) -> Any:
    """Call until the list is in force, which takes about a second; return the fault."""
    async with asyncio.timeout(30):
        while True:
            call = LedgerStub(channel).GetNodeStatus(ledger_pb2.GetNodeStatusRequest(), timeout=10)
            try:
                await call
            except grpc.aio.AioRpcError:
                return await fault_of_call(call)
            await asyncio.sleep(0.05)


async def test_a_revoked_certificate_is_refused_on_an_open_connection(guarded: Guarded) -> None:
    alice = guarded.authority.issue(ALICE, guarded.now)
    again = guarded.authority.issue(ALICE, guarded.now)
    async with guarded.channel(alice) as channel, guarded.channel(again) as renewed:
        assert await name_of_bank(channel) == "Amberfield"
        guarded.revoke(alice)
        fault = await until_revoked(channel)
        assert (fault.status, fault.reason, fault.message) == (
            "UNAUTHENTICATED",
            "revoked",
            "the certificate has been revoked",
        )
        assert await name_of_bank(renewed) == "Amberfield", "the certificate, not its holder"


async def test_running_streams_of_a_revoked_certificate_are_ended_and_no_others(
    guarded: Guarded,
) -> None:
    alice = guarded.authority.issue(ALICE, guarded.now)
    bob = guarded.authority.issue(BOB, guarded.now)
    async with guarded.channel(alice) as hers, guarded.channel(bob) as his:
        request = ledger_pb2.StreamBlocksRequest(from_height=1, follow=True)
        streams = [LedgerStub(channel).StreamBlocks(request) for channel in (hers, his)]
        for stream in streams:
            await stream.read()
        guarded.revoke(alice)

        async def read_to_end() -> None:
            while await streams[0].read() is not grpc.aio.EOF:
                pass

        fault = await fault_of_call(asyncio.wait_for(read_to_end(), 30))
        assert (fault.status, fault.reason) == ("UNAUTHENTICATED", "revoked")
        assert not streams[1].done()


async def test_a_list_grows_and_is_never_taken_back(guarded: Guarded) -> None:
    alice = guarded.authority.issue(ALICE, guarded.now)
    bob = guarded.authority.issue(BOB, guarded.now)
    guarded.revoke(alice)
    first = guarded.list_file.read_bytes()
    guarded.revoke(bob)
    listed = read_list(guarded.list_file, guarded.authority.certificate)
    assert {entry.serial_number for entry in listed} == {serial(alice), serial(bob)}
    revocations = Revocations(guarded.files)
    for replacement in (first, b"junk", None):
        if replacement is None:
            guarded.list_file.unlink()
        else:
            guarded.list_file.unlink()
            guarded.list_file.write_bytes(replacement)
        assert not revocations.reload()
        assert revocations.revoked(alice.certificate)
        assert revocations.revoked(bob.certificate)
    assert not revocations.revoked(guarded.authority.issue(ALICE, guarded.now).certificate)


def test_a_list_of_another_authority_is_not_taken(
    authority: CertificateAuthority, now: datetime, tmp_path: Path
) -> None:
    files = TlsFiles(tmp_path)
    files.write(authority.issue(ALICE, now))
    foreign = CertificateAuthority.create(CONSORTIUM, now)
    write_list(foreign, tmp_path / REVOCATION_FILE, [1], now)
    with pytest.raises(CertificateInvalid) as caught:
        Revocations(files)
    assert str(caught.value) == (f"{tmp_path}/ca.crl is not signed by the consortium's authority")


async def test_a_link_does_not_connect_to_a_revoked_server(
    guarded: Guarded, tls_files: Callable[[str], TlsFiles], tmp_path: Path
) -> None:
    """The caller's own list decides: here bank 1 looks at bank 0."""
    caller = TlsFiles(tmp_path / "bank-1")
    caller.directory.mkdir()
    caller.write(guarded.authority.issue(Identity.of_bank(CONSORTIUM, 1), guarded.now))
    address = f"127.0.0.1:{guarded.server.port}"
    name = bank_server_name(CONSORTIUM, 0)
    await require_valid_server(address, name, caller)
    listed = caller.directory / REVOCATION_FILE
    write_list(guarded.authority, listed, [1], guarded.now)
    await require_valid_server(address, name, caller)
    shown = x509.load_pem_x509_certificate((guarded.files.directory / "tls.crt").read_bytes())
    write_list(guarded.authority, listed, [shown.serial_number], guarded.now)
    with pytest.raises(CertificateInvalid) as caught:
        await require_valid_server(address, name, caller)
    assert str(caught.value) == "the bank's certificate: certificate revoked"
