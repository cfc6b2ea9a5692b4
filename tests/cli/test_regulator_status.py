"""What the commands of the regulator say while it does not answer."""

from __future__ import annotations

import asyncio

import pytest
from click.testing import CliRunner

from node.cli.main import main
from node.cli.regulator_openings import about
from node.cli.regulator_status import look_at_regulator
from node.ledger.types import TimeMs
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.initialise import create_consortium
from node.runtime.regulator.place import RegulatorPlace
from node.storage.regulator.records import AuditRow

BANKS = 4
NOBODY_LISTENS = "127.0.0.1:1"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> RegulatorPlace:
    directory = ConsortiumDirectory(tmp_path_factory.mktemp("regulator") / "consortium")
    create_consortium(directory, bank_count=BANKS)
    directory.run.mkdir(exist_ok=True)
    return RegulatorPlace(directory)


def refused(place: RegulatorPlace, *arguments: str) -> tuple[int, list[str]]:
    result = CliRunner().invoke(main, [*arguments, "--data", str(place.directory.root)])
    assert result.stdout == ""
    return result.exit_code, result.stderr.splitlines()


def test_a_regulator_that_was_never_started_is_not_missed(place: RegulatorPlace) -> None:
    assert asyncio.run(look_at_regulator(place.directory)) is None


@pytest.mark.parametrize("address", [None, NOBODY_LISTENS])
def test_one_that_is_down_is_told_beside_the_banks(
    place: RegulatorPlace, address: str | None
) -> None:
    place.database_url_file.write_text("postgresql://nowhere\n", encoding="utf-8")
    if address is not None:
        place.write_address(address)
    try:
        look = asyncio.run(look_at_regulator(place.directory))
    finally:
        place.database_url_file.unlink()
        place.forget_address()
    assert look is not None
    assert look.to_json_object() == {"answers": False}
    assert look.line == (
        f"the regulator does not answer: its log is {place.log_file}; if it is down, "
        f"`consortium regulator run --data {place.directory.root}` runs it again"
    )


@pytest.mark.parametrize(
    "arguments",
    [("regulator", "status"), ("challenge", "7", "--bank", "dunmere", "--reason", "odd")],
)
def test_a_command_that_needs_it_names_the_next_step(
    place: RegulatorPlace, arguments: tuple[str, ...]
) -> None:
    root = place.directory.root
    advice = (
        f"Next: `consortium up --data {root}` starts it with the banks, "
        "`consortium regulator run` alone."
    )
    assert refused(place, *arguments) == (3, [f"Error: no regulator of {root} runs.", advice])
    place.write_address(NOBODY_LISTENS)
    try:
        exit_code, (error, *rest) = refused(place, *arguments)
    finally:
        place.forget_address()
    assert (exit_code, rest) == (3, [advice])
    assert error.startswith("Error: the regulator does not answer: ")


@pytest.mark.parametrize("reason", ["", "x" * 501])
def test_a_challenge_without_a_proper_reason_is_not_sent(
    place: RegulatorPlace, reason: str
) -> None:
    exit_code, lines = refused(place, "challenge", "7", "--bank", "dunmere", "--reason", reason)
    assert (exit_code, lines[-1]) == (2, "Next: give one of 1 to 500 characters.")


def test_the_audit_log_shows_who_was_opened_why_and_not_all_digits() -> None:
    data = f'{{"bank":1,"opening":"{"0a" * 65}","order":"","reason":"why","tag":"{"cd" * 96}"}}'
    row = AuditRow(1, TimeMs(0), "opening", "officer/x", data, bytes(32), bytes(32))
    assert about(row) == f"bank 1, opening {'0a' * 8}, reason why, tag {'cd' * 8}"
