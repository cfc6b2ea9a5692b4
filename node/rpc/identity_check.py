"""Who calls, from the certificate that TLS has verified; and whether the role may."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import grpc

from node.rpc.certificates import identity_of_uris
from node.rpc.errors import CallReason, refuse
from node.rpc.roles import MethodRule
from node.wire.identity import Identity, IdentityInvalid, Role

SUBJECT_ALTERNATIVE_NAMES = "x509_subject_alternative_name"
_LOOPBACK = ("ipv4:127.", "ipv6:[::1]:", "ipv6:%5B::1%5D:", "unix:")


def caller_identity(auth_context: Mapping[str, Iterable[bytes]], consortium: str) -> Identity:
    """Return the caller as its verified certificate names it.

    Raises `IdentityInvalid` if it names no party, several, or one of another consortium.
    """
    names = auth_context.get(SUBJECT_ALTERNATIVE_NAMES, ())
    identity = identity_of_uris([name.decode("utf-8", "replace") for name in names])
    if identity.consortium != consortium:
        raise IdentityInvalid("the certificate is of another consortium")
    return identity


def check_role(
    identity: Identity,
    rule: MethodRule,
    peer: str,
    *,
    operators: Collection[str] | None,
    operators_from_anywhere: bool,
) -> None:
    """Raise `CallRefused` unless this party may call the method from where it is.

    `peer` is gRPC's address of the caller; `operators` the names of this bank's operators, None
    for any operator of the consortium.
    """
    if identity.role not in rule.roles:
        raise refuse(
            grpc.StatusCode.PERMISSION_DENIED,
            CallReason.ROLE,
            f"the role {identity.role} may not call this method",
        )
    if rule.loopback_only and not operators_from_anywhere and not peer.startswith(_LOOPBACK):
        raise refuse(
            grpc.StatusCode.PERMISSION_DENIED,
            CallReason.NOT_LOCAL,
            "this method is served over loopback only",
        )
    if rule.roles == {Role.OPERATOR} and operators is not None and identity.name not in operators:
        raise refuse(
            grpc.StatusCode.PERMISSION_DENIED,
            CallReason.ROLE,
            "this operator does not operate this bank",
        )
