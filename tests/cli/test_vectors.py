"""`consortium vectors`: what it prints, what it refuses, and that every stated value counts."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crypto.transaction import Transfer, decode_transaction
from node.cli.vectors import (
    VectorFileError,
    VectorReport,
    check_vectors,
    load_vectors,
    main_vectors,
)

VECTORS = Path(__file__).parents[1] / "vectors" / "idx1.json"
DOCUMENT = json.loads(VECTORS.read_bytes())

Json = Any
Route = tuple[str | int, ...]

UNCHECKED = {"README", "set", "assets", "secrets", "text", "note", "hashes", "bad_pops"}
"""Keys that state nothing, or (bad_pops) whose entries are refused before and after any change."""

VERDICTS = {"valid", "mine", "reason"}

LABELS = {"scan", "transactions", "bad_pops", "cases", "openings", "blocks"}
"""Lists whose entries carry a `name` for people."""


def small_document() -> dict[str, Json]:
    """A part of the public set that is a whole file: the smallest bin and what spends from it."""
    small = copy.deepcopy(DOCUMENT)
    for section in ("hash", "expand", "generators", "scan"):
        small[section] = small[section][-2:]
    closed = [entry for entry in small["bins"] if entry["closed"]]
    smallest = min(closed, key=lambda entry: len(entry["notes"]))
    small["bins"] = [smallest]
    valid = [case for case in small["transactions"] if case["valid"] and "core" in case]
    spends = next(case for case in valid if spent_bins(case["bytes"]) == {smallest["id"]})
    mint = next(case for case in valid if "issue_c" in case)
    refused = {"name": "spent", "valid": False, "reason": "nullifier", "spent": spends["J"]}
    small["transactions"] = [spends, mint, {**refused, "bytes": spends["bytes"]}]
    issuer = decode_transaction(bytes.fromhex(mint["bytes"])).issuer.hex()
    asset = next(entry["asset"] for entry in small["issuers"] if issuer in entry["keys"])
    small["issuers"] = [{"asset": asset, "keys": [issuer]}]
    names = [spends["name"], mint["name"], mint["name"]]
    ballots = small["ballots"]
    name, ballot = next(iter(ballots["named"].items()))
    ballots["named"] = {name: ballot}
    block = {"name": "twice", "transactions": names, "ballots": [name], "bad": {"2": "note"}}
    small["blocks"] = [block]
    ballots["bad_pops"] = ballots["bad_pops"][:1]
    ballots["cases"] = [case for case in ballots["cases"] if len(case["ballots"]) == 2][:1]
    ballots["openings"] = ballots["openings"][:2]
    ballots.pop("blocks")
    small.pop("seed")
    small["merkle"] = [tree for tree in small["merkle"] if tree["size"] == 2][:1]
    return small


def spent_bins(data: str) -> set[int]:
    transaction = decode_transaction(bytes.fromhex(data))
    if not isinstance(transaction, Transfer):
        return set()
    return {spent.bin_id for spent in transaction.inputs}


SMALL = small_document()


def routes(value: Json, route: Route = ()) -> Iterator[Route]:
    """Every path to a value that an implementation has to agree with."""
    if isinstance(value, dict):
        refused = not value.get("valid", True) or not value.get("mine", True)
        for key, inner in value.items():
            if refused and key not in VERDICTS:
                continue
            label = key == "name" and LABELS.intersection(map(str, route)) != set()
            if key not in UNCHECKED and not label:
                yield from routes(inner, (*route, key))
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from routes(inner, (*route, position))
    else:
        yield route


def altered(value: Json) -> Json:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 2**40
    if isinstance(value, str) and value:
        return value[:-1] + ("0" if value[-1] != "0" else "1")
    return "00" if value == "" else "range"


def with_altered(document: Json, route: Route) -> Json:
    changed = copy.deepcopy(document)
    place = changed
    for step in route[:-1]:
        place = place[step]
    place[route[-1]] = altered(place[route[-1]])
    return changed


def only_needed(route: Route) -> dict[str, Json]:
    """The small document without the sections that do not read what lies on this route."""
    shared = {"wallets", "issuers", "bins", "chain_id", "height", "protocol"}
    if route[0] in shared:
        return SMALL
    readers = {"transactions": {"transactions", "blocks", "merkle"}, "ballots": {"ballots"}}
    wanted = readers.get(str(route[0]), {route[0]})
    if route[0] == "blocks" or route[:2] == ("ballots", "named"):
        wanted = {"blocks", "transactions", "ballots"}
    primitive = {"hash", "expand", "generators", "scan", "merkle"}
    checked = primitive | {"transactions", "ballots", "blocks"}
    return {key: value for key, value in SMALL.items() if key not in checked - wanted}


def test_the_small_document_passes() -> None:
    assert check_vectors(SMALL) == VectorReport(51, 0, [], [])


@pytest.mark.parametrize(
    "route", [pytest.param(route, id="/".join(map(str, route))) for route in routes(SMALL)]
)
def test_every_value_of_a_file_counts(route: Route) -> None:
    try:
        report = check_vectors(with_altered(only_needed(route), route))
    except VectorFileError:
        return
    assert report.failed >= 1
    assert len(report.failures) == report.failed


def printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, *, as_json: bool = False
) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of the command on a file of this content."""
    path = tmp_path / "vectors.json"
    path.write_bytes(content)
    code = main_vectors(path, as_json)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_good_file_prints_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = json.dumps(SMALL).encode()
    assert printed(tmp_path, capsys, content) == (0, "51 passed, 0 failed\n", "")


def test_a_failure_is_named_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = with_altered(SMALL, ("expand", 0, "out"))
    code, out, err = printed(tmp_path, capsys, json.dumps(document).encode())
    first, last = out.splitlines()
    assert (code, last, err) == (1, "50 passed, 1 failed", "")
    assert first.startswith("FAILED expand[0]: out is ")


def test_json_keeps_standard_output_to_one_object(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = with_altered(SMALL, ("wallets", 0, "V"))
    code, out, err = printed(tmp_path, capsys, json.dumps(document).encode(), as_json=True)
    report = json.loads(out)
    assert (code, err) == (1, "50 passed, 1 failed\n")
    assert (report["passed"], report["failed"], report["absent_sections"]) == (50, 1, [])
    assert report["failures"][0].startswith("wallets[0]: V is ")


def test_absent_sections_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = {"protocol": "IDX1", "expand": SMALL["expand"]}
    absent = "hash, generators, wallets, bins, scan, transactions, ballots, blocks, merkle"
    expected = (0, "2 passed, 0 failed\n", f"sections not in the file: {absent}\n")
    assert printed(tmp_path, capsys, json.dumps(document).encode()) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not JSON: Expecting value: line 1 column 1 (char 0)"),
        (b"{", "not JSON: Expecting property name enclosed in double quotes"),
        (b"\xff\xfe\x00", "not JSON: "),
        (b"[" * 100_000, "not JSON: "),
        (b"[]", "not a JSON object"),
        (b"{}", '"protocol" is not "IDX1"'),
        (b'{"protocol": "IDX2"}', '"protocol" is not "IDX1"'),
        (b'{"protocol": "IDX1"}', "the document holds no vectors"),
        (b'{"protocol": "IDX1", "hash": {}}', '"hash" is not a list'),
        (b'{"protocol": "IDX1", "hash": [1]}', '"hash[0]" is not an object'),
        (b'{"protocol": "IDX1", "ballots": []}', '"ballots" is not an object'),
        (b'{"protocol": "IDX1", "ballots": {"cases": 1}}', '"ballots.cases" is not a list'),
        (b'{"protocol": "IDX1", "merkle": [{"cases": 1}]}', '"merkle[0].cases" is not a list'),
        (b'{"protocol": "IDX1", "bins": [{"notes": [0]}]}', '"bins[0].notes[0]" is not an object'),
    ],
)
def test_what_is_no_vectors_file_is_refused_in_words(
    content: bytes, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = printed(tmp_path, capsys, content)
    assert (code, out) == (2, "")
    assert err.startswith("not a file of IDX1 vectors: ")
    assert message in err
    assert err.count("\n") == 1


def test_a_file_that_is_not_there_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(VectorFileError, match="No such file or directory"):
        load_vectors(tmp_path / "absent.json")
    with pytest.raises(VectorFileError, match="Is a directory"):
        load_vectors(tmp_path)


@pytest.mark.parametrize(
    ("section", "entry", "failure"),
    [
        ("hash", {}, "hash[0]: KeyError: 'tag'"),
        ("expand", {"tag": 1, "seed": "", "n": 1, "out": "00"}, "expand[0]: AttributeError"),
        ("expand", {"n": 2**50, "out": "00"}, "expand[0]: n is 1125899906842624, the file says 1"),
        ("generators", {"name": "zz"}, "generators[0] zz: ValueError"),
        ("wallets", {"seed": None}, "wallets[0]: TypeError"),
        ("wallets", {"seed": "00", "session": 2**64}, "wallets[0]: OverflowError"),
        ("transactions", {"name": "x", "bytes": ""}, "transactions[0] x: KeyError"),
        ("blocks", {"name": "y", "transactions": ["x"], "ballots": []}, "blocks[0] y: KeyError"),
        ("merkle", {"leaves": [], "size": 0}, "merkle[0]: KeyError: 'root'"),
    ],
)
def test_a_broken_vector_fails_under_its_name(
    section: str, entry: dict[str, Json], failure: str
) -> None:
    report = check_vectors({"protocol": "IDX1", section: [entry]})
    assert report.passed == 0
    assert report.failures[0].startswith(failure)


def test_progress_counts_up_to_all_checks() -> None:
    steps: list[tuple[int, int]] = []
    check_vectors(
        {"protocol": "IDX1", "expand": SMALL["expand"]},
        lambda done, total: steps.append((done, total)),
    )
    assert steps == [(0, 2), (1, 2), (2, 2)]
