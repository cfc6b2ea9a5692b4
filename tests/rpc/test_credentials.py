"""Mutual TLS on real connections: who gets in, who does not, and rotation under way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import grpc
import grpc.aio
import pytest

from node.rpc.certificates import CertificateAuthority, CertificateInvalid
from node.rpc.credentials import TlsFiles, TlsMaterial, channel_credentials
from node.rpc.gate import Admittance
from node.rpc.server import Backends, serve
from node.rpc.transport import link_options
from node.wire import ledger_pb2
from node.wire.identity import Identity, Role
from node.wire.ledger_pb2_grpc import LedgerStub
from tests.rpc.conftest import CONSORTIUM, ServedNode
from tests.rpc.doubles import LedgerDouble, OperatorDouble, PeerDouble
from tests.rpc.faults import fault_of_call

ALICE = Identity(CONSORTIUM, Role.CLIENT, "alice")


async def ask(channel: grpc.aio.Channel) -> str:
    """Return the bank's name, or the status that TLS ended the attempt with."""
    try:
        status = await LedgerStub(channel).GetNodeStatus(
            ledger_pb2.GetNodeStatusRequest(), timeout=10
        )
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return str(status.bank_name)


def credentials_of(
    authority: CertificateAuthority, identity: Identity, now: datetime, trusting: bytes
) -> grpc.ChannelCredentials:
    issued = authority.issue(identity, now)
    return grpc.ssl_channel_credentials(trusting, issued.key, issued.certificate)


async def test_a_certificate_of_the_consortium_gets_in(
    node: ServedNode, authority: CertificateAuthority, now: datetime
) -> None:
    """The refusals below differ from this in one thing each."""
    credentials = credentials_of(authority, ALICE, now, trusting=authority.pem)
    assert await ask(node.channel_with(credentials)) == "Amberfield"


async def test_without_a_certificate_nobody_gets_in(
    node: ServedNode, authority: CertificateAuthority
) -> None:
    credentials = grpc.ssl_channel_credentials(authority.pem)
    assert await ask(node.channel_with(credentials)) == "UNAVAILABLE"


async def test_without_tls_nobody_gets_in(node: ServedNode) -> None:
    async with grpc.aio.insecure_channel(node.address) as channel:
        assert await ask(channel) == "UNAVAILABLE"


async def test_a_certificate_of_another_authority_is_refused(
    node: ServedNode, authority: CertificateAuthority, now: datetime
) -> None:
    foreign = CertificateAuthority.create(CONSORTIUM, now)
    credentials = credentials_of(foreign, ALICE, now, trusting=authority.pem)
    assert await ask(node.channel_with(credentials)) == "UNAVAILABLE"


async def test_an_expired_certificate_is_refused(
    node: ServedNode, authority: CertificateAuthority, now: datetime
) -> None:
    credentials = credentials_of(
        authority, ALICE, now - timedelta(days=400), trusting=authority.pem
    )
    assert await ask(node.channel_with(credentials)) == "UNAVAILABLE"


async def test_a_certificate_without_identity_is_unauthenticated(
    node: ServedNode, authority: CertificateAuthority, now: datetime
) -> None:
    """A party of another consortium that happens to share the authority's key."""
    other = CertificateAuthority("other", authority.certificate, authority._key)
    credentials = credentials_of(
        other, Identity("other", Role.CLIENT, "alice"), now, trusting=authority.pem
    )
    fault = await fault_of_call(
        LedgerStub(node.channel_with(credentials)).GetNodeStatus(
            ledger_pb2.GetNodeStatusRequest(), timeout=10
        )
    )
    assert (fault.status, fault.reason, fault.message) == (
        "UNAUTHENTICATED",
        "identity",
        "the certificate is of another consortium",
    )


async def test_a_bank_cannot_answer_in_place_of_another(
    node: ServedNode, material: Callable[[str], TlsMaterial]
) -> None:
    """Both are valid for loopback; the caller asks for bank 1 and finds bank 0."""
    options = link_options(Identity.of_bank(CONSORTIUM, 1))
    credentials = channel_credentials(material("client/alice"))
    async with grpc.aio.secure_channel(node.address, credentials, options=options) as channel:
        assert await ask(channel) == "UNAVAILABLE"


async def test_a_client_cannot_pose_as_a_bank(
    tls_files: Callable[[str], TlsFiles],
    material: Callable[[str], TlsMaterial],
) -> None:
    """A client's certificate names no server, so that whoever connects to it turns away."""
    server = await serve(
        Backends(LedgerDouble(), PeerDouble(), OperatorDouble()),
        tls_files("client/mallory"),
        "127.0.0.1:0",
        Admittance(CONSORTIUM),
    )
    try:
        credentials = channel_credentials(material("client/alice"))
        address = f"127.0.0.1:{server.port}"
        async with grpc.aio.secure_channel(address, credentials) as channel:
            assert await ask(channel) == "UNAVAILABLE"
    finally:
        await server.stop(0)


async def test_a_rotated_certificate_is_served_without_a_restart(
    authority: CertificateAuthority,
    material: Callable[[str], TlsMaterial],
    now: datetime,
    tmp_path: Path,
) -> None:
    files = TlsFiles(tmp_path)
    bank = Identity.of_bank(CONSORTIUM, 0)
    files.write(authority.issue(bank, now, hosts=("before.example",)))
    server = await serve(
        Backends(LedgerDouble(), PeerDouble(), OperatorDouble()),
        files,
        "127.0.0.1:0",
        Admittance(CONSORTIUM),
    )

    async def ask_for(host: str) -> str:
        options = (("grpc.ssl_target_name_override", host), ("grpc.use_local_subchannel_pool", 1))
        credentials = channel_credentials(material("client/alice"))
        address = f"127.0.0.1:{server.port}"
        async with grpc.aio.secure_channel(address, credentials, options=options) as channel:
            return await ask(channel)

    try:
        assert await ask_for("before.example") == "Amberfield"
        files.write(authority.issue(bank, now, hosts=("after.example",)))
        assert await ask_for("after.example") == "Amberfield"
        assert await ask_for("before.example") == "UNAVAILABLE"
        # Half a rotation: the certificate of another key. The server keeps what it has.
        (tmp_path / "tls.crt").write_bytes(authority.issue(bank, now).certificate)
        assert await ask_for("after.example") == "Amberfield"
    finally:
        await server.stop(0)
        await asyncio.sleep(0)


def test_material_is_checked_when_it_is_loaded(
    authority: CertificateAuthority, now: datetime, tmp_path: Path
) -> None:
    files = TlsFiles(tmp_path)
    issued = authority.issue(ALICE, now)
    files.write(issued)
    loaded = files.load(now)
    assert (loaded.identity, loaded.certificate, loaded.authority, loaded.key) == (
        ALICE,
        issued.certificate,
        authority.pem,
        issued.key,
    )
    assert "PRIVATE" not in repr(loaded)
    assert (tmp_path / "tls.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: (path / "tls.crt").unlink(), "{0}/tls.crt: No such file or directory"),
        (lambda path: (path / "tls.key").unlink(), "{0}/tls.key: No such file or directory"),
        (
            lambda path: (path / "tls.key").chmod(0o644),
            "{0}/tls.key may be read by others (mode 0644); run `chmod 600 {0}/tls.key`",
        ),
        (
            lambda path: (path / "tls.key").write_bytes(b"junk"),
            "{0}/tls.key is not a private key in PEM",
        ),
        (
            lambda path: (path / "ca.crt").write_bytes(b"junk"),
            "{0}/ca.crt is not a certificate in PEM",
        ),
    ],
)
def test_unusable_material_is_named(
    authority: CertificateAuthority,
    now: datetime,
    tmp_path: Path,
    spoil: Callable[[Path], object],
    message: str,
) -> None:
    files = TlsFiles(tmp_path)
    files.write(authority.issue(ALICE, now))
    spoil(tmp_path)
    with pytest.raises(CertificateInvalid) as caught:
        files.load(now)
    assert str(caught.value) == message.format(tmp_path)


def test_certificate_and_key_must_belong_together(
    authority: CertificateAuthority, now: datetime, tmp_path: Path
) -> None:
    files = TlsFiles(tmp_path)
    files.write(authority.issue(ALICE, now))
    (tmp_path / "tls.crt").write_bytes(authority.issue(ALICE, now).certificate)
    with pytest.raises(CertificateInvalid) as caught:
        files.load(now)
    assert str(caught.value) == f"{tmp_path}/tls.key is not the key of tls.crt"


def test_an_expired_certificate_is_not_loaded(
    authority: CertificateAuthority, now: datetime, tmp_path: Path
) -> None:
    files = TlsFiles(tmp_path)
    files.write(authority.issue(ALICE, now))
    with pytest.raises(CertificateInvalid, match=r"tls\.crt: the certificate is valid from "):
        files.load(now + timedelta(days=400))


def test_another_authority_is_never_a_rotation(
    authority: CertificateAuthority, now: datetime, tmp_path: Path
) -> None:
    files = TlsFiles(tmp_path)
    files.write(authority.issue(ALICE, now))
    foreign = CertificateAuthority.create(CONSORTIUM, now)
    with pytest.raises(CertificateInvalid) as caught:
        files.write(foreign.issue(ALICE, now))
    assert str(caught.value) == f"{tmp_path}/ca.crt is the certificate of another authority"
    assert files.load(now).authority == authority.pem
