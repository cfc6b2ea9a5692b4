"""`consortium readmit`: a removed bank returns when a quorum of the active banks approves it."""

from __future__ import annotations

from pathlib import Path

import click

from node.cli.access import Consortium
from node.cli.governance_run import Sealed
from node.cli.options import data_option, find_bank, json_option
from node.cli.payment_run import timeout_option
from node.cli.petition import Petition
from node.cli.petition_run import Cause, approve_file, begin_round, petition_for
from node.cli.petition_run import submit as submit_petition
from node.client.governance import readmission_terms
from node.ledger.governance import ReadmissionTerms
from node.ledger.types import BankIndex
from node.runtime.consortium_directory import ConsortiumDirectory, short_name


def _show(
    sealed: Sealed, petition: Petition[ReadmissionTerms], approvers: str, as_json: bool
) -> None:
    bank = petition.terms.bank
    text = f"{short_name(bank)} is back in the active set, approved by {approvers}"
    sealed.show(bank, text, as_json=as_json)


CAUSE = Cause(
    command="readmit",
    request_form="BANK",
    purpose="readmission",
    decode=ReadmissionTerms.decode,
    about=lambda terms: {"bank": short_name(terms.bank)},
    home=lambda terms: terms.bank,
    show=_show,
)


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
    begin_round(CAUSE, _petition(consortium, index), file)


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
    approve_file(CAUSE, Consortium.load(directory), file, approver, as_json=as_json)


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
    submit_petition(CAUSE, consortium, CAUSE.read(file), timeout_s, as_json=as_json)


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
    petition = _petition(consortium, index).approved_by_all(consortium, besides=index)
    submit_petition(CAUSE, consortium, petition, timeout_s, as_json=as_json)


def _petition(consortium: Consortium, bank: BankIndex) -> Petition[ReadmissionTerms]:
    return petition_for(consortium, bank, lambda ledger: readmission_terms(ledger, bank))
