"""A bank's spans of a transaction, made of what it observed; nothing is told that must not be."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from node.ledger.types import BankIndex, Height, TransactionId, View
from node.runtime.config import OTLP, ConfigurationError, DatabaseSettings, NodeConfig
from node.runtime.observation import Observation
from node.runtime.tracing import BankTracing, spans_of
from node.wire.operator_records import (
    RoundEvent,
    RoundEventKind,
    RoundReport,
    TransactionCheck,
    TransactionEvent,
    TransactionEventKind,
    TransactionTrace,
)
from node.wire.spans import CLIENT, SUBMIT, TRANSACTION, Span, SpanKind, span_id

PAYMENT = TransactionId(bytes(range(32)))
BANK = BankIndex(3)

SEALED = TransactionTrace(
    BANK,
    PAYMENT,
    "client",
    (
        TransactionCheck("encoding", True, 100),
        TransactionCheck("proofs", True, 5_000, 20),
        TransactionCheck("conflicts", True, 10),
    ),
    (
        TransactionEvent(TransactionEventKind.RECEIVED, 1_000_000, "4221 bytes"),
        TransactionEvent(TransactionEventKind.VERIFIED, 1_010_000, "in a batch of 20"),
        TransactionEvent(TransactionEventKind.ADMITTED, 1_010_050),
        TransactionEvent(TransactionEventKind.GOSSIPED, 1_010_060),
        TransactionEvent(TransactionEventKind.PROPOSED, 1_110_000, "block 7"),
        TransactionEvent(TransactionEventKind.SEALED, 1_200_000, "block 7"),
        TransactionEvent(TransactionEventKind.APPLIED, 1_210_000, "block 7"),
    ),
)

ROUND = RoundReport(
    BANK,
    Height(7),
    (
        RoundEvent(RoundEventKind.PROPOSAL, View(0), 1_050_000, bank=BankIndex(0)),
        RoundEvent(RoundEventKind.TIMED_OUT, View(0), 1_090_000),
        RoundEvent(RoundEventKind.PROPOSAL, View(1), 1_100_000, bank=BankIndex(1)),
        RoundEvent(RoundEventKind.VALIDATED, View(1), 1_109_000, 8_000),
        RoundEvent(RoundEventKind.VOTED, View(1), 1_120_000),
        RoundEvent(RoundEventKind.CERTIFIED, View(1), 1_150_000),
        RoundEvent(RoundEventKind.COMMITTED, View(1), 1_160_000),
        RoundEvent(RoundEventKind.SEALED, View(1), 1_200_000),
        RoundEvent(RoundEventKind.APPLIED, View(1), 1_210_000, 9_000),
    ),
)

REFUSED = TransactionTrace(
    BANK,
    PAYMENT,
    "bank 1",
    (
        TransactionCheck("encoding", True, 100),
        TransactionCheck("nullifiers", False, 50, 1, "spent by alice for 5,000"),
    ),
    (
        TransactionEvent(TransactionEventKind.RECEIVED, 1_000_000, "4221 bytes"),
        TransactionEvent(
            TransactionEventKind.REFUSED, 1_004_000, "nullifier: spent by alice for 5,000"
        ),
    ),
)


def laid_out(spans: list[Span]) -> dict[str, tuple[int, int, str | None]]:
    """Begin, end and name of the parent of every span, by name."""
    names = {span.span_id: span.name for span in spans}
    return {
        span.name: (span.begin_us, span.end_us, names.get(span.parent_id or 0)) for span in spans
    }


def test_the_way_of_a_sealed_transaction_is_whole() -> None:
    spans = list(spans_of(SEALED, ROUND))
    assert laid_out(spans) == {
        "transaction": (1_000_000, 1_210_000, None),
        "admission": (1_000_000, 1_010_050, "transaction"),
        "verification queue": (1_000_000, 1_004_900, "admission"),
        "check encoding": (1_004_900, 1_005_000, "admission"),
        "check proofs": (1_005_000, 1_010_000, "admission"),
        "check conflicts": (1_010_040, 1_010_050, "admission"),
        "gossip": (1_010_050, 1_010_060, "transaction"),
        "mempool": (1_010_050, 1_110_000, "transaction"),
        "consensus": (1_100_000, 1_200_000, "transaction"),
        "validation": (1_101_000, 1_109_000, "consensus"),
        "vote": (1_100_000, 1_120_000, "consensus"),
        "certificate": (1_120_000, 1_150_000, "consensus"),
        "commit": (1_150_000, 1_160_000, "consensus"),
        "seal": (1_160_000, 1_200_000, "consensus"),
        "apply": (1_201_000, 1_210_000, "transaction"),
    }
    by_name = {span.name: span for span in spans}
    top = by_name["transaction"]
    assert (top.kind, top.error) == (SpanKind.SERVER, "")
    assert top.parent_id == span_id(PAYMENT, CLIENT, SUBMIT)
    assert top.attributes == {
        "consortium.bank": 3,
        "consortium.source": "client",
        "consortium.height": 7,
    }
    assert [event.name for event in top.events] == [event.kind.value for event in SEALED.events]
    assert by_name["check proofs"].attributes == {
        "consortium.bank": 3,
        "consortium.check.passed": True,
        "consortium.check.batch": 20,
    }
    assert by_name["consensus"].attributes == {
        "consortium.bank": 3,
        "consortium.view": 1,
        "consortium.proposer": 1,
    }


def test_what_was_told_before_it_was_verified_took_no_negative_time() -> None:
    events = [
        replace(event, at_us=1_000_030) if event.kind is TransactionEventKind.GOSSIPED else event
        for event in SEALED.events
    ]
    early = replace(SEALED, events=tuple(sorted(events, key=lambda event: event.at_us)))
    spans = laid_out(list(spans_of(early, ROUND)))
    assert spans["gossip"] == (1_000_000, 1_000_030, "transaction")
    assert spans["admission"] == (1_000_000, 1_010_050, "transaction")


def test_what_was_gossiped_hangs_below_the_bank_that_gossiped_it() -> None:
    top = next(iter(spans_of(replace(SEALED, source="bank 1"), ROUND)))
    assert top.kind is SpanKind.CONSUMER
    assert top.parent_id == span_id(PAYMENT, "bank 1", TRANSACTION)


def test_a_refusal_is_an_error_with_its_code_and_none_of_its_words() -> None:
    spans = list(spans_of(REFUSED, None))
    assert laid_out(spans) == {
        "transaction": (1_000_000, 1_004_000, None),
        "admission": (1_000_000, 1_004_000, "transaction"),
        "verification queue": (1_000_000, 1_003_850, "admission"),
        "check encoding": (1_003_850, 1_003_950, "admission"),
        "check nullifiers": (1_003_950, 1_004_000, "admission"),
    }
    assert {span.name: span.error for span in spans if span.error} == {
        "transaction": "nullifier",
        "admission": "nullifier",
        "check nullifiers": "nullifier",
    }
    assert "alice" not in repr(spans)
    assert "5,000" not in repr(spans)


def test_a_transaction_that_was_refused_and_came_again_has_other_spans() -> None:
    first = {span.span_id for span in spans_of(REFUSED, None)}
    second = {span.span_id for span in spans_of(SEALED, ROUND)}
    assert first.isdisjoint(second)


def test_what_is_not_known_is_left_out() -> None:
    """A block that was caught up with, a round that is not kept any more."""
    caught_up = replace(SEALED, source="bank 1", checks=(), events=SEALED.events[-2:])
    assert laid_out(list(spans_of(caught_up, None))) == {
        "transaction": (1_200_000, 1_210_000, None),
        "consensus": (1_200_000, 1_200_000, "transaction"),
    }
    assert list(spans_of(replace(SEALED, events=()), None)) == []


class Remembering(Observation):
    """Knows the traces it is given."""

    def __init__(self, traces: dict[TransactionId, TransactionTrace]) -> None:
        super().__init__(BANK)
        self._traces = traces

    def transaction_trace(self, transaction_id: TransactionId) -> TransactionTrace | None:
        return self._traces.get(transaction_id)

    def round(self, height: Height) -> RoundReport | None:
        return ROUND if height == 7 else None


class Collecting:
    """An export that keeps what it is given."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.closed = asyncio.Event()

    def take(self, span: Span) -> None:
        self.spans.append(span)

    def close(self) -> None:
        self.closed.set()


class Applied:
    """As much of a block as tracing looks at."""

    transaction_ids = (PAYMENT, TransactionId(b"\xff" * 32))


async def test_only_the_share_that_is_traced_becomes_spans() -> None:
    other = replace(SEALED, transaction_id=TransactionId(b"\xff" * 32))
    observation = Remembering({PAYMENT: SEALED, other.transaction_id: other})
    for ratio, traced in ((1.0, 2), (0.5, 1), (0.0, 0)):
        export = Collecting()
        tracing = BankTracing(observation, export, ratio)  # type: ignore[arg-type]
        tracing.applied(Applied())  # type: ignore[arg-type]
        assert export.spans == [], "not while the block is being applied"
        await asyncio.sleep(0.01)
        assert len({span.transaction_id for span in export.spans}) == traced
        await tracing.close()
        assert export.closed.is_set()


async def test_a_refusal_is_traced_but_not_that_of_a_copy_of_something_sealed() -> None:
    sealed = replace(SEALED, transaction_id=TransactionId(b"\x01" * 32))
    observation = Remembering({PAYMENT: REFUSED, sealed.transaction_id: sealed})
    export = Collecting()
    BankTracing(observation, export, 1.0)  # type: ignore[arg-type]
    assert observation.on_refused is not None
    for transaction_id in (PAYMENT, sealed.transaction_id, TransactionId(bytes(32))):
        observation.on_refused(transaction_id)
    await asyncio.sleep(0.01)
    assert {span.transaction_id for span in export.spans} == {PAYMENT}


def make_config(exporter: str) -> NodeConfig:
    here = Path()
    return NodeConfig(
        BANK,
        "dunmere",
        "127.0.0.1:1",
        (),
        here,
        here,
        here,
        DatabaseSettings(here),
        trace_exporter=exporter,
    )


def test_tracing_is_off_unless_it_is_asked_for() -> None:
    assert BankTracing.configured(make_config(""), Observation(BANK), {}) is None
    with pytest.raises(ConfigurationError, match="CONSORTIUM_TRACING must be"):
        BankTracing.configured(make_config(OTLP), Observation(BANK), {"CONSORTIUM_TRACING": "x"})
