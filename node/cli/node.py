"""`consortium node`: run one bank's node, or start and stop one of a running consortium."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

import click

from node.runtime.config import load_node_config
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
    _run(config, supervised=False)


@command.command()
@click.option("--config", type=CONFIG, required=True, help="Configuration of the node.")
@click.option("--supervised", is_flag=True, help="Stop when the process that started it ends.")
def run(config: Path, supervised: bool) -> None:
    """Run one bank's node in the foreground until SIGTERM or Ctrl-C.

    \b
    Example:
      consortium node run --config .consortium/banks/03-dunmere/node.toml
    """
    _run(config, supervised=supervised)


def _run(path: Path, *, supervised: bool) -> None:
    from node.runtime.node import run_node

    config = load_node_config(path)
    configure_logging(config.short_name, config.log_level)
    config = replace(config, supervised=config.supervised or supervised)
    sys.exit(int(asyncio.run(run_node(config))))
