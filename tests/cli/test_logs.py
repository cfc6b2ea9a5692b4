"""`consortium logs`: one bank or all, joined by transaction."""

from __future__ import annotations

import json

import pytest

from tests.cli.served_consortium import ServedConsortium


def write_log(consortium: ServedConsortium, bank: int, *lines: dict[str, object]) -> None:
    log = consortium.directory.bank(bank).log_file
    log.write_text("".join(json.dumps({"bank": "x", **line}) + "\n" for line in lines))


def entry(second: int, event: str, **fields: object) -> dict[str, object]:
    time = f"2026-04-01T10:00:{second:02d}.000+00:00"
    return {"time": time, "level": "info", "event": event, **fields}


def test_one_bank_is_named_or_numbered(consortium: ServedConsortium) -> None:
    write_log(consortium, 3, entry(1, "started", height=0), entry(2, "sealed", height=1))
    expected = "2026-04-01 10:00:02.000  dunmere  info     sealed  height=1\n"
    for bank in ("dunmere", "3"):
        assert consortium.succeed("logs", bank, "--lines", "1") == expected


def test_json_lines_stay_as_they_were_written(consortium: ServedConsortium) -> None:
    written = entry(1, "started", height=0)
    write_log(consortium, 0, written)
    answer = consortium.succeed("logs", "amberfield", "--json")
    assert json.loads(answer) == {"bank": "x", **written}


def test_a_transaction_joins_the_banks_and_its_block(consortium: ServedConsortium) -> None:
    consortium.succeed("wallet", "new", "alice")
    issued = consortium.ask("issue", "0", "alice", "40")["transactions"][0]["transaction_id"]
    block_id = consortium.ask("block", "1")["block_id"]
    write_log(
        consortium,
        0,
        entry(1, "admitted", transaction=issued),
        entry(4, "sealed", block=block_id),
        entry(9, "sealed", block="ef" * 32),
    )
    write_log(consortium, 1, entry(3, "sealed", block=block_id))
    assert consortium.succeed("logs", "all", "--transaction", issued).splitlines() == [
        f"2026-04-01 10:00:01.000  amberfield  info     admitted  transaction={issued}",
        f"2026-04-01 10:00:03.000  birchmoor   info     sealed  block={block_id}",
        f"2026-04-01 10:00:04.000  amberfield  info     sealed  block={block_id}",
    ]
    consortium.stop_banks()
    alone = consortium.run("logs", "all", "--transaction", issued)
    assert (alone.exit_code, alone.stdout, alone.stderr) == (
        0,
        f"2026-04-01 10:00:01.000  amberfield  info     admitted  transaction={issued}\n",
        "no bank tells the block of this transaction; lines about the block are left out\n",
    )


def test_nothing_that_fits_is_said(consortium: ServedConsortium) -> None:
    write_log(consortium, 0, entry(1, "started"))
    result = consortium.run("logs", "0", "--level", "error")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "no line fits\n")


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["dunmere"], 1, "Error: dunmere has not written a log yet.\n"),
        (["all"], 1, "Error: no bank has written a log yet.\n"),
        (["nowhere"], 2, "Error: there is no bank 'nowhere'.\n"),
    ],
)
def test_a_log_that_is_not_there(
    consortium: ServedConsortium, arguments: list[str], exit_code: int, message: str
) -> None:
    refused = consortium.refuse("logs", *arguments)
    assert (refused[0], refused[1].partition("Next: ")[0]) == (exit_code, message)


def test_an_id_has_at_least_eight_digits(consortium: ServedConsortium) -> None:
    write_log(consortium, 0, entry(1, "started"))
    assert consortium.refuse("logs", "0", "--transaction", "abcdef1") == (
        2,
        "Error: 'abcdef1' is not the id of a transaction.\n"
        "Next: give its 64 hexadecimal digits, or at least the first 8 of them.\n",
    )
