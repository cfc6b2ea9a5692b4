"""Who is at the other end of a connection: role and name, as certificates state them.

A certificate of the consortium's CA carries exactly one URI in its subject alternative names,
`consortium://<consortium>/<role>/<name>`, for example `consortium://demo/bank/3`. A bank's
certificate is also valid for the DNS name `bank-3.demo.consortium`: whoever connects to it asks
for that name, whatever the address, so that a bank cannot answer in place of another.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from node.ledger.types import BankIndex

SCHEME = "consortium"
MAX_URI_BYTES = 256

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_BANK = re.compile(r"0|[1-9][0-9]{0,4}")
_URI = re.compile(r"consortium://([^/]+)/([^/]+)/([^/]+)")
_NOT_LABEL = re.compile(r"[^a-z0-9]+")


class Role(StrEnum):
    """What a party of the consortium is, and thereby what it may call."""

    BANK = "bank"
    """One of the consortium's banks."""
    REGULATOR = "regulator"
    """Observes, audits, settles fiscal years; has no vote."""
    CLIENT = "client"
    """Holds wallets; its credential is issued by a bank."""
    OPERATOR = "operator"
    """Runs a bank's node."""


class IdentityInvalid(ValueError):
    """A name that is no identity of this consortium: the fault of who presents it."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A party of a consortium. The name of a bank is its index in the genesis list."""

    consortium: str
    """Slug of the consortium's name (`consortium_slug`)."""
    role: Role
    name: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.consortium) or not _NAME.fullmatch(self.name):
            raise IdentityInvalid(
                "names have 1 to 63 letters, digits, dots, underscores or hyphens and begin with "
                "a letter or digit"
            )
        if self.role is Role.BANK and not (_BANK.fullmatch(self.name) and int(self.name) < 1 << 16):
            raise IdentityInvalid(f"a bank is named by its index, not {self.name!r}")

    @property
    def bank(self) -> BankIndex:
        """Index of the bank; only for the role bank."""
        assert self.role is Role.BANK, "only banks have an index"
        return BankIndex(int(self.name))

    @property
    def uri(self) -> str:
        return f"{SCHEME}://{self.consortium}/{self.role}/{self.name}"

    def __str__(self) -> str:
        return f"{self.role}/{self.name}"

    @staticmethod
    def of_bank(consortium: str, bank: int) -> Identity:
        return Identity(consortium, Role.BANK, str(bank))

    @staticmethod
    def parse(uri: str) -> Identity:
        """Read `consortium://<consortium>/<role>/<name>`; raises `IdentityInvalid`."""
        match = _URI.fullmatch(uri) if len(uri) <= MAX_URI_BYTES else None
        if match is None:
            raise IdentityInvalid(f"not an identity of the form {SCHEME}://CONSORTIUM/ROLE/NAME")
        consortium, role, name = match.groups()
        if role not in set(Role):
            raise IdentityInvalid("no such role")
        return Identity(consortium, Role(role), name)


def consortium_slug(name: str) -> str:
    """Return the consortium's name as one DNS label: lower case, hyphens, at most 40 characters.

    Raises `IdentityInvalid` if nothing is left.
    """
    slug = _NOT_LABEL.sub("-", name.lower()).strip("-")[:40].rstrip("-")
    if not slug:
        raise IdentityInvalid(f"{name!r} has no letter or digit to name a consortium by")
    return slug


def bank_server_name(consortium: str, bank: int) -> str:
    """Return the DNS name that the server certificate of a bank is valid for."""
    return f"bank-{bank}.{consortium}.consortium"


def regulator_server_name(consortium: str) -> str:
    """Return the DNS name that the regulator's server certificate is valid for."""
    return f"regulator.{consortium}.consortium"
