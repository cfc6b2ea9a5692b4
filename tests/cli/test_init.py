"""`consortium init`: what it makes, what it says, and what it refuses before it makes anything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from node.cli.main import main
from node.runtime.consortium_directory import ConsortiumDirectory

FOUR = ["--host", "0=10.0.0.1", "--host", "1=10.0.1.1", "--host", "2=10.0.2.1:9", "--host", "3=d"]


def init(root: Path, *arguments: str) -> Result:
    return CliRunner().invoke(
        main, ["init", "--data", str(root / "founding"), *arguments], env={"NO_COLOR": "1"}
    )


def test_it_makes_a_directory_for_each_machine(tmp_path: Path) -> None:
    result = init(tmp_path, *FOUR, "--json")
    assert result.exit_code == 0, result.stderr
    genesis = ConsortiumDirectory(tmp_path / "founding").genesis()
    names = ("amberfield", "birchmoor", "cedarholm", "dunmere")
    addresses = ("10.0.0.1:7440", "10.0.1.1:7440", "10.0.2.1:9", "d:7440")
    assert json.loads(result.stdout) == {
        "chain_id": genesis.chain_id.hex(),
        "machines": [
            {
                "bank": bank,
                "name": names[bank],
                "address": addresses[bank],
                "directory": str(tmp_path / "machines" / f"{bank:02d}-{names[bank]}"),
            }
            for bank in range(4)
        ],
    }
    made = {path.name for path in (tmp_path / "machines").iterdir()}
    assert made == {*(f"{bank:02d}-{name}" for bank, name in enumerate(names)), "regulator"}


def test_it_says_what_to_do_next(tmp_path: Path) -> None:
    hosts = tmp_path / "banks.txt"
    hosts.write_text("\n".join(FOUR[1::2]))
    target = tmp_path / "elsewhere"
    result = init(tmp_path, "--hosts", str(hosts), "--out", str(target), "--name", "Pilot")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[3].split() == [
        "3",
        "dunmere",
        "d:7440",
        str(target / "03-dunmere"),
    ]
    assert (
        "copy each directory to its machine, as `consortium` for example, and run there: "
        "consortium node run --config consortium/banks/00-amberfield/node.toml"
    ) in result.stderr
    assert ConsortiumDirectory(tmp_path / "founding").genesis().name == "Pilot"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "say where the banks run, with --host for each bank or with --hosts FILE"),
        ([*FOUR, "--hosts", "banks.txt"], "say where the banks run, with --host for each"),
        (FOUR[:6], "a consortium has 4 to 16 banks, not 3"),
        ([*FOUR, "--host", "4=x y"], "'x y' is no address or name of a machine"),
    ],
)
def test_a_slip_is_a_usage_error(tmp_path: Path, arguments: list[str], message: str) -> None:
    result = init(tmp_path, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_made_if_the_target_is_taken(tmp_path: Path) -> None:
    (tmp_path / "machines").mkdir()
    (tmp_path / "machines" / "precious").touch()
    result = init(tmp_path, *FOUR)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "exists and is not empty; name another with --out" in result.stderr
    assert not (tmp_path / "founding").exists()


def test_one_machine_does_not_run_them_all(tmp_path: Path) -> None:
    assert init(tmp_path, *FOUR).exit_code == 0
    root = tmp_path / "machines" / "03-dunmere"
    result = CliRunner().invoke(main, ["up", "--data", str(root)])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f"Error: the banks of {root} have machines of their own.\n"
        "Next: run each on its machine, with `consortium node run --config "
        f"{root}/banks/BANK/node.toml`.\n"
    )
