"""Every method of every service x every credential that must not get in (ARCHITECTURE 6).

The rows come from the descriptors of the services and the columns' expectations from the table of
roles, so that a new method is in the matrix, or fails it, from its first day.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from node.ledger.types import BankIndex
from node.rpc.certificates import CertificateAuthority, IssuedCertificate
from node.rpc.credentials import TlsFiles
from node.rpc.gate import Admittance
from node.rpc.revocation import REVOCATION_FILE, write_list
from node.rpc.roles import METHODS, MethodRule
from node.rpc.server import Backends, NodeServer, serve
from node.rpc.transport import link_options
from node.wire.identity import Identity, Role
from tests.rpc.doubles import LedgerDouble, OperatorDouble, PeerDouble
from tests.rpc.faults import seen_fault
from tests.rpc.regulator_doubles import SupervisionDouble
from tests.rpc.test_roles import described_methods

CONSORTIUM = "demo"
BANKS = 12
NAMES = {Role.BANK: "3", Role.REGULATOR: "watch", Role.CLIENT: "alice", Role.OPERATOR: "olivia"}
Answer = tuple[str, str]
"""Status, and reason; a handshake that fails has none."""
NO_CONNECTION: Answer = ("UNAVAILABLE", "")
NOBODY: Answer = ("UNAUTHENTICATED", "identity")
REVOKED: Answer = ("UNAUTHENTICATED", "revoked")
FORBIDDEN: Answer = ("PERMISSION_DENIED", "role")


@dataclass
class Door:
    """A bank's server, and the keys of its authority in an attacker's hands."""

    server: NodeServer
    authority: CertificateAuthority
    now: datetime
    stolen: dict[Role, IssuedCertificate]
    """One revoked certificate of each role."""
    channels: list[Any] = field(default_factory=list)

    def issue(self, role: Role, name: str | None = None, **changes: Any) -> IssuedCertificate:
        identity = Identity(CONSORTIUM, role, name or NAMES[role])
        return self.authority.issue(identity, changes.pop("now", self.now), **changes)

    def channel(self, certificate: bytes | None, key: bytes | None) -> Any:
        credentials = grpc.ssl_channel_credentials(self.authority.pem, key, certificate)
        options = link_options(Identity.of_bank(CONSORTIUM, 0))
        channel = grpc.aio.secure_channel(self.address, credentials, options=options)
        self.channels.append(channel)
        return channel

    def channel_of(self, issued: IssuedCertificate) -> Any:
        return self.channel(issued.certificate, issued.key)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.port}"


@pytest_asyncio.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    now = datetime.now().astimezone()
    authority = CertificateAuthority.create(CONSORTIUM, now)
    files = TlsFiles(tmp_path)
    files.write(authority.issue(Identity.of_bank(CONSORTIUM, 0), now))
    stolen = {role: authority.issue(Identity(CONSORTIUM, role, NAMES[role]), now) for role in Role}
    serials = [
        x509.load_pem_x509_certificate(issued.certificate).serial_number
        for issued in stolen.values()
    ]
    write_list(authority, tmp_path / REVOCATION_FILE, serials, now)
    server = await serve(
        Backends(LedgerDouble(), PeerDouble(), OperatorDouble(), SupervisionDouble()),
        files,
        "127.0.0.1:0",
        Admittance(
            CONSORTIUM, operators={"olivia"}, banks=[BankIndex(bank) for bank in range(BANKS)]
        ),
    )
    opened = Door(server, authority, now, stolen)
    yield opened
    for channel in opened.channels:
        await channel.close()
    await server.stop(0)


# --- the columns -------------------------------------------------------------------------------

Channel = Callable[[Door, MethodRule], Any]


def allowed_role(rule: MethodRule) -> Role:
    """A role that may call the method, so that the credential's other fault is what refuses it."""
    return sorted(rule.roles)[0]


def _plaintext(door: Door, rule: MethodRule) -> Any:
    channel = grpc.aio.insecure_channel(door.address)
    door.channels.append(channel)
    return channel


def _expired(door: Door, rule: MethodRule) -> Any:
    began = door.now - timedelta(days=30)
    role = allowed_role(rule)
    return door.channel_of(door.issue(role, now=began, validity=timedelta(days=1)))


def _not_yet_valid(door: Door, rule: MethodRule) -> Any:
    return door.channel_of(door.issue(allowed_role(rule), now=door.now + timedelta(days=1)))


def _wrong_authority(door: Door, rule: MethodRule) -> Any:
    foreign = CertificateAuthority.create(CONSORTIUM, door.now)
    role = allowed_role(rule)
    return door.channel_of(foreign.issue(Identity(CONSORTIUM, role, NAMES[role]), door.now))


def _self_signed(door: Door, rule: MethodRule) -> Any:
    role = allowed_role(rule)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    uri = Identity(CONSORTIUM, role, NAMES[role]).uri
    certificate = (
        _unsigned(door, name, key, [x509.UniformResourceIdentifier(uri)])
        .issuer_name(name)
        .sign(key, hashes.SHA256())
    )
    return door.channel(_pem(certificate), _private_pem(key))


def _names(*names: str) -> Channel:
    """A certificate of the authority itself that names no party, or several."""

    def make(door: Door, rule: MethodRule) -> Any:
        key = ec.generate_private_key(ec.SECP256R1())
        uris = [x509.UniformResourceIdentifier(name) for name in names]
        certificate = (
            _unsigned(door, x509.Name([]), key, [x509.DNSName("somebody.example"), *uris])
            .issuer_name(door.authority.certificate.subject)
            .sign(door.authority._key, hashes.SHA256())
        )
        return door.channel(_pem(certificate), _private_pem(key))

    return make


def _unsigned(
    door: Door,
    name: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    names: list[x509.GeneralName],
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(door.now - timedelta(minutes=5))
        .not_valid_after(door.now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _revoked(door: Door, rule: MethodRule) -> Any:
    return door.channel_of(door.stolen[allowed_role(rule)])


CREDENTIALS: dict[str, tuple[Channel, Answer]] = {
    "plaintext": (_plaintext, NO_CONNECTION),
    "no certificate": (lambda door, rule: door.channel(None, None), NO_CONNECTION),
    "expired": (_expired, NO_CONNECTION),
    "not yet valid": (_not_yet_valid, NO_CONNECTION),
    "wrong authority": (_wrong_authority, NO_CONNECTION),
    "self-signed": (_self_signed, NO_CONNECTION),
    "revoked": (_revoked, REVOKED),
    "no party": (_names(), NOBODY),
    "two parties": (
        _names("consortium://demo/bank/3", "consortium://demo/operator/olivia"),
        NOBODY,
    ),
    "no such role": (_names("consortium://demo/auditor/3"), NOBODY),
    "another consortium": (_names("consortium://other/bank/3"), NOBODY),
}
"""What refuses the caller whatever it calls."""


def role_answer(role: Role, rule: MethodRule) -> Answer | None:
    """What a valid certificate of this role gets; None: it is let in."""
    return None if role in rule.roles else FORBIDDEN


# --- the cells ---------------------------------------------------------------------------------


async def answer_to(channel: Any, path: str) -> Answer | None:
    """Call with an empty request; None if the caller was let in, whatever came of the request."""
    method = described_methods()[path]

    async def one_request() -> AsyncIterator[bytes]:
        yield b""

    if method.client_streaming:
        call = channel.stream_stream(path)(one_request(), timeout=20)
        answer = call.read()
    elif method.server_streaming:
        call = channel.unary_stream(path)(b"", timeout=20)
        answer = call.read()
    else:
        call = answer = channel.unary_unary(path)(b"", timeout=20)
    try:
        await answer
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.UNAVAILABLE:
            return NO_CONNECTION
        fault = await seen_fault(error)
        if fault.status in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
            return fault.status, fault.reason
    finally:
        call.cancel()
    return None


def test_the_matrix_has_a_row_for_every_method_that_is_served() -> None:
    assert set(described_methods()) == set(METHODS)


@pytest.mark.parametrize("name", CREDENTIALS)
async def test_no_method_is_served_to_a_credential_that_does_not_count(
    door: Door, name: str
) -> None:
    make, expected = CREDENTIALS[name]
    by_role: dict[Role, Any] = {}
    seen = {}
    for path, rule in METHODS.items():
        channel = by_role.setdefault(allowed_role(rule), make(door, rule))
        seen[path] = await answer_to(channel, path)
    assert seen == dict.fromkeys(METHODS, expected)


@pytest.mark.parametrize("role", list(Role))
async def test_every_method_is_served_to_exactly_its_roles(door: Door, role: Role) -> None:
    """The same names as the revoked ones, with certificates that count: the column of control."""
    channel = door.channel_of(door.issue(role))
    seen = {path: await answer_to(channel, path) for path in METHODS}
    assert seen == {path: role_answer(role, rule) for path, rule in METHODS.items()}


async def test_a_bank_outside_the_genesis_is_served_nothing(door: Door) -> None:
    channel = door.channel_of(door.issue(Role.BANK, str(BANKS)))
    answers = await asyncio.gather(*(answer_to(channel, path) for path in METHODS))
    assert set(answers) == {NOBODY}


async def test_an_operator_of_another_bank_operates_nothing(door: Door) -> None:
    """What every role may read stays open to it; what only operators may call does not."""
    channel = door.channel_of(door.issue(Role.OPERATOR, "oscar"))
    seen = {path: await answer_to(channel, path) for path in METHODS}
    assert seen == {
        path: FORBIDDEN
        if rule.roles == {Role.OPERATOR} or Role.OPERATOR not in rule.roles
        else None
        for path, rule in METHODS.items()
    }
    assert list(seen.values()).count(FORBIDDEN) >= 12
