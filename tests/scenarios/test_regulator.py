"""The thirteenth process over four banks: settles, is asked, is split, ends and comes back."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from click.testing import CliRunner, Result

from node.cli.main import main
from node.ledger.blocks import Block
from node.ledger.parameters import Parameters
from node.ledger.types import Height
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.initialise import create_consortium
from node.runtime.regulator.child import regulator_processes
from node.runtime.regulator.place import RegulatorPlace
from tests.scenarios.consortium_process import ConsortiumProcess, environment
from tests.scenarios.consortium_process import command as process_command

pytestmark = [pytest.mark.processes, pytest.mark.postgres]

BANKS = 4
YEAR_S = 6
HEARTBEAT_MS = 1_000
WITHIN_S = 90


@pytest.fixture
def consortium(reachable_directory: Path) -> Iterator[ConsortiumProcess]:
    """Years of six seconds, and a block a second although nobody pays."""
    directory = ConsortiumDirectory(reachable_directory / "data")
    create_consortium(
        directory,
        bank_count=BANKS,
        parameters=Parameters(fiscal_year_seconds=YEAR_S, heartbeat_ms=HEARTBEAT_MS),
    )
    process = ConsortiumProcess(directory, BANKS)
    try:
        process.start()
        yield process
    finally:
        process.abandon()
        assert regulator_processes(directory) == []


def command(consortium: ConsortiumProcess, *arguments: str) -> Result:
    environment = {"CONSORTIUM_DATA": str(consortium.directory.root), "NO_COLOR": "1"}
    return CliRunner().invoke(main, list(arguments), env=environment)


def ask(consortium: ConsortiumProcess, *arguments: str) -> Any:
    result = command(consortium, *arguments)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def until(condition: Callable[[], Any]) -> Any:
    """Wait for something to become true and return it."""
    deadline_s = time.monotonic() + WITHIN_S
    while not (found := condition()):
        assert time.monotonic() < deadline_s, "it took too long"
        time.sleep(0.2)
    return found


def status(consortium: ConsortiumProcess) -> Any:
    result = command(consortium, "regulator", "status", "--json")
    return json.loads(result.stdout) if result.exit_code == 0 else {}


def settled(consortium: ConsortiumProcess) -> list[int]:
    return [
        item["fiscal_year"]
        for item in status(consortium).get("settlements", [])
        if item["sealed_height"] is not None
    ]


def a_tag(consortium: ConsortiumProcess, height: int) -> str:
    """A tag of the voting record of a block."""

    async def fetch() -> bytes:
        async with consortium.client(0) as client:
            return (await client.block(Height(height + 1))).block

    return Block.decode(asyncio.run(fetch())).parent_ballots[0][79:175].hex()


def test_the_regulator_beside_four_banks(consortium: ConsortiumProcess) -> None:
    first = until(lambda: settled(consortium))
    assert first == sorted(first)
    place = RegulatorPlace(consortium.directory)
    assert {path.name: path.stat().st_mode & 0o777 for path in place.root.glob("*.*")} == {
        "ca.crt": 0o644,
        "tls.crt": 0o644,
        "tls.key": 0o600,
        "opener.key": 0o600,
        "draw.root": 0o600,
        "database.url": 0o600,
        "regulator.log": 0o600,
    }
    everything = ask(consortium, "status", "--json")
    assert everything["regulator"]["answers"] is True

    # A bank challenges a block; the regulator finds it as it was sealed.
    challenge = ask(
        consortium, "challenge", "2", "--bank", "dunmere", "--reason", "looks odd", "--json"
    )
    assert (challenge["result"], challenge["challenged_by"]) == ("correct", "dunmere")
    assert challenge["bank"] != "dunmere", "it is not judged by its own bytes"
    counts = {"bank": "dunmere", "honest": 0, "malicious": 1, "open": 0}
    assert status(consortium)["challenge_counts"] == [counts]
    assert "dunmere" in command(consortium, "regulator", "status").stdout

    # By an order a ballot is opened; who has the genesis checks the proof without anybody.
    tag = a_tag(consortium, 2)
    opened = ask(
        consortium, "regulator", "open", tag[:16], "--reason", "order", "--order", "17", "--json"
    )
    proof = str(place.root / "openings" / f"{tag[:16]}.json")
    genesis = ("--genesis", str(consortium.directory.genesis_file))
    checked = ask(consortium, "regulator", "verify-opening", proof, *genesis, "--json")
    assert (opened["tag"], checked["valid"]) == (tag, True)
    assert checked["bank"] == opened["bank_name"].lower()
    refused = command(consortium, "regulator", "open", "ab" * 96, "--reason", "order")
    assert (refused.exit_code, refused.stdout) == (1, "")

    # Killed, it stays down and the banks go on; by hand it comes back where it was.
    (regulator,) = regulator_processes(consortium.directory)
    regulator.kill()
    until(lambda: "the regulator is down (killed" in consortium.log.read_text())
    assert not status(consortium)

    split_and_settle(consortium, tag)
    log = ask(consortium, "regulator", "audit", "--json")
    assert log["chain_holds"] is True
    said = command(consortium, "regulator", "audit").stdout.splitlines()
    assert said[-1].endswith(" rows; the chain of their hashes holds")
    actions = [row["action"] for row in log["rows"]]
    assert {"challenge", "opening", "opening-refused", "partial", "counted"} <= set(actions)
    report = ask(consortium, "treasury", "--json")
    assert (report["balanced"], report["faults"]) == (True, [])


def split_and_settle(consortium: ConsortiumProcess, tag: str) -> None:
    """The key is split among three officers, of whom any two settle the next year."""
    place = RegulatorPlace(consortium.directory)
    shares = consortium.directory.root / "shares"
    split = command(
        consortium,
        "regulator",
        "split",
        "--threshold",
        "2",
        "--officers",
        "3",
        "--out",
        str(shares),
    )
    assert split.exit_code == 0, split.output
    assert not (place.root / "opener.key").exists()
    with running_by_hand(consortium):
        year = f"FY{until(lambda: waits_for(consortium))}"
        for _ in ("counts", "proof"):
            parts = [str(shares / f"part-{officer}.json") for officer in (1, 3)]
            for officer, part in zip((1, 3), parts, strict=True):
                share = str(shares / f"officer-{officer}.json")
                made = command(
                    consortium, "regulator", "partial", year, "--share", share, "--out", part
                )
                assert made.exit_code == 0, made.output
            given = [word for part in parts for word in ("--partials", part)]
            answer = ask(consortium, "regulator", "settle", year, *given, "--json")
        assert "transaction_id" in answer
        until(lambda: int(year[2:]) in settled(consortium))
        assert command(consortium, "regulator", "open", tag, "--reason", "order").exit_code == 1


def waits_for(consortium: ConsortiumProcess) -> str:
    """The fiscal year that waits for the officers, empty if none does."""
    told = str(status(consortium).get("waiting_for", ""))
    return told.partition("FY")[2][:4]


class running_by_hand:  # noqa: N801
    """`consortium regulator run`, as an operator would start it again."""

    def __init__(self, consortium: ConsortiumProcess) -> None:
        self._consortium = consortium
        self._process: psutil.Popen | None = None

    def __enter__(self) -> None:
        self._process = psutil.Popen(
            process_command(
                "regulator", "run", "--data", str(self._consortium.directory.root.resolve())
            ),
            env=environment(),
            stderr=subprocess.DEVNULL,
        )
        until(lambda: status(self._consortium))

    def __exit__(self, *_: object) -> None:
        assert self._process is not None, "it was started"
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(15) == 0
