"""`consortium node`: run one bank's node, or start and stop one of a running consortium."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

import click

from node.cli.options import data_option
from node.runtime.config import load_node_config
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.structured_log import configure_logging

CONFIG = click.Path(path_type=Path, dir_okay=False)


@click.group(invoke_without_command=True)
@click.option("--config", type=CONFIG, help="Configuration of the node to run.")
@click.pass_context
def command(context: click.Context, config: Path | None) -> None:
    """Run one bank's node, or start and stop one of a running consortium.

    \b
    Examples:
      consortium node --config .consortium/banks/03-dunmere/node.toml
      consortium node stop dunmere
      consortium node start dunmere
    """
    if context.invoked_subcommand is not None:
        return
    if config is None:
        raise click.UsageError("give --config FILE, or one of the commands run, start, stop")
    _run(config)


@command.command()
@click.option("--config", type=CONFIG, required=True, help="Configuration of the node.")
@click.option("--supervised", is_flag=True, help="Stop when the process that started it ends.")
@click.option("--allow-faults", is_flag=True, help="Let operators break it: `consortium fault`.")
def run(config: Path, supervised: bool, allow_faults: bool) -> None:
    """Run one bank's node in the foreground until SIGTERM or Ctrl-C.

    \b
    Example:
      consortium node run --config .consortium/banks/03-dunmere/node.toml
    """
    _run(config, supervised=supervised, allow_faults=allow_faults)


def _run(path: Path, *, supervised: bool = False, allow_faults: bool = False) -> None:
    from node.runtime.node import run_node

    config = load_node_config(path)
    configure_logging(config.short_name, config.log_level)
    config = replace(
        config,
        supervised=config.supervised or supervised,
        allow_faults=config.allow_faults or allow_faults,
    )
    sys.exit(int(asyncio.run(run_node(config))))


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

    stop_node(directory, bank)


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

    start_node(directory, bank)
