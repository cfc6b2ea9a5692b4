"""`consortium trace`: what every bank did with a transaction, whole answers."""

from __future__ import annotations

from node.ledger.types import BankIndex, TransactionId
from node.wire.operator_records import (
    TransactionCheck,
    TransactionEvent,
    TransactionEventKind,
    TransactionTrace,
)
from tests.cli.served_consortium import ServedConsortium

START_US = 1_774_981_800_123_000
ID = TransactionId(bytes([7]) * 32)
CHECKS = (
    TransactionCheck("lookup", True, 1_250, 57),
    TransactionCheck("encoding", True, 41),
    TransactionCheck("proofs", True, 210_000, 57),
)
FAILED = (*CHECKS[:2], TransactionCheck("proofs", False, 190_000, 1, "an equation does not hold"))


def event(kind: str, milliseconds: float, detail: str = "") -> TransactionEvent:
    at_us = START_US + int(milliseconds * 1_000)
    return TransactionEvent(TransactionEventKind(kind), at_us, detail)


def remember(consortium: ServedConsortium) -> None:
    """The first bank's client sent it, the second took it, the third refused it, one is away."""
    for bank, (source, checks, events) in enumerate(
        (
            ("client", CHECKS, (event("received", 0), event("sealed", 900.5))),
            ("bank 0", CHECKS, (event("received", 2), event("sealed", 903))),
            ("bank 0", FAILED, (event("received", 3), event("refused", 250, "spend: \x1b[31mno"))),
        )
    ):
        consortium.operators[bank].kept_trace = TransactionTrace(
            BankIndex(bank), ID, source, checks, events
        )
    consortium.stop_bank(3)


def test_the_banks_stand_beside_each_other(consortium: ServedConsortium) -> None:
    remember(consortium)
    lines = consortium.succeed("trace", ID.hex()).splitlines()
    assert lines[:-1] == [
        f"transaction  {ID.hex()}",
        "submitted    to amberfield",
        "first seen   2026-03-31 18:30:00.123 UTC",
        "took         903.0 ms until its last event",
        "",
        "bank        from        received  sealed  refused",
        "amberfield  client          +0.0  +900.5        -",
        "birchmoor   amberfield      +2.0  +903.0        -",
        "cedarholm   amberfield      +3.0       -   +250.0",
        "milliseconds since the first event of any bank, each bank by its own clock",
        "",
        "check, in ms  lookup  encoding        proofs",
        "amberfield    1.2/57     0.041      210.0/57",
        "birchmoor     1.2/57     0.041      210.0/57",
        "cedarholm     1.2/57     0.041  190.0 failed",
        "",
        r"refused by cedarholm: spend: \x1b[31mno",
        "",
    ]
    assert lines[-1].startswith("dunmere: ")


def test_json_has_every_check_and_every_event(consortium: ServedConsortium) -> None:
    remember(consortium)
    answer = consortium.ask("trace", ID.hex().upper())
    assert (answer["transaction_id"], list(answer["errors"])) == (ID.hex(), ["dunmere"])
    assert answer["banks"]["cedarholm"] == {
        "source": "bank 0",
        "checks": [
            {"name": "lookup", "passed": True, "duration_us": 1_250, "batch": 57, "message": ""},
            {"name": "encoding", "passed": True, "duration_us": 41, "batch": 1, "message": ""},
            {
                "name": "proofs",
                "passed": False,
                "duration_us": 190_000,
                "batch": 1,
                "message": "an equation does not hold",
            },
        ],
        "events": [
            {"kind": "received", "at_us": START_US + 3_000, "detail": ""},
            {"kind": "refused", "at_us": START_US + 250_000, "detail": "spend: \x1b[31mno"},
        ],
    }


def test_a_transaction_that_no_bank_keeps_is_an_error(consortium: ServedConsortium) -> None:
    for operator in consortium.operators:
        operator.kept_trace = None
    code, message = consortium.refuse("trace", ID.hex())
    assert code == 1
    assert f"nothing is kept of transaction {ID.hex()}" in message
    assert f"Next: see `consortium tx {ID.hex()}` for what the ledger holds of it." in message


def test_a_short_id_is_refused_before_anybody_is_asked(consortium: ServedConsortium) -> None:
    code, message = consortium.refuse("trace", "07" * 8)
    assert (code, "64 hexadecimal digits" in message) == (2, True)
    assert all(operator.asked == [] for operator in consortium.operators)


def test_without_any_bank_the_next_step_is_to_start_them(consortium: ServedConsortium) -> None:
    consortium.stop_banks()
    code, message = consortium.refuse("trace", ID.hex())
    assert (code, "start the consortium with" in message) == (3, True)
