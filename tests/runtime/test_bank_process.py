"""A bank's process: what its log says last, and why it ended."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from node.runtime.bank_process import LOG_LIMIT_BYTES, BankProcess
from node.runtime.consortium_directory import BankDirectory


@pytest.fixture
def bank(tmp_path: Path) -> BankDirectory:
    return BankDirectory(tmp_path, 3)


def test_the_last_words_are_the_last_event(bank: BankDirectory) -> None:
    lines = [
        json.dumps({"event": "started", "height": 4}),
        json.dumps({"event": "cannot start", "detail": "port 7 is taken", "level": "error"}),
    ]
    bank.log_file.write_text("\n".join(lines) + "\n")
    assert BankProcess(bank).why_ended(2) == "exit code 2: cannot start: port 7 is taken"


def test_what_is_no_event_is_shown_as_it_is(bank: BankDirectory) -> None:
    bank.log_file.write_text("Segmentation fault\n")
    assert BankProcess(bank).last_words() == "Segmentation fault"


@pytest.mark.parametrize("content", [None, "", "\n\n"])
def test_an_empty_log_says_nothing(bank: BankDirectory, content: str | None) -> None:
    if content is not None:
        bank.log_file.write_text(content)
    assert BankProcess(bank).last_words() == "nothing in its log"


@pytest.mark.parametrize(
    ("exit_code", "why"),
    [(-9, "killed by SIGKILL"), (-11, "killed by SIGSEGV"), (-77, "signal 77")],
)
def test_a_signal_is_named(bank: BankDirectory, exit_code: int, why: str) -> None:
    assert BankProcess(bank).why_ended(exit_code).endswith(why)


@pytest.mark.processes
async def test_a_node_without_configuration_ends_and_says_why(bank: BankDirectory) -> None:
    bank.log_file.write_text("x" * (LOG_LIMIT_BYTES + 1))
    process = BankProcess(bank)
    await process.start()
    assert process.pid is not None
    assert await process.wait() == 2
    assert process.pid is None
    assert process.last_words().startswith(f"Error: {bank.config_file} does not exist")
    assert bank.log_file.with_suffix(".log.1").stat().st_size == LOG_LIMIT_BYTES + 1
    assert bank.log_file.stat().st_mode & 0o077 == 0
