"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from node.cli.failure import EXIT_USAGE, CommandFailed
from node.ledger.genesis import Genesis
from node.ledger.types import BankIndex
from node.runtime.consortium_directory import ConsortiumDirectory, short_name

C = TypeVar("C", bound=Callable[..., Any])

DEFAULT_DIRECTORY = ".consortium"


def _directory(
    context: click.Context, parameter: click.Parameter, value: Path
) -> ConsortiumDirectory:
    return ConsortiumDirectory(value)


data_option = click.option(
    "--data",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_DIRECTORY,
    show_default=True,
    envvar="CONSORTIUM_DATA",
    show_envvar=True,
    callback=_directory,
    help="Directory of the consortium.",
)

json_option = click.option("--json", "as_json", is_flag=True, help="Answer with JSON.")


def find_bank(genesis: Genesis, text: str) -> BankIndex:
    """Return the bank that is named, by index or (short) name; raises `CommandFailed`."""
    wanted = text.strip().lower()
    for bank in genesis.banks:
        if wanted in (str(bank.index), f"{bank.index:02d}", bank.name.lower()):
            return bank.index
    names = ", ".join(short_name(bank.index) for bank in genesis.banks)
    raise CommandFailed(f"there is no bank {text!r}", f"the banks are {names}", EXIT_USAGE)
