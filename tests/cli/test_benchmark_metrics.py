"""What metrics cost: the reckoning of windows with and without scraping, and what is scraped."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from node.cli.benchmark_metrics import (
    Account,
    MetricsCost,
    MetricsCostOptions,
    Pair,
    account,
    pairs_of,
)
from node.cli.failure import CommandFailed
from node.cli.throughput_load import SealedBlock
from node.ledger.types import Height
from node.runtime.metrics_endpoint import MetricsEndpoint
from tests.runtime.metrics_samples import make_snapshot


def blocks(*rates: int) -> Iterator[SealedBlock]:
    """A block a second, each ten-second window at a rate of its own."""
    for window, rate in enumerate(rates):
        for second in range(10):
            seen_s = 10.0 * window + second + 0.5
            yield SealedBlock(Height(1), seen_s, 0, rate, 0, 0)


def test_windows_beside_each_other_are_pairs_whatever_their_order() -> None:
    load = SimpleNamespace(blocks=list(blocks(100, 100, 98, 103, 97, 97)))
    windows = [(False, 10.0, 20.0), (True, 20.0, 30.0), (True, 30.0, 40.0), (False, 40.0, 50.0)]
    pairs = pairs_of(load, windows)  # type: ignore[arg-type]
    # Each window reaches from the last block before it to the first one after it.
    assert [round(pair.without_tps) for pair in pairs] == [100, 97]
    assert [round(pair.with_tps) for pair in pairs] == [98, 102]
    assert pairs[0].cost_percent > 0 > pairs[1].cost_percent


def test_the_cost_is_the_mean_of_the_pairs_with_its_error() -> None:
    options = MetricsCostOptions(seconds=20, pairs=2, bank_count=4)
    cost = MetricsCost.of(
        options,
        [Pair(100.0, 99.0), Pair(100.0, 98.0)],
        Account(10.0, 0.5, 100.0),
        Account(90.0, 0.7, 140.0),
    )
    assert (cost.cost_percent, cost.cost_percent_error) == (1.5, 0.5)
    # Half of the 80 s were spent while banks were scraped.
    assert (cost.cpu_percent, cost.scrape_cpu_ms) == (0.5, 5.0)
    assert cost.lines() == [
        "  1     100.0 without      99.0 with   +1.00 %",
        "  2     100.0 without      98.0 with   +2.00 %",
        "scraping 4 banks every 5 s costs 1.50 ± 0.50 % of the transactions sealed a second",
        "by the banks' own account: 0.50 % of their CPU time, 5.00 ms a scrape",
    ]
    assert cost.to_json_object()["pairs"] == (
        {"without_tps": 100.0, "with_tps": 99.0},
        {"without_tps": 100.0, "with_tps": 98.0},
    )


def test_all_windows_are_one_run_at_saturation() -> None:
    whole = MetricsCostOptions(seconds=20, pairs=3, bank_count=4).whole
    assert (whole.seconds, whole.rate, whole.bank_count) == (120, None, 4)


async def test_what_the_banks_spent_is_read_from_their_metrics() -> None:
    endpoint = MetricsEndpoint("127.0.0.1:0", lambda _: make_snapshot())
    endpoint.start()
    try:
        address = f"127.0.0.1:{endpoint.port}"
        consortium = SimpleNamespace(metrics_addresses=(address, address))
        assert await account(consortium) == Account(4.0, 0.5, 10.0)  # type: ignore[arg-type]
        consortium.metrics_addresses = (address, None)
        with pytest.raises(CommandFailed, match="cannot be read: its configuration has no"):
            await account(consortium)  # type: ignore[arg-type]
    finally:
        endpoint.close()
