"""What a quorum of the banks has to approve, as a file that goes from bank to bank."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from node.cli.access import Consortium
from node.cli.failure import EXIT_USAGE, CommandFailed
from node.client.governance import approve
from node.ledger.governance import Approval, ApprovedTerms
from node.ledger.rejection import Rejection
from node.ledger.types import BankIndex
from node.runtime.config import ConfigurationError
from node.runtime.consortium_directory import short_name
from node.runtime.secrets_directory import read_secret

CONSENSUS_KEY_FILE = "consensus.key"

T = TypeVar("T", bound=ApprovedTerms[Any])


@dataclass(frozen=True, slots=True)
class Petition(Generic[T]):
    """Terms with the approvals so far."""

    terms: T
    approvals: tuple[Approval, ...] = ()

    @property
    def approvers(self) -> list[str]:
        """Names of the banks that approved, in the order in which they did."""
        return [short_name(item.bank) for item in self.approvals]

    def approved(self, consortium: Consortium, approver: BankIndex) -> Petition[T]:
        """Return the petition with one bank's approval, in place of an earlier one of it.

        Its consensus key is read from this directory.
        """
        secret = read_secret(consortium.directory.bank(approver).keys / CONSENSUS_KEY_FILE)
        others = [item for item in self.approvals if item.bank != approver]
        approval = approve(self.terms, approver, secret)
        return replace(self, approvals=(*others, approval))

    def approved_by_all(
        self, consortium: Consortium, *, besides: BankIndex | None = None
    ) -> Petition[T]:
        """Return the petition approved with every consensus key that this directory holds."""
        petition = self
        for approver in _held_keys(consortium):
            if approver != besides:
                petition = petition.approved(consortium, approver)
        return petition

    def write(self, path: Path, about: Mapping[str, object]) -> None:
        """Write the file that `read_petition` reads; `about` says for people what it is for."""
        document = {
            "terms": self.terms.encode().hex(),
            **about,
            "approvals": [
                {
                    "bank": item.bank,
                    "name": short_name(item.bank),
                    "signature": item.signature.hex(),
                }
                for item in self.approvals
            ],
        }
        path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def read_petition(
    path: Path, decode: Callable[[bytes], T], purpose: str, advice: str
) -> Petition[T]:
    """Read a file; raises `CommandFailed` if it is no petition for this purpose."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        terms = decode(bytes.fromhex(document["terms"]))
        approvals = tuple(
            [
                Approval(BankIndex(int(item["bank"])), bytes.fromhex(item["signature"]))
                for item in document["approvals"]
            ]
        )
    except (ValueError, KeyError, TypeError, Rejection) as error:
        text = f"{path} is not a petition for {purpose}"
        raise CommandFailed(text, advice, EXIT_USAGE) from error
    return Petition(terms, approvals)


def require_this_ledger(consortium: Consortium, petition: Petition[T], path: Path) -> None:
    """Raise `CommandFailed` if the petition is made for another ledger."""
    if petition.terms.chain_id != consortium.genesis.chain_id:
        raise CommandFailed(f"{path} is about another ledger", "", EXIT_USAGE)


def _held_keys(consortium: Consortium) -> Sequence[BankIndex]:
    directory = consortium.directory
    held = [
        bank.index
        for bank in consortium.genesis.banks
        if (directory.bank(bank.index).keys / CONSENSUS_KEY_FILE).exists()
    ]
    if not held:
        raise ConfigurationError(f"{directory.root} holds no bank's consensus key")
    return held
