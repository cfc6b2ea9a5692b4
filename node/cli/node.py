"""`consortium node`: run one bank's node; start, stop or rebuild one of a consortium."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from node.cli.options import data_option, json_option
from node.runtime.config import MAX_VERIFY_WORKERS, REPLAY, SNAPSHOT, NodeConfig, load_node_config
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.exit_code import ExitCode
from node.runtime.structured_log import configure_logging

if TYPE_CHECKING:
    from node.runtime.verification_workers import WorkerPool

logger = logging.getLogger(__name__)

CONFIG = click.Path(path_type=Path, dir_okay=False)
COLLECTED_OBJECTS = 5_000
"""New objects after which Python looks for cycles: the seven hundred of its default cost a bank two
percent of its time, for cycles are few."""


@click.group(invoke_without_command=True)
@click.option("--config", type=CONFIG, help="Configuration of the node to run.")
@click.pass_context
def command(context: click.Context, config: Path | None) -> None:
    """Run one bank's node, or start, stop and rebuild one of a running consortium.

    \b
    Examples:
      consortium node --config .consortium/banks/03-dunmere/node.toml
      consortium node stop dunmere
      consortium node start dunmere
      consortium node rebuild dunmere
    """
    if context.invoked_subcommand is not None:
        return
    if config is None:
        raise click.UsageError(
            "give --config FILE, or one of the commands run, start, stop and rebuild"
        )
    _run(config)


@command.command()
@click.option("--config", type=CONFIG, required=True, help="Configuration of the node.")
@click.option("--supervised", is_flag=True, help="Stop when the process that started it ends.")
@click.option("--allow-faults", is_flag=True, help="Let operators break it: `consortium fault`.")
@click.option(
    "--verify-workers",
    type=click.IntRange(0, MAX_VERIFY_WORKERS),
    help="Processes that verify transactions; 0 for threads.  [default: as configured, or 0]",
)
def run(config: Path, supervised: bool, allow_faults: bool, verify_workers: int | None) -> None:
    """Run one bank's node in the foreground until SIGTERM or Ctrl-C.

    A bank on a machine of its own (`consortium init`) brings its PostgreSQL server with it, which
    starts and stops with the node.

    \b
    Example:
      consortium node run --config .consortium/banks/03-dunmere/node.toml
    """
    _run(
        config, supervised=supervised, allow_faults=allow_faults, verify_workers=verify_workers
    )


def _run(
    path: Path,
    *,
    supervised: bool = False,
    allow_faults: bool = False,
    verify_workers: int | None = None,
) -> None:
    from node.runtime.own_databases import own_database
    from node.storage.postgres_errors import PostgresError

    config = load_node_config(path)
    configure_logging(config.short_name, config.log_level)
    config = replace(
        config,
        supervised=config.supervised or supervised,
        allow_faults=config.allow_faults or allow_faults,
        verify_workers=config.verify_workers if verify_workers is None else verify_workers,
    )
    try:
        with own_database(config):
            exit_code = asyncio.run(_serve(config, _worker_pool(config)))
    except PostgresError as error:
        logger.error("database failed", extra={"kind": type(error).__name__, "detail": str(error)})
        exit_code = ExitCode.DATABASE
    sys.exit(int(exit_code))


async def _serve(config: NodeConfig, pool: WorkerPool | None) -> ExitCode:
    from node.runtime.freed_memory import return_freed_memory
    from node.runtime.node_process import run_node

    returning = asyncio.create_task(return_freed_memory())
    # What is loaded by now stays, and is not worth a look at each collection.
    gc.freeze()
    gc.set_threshold(COLLECTED_OBJECTS)
    try:
        return await run_node(config, pool)
    finally:
        returning.cancel()


def _worker_pool(config: NodeConfig) -> WorkerPool | None:
    """Fork the processes that verify, now that there are no threads; what is wrong with the
    genesis file the node itself will say."""
    from node.runtime.verification_workers import WorkerPool

    if not config.verify_workers:
        return None
    try:
        genesis = config.genesis_file.read_bytes()
    except OSError:
        return None
    return WorkerPool.start(genesis, config.verify_workers)


@command.command()
@click.argument("bank")
@data_option
def stop(bank: str, directory: ConsortiumDirectory) -> None:
    """Stop the node of BANK cleanly; the other banks go on if they are enough.

    \b
    Example:
      consortium node stop dunmere
    """
    from node.cli.node_control import stop_node
    from node.cli.terminal import answer

    answer(stop_node(directory, bank))


@command.command()
@click.argument("bank")
@data_option
def start(bank: str, directory: ConsortiumDirectory) -> None:
    """Start the node of BANK again in a consortium that is up; waits until it is linked.

    \b
    Example:
      consortium node start dunmere
    """
    from node.cli.node_control import start_node
    from node.cli.terminal import answer

    answer(start_node(directory, bank))


@command.command()
@click.argument("bank")
@click.option("--yes", "confirmed", is_flag=True, help="Do not ask.")
@click.option("--drop-old", is_flag=True, help="Drop the old database instead of keeping it.")
@click.option(
    "--snapshot",
    is_flag=True,
    help="Join by a verified snapshot of the state instead of replaying every block.",
)
@json_option
@data_option
def rebuild(
    bank: str,
    confirmed: bool,
    drop_old: bool,
    snapshot: bool,
    as_json: bool,
    directory: ConsortiumDirectory,
) -> None:
    """Replace the database of BANK and have it learn the ledger from the other banks again.

    For a bank that has halted because its stored data is damaged. Keys and guard file stay; the
    bank verifies everything that the others give it, and signs nothing at heights at which it may
    have signed before. The old database is kept under another name unless --drop-old is given.

    \b
    Examples:
      consortium node rebuild dunmere
      consortium node rebuild dunmere --yes --drop-old --json
    """
    from node.cli.rebuild import rebuild_node

    rebuild_node(
        directory,
        bank,
        join=SNAPSHOT if snapshot else REPLAY,
        confirmed=confirmed,
        drop_old=drop_old,
        as_json=as_json,
    )
