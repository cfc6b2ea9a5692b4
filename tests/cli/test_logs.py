"""`consortium logs`: one bank or all, joined by transaction."""

from __future__ import annotations

import json

import pytest

from node.cli.access import Consortium
from node.cli.log_lines import LogFile
from node.cli.logs import Lines, Subject
from node.ledger.types import BankIndex, TransactionId
from node.rpc.backend import NotFound
from node.wire.operator_records import (
    TransactionCheck,
    TransactionEvent,
    TransactionEventKind,
    TransactionTrace,
)
from tests.cli.served_consortium import BANKS, ServedConsortium


def write_log(consortium: ServedConsortium, bank: int, *lines: dict[str, object]) -> None:
    log = consortium.directory.bank(bank).log_file
    log.write_text("".join(json.dumps({"bank": "x", **line}) + "\n" for line in lines))


KNOWN = "0123456789abcdef" * 4
BEGUN_US = 1_775_037_600_000_000
"""2026-04-01 10:00:00 UTC."""


def remember(
    consortium: ServedConsortium,
    bank: int,
    source: str,
    *events: tuple[int, str],
    failed: bool = False,
    identity: str = KNOWN,
) -> None:
    """Let a bank answer its operators with this trace."""
    trace = TransactionTrace(
        BankIndex(bank),
        TransactionId(bytes.fromhex(identity)),
        source,
        (
            TransactionCheck("encoding", True, 40),
            TransactionCheck("proofs", False, 210_000, 57, "no"),
        )
        if failed
        else (),
        tuple(TransactionEvent(TransactionEventKind(kind), at_us) for at_us, kind in events),
    )

    async def answer(transaction_id: TransactionId) -> TransactionTrace:
        return trace

    consortium.operators[bank].transaction_trace = answer  # type: ignore[method-assign]


def forget_everything(consortium: ServedConsortium, *banks: int) -> None:
    """Let banks, by default all, remember no transaction."""

    async def answer(transaction_id: TransactionId) -> TransactionTrace:
        raise NotFound("no longer in memory")

    for bank in banks or range(BANKS):
        consortium.operators[bank].transaction_trace = answer  # type: ignore[method-assign]


def hide_transactions(consortium: ServedConsortium, *, hidden: bool) -> None:
    """Let the banks be a block behind, or not."""
    for bank in consortium.banks:
        bank.lag = 9 if hidden else 0


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
    forget_everything(consortium)
    assert consortium.succeed("logs", "all", "--transaction", issued).splitlines() == [
        "2026-04-01 10:00:01.000  amberfield  info     admitted",
        f"2026-04-01 10:00:03.000  birchmoor   info     sealed  block={block_id}",
        f"2026-04-01 10:00:04.000  amberfield  info     sealed  block={block_id}",
    ]
    consortium.stop_banks()
    alone = consortium.run("logs", "all", "--transaction", issued)
    assert (alone.exit_code, alone.stdout, alone.stderr) == (
        0,
        "2026-04-01 10:00:01.000  amberfield  info     admitted\n",
        "no bank tells the block of this transaction; its lines are left out\n"
        "what they remember is left out, for they do not answer: "
        "amberfield, birchmoor, cedarholm, dunmere\n",
    )


def test_all_banks_are_the_default(consortium: ServedConsortium) -> None:
    for bank in range(2):
        write_log(consortium, bank, entry(bank, "started"))
    assert consortium.succeed("logs").splitlines() == [
        "2026-04-01 10:00:00.000  amberfield  info     started",
        "2026-04-01 10:00:01.000  birchmoor   info     started",
    ]


def test_what_banks_remember_stands_between_the_lines_of_their_logs(
    consortium: ServedConsortium,
) -> None:
    write_log(consortium, 0, entry(1, "admitted", transaction=KNOWN))
    remember(consortium, 0, "client", (BEGUN_US, "received"), (BEGUN_US + 1_500_000, "applied"))
    remember(consortium, 2, "bank 0", (BEGUN_US + 1_400_000, "received"))
    remember(consortium, 3, "bank 0", (BEGUN_US + 1_600_000, "refused"), failed=True)
    forget_everything(consortium, 1)
    expected = [
        "2026-04-01 10:00:00.000  amberfield  memory   received  source=client",
        "2026-04-01 10:00:01.000  amberfield  info     admitted",
        '2026-04-01 10:00:01.400  cedarholm   memory   received  source="bank 0"',
        "2026-04-01 10:00:01.500  amberfield  memory   applied",
        "2026-04-01 10:00:01.600  dunmere     memory   refused  "
        'checks="encoding 0.04 ms; proofs 210.00 ms in a batch of 57 FAILED: no"',
    ]
    assert consortium.succeed("logs", "--transaction", KNOWN).splitlines() == expected
    # The beginning of an id is enough where a log names the whole.
    assert consortium.succeed("logs", "--transaction", KNOWN[:8]).splitlines() == expected
    assert consortium.succeed("logs", "0", "--transaction", KNOWN).splitlines() == [
        line for line in expected if "amberfield" in line
    ]
    first = json.loads(consortium.succeed("logs", "--transaction", KNOWN, "--json").split("\n")[0])
    assert first == {
        "time": "2026-04-01T10:00:00.000+00:00",
        "level": "memory",
        "bank": "amberfield",
        "event": "received",
        "transaction": KNOWN,
        "source": "client",
    }
    info = consortium.succeed("logs", "--transaction", KNOWN, "--level", "info")
    assert info.splitlines() == [expected[1]]


def test_a_beginning_of_several_transactions_is_refused(consortium: ServedConsortium) -> None:
    other = KNOWN[:-1] + "0"
    write_log(consortium, 0, entry(1, "admitted", transaction=KNOWN))
    write_log(consortium, 1, entry(1, "admitted", transaction=other))
    assert consortium.refuse("logs", "--transaction", KNOWN[:10]) == (
        2,
        f"Error: 2 transactions begin with {KNOWN[:10]}.\n"
        f"Next: give more digits: {other}, {KNOWN}.\n",
    )


def test_a_transaction_is_followed_while_it_goes_its_way(consortium: ServedConsortium) -> None:
    """The line of a block is shown although it was written before anybody knew the block."""
    consortium.succeed("wallet", "new", "alice")
    loaded = Consortium.load(consortium.directory)
    log = consortium.directory.bank(0).log_file
    write_log(consortium, 0)
    forget_everything(consortium)
    files = [LogFile("amberfield", log)]
    issued = consortium.ask("issue", "0", "alice", "40")["transactions"][0]["transaction_id"]
    block = consortium.ask("block", "1")["block_id"]
    identity = TransactionId(bytes.fromhex(issued))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("node.cli.logs.ASK_EVERY_S", 0.0)
        consortium.in_loop(lambda: hide_transactions(consortium, hidden=True))
        lines = Lines(loaded, files, "debug", Subject(issued, identity))
        assert lines.first(50) == []
        with log.open("a") as written:
            written.write(json.dumps(entry(4, "sealed", block=block)) + "\n")
            written.write(json.dumps(entry(5, "sealed", block="ef" * 32)) + "\n")
        assert lines.more() == []
        consortium.in_loop(lambda: hide_transactions(consortium, hidden=False))
        remember(consortium, 0, "client", (BEGUN_US, "received"), identity=issued)
        assert [(line.event, line.fields) for line in lines.more()] == [
            ("received", {"transaction": issued, "source": "client"}),
            ("sealed", {"block": block}),
        ]
        assert lines.more() == []


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
