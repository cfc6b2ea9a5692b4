"""`consortium load`: prove a load beforehand, say what a file holds, and run it with Locust."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

import click

from node.cli.failure import EXIT_USAGE, CommandFailed
from node.cli.load_progress import rated_steps
from node.cli.options import data_option, json_option
from node.cli.terminal import answer, answer_json
from node.client.workload_file import (
    LOADED_VIEW_TIMEOUT_MS,
    LOCAL,
    MAX_VIEW_TIMEOUT_MS,
    WIDE,
    WorkloadHeader,
    open_workload,
)
from node.runtime.consortium_directory import ConsortiumDirectory


@click.group(short_help="Prepare a load of proven transactions, and run it with Locust.")
def command() -> None:
    """Prepare a load of proven transactions, and run it with Locust.

    \b
    Examples:
      consortium load prepare --transactions 10000 --out ten-thousand.load
      consortium up --genesis ten-thousand.load --data loaded
      consortium load run --workload-file ten-thousand.load --data loaded --users 50 --minutes 5
    """


@command.command(short_help="Make a consortium, fund it, and prove transactions over its notes.")
@click.option(
    "--transactions", type=click.IntRange(1, 10_000_000), required=True, help="How many to prove."
)
@click.option(
    "--out",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The file to write; it holds private keys of the consortium it makes.",
)
@click.option(
    "--workload",
    "name",
    type=click.Choice([LOCAL, WIDE]),
    default=LOCAL,
    show_default=True,
    help="local: at most 8 bins in a hundred transactions. wide: every one spends from another.",
)
@click.option(
    "--ring-base",
    type=click.Choice(["4", "8", "16"]),
    default="8",
    show_default=True,
    help="Every spend hides among the square of this.",
)
@click.option("--banks", type=click.IntRange(4, 16), default=12, show_default=True)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    help="The same seed gives the same file.  [default: drawn by chance]",
)
@click.option(
    "--jobs", type=click.IntRange(1, 256), help="Processes that prove.  [default: one a core]"
)
@click.option(
    "--view-timeout-ms",
    type=click.IntRange(1, MAX_VIEW_TIMEOUT_MS),
    default=LOADED_VIEW_TIMEOUT_MS,
    show_default=True,
    help="T0 of the consortium: ten times a full block on the machine that will carry the load.",
)
@click.option(
    "--grown-notes",
    type=click.IntRange(0, 10_000_000),
    default=0,
    show_default=True,
    help="So many notes and nullifiers are in the ledger before it is funded: a long past.",
)
@json_option
def prepare(
    transactions: int,
    path: Path,
    name: str,
    ring_base: str,
    banks: int,
    seed: int | None,
    jobs: int | None,
    view_timeout_ms: int,
    grown_notes: int,
    as_json: bool,
) -> None:
    """Make a consortium, fund it, and prove independent payments over its notes.

    Everything is real: keys, proofs, blocks, seals and ballots. The file serves again and again,
    each time with a consortium started by `consortium up --genesis FILE` in a new directory. With
    --grown-notes every bank begins as if it had joined an old ledger by a snapshot: headers, notes,
    nullifiers and closed bins of a past whose proofs nobody made, certified by a sealed state.

    \b
    Examples:
      consortium load prepare --transactions 10000 --out ten-thousand.load
      consortium load prepare --transactions 10000 --workload wide --ring-base 4 --out wide.load
      consortium load prepare --transactions 20000 --grown-notes 1000000 --out grown.load
    """
    from node.runtime.load_preparation import WorkloadOrder, prepare_workload

    begun_s = time.monotonic()
    order = WorkloadOrder(
        transactions,
        name,
        int(ring_base),
        banks,
        seed=seed,
        jobs=jobs,
        view_timeout_ms=view_timeout_ms,
        grown_notes=grown_notes,
    )
    with rated_steps() as meter:
        if order.notes > transactions:
            meter.say(
                f"{order.bins} full bins hold {order.notes} notes: so many are funded, "
                f"{transactions} of them are spent"
            )
        header = prepare_workload(path, order, meter)
    _show(path, header, as_json, seconds=time.monotonic() - begun_s)


@command.command(short_help="Run a load with Locust, and say what came of every payment.")
@click.option("--users", type=click.IntRange(1, 100_000), default=10, show_default=True)
@click.option("--minutes", type=click.FloatRange(0, min_open=True), default=1.0, show_default=True)
@click.option(
    "--shape",
    type=click.Choice(["constant", "step", "spike", "soak", "open"]),
    default="constant",
    show_default=True,
    help="How many users, and when; open: payments at --rate, whatever the banks answer.",
)
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Payments a second.")
@click.option(
    "--mix",
    "tags",
    type=click.Choice(["pay", "query", "proof", "stream"]),
    multiple=True,
    help="What users do; again for more.  [default: all, mostly pay]",
)
@click.option(
    "--workload-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="[default: the one that the consortium was started with]",
)
@click.option("--processes", type=click.IntRange(1, 64), default=1, show_default=True)
@click.option(
    "--html", type=click.Path(path_type=Path, dir_okay=False), help="Also write Locust's report."
)
@data_option
@json_option
def run(
    users: int,
    minutes: float,
    shape: str,
    rate: float | None,
    tags: tuple[str, ...],
    workload_file: Path | None,
    processes: int,
    html: Path | None,
    directory: ConsortiumDirectory,
    as_json: bool,
) -> None:
    """Run a load with Locust against a running consortium, and account for every payment.

    Users pay, wait until their payment is sealed, and go on; Ctrl-C ends the run early. Exit code
    0 if every payment that a bank acknowledged is sealed or was rejected with a reason. For web
    interface, workers on several machines and all the rest call Locust itself:
    `locust -f loadtest/locustfile.py`.

    \b
    Examples:
      consortium load run --users 50 --minutes 5
      consortium load run --shape open --rate 100 --minutes 10 --html load.html --json
      consortium load run --users 200 --mix pay --processes 2 --data loaded
    """
    if (rate is not None) != (shape == "open"):
        raise CommandFailed(
            "--rate and --shape open belong together", "give both or neither", EXIT_USAGE
        )
    from node.cli.load_run import LoadOrder, run_load

    order = LoadOrder(
        directory=directory,
        workload_file=workload_file,
        users=users,
        seconds=60 * minutes,
        shape=shape,
        rate=rate,
        tags=tags,
        processes=processes,
        html=html,
    )
    raise click.exceptions.Exit(run_load(order, as_json=as_json))


@command.command(short_help="Say what a workload file holds; verify every byte of it.")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@json_option
def show(path: Path, as_json: bool) -> None:
    """Say what a workload file holds, after verifying every byte of it.

    \b
    Examples:
      consortium load show ten-thousand.load
      consortium load show ten-thousand.load --json
    """
    with open_workload(path) as workload:
        workload.verify()
        _show(path, workload.header, as_json)


def _show(path: Path, header: WorkloadHeader, as_json: bool, seconds: float | None = None) -> None:
    size = path.stat().st_size
    if as_json:
        record = {
            "file": str(path),
            **asdict(header),
            "chain_id": header.chain_id.hex(),
            "file_bytes": size,
        }
        answer_json(record if seconds is None else {**record, "seconds": round(seconds, 1)})
        return
    took = "" if seconds is None else f", made in {seconds:.1f} s"
    funded = f"funded in {header.funded_height} blocks"
    if header.grown_notes:
        funded = f"a past of {header.grown_notes} notes, funded up to height {header.funded_height}"
    answer(
        f"{path}: {header.transaction_count} proven payments of {header.transaction_bytes} bytes"
        f" ({size / 1e6:.1f} MB{took})\n"
        f"workload {header.name}, ring base {header.ring_base}: spends from {header.bins} bins, "
        f"at most {header.bins_per_block} in a block of a hundred\n"
        f"{header.bank_count} banks, chain {header.chain_id.hex()[:16]}, {funded}; "
        f"valid up to height {header.expiry}\n"
        f"start it:  consortium up --genesis {path} --data DIRECTORY"
    )
