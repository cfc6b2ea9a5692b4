"""What terminal and files tell of real banks that have sealed something."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.running_banks import BANKS, RunningBanks

NAMES = {"amberfield", "birchmoor", "cedarholm", "dunmere"}


async def answer_of(running: RunningBanks, *arguments: str) -> str:
    """Run a command that must succeed; return its answer."""
    result = await running.command(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


async def assert_exports_agree(
    running: RunningBanks, place: Path, height: int, transactions: int
) -> None:
    """Two banks give the same bytes, and all that was sealed is in them."""
    exported = []
    for bank in ("amberfield", "dunmere"):
        target = place / bank
        options = ("--bank", bank, "--format", "jsonl", "--to", str(height), "--json")
        manifest = json.loads(await answer_of(running, "export", "--out", str(target), *options))
        assert manifest["verified"] is True
        exported.append({path.name: path.read_bytes() for path in target.iterdir()})
    assert exported[0] == exported[1]
    whole = await answer_of(running, "export", "--out", str(place / "whole"), "--json")
    assert json.loads(whole)["tables"]["transactions"]["rows"] == transactions


async def assert_top_tells(running: RunningBanks) -> None:
    """Every bank is up, linked and measured."""
    top = json.loads(await answer_of(running, "top", "--once", "--interval", "0.2", "--json"))
    shown = {bank["name"]: bank for bank in top["banks"]}
    assert set(shown) == NAMES
    for bank in shown.values():
        assert (bank["state"], bank["peers_linked"]) == ("up", BANKS - 1)
        # A block may be sealed while they are asked.
        assert bank["lag"] in (0, 1)
        assert bank["cpu_percent"] >= 0
        assert bank["database_bytes"] > 0
    assert top["finality_ms_p50"] > 0


async def assert_logs_join(running: RunningBanks, transaction_id: str) -> None:
    """The life of a sealed transaction at every bank, in order of time, although none has logs."""
    lines = [
        json.loads(line)
        for line in (
            await answer_of(running, "logs", "--transaction", transaction_id, "--json")
        ).splitlines()
    ]
    assert [line["time"] for line in lines] == sorted(line["time"] for line in lines)
    assert {line["bank"] for line in lines if line["event"] == "applied"} == NAMES
    sources = {line["bank"]: line["source"] for line in lines if line["event"] == "received"}
    assert list(sources.values()).count("client") == 1
