"""Who calls, and whether the role may, from where (ARCHITECTURE 6)."""

from __future__ import annotations

import pytest

from node.rpc.errors import CallRefused
from node.rpc.identity_check import SUBJECT_ALTERNATIVE_NAMES, caller_identity, check_role
from node.rpc.roles import METHODS, MethodRule
from node.wire.identity import Identity, IdentityInvalid, Role

OLIVIA = Identity("demo", Role.OPERATOR, "olivia")
OPERATOR_RULE = METHODS["/consortium.v1.Operator/GetStatus"]
LOOPBACK = "ipv4:127.0.0.1:50000"


def check(
    identity: Identity,
    rule: MethodRule = OPERATOR_RULE,
    peer: str = LOOPBACK,
    operators: tuple[str, ...] | None = None,
    from_anywhere: bool = False,
) -> None:
    check_role(identity, rule, peer, operators=operators, operators_from_anywhere=from_anywhere)


def test_the_identity_is_read_among_the_certificates_names() -> None:
    names = [b"bank-3.demo.consortium", b"localhost", b"consortium://demo/bank/3"]
    assert caller_identity({SUBJECT_ALTERNATIVE_NAMES: names}, "demo") == Identity.of_bank(
        "demo", 3
    )


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "the certificate names 0 parties of a consortium, not 1"),
        ([b"\xff\xfe"], "the certificate names 0 parties of a consortium, not 1"),
        ([b"consortium://other/bank/3"], "the certificate is of another consortium"),
        ([b"consortium://demo/king/3"], "no such role"),
    ],
)
def test_a_certificate_without_a_party_of_ours_is_refused(
    names: list[bytes], message: str
) -> None:
    with pytest.raises(IdentityInvalid) as caught:
        caller_identity({SUBJECT_ALTERNATIVE_NAMES: names}, "demo")
    assert str(caught.value) == message


@pytest.mark.parametrize("peer", [LOOPBACK, "ipv6:[::1]:9", "ipv6:%5B::1%5D:9", "unix:/s"])
def test_operators_call_over_loopback(peer: str) -> None:
    check(OLIVIA, peer=peer)


@pytest.mark.parametrize("peer", ["ipv4:10.0.0.7:9", "ipv4:128.0.0.1:9", "ipv6:[::2]:9", ""])
def test_operators_elsewhere_need_the_nodes_consent(peer: str) -> None:
    with pytest.raises(CallRefused) as caught:
        check(OLIVIA, peer=peer)
    assert str(caught.value) == "not-local: this method is served over loopback only"
    check(OLIVIA, peer=peer, from_anywhere=True)


def test_a_bank_may_name_its_operators() -> None:
    check(OLIVIA, operators=("olivia", "otto"))
    with pytest.raises(CallRefused) as caught:
        check(OLIVIA, operators=("otto",))
    assert str(caught.value) == "role: this operator does not operate this bank"


def test_named_operators_restrict_operator_methods_only() -> None:
    check(OLIVIA, METHODS["/consortium.v1.Ledger/GetBlock"], operators=("otto",))


def test_another_role_is_refused() -> None:
    with pytest.raises(CallRefused) as caught:
        check(Identity("demo", Role.CLIENT, "alice"))
    assert str(caught.value) == "role: the role client may not call this method"
