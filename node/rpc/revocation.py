"""Certificates that no longer count before they expire: the authority's list, and who looks at it.

`ca.crl` beside a bank's `ca.crt` is an X.509 list signed by the authority, so that whoever carries
it to the banks can neither add nor remove anything. It is optional, read at the start and looked at
again every second; a list that is damaged, signed by somebody else or older than the one in force
changes nothing. A list never expires: what was revoked stays revoked.

gRPC shows the certificate of a caller, so that every call is checked (`node.rpc.gate`) and running
streams are ended. It does not show that of a server: before a link connects, `require_valid_server`
looks at it over a connection of its own. A thief who holds a bank's stolen key and stands on the
wire can let that one pass and take the next; what he then gets is gossip, never a vote.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import OrderedDict
from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from node.rpc.certificates import CertificateAuthority, CertificateInvalid, load_certificate
from node.rpc.credentials import AUTHORITY_FILE, CERTIFICATE_FILE, KEY_FILE, TlsFiles
from node.rpc.private_files import write_public

REVOCATION_FILE = "ca.crl"
LIST_VALIDITY = timedelta(days=3_650)
"""Formal: the standard wants a date, and a list counts until a newer one replaces it."""
RELOAD_S = 1.0
REMEMBERED_CERTIFICATES = 4_096
SERVER_CHECK_S = 5.0

_log = logging.getLogger(__name__)


def write_list(
    authority: CertificateAuthority, path: Path, serials: Collection[int], now: datetime
) -> None:
    """Add serial numbers to the authority's list at `path`; raises `CertificateInvalid`."""
    known = read_list(path, authority.certificate) if path.exists() else None
    entries = {entry.serial_number: entry for entry in known or ()}
    for serial in serials:
        entries.setdefault(
            serial,
            x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build(),
        )
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(now)
        .next_update(now + LIST_VALIDITY)
        .add_extension(x509.CRLNumber(0 if known is None else _number(known) + 1), critical=False)
    )
    for entry in entries.values():
        builder = builder.add_revoked_certificate(entry)
    signed = authority.sign_revocations(builder)
    write_public(path, signed.public_bytes(serialization.Encoding.PEM))


def read_list(path: Path, authority: x509.Certificate) -> x509.CertificateRevocationList:
    """Read a list and check its signature; raises `CertificateInvalid` naming the file."""
    try:
        listed = x509.load_pem_x509_crl(path.read_bytes())
    except OSError as error:
        raise CertificateInvalid(f"{path}: {error.strerror}") from error
    except ValueError:
        raise CertificateInvalid(f"{path} is not a revocation list in PEM") from None
    if not listed.is_signature_valid(authority.public_key()):  # type: ignore[arg-type]
        raise CertificateInvalid(f"{path} is not signed by the consortium's authority")
    return listed


def _number(listed: x509.CertificateRevocationList) -> int:
    return listed.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


class Revocations:
    """The list in force at one party."""

    def __init__(self, files: TlsFiles) -> None:
        """Read the list if there is one; raises `CertificateInvalid`."""
        self._path = files.directory / REVOCATION_FILE
        self._authority = load_certificate(files.directory / AUTHORITY_FILE)
        self._serials: frozenset[int] = frozenset()
        self._list_number = -1
        self._stamp: tuple[int, int] | None = None
        self._serial_of: OrderedDict[bytes, int] = OrderedDict()
        stamp = self._look()
        if stamp is not None:
            self._take(stamp)

    def __len__(self) -> int:
        return len(self._serials)

    def reload(self) -> bool:
        """Take up a newer list; return whether anything changed."""
        stamp = self._look()
        if stamp is None or stamp == self._stamp:
            return False
        try:
            return self._take(stamp)
        except CertificateInvalid as error:
            self._stamp = stamp
            _log.error("revocations_not_reloaded", extra={"error": str(error)})
            return False

    def revoked(self, certificate: bytes) -> bool:
        """Whether this certificate (PEM, as TLS has verified it) is on the list."""
        return self.serial(certificate) in self._serials

    def serial(self, certificate: bytes) -> int:
        """Return a certificate's serial number; parsed once for each certificate."""
        known = self._serial_of.get(certificate)
        if known is None:
            known = x509.load_pem_x509_certificate(certificate).serial_number
            self._serial_of[certificate] = known
            if len(self._serial_of) > REMEMBERED_CERTIFICATES:
                self._serial_of.popitem(last=False)
        return known

    def _look(self) -> tuple[int, int] | None:
        try:
            stat = self._path.stat()
        except OSError:
            # The list is gone: what was revoked stays revoked.
            return None
        return stat.st_mtime_ns, stat.st_ino

    def _take(self, stamp: tuple[int, int]) -> bool:
        listed = read_list(self._path, self._authority)
        number = _number(listed)
        if number < self._list_number:
            raise CertificateInvalid(f"{self._path} is older than the list in force")
        self._stamp = stamp
        self._list_number = number
        self._serials = frozenset(entry.serial_number for entry in listed)
        _log.info("revocations_loaded", extra={"number": number, "revoked": len(self._serials)})
        return True


async def require_valid_server(address: str, server_name: str, files: TlsFiles) -> None:
    """Raise `CertificateInvalid` if the server at `address` shows a revoked certificate.

    Says nothing if nobody answers: the connection that follows will tell why.
    """
    path = files.directory / REVOCATION_FILE
    if not path.exists():
        return
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(SERVER_CHECK_S):
            _, writer = await asyncio.open_connection(
                host.strip("[]"), int(port), ssl=_context(files), server_hostname=server_name
            )
        writer.close()
    except ssl.SSLCertVerificationError as error:
        raise CertificateInvalid(f"the bank's certificate: {error.verify_message}") from None
    except (OSError, TimeoutError):
        return


def _context(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(files.directory / AUTHORITY_FILE))
    context.load_verify_locations(cafile=str(files.directory / REVOCATION_FILE))
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    context.load_cert_chain(files.directory / CERTIFICATE_FILE, files.directory / KEY_FILE)
    context.set_alpn_protocols(["h2"])
    return context
