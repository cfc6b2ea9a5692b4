"""The command group: every command explains itself, and no error becomes a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from node.cli.failure import EXIT_FAILED, EXIT_UNREACHABLE, EXIT_USAGE
from node.cli.main import COMMANDS, main


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), env={"NO_COLOR": "1"})


def leaves(name: str) -> list[list[str]]:
    """A command and those below it, as words."""
    command = main.get_command(click.Context(main), name)
    if not isinstance(command, click.Group):
        return [[name]]
    below = [[name, inner] for inner in command.list_commands(click.Context(command))]
    return [[name], *below] if command.invoke_without_command else below


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str) -> None:
    for words in leaves(name):
        result = run(*words, "--help")
        assert result.exit_code == 0
        assert f"consortium {' '.join(words)}" in result.stdout.partition("Example")[2]


def test_the_group_lists_every_command_with_its_purpose() -> None:
    result = run("--help")
    assert result.exit_code == 0
    for name, (_, text) in COMMANDS.items():
        assert f"  {name} " in result.stdout
        assert text.split(",")[0].split(":")[0] in " ".join(result.stdout.split())


def test_an_unknown_command_is_a_usage_error() -> None:
    result = run("upp")
    assert result.exit_code == EXIT_USAGE
    assert "No such command 'upp'" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (
            ["status"],
            EXIT_USAGE,
            "Error: {data} holds no consortium; `consortium up --data {data}` starts one.\n",
        ),
        (
            ["doctor"],
            EXIT_USAGE,
            "Error: {data} holds no consortium; `consortium up --data {data}` starts one.\n",
        ),
        (
            ["down"],
            EXIT_USAGE,
            "Error: {data} holds no consortium; `consortium up --data {data}` starts one.\n",
        ),
        (
            ["node", "stop", "dunmere"],
            EXIT_USAGE,
            "Error: {data} holds no consortium; `consortium up --data {data}` starts one.\n",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_an_error_is_one_sentence_and_what_to_do(
    tmp_path: Path, arguments: list[str], exit_code: int, message: str
) -> None:
    result = run(*arguments, "--data", str(tmp_path))
    assert (result.exit_code, result.stdout) == (exit_code, "")
    assert result.stderr == message.format(data=tmp_path)


def test_a_defect_is_reported_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def broken() -> None:
        raise RuntimeError("the impossible happened")

    monkeypatch.setattr(main, "get_command", lambda context, name: broken)
    result = run("status")
    assert result.exit_code == EXIT_FAILED
    assert result.stderr == (
        "Error: this should not have happened: RuntimeError: the impossible happened.\n"
        "Next: run the command again with `consortium --debug` and report what it shows.\n"
    )
    debugged = run("--debug", "status")
    assert isinstance(debugged.exception, RuntimeError)


def test_a_node_loads_nothing_that_only_people_need() -> None:
    """The memory of twelve processes is not spent on progress bars and migrations."""
    script = (
        "import sys, node.cli.main, node.cli.node, node.runtime.node_process; "
        "print(sorted({'rich', 'alembic', 'node.cli.up', 'node.client.wallet'} & set(sys.modules)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert found.stdout == "[]\n"


def test_exit_codes_are_those_of_the_contract() -> None:
    assert (EXIT_FAILED, EXIT_USAGE, EXIT_UNREACHABLE) == (1, 2, 3)
