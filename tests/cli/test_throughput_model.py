"""The model of throughput: it moves the right way, and finds back the costs it was made from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from node.cli.main import main
from node.cli.throughput_model import (
    GATHER_MS,
    GOSSIP_MS,
    Costs,
    Place,
    SharedCost,
    check,
    costs_of,
    fit_cost,
    predict,
    predict_finality,
)
from tests.cli.throughput_samples import report, run

shared_costs = st.builds(SharedCost, st.floats(0.001, 2.0), st.floats(0, 50.0))
all_costs = st.builds(
    Costs,
    verify=shared_costs,
    database_client=shared_costs,
    database_server=shared_costs,
    other=shared_costs,
    consensus=shared_costs,
    network=shared_costs,
    client_ms=st.floats(0, 1.0),
    batch_limit=st.integers(1, 100),
    batch_wait_ms=st.floats(0, 100.0),
)
places = st.builds(
    Place,
    banks=st.integers(4, 16),
    cores=st.floats(0.5, 64),
    rtt_ms=st.floats(0, 300),
    each=st.booleans(),
)
rates = st.floats(0.1, 1000)
TOLERANCE = 1 + 1e-9

ALONE = Costs(
    verify=SharedCost(0.5),
    database_client=SharedCost(0.1),
    database_server=SharedCost(0.1),
    other=SharedCost(0.05),
    consensus=SharedCost(0.05, 1.0),
    network=SharedCost(0.1, 1.0),
)


@given(all_costs, places, rates, st.floats(1, 8))
def test_more_cores_do_no_harm(costs: Costs, place: Place, rate: float, factor: float) -> None:
    more = replace(place, cores=place.cores * factor)
    assert predict(costs, more).tps * TOLERANCE >= predict(costs, place).tps
    assert predict_finality(costs, more, rate) <= predict_finality(costs, place, rate) * TOLERANCE


@given(all_costs, places, rates)
def test_more_banks_do_no_good(costs: Costs, place: Place, rate: float) -> None:
    more = replace(place, banks=place.banks + 1)
    assert predict(costs, more).tps <= predict(costs, place).tps * TOLERANCE
    assert predict_finality(costs, more, rate) * TOLERANCE >= predict_finality(costs, place, rate)


@given(all_costs, places, rates, st.floats(0, 200))
def test_distance_does_no_good(costs: Costs, place: Place, rate: float, added_ms: float) -> None:
    further = replace(place, rtt_ms=place.rtt_ms + added_ms)
    assert predict(costs, further).tps <= predict(costs, place).tps * TOLERANCE
    assert (
        predict_finality(costs, further, rate) * TOLERANCE
        >= predict_finality(costs, place, rate) + added_ms / 2
    )


@given(all_costs, places, rates, st.floats(0, 500))
def test_more_load_does_no_good(costs: Costs, place: Place, rate: float, added: float) -> None:
    loaded = predict_finality(costs, place, rate + added)
    assert loaded * TOLERANCE >= predict_finality(costs, place, rate)


@given(all_costs, places)
def test_no_machine_seals_more_than_it_could_verify(costs: Costs, place: Place) -> None:
    bound = 1000 * place.all_cores / (place.banks * costs.verification())
    assert predict(costs, place).tps <= bound * TOLERANCE


@given(st.floats(0, 5), st.floats(0, 100), st.lists(st.floats(1, 100), min_size=2, max_size=8))
def test_exact_costs_are_found_back(each: float, batch: float, sizes: list[float]) -> None:
    found = fit_cost([(size, each + batch / size) for size in sizes])
    if max(sizes) >= 2 * min(sizes):
        assert found.each == pytest.approx(each, abs=1e-6 + 1e-6 * batch)
        assert found.batch == pytest.approx(batch, rel=1e-6, abs=1e-6 * (1 + each))
    assert found.each >= 0 and found.batch >= 0


def test_costs_that_grow_with_the_batch_are_each_transactions_own() -> None:
    assert fit_cost([(10, 1.0), (100, 2.0)]) == SharedCost(each=1.5)
    assert fit_cost([(100, 1.0), (101, 1.2)]) == SharedCost(each=1.1)
    assert fit_cost([(10, 1.0), (100, 0.05)]).each == 0


def test_two_cores_verify_and_seal_for_twelve_banks() -> None:
    """One bank: 0.9 ms and (1 + 1) x 11 / 100 ms a transaction; twelve of them on two cores."""
    predicted = predict(ALONE, Place(12, 2.0))
    assert predicted.bound == "CPU"
    assert predicted.tps == pytest.approx(2000 / (12 * 1.12))
    assert predicted.bounds_tps["thread"] == pytest.approx(1000 / 0.52)
    work_ms = 100 * (0.05 + 0.11 + 0.2)
    assert predicted.block_ms == pytest.approx(work_ms / 3 + 2 * work_ms / 3 * 6)


def test_far_apart_with_cores_of_their_own_the_chain_is_the_limit() -> None:
    predicted = predict(ALONE, Place(12, 4.0, rtt_ms=200, each=True))
    assert predicted.bound == "chain"
    assert predicted.tps == pytest.approx(100_000 / (500 + 36))


def test_one_payment_after_another_waits_for_no_company() -> None:
    """Blocks of one: 0.5 + 0.05 + (0.1 + 11) ms of a bank beside 0.05 + 11 + 0.2 ms for them."""
    slack = 1 - 12 * 11.65 / 2000
    block_ms = 50 + 11.25 * (1 / 3 + 2 / 3 * 6) / slack
    alone = predict_finality(ALONE, Place(12, 2.0), 1.0)
    assert alone == pytest.approx(0.5 * 6 / slack + 1.5 * block_ms)
    few, more = (predict_finality(ALONE, Place(12, 2.0), rate) for rate in (15.9, 16.1))
    assert more - few > (GOSSIP_MS + GATHER_MS) / 2


def reports(*runs: Any) -> list[dict[str, Any]]:
    return [json.loads(json.dumps(report(*runs).to_json_object()))]


def test_costs_come_from_reports_by_bank() -> None:
    """16 ms at twelve banks, half of it verification, in windows of one size."""
    costs = costs_of(reports(run()))
    assert costs.one_bank(12, 100) == pytest.approx(16 / 12)
    assert costs.verification() == pytest.approx(8 / 12)
    assert costs.client_ms == 0.5
    points = check(costs, reports(run(), run(50.0))).points
    assert [(point.load, point.what) for point in points] == [
        ("saturation", "TPS"),
        ("50/s", "finality ms"),
    ]
    # Other work took 20 ms of each second: 0.2 ms a transaction.
    assert points[0].predicted == pytest.approx(1000 * 1.98 / 16.5)
    assert points[0].error == pytest.approx(0.2)


def test_beyond_saturation_the_rate_is_checked_and_not_the_finality() -> None:
    costs = costs_of(reports(run()))
    (point,) = check(costs, reports(run(150.0))).points
    assert (point.load, point.what, point.measured) == ("150/s", "TPS", 100.0)
    assert point.predicted == pytest.approx(120)


def test_windows_of_several_sizes_tell_what_a_block_costs() -> None:
    """The samples' CPU time is the same in every window, so small blocks cost more each."""
    costs = costs_of(reports(run(tps=100), run(25.0, tps=25)))
    assert costs.consensus.batch == pytest.approx(200 / 12 / 11)
    assert costs.consensus.each == pytest.approx(0, abs=1e-9)
    assert costs.consensus.at(100, 11) == pytest.approx(2 / 12)


def test_the_command_tells_the_prediction_and_its_errors(tmp_path: Path) -> None:
    path = tmp_path / "costs.json"
    path.write_text(json.dumps(reports(run(), run(50.0))[0]))
    arguments = ["bench", "model", "--banks", "12", "--cores", "2", "--costs", str(path)]
    result = CliRunner().invoke(main, arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(
        "12 banks, 2 cores together, round trip 0 ms: 121.2 transactions/s, limited by the CPU"
    )
    assert "largest error of TPS: 20 %" in result.stdout
    answer = json.loads(CliRunner().invoke(main, [*arguments, "--json"]).stdout)
    assert answer["prediction"]["bound"] == "CPU"
    assert answer["checks"][0]["error"] == 0.2
    without = CliRunner().invoke(main, arguments[:-2])
    assert without.exit_code == 2 and "give a report with --costs" in without.stderr
