"""`consortium vectors`: the command around `node.cli.vectors`."""

from __future__ import annotations

from pathlib import Path

import click

from node.cli.options import json_option
from node.cli.vectors import main_vectors


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
def command(file: Path, as_json: bool) -> None:
    """Check a FILE of IDX1 vectors with the code that the banks run.

    Exits with 1 if a check failed, and with 2 if FILE holds no vectors.

    \b
    Example:
      consortium vectors tests/vectors/idx1.json
    """
    raise click.exceptions.Exit(main_vectors(file, as_json))
