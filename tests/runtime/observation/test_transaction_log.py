"""Traces of transactions: what is kept, how much of it, and what is never said."""

from __future__ import annotations

import hashlib
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.ledger.rejection import Reason, Rejection
from node.ledger.types import BankIndex, TransactionId
from node.runtime.observation.check_times import BatchTimes, ItemTimes
from node.runtime.observation.transaction_log import (
    CLIENT,
    DATABASE,
    TransactionLog,
    source_of,
)
from node.wire.operator_records import (
    TransactionCheck,
    TransactionEvent,
    TransactionEventKind,
    TransactionTrace,
)

BANK = BankIndex(4)
GOOD = ItemTimes((40, 5, 6, 300, 2, 90), False, True)
UNPROVEN = GOOD
MISFIT = ItemTimes((40, 5), False, False)
APPROVAL = ItemTimes((30, 4, 70), True, True)
PASSED = (
    TransactionCheck("encoding", True, 40),
    TransactionCheck("rules", True, 5),
    TransactionCheck("context", True, 6),
    TransactionCheck("points", True, 300),
    TransactionCheck("nullifiers", True, 2),
    TransactionCheck("challenges", True, 90),
)


def identity(number: int) -> TransactionId:
    return TransactionId(hashlib.sha256(b"transaction %d" % number).digest())


ID = identity(0)


def judged(log: TransactionLog, item: ItemTimes, *, good: bool, at_us: int = 20) -> None:
    """In a batch of two, the other one of which nobody observes."""
    times = BatchTimes((item, GOOD), 9_000, 1 + (item.judged and not item.governance))
    log.judged([ID, identity(99)], [good, True], times, 700, at_us)


def test_a_sealed_transaction_tells_its_whole_life() -> None:
    log = TransactionLog(BANK)
    log.received(ID, CLIENT, 3_121, 10)
    judged(log, GOOD, good=True)
    log.compared(ID, 3)
    log.compared(ID, 4)
    log.admitted(ID, 30)
    log.gossiped(ID, 31)
    log.proposed([ID, identity(1)], 7, 40)
    log.proposed([ID], 8, 45)
    assert log.applied([identity(1), ID], 8, 50, 60) == [50]
    assert log.trace(ID) == TransactionTrace(
        BANK,
        ID,
        "client",
        (
            TransactionCheck("lookup", True, 700, 2),
            *PASSED,
            TransactionCheck("proofs", True, 9_000, 2),
            TransactionCheck("conflicts", True, 7),
        ),
        (
            TransactionEvent(TransactionEventKind.RECEIVED, 10, "3121 bytes"),
            TransactionEvent(TransactionEventKind.VERIFIED, 20, "in a batch of 2"),
            TransactionEvent(TransactionEventKind.ADMITTED, 30),
            TransactionEvent(TransactionEventKind.GOSSIPED, 31),
            TransactionEvent(TransactionEventKind.PROPOSED, 45, "block 8"),
            TransactionEvent(TransactionEventKind.SEALED, 50, "block 8"),
            TransactionEvent(TransactionEventKind.APPLIED, 60, "block 8"),
        ),
    )


@pytest.mark.parametrize(
    ("item", "rejection", "checks"),
    [
        (
            MISFIT,
            Rejection(Reason.FEE, "the fee is 1"),
            (PASSED[0], TransactionCheck("rules", False, 5, 1, "the fee is 1")),
        ),
        (
            UNPROVEN,
            Rejection(Reason.SPEND, "an equation does not hold"),
            (*PASSED, TransactionCheck("proofs", False, 9_000, 2, "an equation does not hold")),
        ),
        (
            ItemTimes((30, 4, 70), True, False),
            Rejection(Reason.SIGNATURE, "of bank 3"),
            (
                TransactionCheck("encoding", True, 30),
                TransactionCheck("rules", True, 4),
                TransactionCheck("signatures", False, 70, 1, "of bank 3"),
            ),
        ),
    ],
)
def test_a_refused_transaction_names_the_check_that_it_failed(
    item: ItemTimes, rejection: Rejection, checks: tuple[TransactionCheck, ...]
) -> None:
    log = TransactionLog(BANK)
    log.received(ID, 3, 100, 10)
    judged(log, item, good=False)
    log.refused(ID, rejection, 25)
    trace = log.trace(ID)
    assert trace is not None and trace.source == "bank 3"
    assert trace.checks == (TransactionCheck("lookup", True, 700, 2), *checks)
    assert trace.events == (
        TransactionEvent(TransactionEventKind.RECEIVED, 10, "100 bytes"),
        TransactionEvent(TransactionEventKind.REFUSED, 25, str(rejection)),
    )


def test_a_conflict_in_the_mempool_is_a_check_and_an_eviction_is_none() -> None:
    for admitted, passed in ((False, False), (True, True)):
        log = TransactionLog(BANK)
        log.received(ID, CLIENT, 100, 10)
        judged(log, APPROVAL, good=True)
        log.compared(ID, 5)
        if admitted:
            log.admitted(ID, 22)
        log.refused(ID, Rejection(Reason.NULLIFIER, "spent"), 25)
        trace = log.trace(ID)
        assert trace is not None
        message = "" if passed else "spent"
        assert trace.checks[-1] == TransactionCheck("conflicts", passed, 5, 1, message)
        assert trace.checks[-2].name == "signatures", "governance has no equations"


def test_what_is_not_yet_valid_says_so_until_it_is_judged_again() -> None:
    log = TransactionLog(BANK)
    log.received(ID, 3, 100, 10)
    judged(log, ItemTimes((40, 5, 6), False, False), good=False)
    trace = log.trace(ID)
    assert trace is not None
    assert (trace.checks[-1].name, trace.checks[-1].passed) == ("context", False)
    assert trace.checks[-1].message == "not yet: judged again after the next block"
    judged(log, GOOD, good=True, at_us=90)
    again = log.trace(ID)
    assert again is not None and all(check.passed for check in again.checks)
    assert again.events[-1].at_us == 90


def test_a_full_mempool_names_nobody() -> None:
    log = TransactionLog(BANK)
    log.received(ID, CLIENT, 100, 10)
    log.refused(ID, Rejection(Reason.MEMPOOL_FULL, "client/alice has 900 waiting"), 11)
    trace = log.trace(ID)
    assert trace is not None and "alice" not in str(trace)
    assert trace.events[-1].detail == "mempool-full: no room now"


def test_a_refused_one_that_comes_again_begins_anew() -> None:
    log = TransactionLog(BANK)
    log.received(ID, CLIENT, 100, 10)
    log.refused(ID, Rejection(Reason.BIN_OPEN, "bin 1"), 11)
    log.received(ID, 2, 100, 50)
    trace = log.trace(ID)
    assert trace is not None
    assert (trace.source, [event.at_us for event in trace.events]) == ("bank 2", [50])


def test_a_refused_one_that_others_seal_is_seen_to_be_sealed_here_too() -> None:
    log = TransactionLog(BANK)
    log.received(ID, CLIENT, 100, 10)
    log.refused(ID, Rejection(Reason.MEMPOOL_FULL, "900 wait"), 11)
    assert log.applied([ID], 3, 30, 40) == [], "its client was told to come back"
    trace = log.trace(ID)
    assert trace is not None
    assert [(event.kind, event.at_us, event.detail) for event in trace.events[1:]] == [
        (TransactionEventKind.REFUSED, 11, "mempool-full: no room now"),
        (TransactionEventKind.SEALED, 30, "block 3"),
        (TransactionEventKind.APPLIED, 40, "block 3"),
    ]


def test_a_repeated_arrival_changes_nothing_and_no_verdict_unseals() -> None:
    log = TransactionLog(BANK)
    log.received(ID, DATABASE, 100, 10)
    log.received(ID, CLIENT, 100, 20)
    assert log.applied([ID], 3, 30, 40) == [], "no client of mine waited for it"
    log.refused(ID, Rejection(Reason.DUPLICATE_TRANSACTION, "sealed already"), 50)
    trace = log.trace(ID)
    assert trace is not None
    assert (trace.source, trace.events[-1].kind) == ("database", TransactionEventKind.APPLIED)


@pytest.mark.parametrize(
    ("text", "source"),
    [("bank/11", 11), ("client/alice", CLIENT), ("database", DATABASE), ("bank/x", CLIENT)],
)
def test_sources_are_banks_or_clients_without_a_name(text: str, source: int) -> None:
    assert source_of(text) == source


def test_a_flood_of_refused_ones_pushes_out_none_of_the_others() -> None:
    log = TransactionLog(BANK, kept=4, refused=3)
    log.received(ID, CLIENT, 100, 1)
    for number in range(1, 20):
        log.received(identity(number), 2, 100, number)
        log.refused(identity(number), Rejection(Reason.SPEND, "x" * 5_000), number)
    assert len(log) == 4
    assert log.trace(ID) is not None
    assert [log.trace(identity(number)) is None for number in (16, 17, 19)] == [True, False, False]
    newest = log.trace(identity(19))
    assert newest is not None and len(newest.events[-1].detail) < 300


@given(st.lists(st.tuples(st.integers(0, 15), st.booleans()), max_size=60))
def test_the_log_never_holds_more_than_its_share_and_mixes_nothing_up(
    acts: list[tuple[int, bool]],
) -> None:
    log = TransactionLog(BANK, kept=5, refused=3)
    last: dict[int, int] = {}
    for at_us, (number, refuse) in enumerate(acts, start=1):
        before = log.trace(identity(number))
        fresh = before is None or before.events[-1].kind is TransactionEventKind.REFUSED
        log.received(identity(number), number % 4, number, at_us)
        if fresh:
            last[number] = at_us
        if refuse:
            log.refused(identity(number), Rejection(Reason.SPEND, str(number)), at_us)
        newest = log.trace(identity(number))
        assert newest is not None, "the newest is always there"
        assert len(log) <= 8
    for number, at_us in last.items():
        trace = log.trace(identity(number))
        if trace is None:
            continue
        assert trace.source == f"bank {number % 4}"
        received = TransactionEvent(TransactionEventKind.RECEIVED, at_us, f"{number} bytes")
        assert trace.events[0] == received


def test_a_transaction_takes_a_few_hundred_bytes() -> None:
    """20,000 of them, with all else that is remembered, stay within eight megabytes."""
    count = 2_000
    identities = [hashlib.sha256(b"%d" % number).digest() for number in range(count)]
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        log = TransactionLog(BANK)
        for raw in identities:
            log.received(TransactionId(bytes(bytearray(raw))), 3, 3_000, 1_700_000_000_000_000)
        used = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert used / count < 350
