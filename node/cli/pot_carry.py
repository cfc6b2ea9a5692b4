"""`consortium pot-carry`: a quorum of the banks moves on the pot of a year that nobody settled."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from node.cli.access import Consortium
from node.cli.governance_run import Sealed
from node.cli.options import data_option, json_option
from node.cli.payment_run import timeout_option
from node.cli.petition import Petition
from node.cli.petition_run import Cause, approve_file, begin_round, petition_for
from node.cli.petition_run import submit as submit_petition
from node.cli.treasury import read_year
from node.client.governance import pot_carry_terms
from node.ledger.fiscal_year import label
from node.ledger.settlement import PotCarryTerms
from node.ledger.types import BankIndex, FiscalYear
from node.runtime.consortium_directory import ConsortiumDirectory

HOME = BankIndex(0)


def _about(terms: PotCarryTerms) -> Mapping[str, object]:
    return {"fiscal_year": label(terms.year)}


def _show(sealed: Sealed, petition: Petition[PotCarryTerms], approvers: str, as_json: bool) -> None:
    year = label(petition.terms.year)
    text = f"the pot of {year} was carried forward, approved by {approvers}"
    about = {**_about(petition.terms), "approved_by": petition.approvers}
    sealed.show_about(about, text, as_json=as_json)


CAUSE = Cause(
    command="pot-carry",
    request_form="YEAR",
    purpose="a pot to be carried forward",
    decode=PotCarryTerms.decode,
    about=_about,
    home=lambda terms: HOME,
    show=_show,
)


@click.group()
def command() -> None:
    """Carry the pot of a fiscal year forward that the regulator has not settled a year later.

    The pot moves, undivided, into that of the current year (BFT-12 section 18). A quorum of the
    active banks approves: on one machine `now` signs for all of them; elsewhere a file goes round,
    from `request` through `approve` at each bank to `submit`.
    """


@command.command("request")
@click.argument("year")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@data_option
def request(year: str, file: Path, directory: ConsortiumDirectory) -> None:
    """Write to FILE what the active banks have to approve for the pot of YEAR to move on.

    \b
    Example:
      consortium pot-carry request FY2026 carry.json
    """
    consortium = Consortium.load(directory)
    begin_round(CAUSE, _petition(consortium, read_year(year)), file)


@command.command("approve")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--as", "approver", required=True, metavar="BANK", help="Sign with this bank's key.")
@data_option
@json_option
def approve_carry(file: Path, approver: str, directory: ConsortiumDirectory, as_json: bool) -> None:
    """Add a bank's approval to FILE, signed with its consensus key.

    \b
    Example:
      consortium pot-carry approve carry.json --as cedarholm
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
      consortium pot-carry submit carry.json
    """
    consortium = Consortium.load(directory)
    submit_petition(CAUSE, consortium, CAUSE.read(file), timeout_s, as_json=as_json)


@command.command("now")
@click.argument("year")
@timeout_option
@data_option
@json_option
def now(year: str, timeout_s: int, directory: ConsortiumDirectory, as_json: bool) -> None:
    """Approve with every key in this directory, hand it in, and wait until it is sealed.

    \b
    Example:
      consortium pot-carry now FY2026
    """
    consortium = Consortium.load(directory)
    petition = _petition(consortium, read_year(year)).approved_by_all(consortium)
    submit_petition(CAUSE, consortium, petition, timeout_s, as_json=as_json)


def _petition(consortium: Consortium, year: FiscalYear) -> Petition[PotCarryTerms]:
    return petition_for(consortium, HOME, lambda ledger: pot_carry_terms(ledger, year))
