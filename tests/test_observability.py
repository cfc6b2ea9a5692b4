"""scripts/observability: rules, dashboard and guide speak of metrics that banks really serve."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from node.cli.main import COMMANDS
from node.runtime.metrics_collector import families
from tests.runtime.metrics_samples import make_snapshot

ROOT = Path(__file__).parent.parent / "scripts" / "observability"
METRIC = re.compile(r"\bconsortium_[a-z0-9_]+")
COMMAND = re.compile(r"`consortium ([a-z-]+)")
SEVERITIES = {"critical", "warning", "info"}


def served() -> dict[str, set[str]]:
    """Names of the series of each metric, as a query finds them."""
    histograms = {"batch_transactions", "block_transactions"} | {
        f"{step}_seconds" for step in ("verify", "vote", "seal", "apply", "finality")
    }
    found = {
        family.name: {sample.name for sample in family.samples}
        for family in families(make_snapshot())
    }
    for name in histograms:
        full = f"consortium_{name}"
        found[full] = {f"{full}{suffix}" for suffix in ("_bucket", "_count", "_sum")}
    for family in families(make_snapshot()):
        if not found[family.name]:
            found[family.name] = {family.name + ("_total" if family.type == "counter" else "")}
    return found


SERVED = served()
SERIES = {name for names in SERVED.values() for name in names}


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load((ROOT / "alerts.yml").read_text())
    return [rule for group in document["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((ROOT / "grafana-dashboard.json").read_text())
    return document


def expressions() -> Iterator[str]:
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_a_rule_names_metrics_that_exist_whose_fault_it_is_and_what_to_do(
    rule: dict[str, Any],
) -> None:
    words = json.dumps(rule)
    named = set(METRIC.findall(words))
    assert named <= SERIES
    assert named or rule["expr"].startswith("up")
    assert rule["labels"]["severity"] in SEVERITIES
    annotations = rule["annotations"]
    subject = r"{{ \$labels\.(bank|peer|consortium) }}|No bank"
    assert re.search(subject, annotations["summary"] + annotations["description"])
    commands = COMMAND.findall(annotations["description"])
    assert commands or "Next: look at its network" in annotations["description"]
    assert set(commands) <= set(COMMANDS)


def test_rules_have_names_of_their_own() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names)) == 20


def test_rules_are_tested_by_their_names() -> None:
    """By `promtool test rules`, which not everybody has."""
    document = yaml.safe_load((ROOT / "alerts_test.yml").read_text())
    tested = {item["alertname"] for test in document["tests"] for item in test["alert_rule_test"]}
    assert tested <= {rule["alert"] for rule in rules()}
    fed = "".join(series["series"] for test in document["tests"] for series in test["input_series"])
    assert set(METRIC.findall(fed)) <= SERIES


def test_prometheus_reads_the_rules_and_the_targets_that_the_command_writes() -> None:
    document = yaml.safe_load((ROOT / "prometheus.yml").read_text())
    assert [(ROOT / file).exists() for file in document["rule_files"]] == [True]
    (job,) = document["scrape_configs"]
    # Rules and dashboard know banks by it.
    assert job["job_name"] == "consortium"
    assert job["file_sd_configs"] == [{"files": ["targets.json"]}]


def test_panels_show_metrics_that_exist() -> None:
    named = {name for expression in expressions() for name in METRIC.findall(expression)}
    assert named <= SERIES


def test_the_dashboard_may_be_imported_anywhere() -> None:
    document = dashboard()
    assert "id" not in document
    variables = [item["name"] for item in document["templating"]["list"]]
    assert variables == ["datasource", "consortium", "bank"]
    sources = {
        target["datasource"]["uid"]
        for panel in document["panels"]
        for target in panel.get("targets", ())
    }
    assert sources == {"${datasource}"}
    identifiers = [panel["id"] for panel in document["panels"]]
    assert len(identifiers) == len(set(identifiers))
    for panel in document["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        assert panel["type"] == "row" or panel["targets"], panel["title"]


def test_every_metric_is_in_the_guide_and_nothing_else_is() -> None:
    guide = (ROOT / "README.md").read_text()
    named = set(METRIC.findall(guide))
    missing = [name for name, names in SERVED.items() if not {name, *names} & named]
    assert missing == []
    assert {name for name in named if name not in SERIES | set(SERVED)} == set()


def test_every_metric_is_shown_somewhere() -> None:
    """In a panel by itself, or in words beside one; else nobody would miss it."""
    text = (ROOT / "grafana-dashboard.json").read_text() + (ROOT / "alerts.yml").read_text()
    named = set(METRIC.findall(text))
    assert {name for name, names in SERVED.items() if not {name, *names} & named} <= {
        "consortium_bank",
        "consortium_consensus_behind",
        "consortium_consensus_height",
        "consortium_peer_connections",
        "consortium_peer_height",
        "consortium_peer_sent_frames",
        "consortium_peer_sent_items",
    }
