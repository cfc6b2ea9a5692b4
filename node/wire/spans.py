"""Spans of a transaction's way through client and banks, joined without a word on the wire.

The trace id is the first half of the transaction id, and the ids of spans are hashes of the
transaction id, of who made the span and of its name. So everybody knows the ids of everybody else's
spans: a bank's spans hang below the client's submission, or below the bank that gossiped the
transaction, although nobody sends anybody a trace context. Whether a transaction is traced follows
from its id as well: all parties with the same ratio trace the same ones.

A span tells when, at whom and how it ended; it names no client, no amount, and no secret.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from node.ledger.types import TransactionId

TRACE_ID_BYTES = 16
SPAN_ID_BYTES = 8
_SAMPLED_BELOW = 1 << 64
_DOMAIN = b"consortium/span/1"

CLIENT = "client"
"""As the party of a span; a bank is `bank_party(index)`."""
SUBMIT = "submit"
"""The client's span at the root of every trace."""
TRANSACTION = "transaction"
"""A bank's span that holds its others."""

Value = str | int | bool


class SpanKind(Enum):
    """How a span takes part: OpenTelemetry's kinds that occur here."""

    INTERNAL = "internal"
    CLIENT = "client"
    """Calls another party."""
    SERVER = "server"
    """Answers a client's call."""
    CONSUMER = "consumer"
    """Takes what another party has sent some time before."""


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """A moment within a span."""

    name: str
    at_us: int


@dataclass(frozen=True, slots=True)
class Span:
    """One stretch of time of one transaction; microseconds since the Unix epoch."""

    transaction_id: TransactionId
    party: str
    name: str
    begin_us: int
    end_us: int
    parent_id: int | None
    kind: SpanKind = SpanKind.INTERNAL
    attributes: Mapping[str, Value] = field(default_factory=dict)
    events: tuple[SpanEvent, ...] = ()
    error: str = ""
    """Reason code of the failure that ended it; empty if none did."""
    occasion: str = ""
    """Tells spans of one name apart, where one can be made twice."""

    @property
    def span_id(self) -> int:
        return span_id(self.transaction_id, self.party, self.name + self.occasion)


def trace_id(transaction_id: TransactionId) -> int:
    """Return the trace id of a transaction: its first 16 bytes."""
    return int.from_bytes(transaction_id[:TRACE_ID_BYTES])


def span_id(transaction_id: TransactionId, party: str, name: str) -> int:
    """Return the id of a party's span of a transaction, never 0."""
    named = f"{party}\0{name}".encode()
    digest = hashlib.sha256(_DOMAIN + transaction_id + named).digest()
    return int.from_bytes(digest[:SPAN_ID_BYTES]) or 1


def bank_party(bank: int) -> str:
    """Return the name of a bank as the party of a span, as traces call it: `bank 3`."""
    return f"bank {bank}"


def is_traced(transaction_id: TransactionId, ratio: float) -> bool:
    """Tell whether a transaction is among the traced ones, as `TraceIdRatioBased` chooses them."""
    low = trace_id(transaction_id) % _SAMPLED_BELOW
    return low < round(ratio * _SAMPLED_BELOW)
