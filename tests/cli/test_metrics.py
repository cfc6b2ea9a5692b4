"""`consortium metrics`: what banks serve, read as Prometheus reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from node.cli.main import main
from node.cli.metrics import number
from node.cli.metrics_scrape import ScrapeFailed, Series, read
from node.runtime.config import load_node_config, render_node_config
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.initialise import create_consortium
from node.runtime.metrics_endpoint import MetricsEndpoint
from tests.cli.served_consortium import LoopThread
from tests.runtime.metrics_samples import make_snapshot

SILENT = 1
WITHOUT = 2
"""Banks that serve no metrics: one that does not answer, one that is not asked to."""


@dataclass
class Measured:
    """A consortium of four of which two banks serve the metrics of a sample."""

    directory: ConsortiumDirectory
    addresses: dict[int, str]

    def run(self, *arguments: str) -> Result:
        environment = {"CONSORTIUM_DATA": str(self.directory.root), "NO_COLOR": "1"}
        return CliRunner().invoke(main, ["metrics", *arguments], env=environment)

    def ask(self, *arguments: str) -> Any:
        result = self.run(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Measured]:
    directory = ConsortiumDirectory(tmp_path_factory.mktemp("metrics") / "consortium")
    create_consortium(directory, bank_count=4)
    loop = LoopThread()
    endpoints = {
        bank: MetricsEndpoint("127.0.0.1:0", lambda _: make_snapshot()) for bank in range(4)
    }
    addresses = {}
    for bank, endpoint in endpoints.items():
        loop.call(endpoint.start)
        addresses[bank] = f"127.0.0.1:{endpoint.port}"
    loop.call(endpoints[SILENT].close)
    for bank, address in addresses.items():
        place = directory.bank(bank)
        listen = None if bank == WITHOUT else address
        config = replace(load_node_config(place.config_file), metrics_listen=listen)
        place.config_file.write_text(render_node_config(config, place.root.resolve()))
    yield Measured(directory, addresses)
    for bank in set(endpoints) - {SILENT}:
        loop.call(endpoints[bank].close)
    loop.stop()


def test_all_banks_stand_beside_each_other(measured: Measured) -> None:
    result = measured.run()
    assert result.exit_code == 0
    rows = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines()}
    assert rows["metric"] == ["amberfield", "birchmoor", "cedarholm", "dunmere"]
    assert rows["quorum_margin"] == ["2", "-", "-", "2"]
    assert rows["last_seal_age_seconds"] == ["1.25", "-", "-", "1.25"]
    assert not any("peer=" in name or "bucket" in name for name in rows)
    silent, without = result.stderr.splitlines()
    address = measured.addresses[SILENT]
    assert silent.startswith(f"birchmoor: nothing answers at http://{address}/metrics (")
    assert without == "cedarholm: its configuration has no `metrics_listen`"


def test_of_one_bank_the_peers_are_shown_as_well(measured: Measured) -> None:
    result = measured.run("dunmere")
    assert (result.exit_code, result.stderr) == (0, "")
    rows = dict(line.rsplit(maxsplit=1) for line in result.stdout.splitlines())
    assert rows['peer_linked{direction="in",peer="cedarholm"}'] == "0"
    assert rows["verify_seconds_count"] == "6"
    assert not any("bucket" in name for name in rows)


def test_json_has_every_series_and_every_failure(measured: Measured) -> None:
    banks = measured.ask()["banks"]
    assert [(bank["bank"], bank["name"]) for bank in banks] == [
        (0, "amberfield"),
        (1, "birchmoor"),
        (2, "cedarholm"),
        (3, "dunmere"),
    ]
    assert [bank["address"] for bank in banks] == [
        None if bank == WITHOUT else measured.addresses[bank] for bank in range(4)
    ]
    assert [bank["error"] is None for bank in banks] == [True, False, False, True]
    assert [bool(bank["series"]) for bank in banks] == [True, False, False, True]
    bucket = {
        "name": "consortium_verify_seconds_bucket",
        "labels": {"le": "0.1"},
        "value": 2.0,
    }
    assert bucket in banks[3]["series"]
    assert measured.ask("3")["banks"] == [banks[3]]


def test_targets_are_what_prometheus_discovers(measured: Measured, tmp_path: Path) -> None:
    file = tmp_path / "targets.json"
    result = measured.run("--targets", str(file))
    assert result.stdout == f"3 banks are listed in {file}\n"
    assert json.loads(file.read_text()) == [
        {
            "targets": [measured.addresses[bank]],
            "labels": {"consortium": "interbank-ledger", "bank": name},
        }
        for bank, name in ((0, "amberfield"), (1, "birchmoor"), (3, "dunmere"))
    ]
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (("cedarholm",), 1, 'Next: give `metrics_listen = "127.0.0.1:9464"` in [network] of'),
        (("birchmoor",), 3, "Error: birchmoor: nothing answers at http://127.0.0.1:"),
        (("nobody",), 2, "Error: there is no bank 'nobody'."),
        (("dunmere", "--targets", "x"), 2, "Error: --targets lists every bank."),
    ],
)
def test_what_cannot_be_shown_says_what_to_do(
    measured: Measured, arguments: tuple[str, ...], exit_code: int, said: str
) -> None:
    result = measured.run(*arguments)
    assert (result.exit_code, result.stdout) == (exit_code, "")
    assert said in result.stderr


def test_a_bank_without_metrics_is_told_in_json_too(measured: Measured) -> None:
    result = measured.run("cedarholm", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["banks"][0]["error"] == (
        "its configuration has no `metrics_listen`"
    )


def test_series_are_read_with_their_labels() -> None:
    text = '# TYPE a counter\na_total{x="1",b="q\\"t"} 3\n# TYPE h gauge\nh +Inf\n'
    found = read(text)
    assert found == (
        Series("a_total", {"x": "1", "b": 'q"t'}, 3.0),
        Series("h", {}, float("inf")),
    )
    with pytest.raises(ScrapeFailed, match="not in the format"):
        read("<html>")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (12.0, "12"),
        (1.25, "1.25"),
        (0.0123456789, "0.0123457"),
        (1_795_310_000.1234, "1795310000.123"),
    ],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert number(value) == text
    assert number(float("nan")) == "nan"
