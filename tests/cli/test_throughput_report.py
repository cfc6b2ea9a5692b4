"""How the figures of a throughput report follow from what was seen."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.cli.failure import CommandFailed
from node.cli.throughput_report import (
    SCHEMA,
    Distribution,
    Histogram,
    QueryTime,
    Step,
    crypto_bound_tps,
    disk_bytes,
    growth_percent,
    quantile,
    read_report,
    report_lines,
    sealed_rate,
    summarise,
)
from tests.cli.throughput_samples import (
    BEGIN_S,
    INTEGRITY,
    QUERIES,
    SIZE,
    block,
    report,
    run,
    window,
)


def test_a_window_is_summed_up() -> None:
    """2,000 transactions are sealed in 20 s; what the ramp and the drain sealed is not counted."""
    found = run()
    assert (found.mode, found.rate, found.in_flight) == ("saturation", None, 1_000)
    assert (found.seconds, found.submitted, found.sealed) == (20.0, 2_000, 2_000)
    assert (found.sealed_tps, found.sealed_tps_error) == (100.0, 0.0)
    assert found.finality_ms == Distribution(2_000, 400.0, 400.0, 400.0, 400.0, 400.0)
    assert found.admission_ms == Distribution(2_000, 40.0, 40.0, 40.0, 40.0, 40.0)
    assert found.fraction_of_crypto_bound == pytest.approx(100 * 12 * 0.0006 / 2)
    assert found.per_transaction.cpu_ms == {
        "verify": 8.0,
        "consensus": 2.0,
        "database_client": 1.0,
        "database_server": 1.0,
        "network": 3.0,
        "other": 1.0,
        "client": 0.5,
        "supervisor": 0.1,
        "elsewhere": 0.2,
        "banks": 16.0,
    }
    assert found.per_transaction.peers_bytes == 70_000
    assert found.per_transaction.database_bytes == 10_000
    assert (found.verification_ms, found.verification_fill) == (0.6667, 80.0)
    assert found.busy_percent == 84.0
    assert found.memory_bytes["total"] == 1_350 << 20
    blocks = found.blocks
    assert (blocks.count, blocks.fill, blocks.fill_percent, blocks.interval_p50_ms) == (
        20,
        100.0,
        100.0,
        1_000.0,
    )
    assert found.memory_series[-1] == (20.0, 1_350 << 20)
    assert (found.memory_growth_percent, found.series_step_s) == (None, 1)
    assert found.series[0] == Step(0, 100, 400.0, 400.0)
    assert [item.sealed for item in found.series] == [100] * 20
    assert found.block_times[0] == (0.5, 100)


def test_latencies_count_from_when_a_transaction_was_due() -> None:
    assert run(latency_s=3.0).finality_ms.p50 == 3_000.0


def test_the_edges_of_a_window_cut_no_block_in_two() -> None:
    """Blocks of 100 every 0.8 s are 125 a second, wherever the window begins and ends."""
    blocks = [block(number, BEGIN_S + 0.8 * number - 1.3, 100) for number in range(20)]
    for shift_s in (0.0, 0.1, 0.35, 0.79):
        begin_s = BEGIN_S + shift_s
        assert sealed_rate(blocks, begin_s, begin_s + 8) == pytest.approx(125)


def test_a_pause_at_the_edge_of_a_window_counts() -> None:
    blocks = [block(1, BEGIN_S + 3, 100), block(2, BEGIN_S + 4, 100)]
    assert sealed_rate(blocks, BEGIN_S, BEGIN_S + 8) == 25
    late = [*blocks, block(3, BEGIN_S + 10, 100)]
    assert sealed_rate(late, BEGIN_S, BEGIN_S + 8) == 30
    assert sealed_rate([], BEGIN_S, BEGIN_S + 8) == 0


def test_memory_grows_if_the_end_of_the_last_half_is_above_its_begin() -> None:
    """What fills at the begin, caches for example, is no growth."""
    full = [(float(second), 1_000 + min(second, 50)) for second in range(101)]
    assert growth_percent(full) == 0
    leaking = [(float(second), 1_000 + 10 * second) for second in range(101)]
    assert growth_percent(leaking) == pytest.approx(100 * 460 / 1520, abs=0.5)
    assert growth_percent(full[:15]) is None


def test_long_windows_have_longer_steps() -> None:
    long = window(tps=1)
    stretched = replace(long, end_s=BEGIN_S + 600)
    found = summarise(stretched, banks=12, cores=2, batch_limit=100, bound_tps=100.0)
    assert (found.series_step_s, len(found.series)) == (5, 120)
    assert [item.sealed for item in found.series[:5]] == [5, 5, 5, 5, 2]


def test_the_bound_is_what_the_processor_verifies_for_every_bank() -> None:
    assert crypto_bound_tps(0.7, 12, 2) == pytest.approx(238.1, abs=0.1)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=200), st.floats(0, 1))
def test_a_quantile_is_exceeded_by_no_more_than_its_share(
    values: list[float], share: float
) -> None:
    ordered = sorted(values)
    found = quantile(ordered, share)
    assert sum(value > found for value in ordered) <= (1 - share) * len(ordered) + 1e-6
    assert found in ordered


@given(st.lists(st.floats(0, 1e5), max_size=200))
def test_every_value_stands_in_one_bar_of_the_histogram(values: list[float]) -> None:
    histogram = Histogram.of(values)
    assert sum(histogram.counts) == len(values)
    assert len(histogram.edges_ms) == len(histogram.counts) + 1
    assert histogram.edges_ms[-1] > max(values, default=0)
    assert len(histogram.counts) <= 41


def test_what_is_lost_fails_the_measurement() -> None:
    assert INTEGRITY.held
    for broken in (
        {"lost": 1},
        {"unanswered": 1},
        {"duplicated": 1},
        {"state_roots_identical": False},
        {"doctor": {"clean": False, "findings": ["x"], "seconds": 1.0}},
    ):
        assert not replace(INTEGRITY, **broken).held
    assert replace(INTEGRITY, doctor=None).held


def test_a_report_is_one_json_object_and_can_be_read_back(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    document = report(run(), run(50.0)).to_json_object()
    path.write_text(json.dumps(document))
    found = read_report(path)
    assert found == json.loads(json.dumps(document))
    assert (found["schema"], [item["rate"] for item in found["runs"]]) == (SCHEMA, [None, 50.0])


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema": "consortium/throughput/2"}'])
def test_another_file_is_no_report(tmp_path: Path, content: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(CommandFailed, match=r"other\.json is no "):
        read_report(path)


def test_the_lines_tell_what_the_report_says() -> None:
    lines = "\n".join(report_lines(report(run(), run(50.0))))
    for part in (
        "saturation: 100.0 sealed/s (± 0.0) over 20 s, 36 % of the crypto bound",
        "50 transactions/s: 100.0 sealed/s",
        "finality p50 400, p95 400, p99 400, max 400 ms; admission p50 40, p95 40 ms",
        "CPU ms a transaction at all banks: 16.00 (verify 8.00, consensus 2.00, ",
        "2400 acknowledged, 2399 sealed, rejected: 1 expired, lost: 0, unanswered: 0, twice: 0",
        "state roots identical at height 24, doctor: clean",
    ):
        assert part in lines


def test_the_lines_tell_what_a_client_waits_for() -> None:
    lines = "\n".join(report_lines(report(ledger_after=SIZE, queries=QUERIES)))
    for part in (
        "ledger: 2512 blocks, 1002768 notes, 1000400 nullifiers; 900 MiB in each database",
        "queries at rest, p50 / p95 ms: block 2.5 / 4.0, notes page 3.2 / 5.5",
        "wallet scan: 21978 outputs/s on one core (45.5 us each), 12000 with reading them",
    ):
        assert part in lines


def test_disk_is_what_every_payment_added_to_a_database() -> None:
    before = replace(SIZE, nullifiers=1_000_000, database_bytes=(900 << 20) - 8_000_000)
    assert disk_bytes(before, SIZE) == 20_000
    assert disk_bytes(SIZE, SIZE) is None
    lines = "\n".join(report_lines(report(ledger_before=before, ledger_after=SIZE)))
    assert "900 MiB in each database, 20.0 kB more for each payment" in lines


def test_a_query_is_told_by_its_median_and_95th_percentile() -> None:
    assert QueryTime.of([float(number) for number in range(1, 101)]) == QueryTime(50.0, 95.0)
