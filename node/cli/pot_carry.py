"""`consortium pot-carry`: a quorum of the banks moves on the pot of a year that nobody settled."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from node.cli.access import Consortium, bank_names
from node.cli.activity import activity
from node.cli.governance_run import Sealed, hand_in, reach
from node.cli.options import data_option, find_bank, json_option
from node.cli.payment_run import timeout_option
from node.cli.petition import Petition, read_petition, require_this_ledger
from node.cli.terminal import answer, answer_json
from node.cli.treasury import read_year
from node.client.governance import pot_carry_terms
from node.ledger.fiscal_year import label
from node.ledger.settlement import PotCarryTerms, assemble_pot_carry
from node.ledger.types import BankIndex, FiscalYear
from node.runtime.consortium_directory import ConsortiumDirectory

CarryPetition = Petition[PotCarryTerms]
HOME = BankIndex(0)


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
    _write(asyncio.run(_petition(consortium, read_year(year))), file)
    answer(f"{file}: have it approved with `consortium pot-carry approve {file} --as BANK`")


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
    consortium = Consortium.load(directory)
    petition = _read(file)
    require_this_ledger(consortium, petition, file)
    petition = petition.approved(consortium, find_bank(consortium.genesis, approver))
    _write(petition, file)
    if as_json:
        year = label(petition.terms.year)
        answer_json({"fiscal_year": year, "approved_by": petition.approvers})
    else:
        answer(f"{file}: approved by {', '.join(petition.approvers)}")


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
    _finish(Consortium.load(directory), _read(file), timeout_s, as_json=as_json)


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
    petition = asyncio.run(_petition(consortium, read_year(year)))
    _finish(consortium, petition.approved_by_all(consortium), timeout_s, as_json=as_json)


def _read(file: Path) -> CarryPetition:
    advice = "make one with `consortium pot-carry request YEAR FILE`"
    return read_petition(file, PotCarryTerms.decode, "a pot to be carried forward", advice)


def _write(petition: CarryPetition, file: Path) -> None:
    terms = petition.terms
    petition.write(file, {"fiscal_year": label(terms.year), "expiry_height": terms.expiry})


async def _petition(consortium: Consortium, year: FiscalYear) -> CarryPetition:
    with activity() as tell:
        tell("reading the sealed state")
        async with consortium.ledger(HOME) as ledger:
            await reach(consortium, ledger)
            return Petition(await pot_carry_terms(ledger, year))


def _finish(
    consortium: Consortium, petition: CarryPetition, timeout_s: int, *, as_json: bool
) -> None:
    sealed = asyncio.run(_submit(consortium, petition, timeout_s))
    approvers = bank_names(sorted(item.bank for item in petition.approvals))
    year = label(petition.terms.year)
    text = f"the pot of {year} was carried forward, approved by {approvers}"
    about = {"fiscal_year": year, "approved_by": petition.approvers}
    sealed.show_about(about, text, as_json=as_json)


async def _submit(consortium: Consortium, petition: CarryPetition, timeout_s: int) -> Sealed:
    raw = assemble_pot_carry(petition.terms, petition.approvals)
    with activity() as tell:
        async with consortium.ledger(HOME) as ledger:
            await reach(consortium, ledger)
            return await hand_in(consortium, ledger, raw, timeout_s, tell)
