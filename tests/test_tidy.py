"""House rules that no linter checks; the reasons stand in CONTRIBUTING.md."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

ROOMS = ("crypto", "node", "proto", "migrations", "tests", "loadtest", "scripts", "docs", ".ci")
GENERATED = re.compile(r"_pb2(_grpc)?\.pyi?$")
TEXT = {".py", ".pyi", ".proto", ".md", ".toml", ".sh", ".ini", ".mako", ""}

LINE_LIMIT = 100
FUNCTION_LINES_LIMIT = 80
FILE_LINES_LIMIT = 600

LEFTOVER = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3)) + r")\b")
"""Marks of unfinished work, spelled so that this file does not hold them."""

VAGUE_NAMES = {"utils", "util", "common", "helpers", "helper", "manager", "misc", "v2", "legacy"}

MACHINE_PATH = re.compile(r"(?<![\w.~-])/(work|home|Users|root|tmp|private/tmp)/[\w.]")
INDEX_ADDRESS = re.compile(r"https?://[^\s\"']*(/simple\b|py" + r"pi\.|python" + r"hosted\.)")
PRIVATE_KEY = re.compile(r"^\s*-----BEGIN [A-Z ]*PRIV" + r"ATE KEY-----\s*$")

MAY_PRINT = ("node/cli/", "scripts/", "loadtest/")
"""Places that talk to a person at a terminal."""

MAY_USE_STUBS = ("node/wire/", "node/rpc/", "node/client/")
"""Everywhere else, messages are the ledger's own types."""

EDGE = re.compile(r"# edge: \w+")
"""What a clause that catches everything must carry: the reason why this is an edge where any
failure of the inside has to be turned into an answer or a log line. A clause that raises again
catches nothing."""

MAY_SKIP = "tests/dashboard/browser/conftest.py"
"""Where there is no Chromium, and none may be asked for, its tests cannot run."""

LOCKED = re.compile(r"[a-z0-9-]+==[\w.!+-]+( ; [^\\]+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?")


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def files() -> tuple[Path, ...]:
    """Every file of ours that people read or write: the rooms and what lies in the root."""
    top = [path for path in ROOT.iterdir() if path.is_file() and path.suffix in TEXT]
    inside = [
        path
        for room in ROOMS
        for path in (ROOT / room).rglob("*")
        if path.is_file() and path.suffix in TEXT and "__pycache__" not in path.parts
    ]
    return tuple(
        sorted(
            path
            for path in top + inside
            if not GENERATED.search(path.name) and path.name not in ("LICENSE", ".DS_Store")
        )
    )


@cache
def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(text(path), str(path))


def modules(*rooms: str) -> list[Path]:
    """Hand-written Python in these rooms, or everywhere."""
    return [
        path
        for path in files()
        if path.suffix == ".py" and (not rooms or relative(path).split("/")[0] in rooms)
    ]


def lines_matching(pattern: re.Pattern[str], paths: Iterator[Path] | tuple[Path, ...]) -> list[str]:
    return [
        f"{relative(path)}:{number}: {line.strip()}"
        for path in paths
        for number, line in enumerate(text(path).splitlines(), start=1)
        if pattern.search(line)
    ]


def refuse(found: list[str]) -> None:
    """Fail with every finding, a line each."""
    if found:
        pytest.fail("\n".join(found), pytrace=False)


def located(path: Path, nodes: Iterator[ast.AST]) -> list[str]:
    source = text(path).splitlines()
    numbers = [node.lineno for node in nodes if isinstance(node, ast.expr | ast.stmt)]
    return [f"{relative(path)}:{number}: {source[number - 1].strip()}" for number in numbers]


def test_there_is_something_to_check() -> None:
    assert {"node/__init__.py", "tests/test_tidy.py", "README.md", "scripts/up", ".ci/run"} <= {
        relative(path) for path in files()
    }


def test_lines_are_short() -> None:
    code = [path for path in files() if path.suffix not in (".md", ".toml")]
    refuse(
        [
            f"{relative(path)}:{number}: {len(line)} characters"
            for path in code
            for number, line in enumerate(text(path).splitlines(), start=1)
            if len(line) > LINE_LIMIT
        ]
    )


def test_nothing_is_left_for_later() -> None:
    refuse(lines_matching(LEFTOVER, files()))


def test_files_and_functions_are_small() -> None:
    long_files = [
        f"{relative(path)}: {len(text(path).splitlines())} lines"
        for path in modules()
        if len(text(path).splitlines()) > FILE_LINES_LIMIT
    ]
    long_functions = [
        f"{relative(path)}:{node.lineno}: {node.name} has {node.end_lineno - node.lineno + 1} lines"
        for path in modules()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > FUNCTION_LINES_LIMIT
    ]
    refuse(long_files + long_functions)


def test_names_of_modules_say_what_they_hold() -> None:
    refuse([relative(path) for path in modules() if VAGUE_NAMES & set(path.stem.split("_"))])


def test_every_room_is_a_package_so_that_the_import_contracts_see_it() -> None:
    folders = {path.parent for path in modules("crypto", "node")}
    refuse(
        [relative(folder) for folder in sorted(folders) if not (folder / "__init__.py").exists()]
    )


def test_only_the_command_line_prints() -> None:
    def is_print(node: ast.AST) -> bool:
        return (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "print"
        )

    refuse(
        [
            found
            for path in modules()
            if not relative(path).startswith(MAY_PRINT) and not is_program(path)
            for found in located(path, filter(is_print, ast.walk(tree(path))))
        ]
    )


def is_program(path: Path) -> bool:
    """Whether a module of the tests is meant to be run by itself, to make or check vectors."""
    runs = path.name == "__main__.py" or '__name__ == "__main__"' in text(path)
    return runs and relative(path).startswith("tests/")


def test_nothing_edits_the_import_path() -> None:
    def is_import_path(node: ast.AST) -> bool:
        return isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.path"

    refuse(
        [
            found
            for path in modules()
            for found in located(path, filter(is_import_path, ast.walk(tree(path))))
        ]
    )


def test_only_edges_catch_everything_and_say_why() -> None:
    refuse(
        [
            f"{relative(path)}:{number}: {line}"
            for path in modules()
            for number, line in catch_alls(path)
            if not EDGE.search(line)
        ]
    )


def catch_alls(path: Path) -> Iterator[tuple[int, str]]:
    source = text(path).splitlines()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ExceptHandler):
            kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            names = {"" if kind is None else ast.unparse(kind) for kind in kinds}
            raises_again = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
            if names & {"", "Exception", "BaseException"} and not raises_again:
                yield node.lineno, source[node.lineno - 1].strip()


def test_scripts_and_load_tests_use_the_public_client_alone() -> None:
    refuse(
        [
            f"{relative(path)}: {name}"
            for path in modules("scripts", "loadtest")
            for name in imported(path)
            if name.split(".")[0] in ("crypto", "node")
            and not re.match(r"node\.client(\.|$)", name)
        ]
    )


def test_only_wire_rpc_and_client_touch_generated_classes() -> None:
    refuse(
        [
            f"{relative(path)}: {name}"
            for path in modules("crypto", "node")
            if not relative(path).startswith(MAY_USE_STUBS)
            for name in imported(path)
            if re.search(r"_pb2(_grpc)?\b", name)
        ]
    )


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, and every name that it takes from one."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_no_test_is_skipped() -> None:
    skipping = re.compile(r"\bpytest\.(mark\.)?(skip|skipif|xfail|importorskip)\b")
    may = (relative(Path(__file__)), MAY_SKIP)
    others = tuple(path for path in modules("tests") if relative(path) not in may)
    refuse(lines_matching(skipping, others))


def test_no_file_names_a_place_on_one_machine() -> None:
    refuse(lines_matching(MACHINE_PATH, files()))


def test_no_file_holds_a_private_key() -> None:
    refuse(lines_matching(PRIVATE_KEY, files()))


def test_no_file_names_a_package_index() -> None:
    refuse(lines_matching(INDEX_ADDRESS, (*files(), ROOT / "requirements.lock")))


def test_the_lock_holds_exact_versions_with_hashes_and_nothing_else() -> None:
    locked = text(ROOT / "requirements.lock").splitlines()
    refuse([line for line in locked if not re.match(r" *#", line) and not LOCKED.fullmatch(line)])
    blocks = re.split(r"\n(?=[a-z0-9])", text(ROOT / "requirements.lock"))[1:]
    assert [block.splitlines()[0] for block in blocks if "--hash=sha256:" not in block] == []


@pytest.mark.parametrize("group", ["dependencies", "dev", "loadtest"])
def test_the_lock_holds_every_declared_dependency(group: str) -> None:
    configuration = tomllib.loads(text(ROOT / "pyproject.toml"))
    declared = {
        "dependencies": configuration["project"]["dependencies"],
        **configuration["dependency-groups"],
    }[group]
    locked = set(re.findall(r"(?m)^([a-z0-9-]+)==", text(ROOT / "requirements.lock")))
    names = {re.split(r"[\[<>=!~; ]", entry)[0].lower() for entry in declared}
    assert names - locked == set()
