"""`consortium readmit`: a removed bank returns when a quorum of the active banks approves it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from node.cli.access import Consortium, bank_names
from node.cli.activity import activity
from node.cli.failure import EXIT_USAGE, CommandFailed
from node.cli.governance_run import Sealed, hand_in, reach
from node.cli.options import data_option, find_bank, json_option
from node.cli.payment_run import timeout_option
from node.cli.terminal import answer, answer_json
from node.client.governance import approve, readmission_terms
from node.ledger.governance import Approval, ReadmissionTerms, assemble_readmission
from node.ledger.rejection import Rejection
from node.ledger.types import BankIndex
from node.runtime.config import ConfigurationError
from node.runtime.consortium_directory import ConsortiumDirectory, short_name
from node.runtime.secrets_directory import read_secret

CONSENSUS_KEY_FILE = "consensus.key"


@dataclass(frozen=True, slots=True)
class Petition:
    """The terms of a readmission with the approvals so far, as it goes from bank to bank."""

    terms: ReadmissionTerms
    approvals: tuple[Approval, ...] = ()

    def with_approval(self, approval: Approval) -> Petition:
        """Return the petition with one bank's approval, in place of an earlier one of it."""
        others = [item for item in self.approvals if item.bank != approval.bank]
        return Petition(self.terms, (*others, approval))

    def write(self, path: Path) -> None:
        """Write the file that `read` reads."""
        document = {
            "terms": self.terms.encode().hex(),
            "bank": short_name(self.terms.bank),
            "expiry_height": self.terms.expiry,
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

    @staticmethod
    def read(path: Path) -> Petition:
        """Raises `CommandFailed` if the file is not a petition."""
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            terms = ReadmissionTerms.decode(bytes.fromhex(document["terms"]))
            approvals = tuple(
                [
                    Approval(BankIndex(int(item["bank"])), bytes.fromhex(item["signature"]))
                    for item in document["approvals"]
                ]
            )
        except (ValueError, KeyError, TypeError, Rejection) as error:
            raise CommandFailed(
                f"{path} is not a petition for readmission",
                "make one with `consortium readmit request BANK FILE`",
                EXIT_USAGE,
            ) from error
        return Petition(terms, approvals)


@click.group()
def command() -> None:
    """Let a bank that was removed return to the active set (BFT-12 section 10).

    Its stake must be topped up to the initial amount first. Then a quorum of the active banks
    approves: on one machine `now` signs for all of them; elsewhere a file goes round, from
    `request` through `approve` at each bank to `submit`.
    """


@command.command("request")
@click.argument("bank")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@data_option
def request(bank: str, file: Path, directory: ConsortiumDirectory) -> None:
    """Write to FILE what the active banks have to approve for BANK to return.

    \b
    Example:
      consortium readmit request dunmere petition.json
    """
    consortium = Consortium.load(directory)
    index = find_bank(consortium.genesis, bank)
    petition = asyncio.run(_petition(consortium, index))
    petition.write(file)
    answer(f"{file}: have it approved with `consortium readmit approve {file} --as BANK`")


@command.command("approve")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--as", "approver", required=True, metavar="BANK", help="Sign with this bank's key.")
@data_option
@json_option
def approve_petition(
    file: Path, approver: str, directory: ConsortiumDirectory, as_json: bool
) -> None:
    """Add a bank's approval to FILE, signed with its consensus key.

    \b
    Example:
      consortium readmit approve petition.json --as cedarholm
    """
    consortium = Consortium.load(directory)
    petition = Petition.read(file)
    if petition.terms.chain_id != consortium.genesis.chain_id:
        raise CommandFailed(f"{file} is about another ledger", "", EXIT_USAGE)
    index = find_bank(consortium.genesis, approver)
    petition = petition.with_approval(_approval(consortium, petition.terms, index))
    petition.write(file)
    names = [short_name(item.bank) for item in petition.approvals]
    if as_json:
        answer_json({"bank": short_name(petition.terms.bank), "approved_by": names})
    else:
        answer(f"{file}: approved by {', '.join(names)}")


@command.command("submit")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@timeout_option
@data_option
@json_option
def submit(file: Path, timeout_s: int, directory: ConsortiumDirectory, as_json: bool) -> None:
    """Hand in FILE and wait until it is sealed.

    \b
    Example:
      consortium readmit submit petition.json
    """
    consortium = Consortium.load(directory)
    _finish(consortium, Petition.read(file), timeout_s, as_json=as_json)


@command.command("now")
@click.argument("bank")
@timeout_option
@data_option
@json_option
def now(bank: str, timeout_s: int, directory: ConsortiumDirectory, as_json: bool) -> None:
    """Approve with every key in this directory, hand it in, and wait until it is sealed.

    \b
    Example:
      consortium readmit now dunmere
    """
    consortium = Consortium.load(directory)
    index = find_bank(consortium.genesis, bank)
    petition = asyncio.run(_petition(consortium, index))
    for approver in _held_keys(consortium, besides=index):
        approval = _approval(consortium, petition.terms, approver)
        petition = petition.with_approval(approval)
    _finish(consortium, petition, timeout_s, as_json=as_json)


def _held_keys(consortium: Consortium, *, besides: BankIndex) -> Sequence[BankIndex]:
    directory = consortium.directory
    held = [
        bank.index
        for bank in consortium.genesis.banks
        if (directory.bank(bank.index).keys / CONSENSUS_KEY_FILE).exists()
    ]
    if not held:
        raise ConfigurationError(f"{directory.root} holds no bank's consensus key")
    return [bank for bank in held if bank != besides]


def _approval(consortium: Consortium, terms: ReadmissionTerms, approver: BankIndex) -> Approval:
    secret = read_secret(consortium.directory.bank(approver).keys / CONSENSUS_KEY_FILE)
    return approve(terms, approver, secret)


async def _petition(consortium: Consortium, bank: BankIndex) -> Petition:
    with activity() as tell:
        tell("reading the sealed state")
        async with consortium.ledger(bank) as ledger:
            await reach(consortium, ledger)
            return Petition(await readmission_terms(ledger, bank))


def _finish(consortium: Consortium, petition: Petition, timeout_s: int, *, as_json: bool) -> None:
    sealed = asyncio.run(_submit(consortium, petition, timeout_s))
    approvers = bank_names(sorted(item.bank for item in petition.approvals))
    bank = short_name(petition.terms.bank)
    sealed.show(f"{bank} is back in the active set, approved by {approvers}", as_json=as_json)


async def _submit(consortium: Consortium, petition: Petition, timeout_s: int) -> Sealed:
    raw = assemble_readmission(petition.terms, petition.approvals)
    bank = petition.terms.bank
    with activity() as tell:
        async with consortium.ledger(bank) as ledger:
            await reach(consortium, ledger)
            return await hand_in(consortium, ledger, raw, bank, timeout_s, tell)
