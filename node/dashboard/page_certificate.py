"""The certificate with which other machines are served: given, or made by the consortium's CA."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from node.rpc.certificates import CertificateAuthority, utc_now
from node.rpc.private_files import write_private, write_public

CERTIFICATE_FILE = "tls.crt"
KEY_FILE = "tls.key"


def make_page_certificate(
    authority_directory: Path, consortium: str, place: Path, hosts: Sequence[str]
) -> tuple[Path, Path]:
    """Make a certificate for these hosts and write it to `place`; return its file and its key's.

    Raises `CertificateInvalid` if the authority's key is not here.
    """
    authority = CertificateAuthority.load(authority_directory, consortium)
    certificate, key = authority.issue_page(hosts, utc_now())
    place.mkdir(mode=0o700, exist_ok=True)
    write_private(place / KEY_FILE, key)
    write_public(place / CERTIFICATE_FILE, certificate)
    return place / CERTIFICATE_FILE, place / KEY_FILE
