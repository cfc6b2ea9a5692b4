"""`consortium metrics`: the banks' present metrics for people, and where Prometheus finds them."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Sequence
from pathlib import Path

import click

from node.cli.access import Consortium, nobody_answers
from node.cli.activity import activity
from node.cli.failure import EXIT_UNREACHABLE, EXIT_USAGE, CommandFailed
from node.cli.metrics_scrape import Scrape, ScrapeFailed, Series, scrape_all
from node.cli.options import data_option, find_bank, json_option
from node.cli.table import answer_table
from node.cli.terminal import answer, answer_json, warn
from node.ledger.types import BankIndex
from node.runtime.consortium_directory import ConsortiumDirectory, short_name
from node.wire.identity import consortium_slug

PREFIX = "consortium_"


@click.command()
@click.argument("bank", required=False)
@data_option
@json_option
@click.option(
    "--targets",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write where the banks serve their metrics, for `file_sd_configs` of Prometheus.",
)
def command(
    bank: str | None, directory: ConsortiumDirectory, as_json: bool, targets: Path | None
) -> None:
    """Show the present metrics of BANK, or of all banks beside each other.

    They are what Prometheus reads at `/metrics`. Of one bank every series is shown but the buckets
    of histograms, of all banks those that are not about one of its peers; --json has everything.

    \b
    Examples:
      consortium metrics
      consortium metrics dunmere
      consortium metrics dunmere --json
      consortium metrics --targets scripts/observability/targets.json
    """
    consortium = Consortium.load(directory)
    if targets is not None:
        if bank is not None:
            raise CommandFailed(
                "--targets lists every bank", "leave BANK out", exit_code=EXIT_USAGE
            )
        _write_targets(consortium, targets)
        return
    every = [item.index for item in consortium.genesis.banks]
    asked = every if bank is None else [find_bank(consortium.genesis, bank)]
    addresses = [consortium.metrics_addresses[index] for index in asked]
    found = asyncio.run(_scrape(addresses))
    if as_json:
        answer_json({"banks": _json_objects(consortium, asked, found)})
    if not any(isinstance(item, Scrape) for item in found):
        raise _nothing(consortium, asked, found)
    if as_json:
        return
    if bank is None:
        _show_all(asked, found)
    elif isinstance(found[0], Scrape):
        _show_one(found[0])


async def _scrape(addresses: Sequence[str | None]) -> list[Scrape | ScrapeFailed]:
    with activity() as tell:
        tell("reading the metrics")
        return await scrape_all(addresses)


def _nothing(
    consortium: Consortium, asked: Sequence[BankIndex], found: Sequence[Scrape | ScrapeFailed]
) -> CommandFailed:
    served = [consortium.metrics_addresses[bank] is not None for bank in asked]
    if not any(served):
        return CommandFailed(
            f"no metrics are served by {', '.join(map(short_name, asked))}",
            'give `metrics_listen = "127.0.0.1:9464"` in [network] of node.toml, and start the '
            "bank again",
        )
    if len(asked) > 1:
        return nobody_answers(consortium)
    return CommandFailed(
        f"{short_name(asked[0])}: {found[0]}",
        "see `consortium status`, and `consortium logs` of the bank",
        EXIT_UNREACHABLE,
    )


def target_groups(consortium: Consortium) -> list[dict[str, object]]:
    """Return the banks as `file_sd_configs` takes them, a group each; banks without are left."""
    slug = consortium_slug(consortium.genesis.name)
    return [
        {
            "targets": [address],
            "labels": {"consortium": slug, "bank": short_name(bank.index)},
        }
        for bank, address in zip(
            consortium.genesis.banks, consortium.metrics_addresses, strict=True
        )
        if address is not None
    ]


def _write_targets(consortium: Consortium, file: Path) -> None:
    groups = target_groups(consortium)
    if not groups:
        raise _nothing(consortium, [bank.index for bank in consortium.genesis.banks], ())
    # Prometheus watches the file: it must never see half of it.
    temporary = file.with_name(f".{file.name}.new")
    temporary.write_text(json.dumps(groups, indent=2) + "\n", encoding="utf-8")
    temporary.replace(file)
    answer(f"{len(groups)} banks are listed in {file}")


def _json_objects(
    consortium: Consortium, asked: Sequence[BankIndex], found: Sequence[Scrape | ScrapeFailed]
) -> list[dict[str, object]]:
    return [
        {
            "bank": bank,
            "name": short_name(bank),
            "address": consortium.metrics_addresses[bank],
            "error": str(item) if isinstance(item, ScrapeFailed) else None,
            "series": (
                [series.to_json_object() for series in item.series]
                if isinstance(item, Scrape)
                else []
            ),
        }
        for bank, item in zip(asked, found, strict=True)
    ]


def _show_one(found: Scrape) -> None:
    answer_table(
        ("metric", "value"),
        [
            (series.title.removeprefix(PREFIX), number(series.value))
            for series in found.series
            if not series.is_bucket
        ],
        right=(1,),
    )


def _show_all(asked: Sequence[BankIndex], found: Sequence[Scrape | ScrapeFailed]) -> None:
    """Print a row a series and a column a bank."""
    columns = [
        {series.title: series.value for series in item.series if _is_of_the_bank(series)}
        if isinstance(item, Scrape)
        else {}
        for item in found
    ]
    titles = dict.fromkeys(title for column in columns for title in column)
    answer_table(
        ("metric", *map(short_name, asked)),
        [
            (
                title.removeprefix(PREFIX),
                *(number(column[title]) if title in column else "-" for column in columns),
            )
            for title in titles
        ],
        right=range(1, len(asked) + 1),
    )
    for bank, item in zip(asked, found, strict=True):
        if isinstance(item, ScrapeFailed):
            warn(f"{short_name(bank)}: {item}")


def _is_of_the_bank(series: Series) -> bool:
    return not series.is_bucket and not {"peer", "chain"} & set(series.labels)


def number(value: float) -> str:
    """Return a metric's value as people read it: whole ones whole, others with six digits."""
    if math.isfinite(value) and value == int(value):
        return str(int(value))
    return f"{value:.3f}" if abs(value) >= 1e5 else f"{value:.6g}"
