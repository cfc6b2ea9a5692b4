"""`consortium load` and `up --genesis`: what is said, and what is refused with advice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from node.cli.main import main
from node.client.workload_file import open_workload
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.initialise import create_consortium
from node.runtime.ledger_installation import require_workload_consortium

SMALL = ("--transactions", "3", "--ring-base", "4", "--banks", "4", "--jobs", "1", "--seed", "1")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(item) for item in arguments])


@pytest.fixture(scope="module")
def workload_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("load") / "small.load"
    result = run("load", "prepare", *SMALL, "--out", path)
    assert result.exit_code == 0, result.stderr
    assert result.stderr.splitlines()[0] == (
        "1 full bins hold 16 notes: so many are funded, 3 of them are spent"
    )
    assert result.stdout.splitlines()[1:3] == [
        "workload local, ring base 4: spends from 1 bins, at most 1 in a block of a hundred",
        f"4 banks, chain {chain_of(path)}, funded in 1 blocks; valid up to height 1000000",
    ]
    return path


def chain_of(path: Path) -> str:
    with open_workload(path) as workload:
        return workload.header.chain_id.hex()[:16]


def test_a_file_says_what_it_holds(workload_file: Path) -> None:
    result = run("load", "show", workload_file, "--json")
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert told.pop("chain_id").startswith(chain_of(workload_file))
    assert told == {
        "file": str(workload_file),
        "name": "local",
        "ring_base": 4,
        "bank_count": 4,
        "transaction_count": 3,
        "bins": 1,
        "bins_per_block": 1,
        "funded_height": 1,
        "asset_code": "INR",
        "transaction_bytes": 6062,
        "expiry": 1_000_000,
        "grown_notes": 0,
        "file_bytes": workload_file.stat().st_size,
    }


def test_a_file_with_a_past_says_so(tmp_path: Path) -> None:
    path = tmp_path / "grown.load"
    result = run("load", "prepare", *SMALL, "--grown-notes", "300", "--out", path)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[2] == (
        f"4 banks, chain {chain_of(path)}, a past of 1072 notes, funded up to height 4; "
        "valid up to height 1000000"
    )
    told = json.loads(run("load", "show", path, "--json").stdout)
    assert (told["grown_notes"], told["funded_height"]) == (1_072, 4)


def test_an_altered_file_is_refused(workload_file: Path, tmp_path: Path) -> None:
    altered = tmp_path / "altered.load"
    content = bytearray(workload_file.read_bytes())
    content[-1] ^= 1
    altered.write_bytes(content)
    altered.chmod(0o600)
    for command in (("load", "show", altered), ("up", "--genesis", altered)):
        result = run(*command, *(("--data", tmp_path / "data") if command[0] == "up" else ()))
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == (
            f"Error: {altered}: its funded ledger was altered; make the file again with "
            "`consortium load prepare`.\n"
        )
    assert not (tmp_path / "data").exists()


def test_a_consortium_of_another_chain_is_refused(workload_file: Path, tmp_path: Path) -> None:
    directory = ConsortiumDirectory(tmp_path / "data")
    create_consortium(directory, bank_count=4)
    result = run("up", "--genesis", workload_file, "--data", directory.root)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "give another directory with --data, or leave --genesis out" in result.stderr
    result = run("load", "run", "--workload-file", workload_file, "--data", directory.root)
    assert result.exit_code == 2
    assert f"start another with `consortium up --genesis {workload_file}`" in result.stderr
    result = run("load", "run", "--data", directory.root)
    assert result.exit_code == 2
    assert "was not started with a workload file" in result.stderr


@pytest.mark.parametrize("option", [("--fiscal-year-seconds", "60"), ("--opener-key", "97" * 96)])
def test_what_the_file_brings_along_cannot_be_chosen(
    workload_file: Path, tmp_path: Path, option: tuple[str, str]
) -> None:
    result = run("up", "--genesis", workload_file, "--data", tmp_path / "data", *option)
    assert result.exit_code == 2
    assert "--genesis brings years and keys of its own" in result.stderr
    assert not (tmp_path / "data").exists()


def test_a_load_needs_a_running_consortium(workload_file: Path, tmp_path: Path) -> None:
    directory = ConsortiumDirectory(tmp_path / "data")
    result = run("up", "--genesis", workload_file, "--banks", "5", "--data", directory.root)
    assert (result.exit_code, directory.exists()) == (2, False)
    assert result.stderr == (
        f"Error: {workload_file} is made for 4 banks.\nNext: leave --banks out.\n"
    )
    with open_workload(workload_file) as workload:
        require_workload_consortium(directory, workload)
    result = run("load", "run", "--workload-file", workload_file, "--data", directory.root)
    assert result.exit_code == 3
    assert f"Next: start it with `consortium up --data {directory.root}`.\n" in result.stderr


def test_a_rate_belongs_to_an_open_load(tmp_path: Path) -> None:
    for options in (("--rate", "5"), ("--shape", "open")):
        result = run("load", "run", "--data", tmp_path, *options)
        assert result.exit_code == 2
        assert "--rate and --shape open belong together" in result.stderr
