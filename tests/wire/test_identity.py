"""Names of the parties and how certificates carry them (ARCHITECTURE 6)."""

from __future__ import annotations

import pytest

from node.wire.identity import (
    Identity,
    IdentityInvalid,
    Role,
    bank_server_name,
    consortium_slug,
)


@pytest.mark.parametrize(
    "identity",
    [
        Identity("demo", Role.BANK, "0"),
        Identity("demo", Role.BANK, "65535"),
        Identity("demo", Role.CLIENT, "alice.b_c-9"),
        Identity("demo", Role.OPERATOR, "olivia"),
        Identity("demo", Role.REGULATOR, "watch"),
    ],
)
def test_the_uri_names_the_party_and_reads_back(identity: Identity) -> None:
    assert identity.uri == f"consortium://demo/{identity.role.value}/{identity.name}"
    assert Identity.parse(identity.uri) == identity


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "consortium://demo/bank",
        "consortium://demo/bank/3/4",
        "consortium://demo/bank/",
        "consortium:///bank/3",
        "consortium://demo/BANK/3",
        "consortium://demo/auditor/3",
        "consortium://demo/bank/03",
        "consortium://demo/bank/-1",
        "consortium://demo/bank/65536",
        "consortium://demo/bank/three",
        "consortium://demo/client/al ice",
        "consortium://demo/client/alice\n",
        "consortium://demo/client/.alice",
        "consortium://demo/client/" + "a" * 64,
        "consortium://" + "d" * 300 + "/client/alice",
        "https://demo/bank/3",
        "consortium://demo/bank/٣",
    ],
)
def test_anything_else_is_no_identity(uri: str) -> None:
    with pytest.raises(IdentityInvalid):
        Identity.parse(uri)


def test_a_bank_is_its_index_and_prints_short() -> None:
    identity = Identity.of_bank("demo", 11)
    assert (identity.bank, str(identity)) == (11, "bank/11")


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("demo", "demo"),
        ("Demo Consortium (2026)", "demo-consortium-2026"),
        ("  Été  ", "t"),
        ("x" * 39 + " y", "x" * 39),
    ],
)
def test_the_slug_is_one_dns_label(name: str, slug: str) -> None:
    assert consortium_slug(name) == slug


def test_a_name_without_letters_gives_no_slug() -> None:
    with pytest.raises(IdentityInvalid):
        consortium_slug("!?")


def test_the_server_name_tells_bank_and_consortium() -> None:
    assert bank_server_name("demo", 3) == "bank-3.demo.consortium"
