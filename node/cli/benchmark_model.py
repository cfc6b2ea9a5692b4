"""`consortium bench model`: a prediction, its costs, and how wrong the model was so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from node.cli.throughput_model import (
    Check,
    Costs,
    Json,
    Place,
    Prediction,
    check,
    costs_of,
    predict,
)


@dataclass(frozen=True, slots=True)
class ModelOutcome:
    """A prediction with everything that it rests on."""

    place: Place
    costs: Costs
    prediction: Prediction
    checked: Check


def run_model(place: Place, reports: Sequence[Json]) -> ModelOutcome:
    """Fit the costs to reports, predict a place, and predict the reports themselves."""
    costs = costs_of(reports)
    return ModelOutcome(place, costs, predict(costs, place), check(costs, reports))


def model_object(outcome: ModelOutcome) -> dict[str, Any]:
    """Return everything by name, ready for JSON."""
    return {
        "place": asdict(outcome.place),
        "costs": asdict(outcome.costs),
        "prediction": asdict(outcome.prediction),
        "checks": [
            {**asdict(point), "error": round(point.error, 4)} for point in outcome.checked.points
        ],
    }


def model_lines(outcome: ModelOutcome) -> list[str]:
    """Return the prediction as a person reads it."""
    place, predicted = outcome.place, outcome.prediction
    cores = f"{place.cores:g} cores {'each' if place.each else 'together'}"
    limits = ", ".join(f"{name} {tps:.1f}" for name, tps in predicted.bounds_tps.items())
    lines = [
        f"{place.banks} banks, {cores}, round trip {place.rtt_ms:g} ms: "
        f"{predicted.tps:.1f} transactions/s, limited by the {predicted.bound} "
        f"({limits})",
        f"finality at half of that: {predicted.finality_ms:.0f} ms on average; a full block takes "
        f"{predicted.block_ms:.0f} ms without other work",
        f"CPU of all banks for one transaction: {predicted.cpu_ms_per_transaction:.2f} ms",
        "",
        f"{'measured windows':<51}{'measured':>10}{'model':>10}{'error':>8}",
    ]
    for point in outcome.checked.points:
        where = f"{point.place.banks} banks, {point.place.cores:.2f} cores, {point.load}"
        lines.append(
            f"{where:<38} {point.what:<12}{point.measured:>10.1f}{point.predicted:>10.1f}"
            f"{100 * point.error:>+7.0f}%"
        )
    for what in ("TPS", "finality ms"):
        largest = outcome.checked.largest_error(what)
        if largest is not None:
            lines.append(f"largest error of {what}: {100 * largest:.0f} %")
    return lines
