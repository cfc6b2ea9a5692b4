"""`consortium readmit`: a removed bank returns when a quorum of the active banks approves it."""

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
from node.client.governance import readmission_terms
from node.ledger.governance import ReadmissionTerms, assemble_readmission
from node.ledger.types import BankIndex
from node.runtime.consortium_directory import ConsortiumDirectory, short_name

ReadmissionPetition = Petition[ReadmissionTerms]


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
    _write(asyncio.run(_petition(consortium, index)), file)
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
    petition = _read(file)
    require_this_ledger(consortium, petition, file)
    petition = petition.approved(consortium, find_bank(consortium.genesis, approver))
    _write(petition, file)
    if as_json:
        bank = short_name(petition.terms.bank)
        answer_json({"bank": bank, "approved_by": petition.approvers})
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
      consortium readmit submit petition.json
    """
    consortium = Consortium.load(directory)
    _finish(consortium, _read(file), timeout_s, as_json=as_json)


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
    petition = petition.approved_by_all(consortium, besides=index)
    _finish(consortium, petition, timeout_s, as_json=as_json)


def _read(file: Path) -> ReadmissionPetition:
    advice = "make one with `consortium readmit request BANK FILE`"
    return read_petition(file, ReadmissionTerms.decode, "readmission", advice)


def _write(petition: ReadmissionPetition, file: Path) -> None:
    terms = petition.terms
    petition.write(file, {"bank": short_name(terms.bank), "expiry_height": terms.expiry})


async def _petition(consortium: Consortium, bank: BankIndex) -> ReadmissionPetition:
    with activity() as tell:
        tell("reading the sealed state")
        async with consortium.ledger(bank) as ledger:
            await reach(consortium, ledger)
            return Petition(await readmission_terms(ledger, bank))


def _finish(
    consortium: Consortium, petition: ReadmissionPetition, timeout_s: int, *, as_json: bool
) -> None:
    sealed = asyncio.run(_submit(consortium, petition, timeout_s))
    approvers = bank_names(sorted(item.bank for item in petition.approvals))
    bank = petition.terms.bank
    text = f"{short_name(bank)} is back in the active set, approved by {approvers}"
    sealed.show(bank, text, as_json=as_json)


async def _submit(consortium: Consortium, petition: ReadmissionPetition, timeout_s: int) -> Sealed:
    raw = assemble_readmission(petition.terms, petition.approvals)
    bank = petition.terms.bank
    with activity() as tell:
        async with consortium.ledger(bank) as ledger:
            await reach(consortium, ledger)
            return await hand_in(consortium, ledger, raw, timeout_s, tell)
