"""`consortium regulator`: run it, see what it did, open ballots, check openings."""

from __future__ import annotations

import asyncio
import sys

import click

from node.cli.options import data_option, json_option
from node.runtime.consortium_directory import ConsortiumDirectory


@click.group()
def command() -> None:
    """Run the regulator, see what it did, open a ballot, check an opening.

    \b
    Examples:
      consortium regulator status
      consortium regulator open 1f0c6a --reason "court order" --order 17/2026
      consortium regulator verify-opening opening.json
    """


@command.command()
@click.option("--supervised", is_flag=True, help="Stop when the process that started it ends.")
@data_option
def run(directory: ConsortiumDirectory, supervised: bool) -> None:
    """Run the regulator in the foreground until SIGTERM or Ctrl-C.

    It follows all banks, settles fiscal years, verifies drawn and challenged blocks again, and
    convicts banks that cast two ballots. `consortium up` starts it.

    \b
    Example:
      consortium regulator run
    """
    from node.runtime.regulator.process import RegulatorConfig, run_regulator
    from node.runtime.structured_log import configure_logging

    config = RegulatorConfig.of(directory, supervised=supervised)
    configure_logging("regulator", "INFO")
    sys.exit(int(asyncio.run(run_regulator(config))))


@command.command()
@data_option
@json_option
def status(directory: ConsortiumDirectory, as_json: bool) -> None:
    """Show how far the regulator is: followed, drawn, verified again, settled; alarms.

    \b
    Example:
      consortium regulator status --json
    """
    from node.cli.regulator_status import show_status

    show_status(directory, as_json=as_json)
