"""The consortium's certificate authority: P-256 certificates for banks, clients and operators.

TLS keys are apart from consensus keys and may be replaced at any time (`CertificateAuthority.issue`
again, `TlsFiles.write`); servers take up new files at the next handshake, links at the next
connection. P-256, because Ed25519 certificates fail the gRPC handshake.

A certificate names its holder in one URI of its subject alternative names (`node.wire.identity`).
Only certificates of banks and of the regulator may serve, each under a name of its own; those of
clients and operators only call, so that a client can never pose as a bank.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from node.rpc.private_files import PrivateFileUnusable, read_private, write_private, write_public
from node.wire.identity import (
    SCHEME,
    Identity,
    IdentityInvalid,
    Role,
    bank_server_name,
    regulator_server_name,
)

AUTHORITY_VALIDITY = timedelta(days=3_650)
CERTIFICATE_VALIDITY = timedelta(days=397)
"""A little over a year, so that yearly rotation has slack."""
CLOCK_SLACK = timedelta(minutes=5)
"""Certificates are valid from a little before they are made: clocks of banks differ."""
LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")
ROTATE_BEFORE = timedelta(days=30)
"""Remaining validity below which operators are told to rotate."""


class CertificateInvalid(Exception):
    """A certificate or key that does not belong to this consortium or is not usable."""


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A new key pair and its certificate, in PEM; the key never appears in a repr."""

    identity: Identity
    certificate: bytes
    authority: bytes
    """Certificate of the authority that signed it."""
    key: bytes = field(repr=False)
    """PKCS #8, unencrypted: it is kept in a file of mode 0600."""


@dataclass(frozen=True, slots=True)
class CertificateAuthority:
    """The consortium's root of trust for connections."""

    consortium: str
    """Slug of the consortium's name (`node.wire.identity.consortium_slug`)."""
    certificate: x509.Certificate
    _key: ec.EllipticCurvePrivateKey = field(repr=False)

    @staticmethod
    def create(consortium: str, now: datetime) -> CertificateAuthority:
        """Make a new authority, valid for ten years from `now` (aware, UTC)."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = _subject(consortium, "certificate authority")
        certificate = (
            _builder(name, name, key.public_key(), now, AUTHORITY_VALIDITY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        return CertificateAuthority(consortium, certificate, key)

    @staticmethod
    def load(directory: Path, consortium: str) -> CertificateAuthority:
        """Load `ca.crt` and `ca.key`; raises `CertificateInvalid` naming the file."""
        certificate = load_certificate(directory / "ca.crt")
        path = directory / "ca.key"
        try:
            key = serialization.load_pem_private_key(read_private(path), password=None)
        except (ValueError, TypeError):
            raise CertificateInvalid(f"{path} is not a private key in PEM") from None
        except PrivateFileUnusable as error:
            raise CertificateInvalid(str(error)) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != (
            certificate.public_key()
        ):
            raise CertificateInvalid(f"{path} is not the key of ca.crt")
        return CertificateAuthority(consortium, certificate, key)

    def save(self, directory: Path) -> None:
        """Write `ca.crt` and, readable by its owner only, `ca.key`."""
        write_private(directory / "ca.key", _private_pem(self._key))
        write_public(directory / "ca.crt", self.pem)

    @property
    def pem(self) -> bytes:
        """The authority's certificate."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def sign_revocations(
        self, builder: x509.CertificateRevocationListBuilder
    ) -> x509.CertificateRevocationList:
        """Sign a list of revoked certificates (`node.rpc.revocation`)."""
        return builder.sign(self._key, hashes.SHA256())

    def issue(
        self,
        identity: Identity,
        now: datetime,
        *,
        hosts: Sequence[str] = (),
        validity: timedelta = CERTIFICATE_VALIDITY,
    ) -> IssuedCertificate:
        """Make a new key and certificate for a party of this consortium.

        `hosts` are further DNS names or addresses at which a server is reached; loopback and its
        own server name are always included. Raises `IdentityInvalid` for a party of
        another consortium.
        """
        if identity.consortium != self.consortium:
            raise IdentityInvalid(f"{identity.uri} is not of the consortium {self.consortium!r}")
        serves = identity.role in (Role.BANK, Role.REGULATOR)
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(identity.uri)]
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
        if serves:
            usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
            own_name = (
                bank_server_name(self.consortium, identity.bank)
                if identity.role is Role.BANK
                else regulator_server_name(self.consortium)
            )
            names.append(x509.DNSName(own_name))
            names.extend(_host(host) for host in dict.fromkeys((*LOOPBACK_HOSTS, *hosts)))
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _builder(
                _subject(self.consortium, str(identity)),
                self.certificate.subject,
                key.public_key(),
                now,
                validity,
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )
        return IssuedCertificate(
            identity=identity,
            certificate=certificate.public_bytes(serialization.Encoding.PEM),
            authority=self.pem,
            key=_private_pem(key),
        )

    def issue_page(
        self, hosts: Sequence[str], now: datetime, *, validity: timedelta = CERTIFICATE_VALIDITY
    ) -> tuple[bytes, bytes]:
        """Make a certificate for a web server at these hosts; return it and its key in PEM.

        It names no party of the consortium: nobody is called with it, and no bank answers with it.
        Raises `CertificateInvalid` for a host that is a name of this consortium's servers.
        """
        if any(host.lower().endswith(f".{self.consortium}.consortium") for host in hosts):
            raise CertificateInvalid("a web server must not have the name of a bank")
        key = ec.generate_private_key(ec.SECP256R1())
        names = [_host(host) for host in dict.fromkeys((*LOOPBACK_HOSTS, *hosts))]
        certificate = (
            _builder(
                _subject(self.consortium, "operators' page"),
                self.certificate.subject,
                key.public_key(),
                now,
                validity,
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
            )
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM), _private_pem(key)


def identity_of(certificate: x509.Certificate) -> Identity:
    """Return the holder that a certificate names; raises `IdentityInvalid`.

    That the authority signed it is not checked here: TLS does, or `verify_certificate`.
    """
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        raise IdentityInvalid("the certificate has no subject alternative names") from None
    return identity_of_uris(names.get_values_for_type(x509.UniformResourceIdentifier))


def identity_of_uris(uris: Sequence[str]) -> Identity:
    """Return the identity among the names of a certificate; raises `IdentityInvalid`.

    Exactly one must be a consortium's: a certificate with two holders has none.
    """
    own = [uri for uri in uris if uri.startswith(f"{SCHEME}://")]
    if len(own) != 1:
        raise IdentityInvalid(f"the certificate names {len(own)} parties of a consortium, not 1")
    return Identity.parse(own[0])


def verify_certificate(
    certificate: x509.Certificate, authority: x509.Certificate, now: datetime
) -> None:
    """Raise `CertificateInvalid` unless the authority signed it and it is valid at `now`."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        raise CertificateInvalid(
            "the certificate is not signed by the consortium's authority"
        ) from None
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise CertificateInvalid(
            f"the certificate is valid from {certificate.not_valid_before_utc.isoformat()} "
            f"to {certificate.not_valid_after_utc.isoformat()}"
        )


def needs_rotation(certificate: x509.Certificate, now: datetime) -> bool:
    """Whether less than `ROTATE_BEFORE` of the certificate's validity remains."""
    return certificate.not_valid_after_utc - now < ROTATE_BEFORE


def load_certificate(path: Path) -> x509.Certificate:
    """Read one certificate in PEM; raises `CertificateInvalid` naming the file."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        raise CertificateInvalid(f"{path}: {error.strerror}") from error
    except ValueError:
        raise CertificateInvalid(f"{path} is not a certificate in PEM") from None


def utc_now() -> datetime:
    """Return the wall clock, for the certificates of this moment."""
    return datetime.now(UTC)


def _subject(consortium: str, common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, consortium),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64]),
        ]
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    now: datetime,
    validity: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SLACK)
        .not_valid_after(now + validity)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
