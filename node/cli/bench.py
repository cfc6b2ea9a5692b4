"""`consortium bench`: measurements on this machine, with what they were made on."""

from __future__ import annotations

import click

from node.cli.options import json_option
from node.cli.terminal import answer, answer_json, say


@click.group()
def command() -> None:
    """Measure what this machine does.

    \b
    Example:
      consortium bench crypto
    """


@command.command(short_help="Measure proving, and verifying one proof and batches.")
@click.option("--quick", is_flag=True, help="Few repetitions: seconds instead of a minute.")
@json_option
def crypto(quick: bool, as_json: bool) -> None:
    """Measure proving, verifying one transaction, and verifying batches; CPU time on one core.

    \b
    Examples:
      consortium bench crypto
      consortium bench crypto --quick --json
    """
    from node.cli.benchmark_crypto import format_crypto_benchmark, run_crypto_benchmark

    result = run_crypto_benchmark(lambda step: say(f"measuring: {step}"), quick)
    if as_json:
        answer_json(result)
    else:
        answer(format_crypto_benchmark(result))
