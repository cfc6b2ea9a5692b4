"""`consortium doctor`: is every bank's ledger sound, and are they all the same?"""

from __future__ import annotations

import asyncio

import click

from node.cli.access import Consortium, nobody_answers
from node.cli.doctor_report import DoctorReport
from node.cli.examination import Examination
from node.cli.failure import EXIT_FAILED
from node.cli.options import data_option, json_option
from node.cli.terminal import answer, answer_json, steps
from node.runtime.consortium_directory import ConsortiumDirectory


@click.command()
@data_option
@json_option
@click.option("--full", is_flag=True, help="Check everything instead of a sample.")
def command(directory: ConsortiumDirectory, as_json: bool, full: bool) -> None:
    """Verify every bank's ledger from the genesis alone, and compare all banks.

    Verifies every seal and every link between blocks; compares block hashes, state roots,
    nullifiers, notes, voting records and treasury; checks that money is conserved; recomputes
    Merkle roots and verifies proofs of a sample. Exits with 0 only if nothing is wrong.

    \b
    Examples:
      consortium doctor
      consortium doctor --full --json
    """
    consortium = Consortium.load(directory)
    report = asyncio.run(examine(consortium, full=full))
    if report.banks_answered == 0:
        raise nobody_answers(consortium)
    if as_json:
        answer_json(report.to_json_object())
    else:
        for line in report.lines():
            answer(line)
    if not report.clean:
        raise click.exceptions.Exit(EXIT_FAILED)


async def examine(consortium: Consortium, *, full: bool) -> DoctorReport:
    """Run the examination with a progress display."""
    with steps("doctor") as meter:
        return await Examination(consortium, full=full, meter=meter).run()
