"""Endpoints and credentials."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.client.connection import ClientCredentials, Endpoint
from node.client.errors import CredentialsInvalid
from node.client.ledger_client import LedgerClient
from node.ledger.types import BankIndex
from node.wire.identity import Identity, Role
from tests.client.conftest import CONSORTIUM


@pytest.mark.parametrize("text", ["3@127.0.0.1:7003", "bank-3@127.0.0.1:7003"])
def test_endpoints_are_read(text: str) -> None:
    endpoint = Endpoint(BankIndex(3), "127.0.0.1:7003")
    assert (Endpoint.parse(text), str(endpoint)) == (endpoint, "bank-3@127.0.0.1:7003")


@pytest.mark.parametrize(
    "text", ["", "127.0.0.1:7003", "3@host", "x@host:1", "3@host:1 ", "-1@h:1"]
)
def test_what_is_no_endpoint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not an endpoint such as 3@127"):
        Endpoint.parse(text)


def test_credentials_say_who_we_are_and_hide_the_key(tls_directory: Path) -> None:
    credentials = ClientCredentials.load(tls_directory / "alice")
    assert credentials.identity == Identity(CONSORTIUM, Role.CLIENT, "alice")
    assert "PRIVATE KEY" not in repr(credentials)


def test_a_missing_file_is_named(tls_directory: Path, tmp_path: Path) -> None:
    with pytest.raises(CredentialsInvalid) as caught:
        ClientCredentials.load(tmp_path)
    assert str(caught.value) == f"{tmp_path / 'ca.crt'} cannot be read: No such file or directory"


def test_a_file_that_is_no_certificate_is_refused(tls_directory: Path) -> None:
    good = ClientCredentials.load(tls_directory / "alice")
    for certificate in (b"junk", good.ca_certificate):
        credentials = ClientCredentials(good.ca_certificate, certificate, good.key)
        with pytest.raises(CredentialsInvalid, match="is not one of a consortium's client"):
            LedgerClient.connect("0@127.0.0.1:1", credentials)


def test_a_client_needs_an_endpoint(tls_directory: Path) -> None:
    with pytest.raises(ValueError, match="give at least one endpoint"):
        LedgerClient.connect([], tls_directory / "alice")
