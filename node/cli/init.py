"""`consortium init`: make a consortium whose banks run on machines of their own."""

from __future__ import annotations

import time
from pathlib import Path

import click

from node.cli.failure import EXIT_USAGE, CommandFailed
from node.cli.options import DEFAULT_DIRECTORY, data_option, json_option
from node.cli.terminal import answer, answer_json, say
from node.ledger.active_set import MINIMUM_BANKS
from node.ledger.definitions import MAX_BANKS
from node.ledger.parameters import Parameters
from node.runtime.consortium_directory import ConsortiumDirectory, short_name
from node.runtime.founding import DEFAULT_NAME
from node.runtime.hosts import DEFAULT_PORT, parse_hosts, read_hosts
from node.runtime.initialise import Machines, create_consortium
from node.runtime.machine_directories import hand_out, require_empty


@click.command()
@data_option
@click.option(
    "--host",
    "hosts",
    multiple=True,
    metavar="BANK=HOST[:PORT]",
    help=f"Where a bank runs, once for each bank; the port is {DEFAULT_PORT} by default.",
)
@click.option(
    "--hosts",
    "hosts_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The same in a file, a bank a line; # begins a comment.",
)
@click.option(
    "--out",
    "target",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIRECTORY",
    help="Where to put a directory for each machine.  [default: machines, beside --data]",
)
@click.option("--name", default=DEFAULT_NAME, show_default=True, help="Of the consortium.")
@click.option(
    "--one-operator",
    is_flag=True,
    help="Let the operator of this directory operate every bank, beside the bank's own.",
)
@json_option
def command(
    directory: ConsortiumDirectory,
    hosts: tuple[str, ...],
    hosts_file: Path | None,
    target: Path | None,
    name: str,
    one_operator: bool,
    as_json: bool,
) -> None:
    """Make a consortium whose banks run on machines of their own.

    Makes keys, certificates and the genesis, and a directory for each machine that holds its own
    secrets alone. Copy each to its machine, and run `consortium node run` there; the node brings
    its PostgreSQL server with it. This machine has seen every key: keep --data offline afterwards.

    \b
    Examples:
      consortium init --hosts banks.txt --data founding
      consortium init --host 0=10.0.0.1 --host 1=10.0.1.1 --host 2=10.0.2.1 --host 3=bank3.example
    """
    addresses = _addresses(hosts, hosts_file)
    chosen = directory.root.absolute().with_name("machines") if target is None else target
    require_empty(chosen)
    begun_s = time.monotonic()
    genesis = create_consortium(
        directory,
        bank_count=len(addresses),
        name=name,
        parameters=Parameters(),
        machines=Machines(addresses, one_operator=one_operator),
    )
    made = hand_out(directory, chosen)
    say(
        f"made a consortium of {len(addresses)} banks in {directory.root}, chain "
        f"{genesis.chain_id.hex()[:16]} ({time.monotonic() - begun_s:.1f} s)"
    )
    machines = [
        {
            "bank": bank,
            "name": short_name(bank),
            "address": address,
            "directory": str(made[bank]),
        }
        for bank, address in enumerate(addresses)
    ]
    if as_json:
        answer_json({"chain_id": genesis.chain_id.hex(), "machines": machines})
        return
    for machine in machines:
        answer(
            f"{machine['bank']:>2}  {machine['name']:<12}{machine['address']:<24}"
            f"{machine['directory']}"
        )
    example = ConsortiumDirectory(Path("consortium")).bank(0).config_file
    say(
        "copy each directory to its machine, as `consortium` for example, and run there: "
        f"consortium node run --config {example}"
    )


def _addresses(hosts: tuple[str, ...], hosts_file: Path | None) -> tuple[str, ...]:
    if bool(hosts) == (hosts_file is not None):
        raise CommandFailed(
            "say where the banks run, with --host for each bank or with --hosts FILE",
            f"`consortium up --data {DEFAULT_DIRECTORY}` makes one whose banks share this machine",
            EXIT_USAGE,
        )
    addresses = parse_hosts(hosts) if hosts_file is None else read_hosts(hosts_file)
    if not MINIMUM_BANKS <= len(addresses) <= MAX_BANKS:
        raise CommandFailed(
            f"a consortium has {MINIMUM_BANKS} to {MAX_BANKS} banks, not {len(addresses)}",
            "give every bank an address",
            EXIT_USAGE,
        )
    return addresses
