"""`consortium bench`: measurements on this machine, with what they were made on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from crypto.ring import RING_BASES
from node.cli.failure import EXIT_FAILED
from node.cli.options import data_option, json_option
from node.cli.terminal import answer, answer_json, say
from node.client.workload_file import LOCAL, WIDE
from node.runtime.config import DEFAULT_VERIFY_WORKERS, MAX_VERIFY_WORKERS
from node.runtime.consortium_directory import ConsortiumDirectory


@click.group()
def command() -> None:
    """Measure what this machine does.

    \b
    Examples:
      consortium bench crypto
      consortium bench throughput --seconds 60 --html report.html
      consortium bench settlement
      consortium bench faults
      consortium bench metrics
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


PATH = click.Path(path_type=Path, dir_okay=False)

_html_option = click.option(
    "--html", "html_file", type=PATH, help="Also write the report as a page."
)
_out_option = click.option("--out", "json_file", type=PATH, help="Also write the report as JSON.")


def _require_one_rate(sweep: object, rate: object) -> None:
    if sweep and rate is not None:
        raise click.UsageError("--sweep chooses the rates itself: leave out --rate")


def _write_report(
    document: Mapping[str, Any], json_file: Path | None, html_file: Path | None
) -> None:
    from node.cli.throughput_page import render_page

    if json_file is not None:
        json_file.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    if html_file is not None:
        html_file.write_text(render_page(document), encoding="utf-8")


@command.command(short_help="Measure sealed transactions a second, and how long sealing takes.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=3),
    default=60.0,
    show_default=True,
    help="Length of each window; a ramp comes before it.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0.1),
    help="Transactions a second, due at fixed times whatever the banks answer.  "
    "[default: as fast as they are sealed]",
)
@click.option(
    "--sweep", is_flag=True, help="Saturation first, then 25 to 100 % of what it sealed."
)
@click.option(
    "--repeat",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Windows of each kind.",
)
@click.option(
    "--banks",
    "bank_count",
    type=click.IntRange(4, 16),
    default=12,
    show_default=True,
    help="Of the consortium that is made.",
)
@click.option(
    "--workload",
    type=click.Choice([LOCAL, WIDE]),
    default=LOCAL,
    show_default=True,
    help="Few rings a block, or every transaction from another ring.",
)
@click.option(
    "--ring-base",
    type=click.Choice([str(base) for base in RING_BASES]),
    default="8",
    show_default=True,
    help="A ring has so many notes, squared.",
)
@click.option(
    "--workload-file",
    type=PATH,
    help="Of `consortium load prepare`; made there if it does not exist.",
)
@click.option(
    "--data",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory of the consortium, which is made from the workload, or runs already.  "
    "[default: a temporary one]",
)
@click.option(
    "--in-flight",
    type=click.IntRange(min=1),
    help="Transactions under way at saturation.  [default: ten blocks' worth]",
)
@click.option(
    "--rtt",
    "rtt_ms",
    type=click.FloatRange(min=0),
    default=0.0,
    help="Round trip in ms between banks that you set apart, for the report and the model.",
)
@click.option(
    "--verify-workers",
    type=click.IntRange(0, MAX_VERIFY_WORKERS),
    default=DEFAULT_VERIFY_WORKERS,
    show_default=True,
    help="Processes a bank that verify, of the consortium that is made; 0 for threads.",
)
@click.option("--no-doctor", is_flag=True, help="Compare state roots only, at the end.")
@_html_option
@_out_option
@json_option
def throughput(
    seconds: float,
    rate: float | None,
    sweep: bool,
    repeat: int,
    bank_count: int,
    workload: str,
    ring_base: str,
    workload_file: Path | None,
    directory: Path | None,
    in_flight: int | None,
    rtt_ms: float,
    verify_workers: int,
    no_doctor: bool,
    html_file: Path | None,
    json_file: Path | None,
    as_json: bool,
) -> None:
    """Measure what a consortium seals a second, how long that takes, and what it costs.

    It starts a consortium of its own whose banks verify every proof, submits proven transactions,
    and ends with a reckoning: everything that a bank acknowledged must be sealed or rejected by
    name, and all banks must have one ledger. Exits with 0 only if that holds.

    \b
    Examples:
      consortium bench throughput --html report.html
      consortium bench throughput --rate 75 --seconds 60 --json
      consortium bench throughput --sweep --repeat 3 --workload-file local.workload --out a.json
    """
    from node.cli.benchmark_throughput import ThroughputOptions, measure_throughput
    from node.cli.throughput_report import report_lines

    _require_one_rate(sweep, rate)
    options = ThroughputOptions(
        seconds=seconds,
        rate=rate,
        sweep=sweep,
        repeat=repeat,
        bank_count=bank_count,
        workload=workload,
        ring_base=int(ring_base),
        workload_file=workload_file,
        directory=directory,
        in_flight=in_flight,
        with_doctor=not no_doctor,
        rtt_ms=rtt_ms,
        verify_workers=verify_workers,
    )
    try:
        report = asyncio.run(measure_throughput(options, say))
    except asyncio.CancelledError:
        raise click.Abort from None
    document = report.to_json_object()
    _write_report(document, json_file, html_file)
    if as_json:
        answer_json(document)
    else:
        for line in report_lines(report):
            answer(line)
    if not report.integrity.held:
        raise click.exceptions.Exit(EXIT_FAILED)


@command.command(short_help="Measure what it costs to read the banks' metrics.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=1, max=600),
    default=20.0,
    show_default=True,
    help="Length of a window.",
)
@click.option(
    "--pairs",
    type=click.IntRange(2, 500),
    default=10,
    show_default=True,
    help="Pairs of windows, one with and one without scraping.",
)
@click.option(
    "--every",
    "every_s",
    type=click.FloatRange(min=0.1, max=600),
    default=5.0,
    show_default=True,
    help="Seconds between two scrapes of a bank.",
)
@click.option("--banks", "bank_count", type=click.IntRange(4, 16), default=12, show_default=True)
@click.option(
    "--workload-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Proven transactions; made there if there are none.  [default: a temporary file]",
)
@json_option
def metrics(
    seconds: float,
    pairs: int,
    every_s: float,
    bank_count: int,
    workload_file: Path | None,
    as_json: bool,
) -> None:
    """Measure what scraping every bank costs a saturated consortium, on and off in one run.

    \b
    Examples:
      consortium bench metrics
      consortium bench metrics --seconds 30 --pairs 20 --workload-file local.workload --json
    """
    from node.cli.benchmark_metrics import MetricsCostOptions, measure_metrics_cost

    options = MetricsCostOptions(seconds, pairs, every_s, bank_count, workload_file)
    try:
        cost = asyncio.run(measure_metrics_cost(options, say))
    except asyncio.CancelledError:
        raise click.Abort from None
    if as_json:
        answer_json(cost.to_json_object())
        return
    for line in cost.lines():
        answer(line)


REPORT = click.Path(path_type=Path, exists=True, dir_okay=False)

_SET_BY_HOSTS = frozenset(
    {
        "bank_count",
        "workload",
        "ring_base",
        "workload_file",
        "directory",
        "rtt_ms",
        "verify_workers",
        "html_file",
        "json_file",
        "as_json",
    }
)
_HANDED_ON = [item for item in throughput.params if item.name not in _SET_BY_HOSTS]
"""Options that `bench hosts` has from `bench throughput`, as they are."""


def _arguments(options: Mapping[str, object]) -> tuple[str, ...]:
    """Return options as words of a command line; those that are off or not given are left out."""
    words: list[str] = []
    for item in _HANDED_ON:
        value = options[item.name or ""]
        if value is True:
            words.append(item.opts[0])
        elif value is not None and value is not False:
            words += [item.opts[0], str(value)]
    return tuple(words)


@command.command(
    short_help="Measure throughput of banks on hosts of their own, apart by a round trip.",
    params=list(_HANDED_ON),
)
@click.option(
    "--workload-file",
    type=REPORT,
    required=True,
    help="Of `consortium load prepare`, which says how many banks there are.",
)
@click.option(
    "--rtt",
    "rtt_ms",
    type=click.FloatRange(0, 1_000),
    default=40.0,
    show_default=True,
    help="Round trip in ms between any two banks.",
)
@click.option(
    "--verify-workers",
    type=click.IntRange(0, MAX_VERIFY_WORKERS),
    default=DEFAULT_VERIFY_WORKERS,
    show_default=True,
    help="Processes a bank that verify; 0 for threads.",
)
@_html_option
@_out_option
@json_option
def hosts(
    workload_file: Path,
    rtt_ms: float,
    verify_workers: int,
    html_file: Path | None,
    json_file: Path | None,
    as_json: bool,
    **handed_on: object,
) -> None:
    """Measure as `bench throughput` does, but with each bank on a host of its own.

    A host is a network namespace with its own address, in which `consortium node run` brings up
    the bank and its own PostgreSQL server; packets between banks are held back. Needs root and
    iproute2, and leaves nothing behind. All hosts share this machine's processors.

    \b
    Examples:
      consortium bench hosts --workload-file local.load --rtt 40 --seconds 60 --out far.json
      consortium bench model --banks 12 --cores 2 --rtt 40 --costs far.json
    """
    from node.cli.benchmark_hosts import HostsOptions, measure_hosts

    _require_one_rate(handed_on["sweep"], handed_on["rate"])
    options = HostsOptions(
        workload_file, rtt_ms, verify_workers, _arguments(handed_on), quiet=as_json
    )
    try:
        document, exit_code = asyncio.run(measure_hosts(options, say))
    except asyncio.CancelledError:
        raise click.Abort from None
    _write_report(document, json_file, html_file)
    if as_json:
        answer_json(document)
    else:
        for note in document["notes"]:
            answer(note)
    raise click.exceptions.Exit(exit_code)


@command.command(short_help="Compare two throughput reports.")
@click.argument("before", type=REPORT)
@click.argument("after", type=REPORT)
@json_option
def compare(before: Path, after: Path, as_json: bool) -> None:
    """Compare two reports of `bench throughput`, and mark what changed by more than noise.

    BEFORE and AFTER are files of `--out` or `--json`. With several windows of a kind (`--repeat`)
    their scatter is the noise. A report of what changed is no failure: it exits with 0.

    \b
    Examples:
      consortium bench compare before.json after.json
      consortium bench compare before.json after.json --json
    """
    from node.cli.benchmark_compare import compare_reports
    from node.cli.throughput_report import read_report

    comparison = compare_reports(read_report(before), read_report(after))
    if as_json:
        answer_json(comparison.to_json_object())
    else:
        for line in comparison.lines():
            answer(line)


@command.command(short_help="Predict throughput and finality from measured costs.")
@click.option("--banks", type=click.IntRange(4, 16), required=True, help="Number of banks.")
@click.option(
    "--cores", type=click.FloatRange(min=0.25), required=True, help="Cores that all banks share."
)
@click.option(
    "--rtt",
    "rtt_ms",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="Round trip between two banks, milliseconds.",
)
@click.option("--each", is_flag=True, help="The cores are each bank's own.")
@click.option(
    "--costs",
    type=REPORT,
    multiple=True,
    help="Report of `bench throughput` to take the costs from; may be given several times.",
)
@json_option
def model(
    banks: int, cores: float, rtt_ms: float, each: bool, costs: tuple[Path, ...], as_json: bool
) -> None:
    """Predict what a consortium would seal, from what transactions cost in measured reports.

    The formula stands in node/cli/throughput_model.py. Every window of the reports is predicted
    too, and the error printed: believe the model as far as that. The best costs are those of a
    sweep, whose blocks have many sizes.

    \b
    Examples:
      consortium bench model --banks 12 --cores 2 --costs sweep.json
      consortium bench model --banks 12 --cores 4 --each --rtt 40 --costs sweep.json --json
    """
    from node.cli.benchmark_model import model_lines, model_object, run_model
    from node.cli.throughput_model import Place
    from node.cli.throughput_report import read_report

    if not costs:
        raise click.UsageError(
            "give a report with --costs: `consortium bench throughput --sweep --out FILE` makes one"
        )
    outcome = run_model(Place(banks, cores, rtt_ms, each), [read_report(path) for path in costs])
    if as_json:
        answer_json(model_object(outcome))
    else:
        for line in model_lines(outcome):
            answer(line)
