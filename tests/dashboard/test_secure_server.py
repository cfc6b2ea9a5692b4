"""The page for other machines: TLS, an operator's certificate or the token, nothing for others."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from cryptography import x509

from node.client.connection import ClientCredentials
from node.dashboard.page_certificate import make_page_certificate
from node.dashboard.server import DashboardServer, ServerSettings, SettingsUnsafe, TlsSettings
from node.ledger.parameters import Parameters
from node.rpc.certificates import CertificateAuthority, CertificateInvalid, utc_now
from node.rpc.credentials import TlsFiles
from node.rpc.revocation import REVOCATION_FILE, Revocations, write_list
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.initialise import create_consortium
from node.wire.identity import Identity, Role, consortium_slug
from tests.dashboard.served_page import TOKEN, ServedPage, place_of, served_page


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> ConsortiumDirectory:
    made = ConsortiumDirectory(tmp_path_factory.mktemp("page") / "data")
    create_consortium(made, bank_count=4, parameters=Parameters())
    return made


@pytest.fixture
def tls(directory: ConsortiumDirectory) -> TlsSettings:
    slug = consortium_slug(directory.genesis().name)
    certificate, key = make_page_certificate(
        directory.certificates, slug, directory.dashboard, ["page.example"]
    )
    revocations = Revocations(TlsFiles(directory.certificates))

    def is_revoked(shown: bytes) -> bool:
        revocations.reload()
        return revocations.revoked(shown)

    return TlsSettings(certificate, key, directory.certificates / "ca.crt", slug, is_revoked)


def trusting(directory: ConsortiumDirectory, shown: Path | None = None) -> ssl.SSLContext:
    """A browser that trusts the consortium's authority, and shows a certificate if it has one."""
    context = ssl.create_default_context(cafile=str(directory.certificates / "ca.crt"))
    if shown is not None:
        context.load_cert_chain(shown / "tls.crt", shown / "tls.key")
    return context


@contextlib.asynccontextmanager
async def open_page(directory: ConsortiumDirectory, tls: TlsSettings) -> AsyncIterator[ServedPage]:
    async with served_page(
        place_of(directory), host="0.0.0.0", tls=tls, verify=trusting(directory)
    ) as page:
        yield page


@contextlib.asynccontextmanager
async def browser(
    page: ServedPage, directory: ConsortiumDirectory, shown: Path | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    url = f"https://localhost:{page.server.port}"
    async with httpx.AsyncClient(base_url=url, verify=trusting(directory, shown)) as client:
        yield client


def issued(directory: ConsortiumDirectory, place: Path, identity: Identity) -> Path:
    authority = CertificateAuthority.load(directory.certificates, identity.consortium)
    place.mkdir()
    TlsFiles(place).write(authority.issue(identity, utc_now()))
    return place


def test_other_machines_are_served_over_tls_alone(directory: ConsortiumDirectory) -> None:
    for host in ("0.0.0.0", "::", "10.0.0.1", "page.example"):
        with pytest.raises(SettingsUnsafe):
            DashboardServer(place_of(directory), ServerSettings(host, 0, TOKEN))


async def test_nothing_is_free_for_other_machines(
    directory: ConsortiumDirectory, tls: TlsSettings
) -> None:
    async with open_page(directory, tls) as page, browser(page, directory) as anybody:
        for path in ("overview", "events", "blocks", "treasury", "search", "faults", "banks/0"):
            answer = await anybody.get(f"/api/{path}")
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "login-needed")
        assert (await anybody.get("/login")).status_code == 200
        session = (await anybody.get("/api/session")).json()
        assert session == {"operator": False, "csrf": None, "name": None}
        answer = await anybody.post("/api/login", json={"token": TOKEN})
        assert "secure" in answer.headers["set-cookie"].lower()
        assert "max-age" in answer.headers["strict-transport-security"]
        assert (await anybody.get("/api/overview")).json()["operator"] is True
        assert (await anybody.get("/api/faults")).status_code == 200


async def test_an_operators_certificate_is_a_session(
    directory: ConsortiumDirectory, tls: TlsSettings
) -> None:
    async with open_page(directory, tls) as page:
        async with browser(page, directory, directory.operator) as operator:
            session = (await operator.get("/api/session")).json()
            assert (session["operator"], session["name"]) == (True, "operator")
            assert (await operator.get("/api/faults")).status_code == 200
            body = {"kind": "heal", "bank": "all"}
            refused = await operator.post("/api/faults", json=body)
            assert refused.json()["error"]["code"] == "wrong-csrf-token"
        for other in (directory.client(0), directory.bank(0).keys):
            async with browser(page, directory, other) as client:
                assert (await client.get("/api/overview")).status_code == 401


async def test_a_revoked_or_foreign_certificate_is_none(
    directory: ConsortiumDirectory, tls: TlsSettings, tmp_path: Path
) -> None:
    name = replace(ClientCredentials.load(directory.operator).identity, name="second")
    second = issued(directory, tmp_path / "second", name)
    authority = CertificateAuthority.load(directory.certificates, name.consortium)
    async with open_page(directory, tls) as page:
        async with browser(page, directory, second) as operator:
            assert (await operator.get("/api/overview")).status_code == 200
            serial = TlsFiles(second).load(utc_now()).certificate
            listed = directory.certificates / REVOCATION_FILE
            write_list(authority, listed, [_serial(serial)], utc_now())
            assert (await operator.get("/api/overview")).status_code == 401
            listed.unlink()
        foreign = CertificateAuthority.create(name.consortium, utc_now())
        place = tmp_path / "foreign"
        place.mkdir()
        TlsFiles(place).write(
            foreign.issue(Identity(name.consortium, Role.OPERATOR, "x"), utc_now())
        )
        async with browser(page, directory, place) as stranger:
            with pytest.raises(httpx.HTTPError):
                await stranger.get("/api/overview")


def _serial(certificate: bytes) -> int:
    return x509.load_pem_x509_certificate(certificate).serial_number


def test_the_pages_certificate_is_nobodys(directory: ConsortiumDirectory, tmp_path: Path) -> None:
    slug = consortium_slug(directory.genesis().name)
    with pytest.raises(CertificateInvalid, match="name of a bank"):
        make_page_certificate(
            directory.certificates, slug, tmp_path / "page", [f"bank-0.{slug}.consortium"]
        )
    with pytest.raises(CertificateInvalid):
        make_page_certificate(directory.operator, slug, tmp_path / "page", ["page.example"])
