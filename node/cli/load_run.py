"""`consortium load run`: Locust as a child process, its figures, and an account of all payments."""

from __future__ import annotations

import csv
import importlib.util
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

import node
from node.cli.access import Consortium
from node.cli.failure import EXIT_FAILED, EXIT_UNREACHABLE, EXIT_USAGE, CommandFailed
from node.cli.load_progress import TimedMeter, timed_progress
from node.cli.table import answer_table
from node.cli.terminal import answer, answer_json, say, warn
from node.client.workload_file import open_workload
from node.runtime.bank_process import environment
from node.runtime.config import ConfigurationError
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.running_consortium import is_supervised

LOCUSTFILE = Path(node.__file__).resolve().parent.parent / "loadtest" / "locustfile.py"
SETTLE_S = 60.0
"""How long the end of the payments under way is waited for."""
PATIENCE_S = SETTLE_S + 60.0
"""After its time Locust must have ended within this."""
LOOK_S = 1.0
LOG_LINES = 12

RESPONSES = ("mean_ms", "p50_ms", "p95_ms", "p99_ms", "max_ms")


@dataclass(frozen=True, slots=True)
class LoadOrder:
    """What `consortium load run` was asked for."""

    directory: ConsortiumDirectory
    workload_file: Path | None
    users: int
    seconds: float
    shape: str
    rate: float | None
    tags: tuple[str, ...]
    processes: int
    html: Path | None

    def to_json_object(self) -> dict[str, object]:
        """Return what the run was."""
        return {
            "users": None if self.shape == "open" else self.users,
            "seconds": self.seconds,
            "shape": self.shape,
            "rate": self.rate,
            "mix": list(self.tags),
            "processes": self.processes,
        }


def run_load(order: LoadOrder, *, as_json: bool) -> int:
    """Run Locust, show what it measured, and return the exit code; raises `CommandFailed`."""
    _require_locust()
    workload_file = _require_workload(order)
    _require_running(order.directory)
    with tempfile.TemporaryDirectory(prefix="consortium-load-") as name:
        place = Path(name)
        summary = _run_locust(order, workload_file, place)
    if as_json:
        answer_json({**summary, "run": order.to_json_object()})
    else:
        _show(summary)
    account = summary["account"]
    if summary["used_up"]:
        warn("the workload file was used up before the time was over")
    held = not account["lost"] and not account["undecided"]
    paid = account["sealed"] > 0 or (order.tags and "pay" not in order.tags)
    return 0 if held and paid else EXIT_FAILED


def _require_locust() -> None:
    if importlib.util.find_spec("locust") is None or not LOCUSTFILE.exists():
        raise CommandFailed(
            "Locust is not installed", "install the extra `loadtest` of this package", EXIT_USAGE
        )


def _require_workload(order: LoadOrder) -> Path:
    """Return the workload file; it must be whole, and of this consortium's chain."""
    path = order.workload_file
    if path is None:
        note = order.directory.workload_note
        if not note.exists():
            raise CommandFailed(
                f"{order.directory.root} was not started with a workload file",
                "make one with `consortium load prepare`, and start a consortium with it: "
                "`consortium up --genesis FILE`",
                EXIT_USAGE,
            )
        path = Path(note.read_text(encoding="utf-8").strip())
    with open_workload(path) as workload:
        chain_id = workload.header.chain_id
    present = order.directory.genesis().chain_id
    if chain_id != present:
        raise ConfigurationError(
            f"{path} is made for chain {chain_id.hex()[:16]}, {order.directory.root} holds chain "
            f"{present.hex()[:16]}; start another with `consortium up --genesis {path}`"
        )
    return path


def _require_running(directory: ConsortiumDirectory) -> None:
    Consortium.load(directory)
    if not is_supervised(directory):
        raise CommandFailed(
            f"the consortium in {directory.root} is not running",
            f"start it with `consortium up --data {directory.root}`",
            EXIT_UNREACHABLE,
        )


def _command(order: LoadOrder, workload_file: Path, place: Path) -> list[str]:
    options: list[str] = [
        *("--headless", "--only-summary"),
        *("--users", str(order.users), "--spawn-rate", str(order.users)),
        *("--run-time", f"{order.seconds:.0f}s" if order.seconds >= 1 else "1s"),
        *("--data", str(order.directory.root.resolve())),
        *("--workload-file", str(workload_file.resolve())),
        *("--settle-s", str(SETTLE_S)),
        *("--summary", str(place / "summary.json")),
        *("--csv", str(place / "load")),
        *("--shape", order.shape),
    ]
    if order.rate is not None:
        options += ["--rate", str(order.rate)]
    if order.tags:
        options += ["--tags", *order.tags]
    if order.html is not None:
        options += ["--html", str(order.html.resolve())]
    if order.processes > 1:
        options += ["--processes", str(order.processes)]
    return [sys.executable, "-P", "-m", "locust", "-f", str(LOCUSTFILE), *options]


def _run_locust(order: LoadOrder, workload_file: Path, place: Path) -> Mapping[str, Any]:
    """Run Locust to its end and return its summary; raises `CommandFailed`."""
    log = place / "locust.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            _command(order, workload_file, place),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment(),
            # Ctrl-C is passed on as a request to stop and account for what is under way.
            start_new_session=True,
        )
    try:
        with timed_progress("running the load", order.seconds) as meter:
            interrupted = _watch(process, place / "load_stats.csv", order.seconds, meter)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    summary_file = place / "summary.json"
    if interrupted and not summary_file.exists():
        raise click.Abort
    if not summary_file.exists():
        end = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
        for line in end:
            say(line)
        raise CommandFailed(
            f"Locust ended with exit code {process.returncode} and no result",
            "read its last words above",
        )
    summary: Mapping[str, Any] = json.loads(summary_file.read_text(encoding="utf-8"))
    return summary


def _watch(
    process: subprocess.Popen[bytes], stats_file: Path, seconds: float, meter: TimedMeter
) -> bool:
    """Show progress until Locust has ended; pass an interrupt on, and return whether one came."""
    begun_s = time.monotonic()
    interrupted = False
    while time.monotonic() < begun_s + seconds + PATIENCE_S:
        try:
            process.wait(LOOK_S)
            break
        except subprocess.TimeoutExpired:
            meter(time.monotonic() - begun_s, _progress_of(stats_file))
        except KeyboardInterrupt:
            if interrupted:
                raise
            interrupted = True
            say("ending the load; payments under way are waited for (Ctrl-C again: no longer)")
            process.send_signal(signal.SIGTERM)
    return interrupted


def _progress_of(stats_file: Path) -> str:
    """Return how many payments are sealed and requests failed, as Locust's CSV says."""
    sealed = failures = 0
    try:
        with stats_file.open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                if row["Name"] == "sealed":
                    sealed = int(row["Request Count"]) - int(row["Failure Count"])
                elif row["Name"] == "Aggregated":
                    failures = int(row["Failure Count"])
    except (OSError, ValueError, KeyError, TypeError):
        # It is being written, or not there yet.
        return ""
    return f"{sealed} sealed" + (f", {failures} requests failed" if failures else "")


def _show(summary: Mapping[str, Any]) -> None:
    workload = summary["workload"]
    answer(
        f"workload {workload['name']}, ring base {workload['ring_base']}, at most "
        f"{workload['bins_per_block']} bins in a block of a hundred, {workload['bank_count']} banks"
    )
    answer_table(
        ("request", "count", "failed", "a second", "mean ms", "p50", "p95", "p99", "max"),
        [_row(request) for request in summary["requests"]],
        right=range(1, 9),
    )
    for failure in summary["failures"]:
        answer(f"{failure['count']} times {failure['name']} failed: {failure['reason']}")
    answer(_account_line(summary["account"]))


def _row(request: Mapping[str, Any]) -> Sequence[str]:
    return (
        str(request["name"]),
        str(request["requests"]),
        str(request["failures"]),
        f"{request['per_second']:.1f}",
        *(f"{request[key] or 0:.0f}" for key in RESPONSES),
    )


def _account_line(account: Mapping[str, Any]) -> str:
    rejected = account["rejected"]
    named = ", ".join(f"{count} {reason}" for reason, count in rejected.items())
    undecided = f", {account['undecided']} UNDECIDED" if account["undecided"] else ""
    lost = f"{account['lost']} LOST" if account["lost"] else "zero lost"
    return (
        f"{account['acknowledged']} payments acknowledged: {account['sealed']} sealed, "
        f"{sum(rejected.values())} rejected{f' ({named})' if named else ''}{undecided}, {lost}"
    )
