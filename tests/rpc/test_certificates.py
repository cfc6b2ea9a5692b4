"""The certificate authority: who a certificate names, what it may do, when it ends."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from node.rpc.certificates import (
    CERTIFICATE_VALIDITY,
    CLOCK_SLACK,
    CertificateAuthority,
    CertificateInvalid,
    identity_of,
    identity_of_uris,
    load_certificate,
    needs_rotation,
    verify_certificate,
)
from node.wire.identity import Identity, IdentityInvalid, Role

BANK = Identity.of_bank("demo", 3)
PARTIES = [
    BANK,
    Identity("demo", Role.CLIENT, "alice"),
    Identity("demo", Role.OPERATOR, "olivia"),
    Identity("demo", Role.REGULATOR, "watch"),
]


def parsed(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem)


@pytest.mark.parametrize("identity", PARTIES)
def test_a_certificate_names_its_holder_and_verifies(
    authority: CertificateAuthority, now: datetime, identity: Identity
) -> None:
    certificate = parsed(authority.issue(identity, now).certificate)
    assert identity_of(certificate) == identity
    verify_certificate(certificate, authority.certificate, now)
    assert isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)


@pytest.mark.parametrize("identity", PARTIES)
def test_only_banks_and_the_regulator_may_serve(
    authority: CertificateAuthority, now: datetime, identity: Identity
) -> None:
    certificate = parsed(authority.issue(identity, now).certificate)
    usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    serves = ExtendedKeyUsageOID.SERVER_AUTH in usages
    assert serves == (identity.role in (Role.BANK, Role.REGULATOR))
    assert ExtendedKeyUsageOID.CLIENT_AUTH in usages


def test_a_bank_is_reached_at_its_own_name_loopback_and_further_hosts(
    authority: CertificateAuthority, now: datetime
) -> None:
    issued = authority.issue(BANK, now, hosts=("ledger.example", "10.0.0.7", "localhost"))
    names = parsed(issued.certificate).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert names.value.get_values_for_type(x509.DNSName) == [
        "bank-3.demo.consortium",
        "localhost",
        "ledger.example",
    ]
    assert names.value.get_values_for_type(x509.IPAddress) == [
        ipaddress.ip_address(host) for host in ("127.0.0.1", "::1", "10.0.0.7")
    ]


def test_a_certificate_cannot_sign_others(
    authority: CertificateAuthority, now: datetime
) -> None:
    certificate = parsed(authority.issue(BANK, now).certificate)
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca) == (True, False)


def test_validity_begins_a_little_early_and_ends_after_a_year(
    authority: CertificateAuthority, now: datetime
) -> None:
    certificate = parsed(authority.issue(BANK, now).certificate)
    second = now.replace(microsecond=0)
    assert certificate.not_valid_before_utc == second - CLOCK_SLACK
    assert certificate.not_valid_after_utc == second + CERTIFICATE_VALIDITY


@pytest.mark.parametrize("days", [-1, 398])
def test_outside_its_validity_a_certificate_is_invalid(
    authority: CertificateAuthority, now: datetime, days: int
) -> None:
    certificate = parsed(authority.issue(BANK, now).certificate)
    with pytest.raises(CertificateInvalid, match="the certificate is valid from "):
        verify_certificate(certificate, authority.certificate, now + timedelta(days=days))


def test_another_authority_of_the_same_name_is_refused(
    authority: CertificateAuthority, now: datetime
) -> None:
    foreign = CertificateAuthority.create("demo", now)
    certificate = parsed(foreign.issue(BANK, now).certificate)
    with pytest.raises(CertificateInvalid) as caught:
        verify_certificate(certificate, authority.certificate, now)
    assert str(caught.value) == "the certificate is not signed by the consortium's authority"


def test_rotation_is_due_in_the_last_month(
    authority: CertificateAuthority, now: datetime
) -> None:
    certificate = parsed(authority.issue(BANK, now).certificate)
    assert not needs_rotation(certificate, now)
    assert needs_rotation(certificate, now + timedelta(days=368))


def test_an_authority_issues_for_its_own_consortium_only(
    authority: CertificateAuthority, now: datetime
) -> None:
    with pytest.raises(IdentityInvalid) as caught:
        authority.issue(replace(BANK, consortium="other"), now)
    assert str(caught.value) == "consortium://other/bank/3 is not of the consortium 'demo'"


@pytest.mark.parametrize(
    "uris",
    [
        [],
        ["https://demo/bank/3"],
        ["consortium://demo/bank/3", "consortium://demo/bank/4"],
        ["consortium://demo/bank/3", "consortium://demo/operator/olivia"],
    ],
)
def test_a_certificate_has_exactly_one_holder(uris: list[str]) -> None:
    with pytest.raises(IdentityInvalid):
        identity_of_uris(uris)


def test_an_authority_is_saved_and_loaded(
    authority: CertificateAuthority, now: datetime, tmp_path: Path
) -> None:
    authority.save(tmp_path)
    assert (tmp_path / "ca.key").stat().st_mode & 0o777 == 0o600
    loaded = CertificateAuthority.load(tmp_path, "demo")
    verify_certificate(
        parsed(loaded.issue(BANK, now).certificate), authority.certificate, now
    )


def test_the_key_of_another_authority_is_refused(
    authority: CertificateAuthority, now: datetime, tmp_path: Path
) -> None:
    authority.save(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    CertificateAuthority.create("demo", now).save(other)
    (tmp_path / "ca.key").write_bytes((other / "ca.key").read_bytes())
    with pytest.raises(CertificateInvalid) as caught:
        CertificateAuthority.load(tmp_path, "demo")
    assert str(caught.value) == f"{tmp_path / 'ca.key'} is not the key of ca.crt"


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "No such file or directory"), (b"junk", "is not a certificate in PEM")],
)
def test_an_unusable_certificate_file_is_named(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "ca.crt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CertificateInvalid) as caught:
        load_certificate(path)
    assert str(caught.value).startswith(str(path))
    assert str(caught.value).endswith(message)


def test_no_key_appears_in_a_repr(authority: CertificateAuthority, now: datetime) -> None:
    issued = authority.issue(BANK, now)
    assert issued.key.startswith(b"-----BEGIN PRIVATE KEY-----")
    assert "PRIVATE" not in repr(issued)
    assert "_key" not in repr(authority)
