"""`consortium regulator`: run it, see what it did, open ballots, check openings."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

import click

from node.cli.options import data_option, json_option
from node.runtime.consortium_directory import ConsortiumDirectory

FILE = click.Path(path_type=Path, dir_okay=False)


@click.group()
def command() -> None:
    """Run the regulator, see what it did, open a ballot, check an opening.

    \b
    Examples:
      consortium regulator status
      consortium regulator open 1f0c6a77 --reason "court order" --order 17/2026
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
    from node.runtime.bank_databases import has_own_servers
    from node.runtime.own_databases import own_regulator_database
    from node.runtime.regulator.process import RegulatorConfig, run_regulator
    from node.runtime.structured_log import configure_logging

    config = RegulatorConfig.of(directory, supervised=supervised)
    configure_logging("regulator", "INFO")
    with contextlib.ExitStack() as stack:
        if has_own_servers(directory):
            stack.enter_context(own_regulator_database(config.place))
        exit_code = asyncio.run(run_regulator(config))
    sys.exit(int(exit_code))


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


@command.command("open")
@click.argument("tag")
@click.option("--reason", required=True, metavar="TEXT", help="Why; it is kept for good.")
@click.option("--order", default="", metavar="ID", help="The order that demands it.")
@click.option(
    "--partials", multiple=True, type=FILE, help="An officer's part, once each: split keys."
)
@click.option("--out", type=FILE, help="Write the proof here too.")
@data_option
@json_option
def open_ballot(
    tag: str,
    reason: str,
    order: str,
    partials: tuple[Path, ...],
    out: Path | None,
    directory: ConsortiumDirectory,
    as_json: bool,
) -> None:
    """Open the recorded ballot TAG: name the bank that cast it, with a proof for everybody.

    TAG may be cut to eight digits or more if no other tag begins with them. Each opening, and each
    refusal to open, is a row of the append-only audit log.

    \b
    Example:
      consortium regulator open 1f0c6a77 --reason "court order" --order 17/2026
    """
    from node.cli.regulator_openings import open_tag

    open_tag(
        directory, tag, reason=reason, order=order, partials=partials, out=out, as_json=as_json
    )


@command.command("verify-opening")
@click.argument("file", type=FILE)
@click.option(
    "--genesis",
    "genesis_file",
    type=FILE,
    help="Trust this genesis.  [default: that of the data directory]",
)
@data_option
@json_option
def verify_opening(
    file: Path, genesis_file: Path | None, directory: ConsortiumDirectory, as_json: bool
) -> None:
    """Check offline, from genesis and FILE alone, who cast a ballot.

    \b
    Example:
      consortium regulator verify-opening opening.json --genesis genesis.json
    """
    from node.cli.regulator_openings import verify_opening_file

    verify_opening_file(directory, file, genesis_file, as_json=as_json)


@command.command()
@data_option
@json_option
def audit(directory: ConsortiumDirectory, as_json: bool) -> None:
    """Show the audit log and check that no row was changed or taken out.

    \b
    Example:
      consortium regulator audit --json
    """
    from node.cli.regulator_openings import show_audit

    show_audit(directory, as_json=as_json)


@command.command()
@click.option("--threshold", type=click.IntRange(1, 16), required=True, help="Officers needed.")
@click.option("--officers", type=click.IntRange(1, 16), required=True, help="Officers in all.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True)
@data_option
def split(threshold: int, officers: int, out: Path, directory: ConsortiumDirectory) -> None:
    """Split the opener's key among officers and remove the whole one.

    From then on nobody holds it: openings and settlements are joined from the officers' parts.

    \b
    Example:
      consortium regulator split --threshold 3 --officers 5 --out shares
    """
    from node.cli.regulator_officers import split as split_key

    split_key(directory, threshold, officers, out)


@command.command()
@click.argument("subject", metavar="TAG|FY")
@click.option("--share", type=FILE, required=True, help="The officer's share.")
@click.option("--reason", default="", metavar="TEXT", help="Why a ballot is opened.")
@click.option("--conflict", "of_conflict", is_flag=True, help="Two ballots have the tag (E8).")
@click.option("--out", type=FILE, required=True, help="Where to write the part.")
@data_option
def partial(
    subject: str,
    share: Path,
    reason: str,
    of_conflict: bool,
    out: Path,
    directory: ConsortiumDirectory,
) -> None:
    """Make one officer's part of opening a ballot, or of settling a fiscal year.

    \b
    Examples:
      consortium regulator partial 1f0c6a77 --share officer-2.json --reason "order 17" --out p2.json
      consortium regulator partial FY2026 --share officer-2.json --out p2.json
    """
    from node.cli.regulator_officers import make_partial

    make_partial(directory, subject, share, reason=reason, of_conflict=of_conflict, out=out)


@command.command()
@click.argument("year", metavar="FY")
@click.option("--partials", multiple=True, required=True, type=FILE, help="Officers' parts.")
@data_option
@json_option
def settle(
    year: str, partials: tuple[Path, ...], directory: ConsortiumDirectory, as_json: bool
) -> None:
    """Join officers' parts: first into a year's counts, then into its settlement.

    \b
    Example:
      consortium regulator settle FY2026 --partials p1.json --partials p2.json
    """
    from node.cli.regulator_officers import settle_year

    settle_year(directory, year, partials, as_json=as_json)


@command.command()
@click.option("--officer", type=click.IntRange(1, 16), required=True, help="Who deals.")
@click.option("--officers", type=click.IntRange(1, 16), required=True, help="Officers in all.")
@click.option("--threshold", type=click.IntRange(1, 16), required=True, help="Officers needed.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True)
def deal(officer: int, officers: int, threshold: int, out: Path) -> None:
    """Deal one officer's part of a new opener's key, which nobody will ever hold whole.

    \b
    Example:
      consortium regulator deal --officer 1 --officers 3 --threshold 2 --out dealt
    """
    from node.cli.regulator_officers import deal_secret

    deal_secret(officer, officers, threshold, out)


@command.command()
@click.option("--officer", type=click.IntRange(1, 16), required=True, help="Whose share.")
@click.option("--dealing", "dealings", type=FILE, multiple=True, required=True)
@click.option("--value", "values", type=FILE, multiple=True, required=True)
@click.option("--out", type=FILE, required=True, help="Where to write the share.")
def join(officer: int, dealings: tuple[Path, ...], values: tuple[Path, ...], out: Path) -> None:
    """Check what all officers dealt, write this officer's share, print the common opener's key.

    \b
    Example:
      consortium regulator join --officer 1 --dealing dealing-1.json --dealing dealing-2.json \\
        --value value-from-1-for-1.json --value value-from-2-for-1.json --out share-1.json
    """
    from node.cli.regulator_officers import join_share

    join_share(officer, dealings, values, out)


@command.command()
@click.argument("tag")
@click.option("--partials", multiple=True, required=True, type=FILE, help="Officers' parts.")
@data_option
def convict(tag: str, partials: tuple[Path, ...], directory: ConsortiumDirectory) -> None:
    """Join officers' parts into evidence against who cast two ballots under TAG, and hand it in.

    Where the regulator holds the whole key, it does so by itself.

    \b
    Example:
      consortium regulator convict TAG --partials p1.json --partials p2.json
    """
    from node.cli.regulator_convict import convict as convict_by_parts

    convict_by_parts(directory, tag, partials)
