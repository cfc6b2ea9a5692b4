"""Where the banks are, and the certificate a client shows them.

A bank is one address together with its index: its server certificate is valid for a name made of
both the index and the consortium, so no other bank, and nobody else, can answer in its place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from cryptography import x509

from node.client.errors import CredentialsInvalid
from node.ledger.types import BankIndex
from node.wire.identity import (
    Identity,
    IdentityInvalid,
    bank_server_name,
    regulator_server_name,
)
from node.wire.limits import MAX_MESSAGE_BYTES

CA_CERTIFICATE_FILE = "ca.crt"
CERTIFICATE_FILE = "tls.crt"
KEY_FILE = "tls.key"

KEEPALIVE_MS = 30_000
"""A silent connection is probed this often while calls are open."""

_ENDPOINT = re.compile(r"(?:bank-)?(?P<bank>[0-9]{1,5})@(?P<address>\S+:[0-9]{1,5})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One bank's gRPC address."""

    bank: BankIndex
    address: str
    """`host:port`."""

    def __str__(self) -> str:
        return f"bank-{self.bank}@{self.address}"

    @staticmethod
    def parse(text: str) -> Endpoint:
        """Read `3@host:port` or `bank-3@host:port`; raises ValueError."""
        match = _ENDPOINT.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not an endpoint such as 3@127.0.0.1:7003")
        return Endpoint(BankIndex(int(match["bank"])), match["address"])


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """The consortium's CA certificate, and a client's own certificate and key, as PEM."""

    ca_certificate: bytes
    certificate: bytes
    key: bytes = field(repr=False)

    @staticmethod
    def load(directory: Path) -> ClientCredentials:
        """Read `ca.crt`, `tls.crt` and `tls.key`; raises `CredentialsInvalid` naming the file."""
        return ClientCredentials(
            ca_certificate=_read(directory / CA_CERTIFICATE_FILE),
            certificate=_read(directory / CERTIFICATE_FILE),
            key=_read(directory / KEY_FILE),
        )

    @property
    def identity(self) -> Identity:
        """Who the certificate says we are; raises `CredentialsInvalid`."""
        try:
            certificate = x509.load_pem_x509_certificate(self.certificate)
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
            uris = names.value.get_values_for_type(x509.UniformResourceIdentifier)
            (uri,) = uris
            return Identity.parse(uri)
        except (ValueError, x509.ExtensionNotFound, IdentityInvalid) as error:
            raise CredentialsInvalid(
                f"the certificate is not one of a consortium's client: {error}"
            ) from error

    def open_channel(self, endpoint: Endpoint) -> grpc.aio.Channel:
        """Return a channel that accepts only this bank at the other end."""
        name = bank_server_name(self.identity.consortium, endpoint.bank)
        return self._open(endpoint.address, name)

    def open_regulator_channel(self, address: str) -> grpc.aio.Channel:
        """Return a channel that accepts only the regulator at the other end, `host:port`."""
        return self._open(address, regulator_server_name(self.identity.consortium))

    def open_blocking_channel(self, endpoint: Endpoint) -> grpc.Channel:
        """Return a channel for blocking calls that accepts only this bank at the other end."""
        name = bank_server_name(self.identity.consortium, endpoint.bank)
        return grpc.secure_channel(endpoint.address, self._of_channel(), options=_options(name))

    def _open(self, address: str, name: str) -> grpc.aio.Channel:
        return grpc.aio.secure_channel(address, self._of_channel(), options=_options(name))

    def _of_channel(self) -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials(self.ca_certificate, self.key, self.certificate)


def _options(name: str) -> list[tuple[str, str | int]]:
    return [
        ("grpc.ssl_target_name_override", name),
        ("grpc.default_authority", name),
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.enable_retries", 0),
    ]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CredentialsInvalid(f"{path} cannot be read: {error.strerror}") from error
