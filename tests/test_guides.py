"""What guides and README tell people to type is understood by the commands of today.

Nothing is executed: every command line in a code block is parsed by the real command it names, and
the path of every command that a sentence mentions is looked up.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from node.cli.main import main

ROOT = Path(__file__).parent.parent
GUIDES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

_FENCED = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_MENTIONED = re.compile(r"`(?:\./scripts/)?consortium ([a-z][a-z0-9 -]*)")
_PROMPT = re.compile(r"^(?:[\w.-]*\$ )?(?:\w+=\S+ )*")
_LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
_ENDS = frozenset({"|", ">", ">>", "&&", "&", "||", "2>", ";"})
_PROGRAMS = {
    "consortium": (),
    "./scripts/consortium": (),
    "./.venv/bin/consortium": (),
    "./scripts/up": ("up",),
}


def command_lines(text: str) -> Iterator[list[str]]:
    """Yield the arguments of every `consortium` in the code blocks of a guide."""
    for block in _FENCED.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(_PROMPT.sub("", line), comments=True) if _is_ours(line) else []
            for begin, word in enumerate(words):
                if word in _PROGRAMS and (begin == 0 or words[begin - 1] in _ENDS):
                    rest = words[begin + 1 :]
                    end = next((at for at, item in enumerate(rest) if item in _ENDS), len(rest))
                    yield [*_PROGRAMS[word], *rest[:end]]


def _is_ours(line: str) -> bool:
    program, _, _ = _PROMPT.sub("", line).partition(" ")
    return program in _PROGRAMS


def resolve(words: list[str]) -> tuple[click.Command, click.Context, list[str]]:
    """Return the command that words name, the context around it, and its arguments."""
    command: click.Command = main
    context = click.Context(main, info_name="consortium")
    rest = list(words)
    while isinstance(command, click.Group) and rest[:1] and not rest[0].startswith("-"):
        name, found, rest = command.resolve_command(context, rest)
        assert found is not None, "click raises for unknown commands"
        command, context = found, click.Context(found, info_name=name, parent=context)
    return command, context, rest


def check(words: list[str]) -> None:
    """Parse a command line as the command would; raises `click.UsageError`."""
    command, context, rest = resolve(words)
    if "--help" in words:
        return
    try:
        command.make_context(context.info_name, rest, parent=context.parent)
    except click.BadParameter as error:
        # The reader has the file; this machine need not.
        if not (
            error.param is not None
            and isinstance(error.param.type, click.Path)
            and "does not exist" in error.message
        ):
            raise


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("guide", GUIDES, ids=name)
def test_command_lines_of_a_guide_parse(guide: Path) -> None:
    faults = []
    for words in command_lines(guide.read_text(encoding="utf-8")):
        try:
            check(words)
        except click.UsageError as error:
            faults.append(f"consortium {shlex.join(words)}: {error.format_message()}")
    assert faults == []


@pytest.mark.parametrize("guide", GUIDES, ids=name)
def test_commands_that_sentences_mention_exist(guide: Path) -> None:
    faults = []
    text = _FENCED.sub("", guide.read_text(encoding="utf-8"))
    for mentioned in _MENTIONED.findall(text):
        command: click.Command = main
        context = click.Context(main)
        for word in mentioned.split():
            if not isinstance(command, click.Group) or word.startswith("-"):
                break
            found = command.get_command(context, word)
            if found is None:
                faults.append(f"`consortium {mentioned}`: there is no {word}")
                break
            command = found
    assert faults == []


@pytest.mark.parametrize("guide", GUIDES, ids=name)
def test_links_of_a_guide_lead_somewhere(guide: Path) -> None:
    links = _LINK.findall(_FENCED.sub("", guide.read_text(encoding="utf-8")))
    assert [link for link in links if not (guide.parent / link.strip()).exists()] == []


def test_there_are_command_lines_to_check() -> None:
    """Lines are found in the README, behind prompts, comments, pipes and continued lines."""
    assert len(list(command_lines(GUIDES[0].read_text(encoding="utf-8")))) > 20
    text = """
```
bank3.example$ consortium node run --config node.toml   # runs
A=b consortium status --json | jq .height
consortium pay alice \\
    bob 5
consortiums are many
./scripts/up --demo 3
```
consortium nothing
"""
    assert list(command_lines(text)) == [
        ["node", "run", "--config", "node.toml"],
        ["status", "--json"],
        ["pay", "alice", "bob", "5"],
        ["up", "--demo", "3"],
    ]


@pytest.mark.parametrize(
    "words",
    [["nothing"], ["status", "--wach"], ["pay", "alice"], ["up", "--banks", "3"], ["fault"]],
)
def test_a_line_that_is_not_understood_is_found(words: list[str]) -> None:
    with pytest.raises(click.UsageError):
        check(words)
