"""`consortium node rebuild` where nothing runs: what it refuses, and what it says."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from node.cli.main import main
from node.cli.rebuild import RebuildReport
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.guard_file import GuardCorrupt, GuardFile, SignaturePoint, guard_owner
from node.runtime.initialise import create_consortium
from node.runtime.rebuild import replace_guard, signed_up_to
from node.runtime.start_requests import take_requests
from tests.ledger.chain import GENESIS_TIME_MS

DUNMERE = 3
GENESIS_TIME = datetime.fromtimestamp(GENESIS_TIME_MS / 1000, UTC)


@pytest.fixture
def directory(tmp_path: Path) -> ConsortiumDirectory:
    made = ConsortiumDirectory(tmp_path / "consortium")
    create_consortium(made, bank_count=4)
    return made


def run(directory: ConsortiumDirectory, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["node", "rebuild", *arguments, "--data", str(directory.root)])


def test_nothing_is_replaced_unless_somebody_said_so(directory: ConsortiumDirectory) -> None:
    refused = run(directory, "dunmere")

    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr == (
        "Error: rebuilding replaces the database of dunmere.\nNext: say so with --yes.\n"
    )
    assert take_requests(directory) == []


def test_a_bank_that_is_not_there_is_not_rebuilt(directory: ConsortiumDirectory) -> None:
    refused = run(directory, "nobody", "--yes")

    assert refused.exit_code == 2
    assert "there is no bank 'nobody'" in refused.stderr


def guard_of(directory: ConsortiumDirectory) -> GuardFile:
    genesis = directory.genesis()
    owner = guard_owner(genesis.chain_id, genesis.banks[DUNMERE].consensus_key)
    return GuardFile(directory.bank(DUNMERE).guard_file, owner)


@pytest.mark.parametrize("content", [None, b"torn"])
def test_d4_a_lost_guard_file_stands_for_everything_it_may_have_signed(
    content: bytes | None, directory: ConsortiumDirectory
) -> None:
    """The others tell of height 7: it may have applied block 8 alone, and signed at height 9."""
    bank = directory.bank(DUNMERE)
    if content is not None:
        bank.guard_file.write_bytes(content)
    with pytest.raises(GuardCorrupt):
        signed_up_to(directory, bank)

    point = replace_guard(directory, bank, 7, GENESIS_TIME)

    assert point == signed_up_to(directory, bank) == SignaturePoint(9, 0, 0)
    kept = bank.guard_file.with_suffix(".replaced_20260331_183000")
    assert kept.exists() == (content is not None)


def test_d4_a_sound_guard_file_says_what_was_signed(directory: ConsortiumDirectory) -> None:
    guard = guard_of(directory)
    guard.advance(SignaturePoint(5, 1, 3))
    guard.close()

    assert signed_up_to(directory, directory.bank(DUNMERE)) == SignaturePoint(5, 1, 3)


@pytest.mark.parametrize(
    ("compared", "kept", "text"),
    [
        (
            (0, 1, 2),
            "bank_03_replaced_20261121_101500",
            "dunmere is rebuilt: height 12, state abababababababab, the same as 3 other banks "
            "(4.5 s); the old database is kept as bank_03_replaced_20261121_101500",
        ),
        ((), None, "dunmere has an empty database"),
    ],
)
def test_the_answer(compared: tuple[int, ...], kept: str | None, text: str) -> None:
    report = RebuildReport(
        bank=DUNMERE,
        name="dunmere",
        replaced_database=kept,
        dropped=False,
        carried_conflicts=0,
        join="replay",
        height=12,
        state_root="ab" * 32,
        compared_with=compared,
        silent_through=0,
        seconds=4.5,
    )
    assert str(report) == text
