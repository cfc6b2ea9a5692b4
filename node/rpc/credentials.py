"""TLS material on disk, and the gRPC credentials made of it.

A directory holds `tls.crt`, `tls.key` (mode 0600) and `ca.crt`. Banks, clients and operators all
use these names. A rotation replaces certificate and key one after the other; whoever reads in
between finds that they do not match and keeps what it had.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from node.rpc.certificates import (
    CertificateInvalid,
    IssuedCertificate,
    identity_of,
    load_certificate,
    verify_certificate,
)
from node.rpc.private_files import PrivateFileUnusable, read_private, write_private, write_public
from node.wire.identity import Identity

CERTIFICATE_FILE = "tls.crt"
KEY_FILE = "tls.key"
AUTHORITY_FILE = "ca.crt"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TlsMaterial:
    """What one party proves itself with, in PEM; the key never appears in a repr."""

    identity: Identity
    certificate: bytes
    authority: bytes
    expires: datetime
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """A directory with one party's TLS material."""

    directory: Path

    def write(self, issued: IssuedCertificate) -> None:
        """Write or rotate the material; raises `CertificateInvalid` if the authority differs.

        Another authority is another consortium: that is never a rotation.
        """
        authority = self.directory / AUTHORITY_FILE
        if authority.exists() and authority.read_bytes() != issued.authority:
            raise CertificateInvalid(f"{authority} is the certificate of another authority")
        write_public(authority, issued.authority)
        write_private(self.directory / KEY_FILE, issued.key)
        write_public(self.directory / CERTIFICATE_FILE, issued.certificate)

    def load(self, now: datetime) -> TlsMaterial:
        """Read and check the material; raises `CertificateInvalid` naming file and fault."""
        certificate = load_certificate(self.directory / CERTIFICATE_FILE)
        authority = load_certificate(self.directory / AUTHORITY_FILE)
        key_path = self.directory / KEY_FILE
        try:
            key = read_private(key_path)
            public = serialization.load_pem_private_key(key, password=None).public_key()
        except (ValueError, TypeError):
            raise CertificateInvalid(f"{key_path} is not a private key in PEM") from None
        except PrivateFileUnusable as error:
            raise CertificateInvalid(str(error)) from error
        if public != certificate.public_key():
            raise CertificateInvalid(f"{key_path} is not the key of {CERTIFICATE_FILE}")
        try:
            verify_certificate(certificate, authority, now)
        except CertificateInvalid as error:
            raise CertificateInvalid(f"{self.directory / CERTIFICATE_FILE}: {error}") from None
        return TlsMaterial(
            identity=identity_of(certificate),
            certificate=_pem(certificate),
            authority=_pem(authority),
            expires=certificate.not_valid_after_utc,
            key=key,
        )

    def stamp(self) -> tuple[int, ...]:
        """Return what changes whenever one of the files is replaced; raises `OSError`."""
        names = (CERTIFICATE_FILE, KEY_FILE, AUTHORITY_FILE)
        stats = [(self.directory / name).stat() for name in names]
        return tuple(value for stat in stats for value in (stat.st_mtime_ns, stat.st_ino))


def channel_credentials(material: TlsMaterial) -> grpc.ChannelCredentials:
    """Return the credentials of a caller: its own certificate, and trust in one authority."""
    return grpc.ssl_channel_credentials(
        root_certificates=material.authority,
        private_key=material.key,
        certificate_chain=material.certificate,
    )


def server_credentials(files: TlsFiles, now: datetime) -> grpc.ServerCredentials:
    """Return the credentials of a server, which demand a certificate of every caller.

    The files are looked at again at each handshake, so that a rotated certificate needs no
    restart. Raises `CertificateInvalid` if they cannot be used now.
    """
    material = files.load(now)
    return grpc.dynamic_ssl_server_credentials(
        _configuration(material), _Reload(files), require_client_authentication=True
    )


def _configuration(material: TlsMaterial) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(material.key, material.certificate)], root_certificates=material.authority
    )


class _Reload:
    """Gives gRPC a new configuration when the files have changed, and None when not."""

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._stamp = files.stamp()

    def __call__(self) -> grpc.ServerCertificateConfiguration | None:
        try:
            stamp = self._files.stamp()
            if stamp == self._stamp:
                return None
            material = self._files.load(datetime.now().astimezone())
        except (OSError, CertificateInvalid) as error:
            # The old certificate keeps serving; the files may be half-way through a rotation.
            _log.warning("tls_reload_failed", extra={"error": str(error)})
            return None
        self._stamp = stamp
        _log.info("tls_reloaded", extra={"expires": material.expires.isoformat()})
        return _configuration(material)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
