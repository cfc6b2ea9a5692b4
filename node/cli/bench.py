"""`consortium bench`: measurements on this machine, with what they were made on."""

from __future__ import annotations

import asyncio

import click

from node.cli.options import data_option, json_option
from node.cli.terminal import answer, answer_json, say
from node.runtime.consortium_directory import ConsortiumDirectory


@click.group()
def command() -> None:
    """Measure what this machine does.

    \b
    Examples:
      consortium bench crypto
      consortium bench settlement
      consortium bench faults
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


@command.command(short_help="Measure counting, proving and verifying a fiscal year.")
@click.option(
    "--blocks",
    type=click.IntRange(min=1, max=1_000_000),
    default=10_000,
    show_default=True,
    help="Blocks of the year.",
)
@click.option(
    "--banks", type=click.IntRange(min=4, max=16), default=12, show_default=True, help="Voters."
)
@json_option
def settlement(blocks: int, banks: int, as_json: bool) -> None:
    """Measure what a fiscal year's ballots and its settlement cost; CPU time on one core.

    \b
    Examples:
      consortium bench settlement
      consortium bench settlement --blocks 1000 --json
    """
    from node.cli.benchmark_settlement import run_settlement_benchmark

    result = run_settlement_benchmark(blocks, banks, lambda step: say(f"measuring: {step}"))
    if as_json:
        answer_json(result.to_json_object())
    else:
        for line in result.lines():
            answer(line)


@command.command(short_help="Measure what is sealed while banks are down.")
@click.option(
    "--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="Of each case."
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=1),
    default=40.0,
    show_default=True,
    help="Length of each measurement.",
)
@data_option
@json_option
def faults(rounds: int, seconds: float, directory: ConsortiumDirectory, as_json: bool) -> None:
    """Measure payments a second of a running consortium with all banks up, and with some killed.

    As many banks are killed as may fail, one after the other; they are started again.

    \b
    Examples:
      consortium bench faults
      consortium bench faults --rounds 5 --seconds 60 --json
    """
    from node.cli.access import Consortium
    from node.cli.benchmark_faults import run_fault_benchmark

    consortium = Consortium.load(directory)
    result = asyncio.run(run_fault_benchmark(consortium, rounds, seconds, say))
    if as_json:
        answer_json(result.to_json_object())
    else:
        for line in result.lines():
            answer(line)
