"""The client's part of a transaction's trace: its submission, and the wait for the seal.

Off unless `CONSORTIUM_TRACING=otlp` stands in the environment; then every `LedgerClient` of the
process makes spans for the share of transactions that `CONSORTIUM_TRACE_RATIO` says. The submission
is the root of the trace, below which banks hang their own spans (`node.wire.spans`).
"""

from __future__ import annotations

import atexit
import contextlib
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from crypto.transaction import transaction_id as hash_transaction
from node.client.errors import ClientError, LedgerError
from node.ledger.types import TransactionId
from node.wire.spans import CLIENT, SUBMIT, Span, SpanEvent, SpanKind, is_traced, span_id
from node.wire.tracing import TracingInvalid, open_export, traced_share

if TYPE_CHECKING:
    from node.wire.span_export import SpanExport

SERVICE = "consortium-client"
REMEMBERED = 10_000
"""Submissions of which it is known that they have a root already."""

Told = Callable[[str], None]
"""Takes the name of what was just heard."""


class TracingUnavailable(ClientError):
    """The environment asks for traces that this process cannot make; the message says why."""


def _unix_us() -> int:
    return time.time_ns() // 1_000


class ClientTracing:
    """Makes a client's spans, or nothing at all."""

    def __init__(
        self,
        export: SpanExport | None = None,
        ratio: float = 1.0,
        now_us: Callable[[], int] = _unix_us,
    ) -> None:
        """Without `export` nothing is traced; `ratio` is the share of transactions that is."""
        self._export = export
        self._ratio = ratio
        self._now_us = now_us
        self._submitted: OrderedDict[TransactionId, None] = OrderedDict()

    def submission(self, transaction: bytes) -> contextlib.AbstractContextManager[None]:
        """Trace what happens inside as the submission of these canonical bytes."""
        if self._export is None:
            return contextlib.nullcontext()
        return self._submission(TransactionId(hash_transaction(transaction)))

    def wait(self, transaction_id: TransactionId) -> contextlib.AbstractContextManager[Told]:
        """Trace what happens inside as the wait for a final state; yields what is told of states.
        """
        if self._export is None or not is_traced(transaction_id, self._ratio):
            return contextlib.nullcontext(lambda state: None)
        return self._wait(transaction_id)

    def answered(self, transaction: bytes, begun_us: int, error: LedgerError | None) -> None:
        """Trace a submission over a stream that began at a moment and was answered now."""
        if self._export is not None:
            transaction_id = TransactionId(hash_transaction(transaction))
            self._submitted_now(transaction_id, begun_us, _code(error))

    def begin(self) -> int:
        """Return this moment, microseconds since the Unix epoch."""
        return self._now_us()

    @contextlib.contextmanager
    def _submission(self, transaction_id: TransactionId) -> Iterator[None]:
        begun_us, code = self._now_us(), ""
        try:
            yield
        except LedgerError as error:
            code = _code(error)
            raise
        finally:
            self._submitted_now(transaction_id, begun_us, code)

    def _submitted_now(self, transaction_id: TransactionId, begun_us: int, code: str) -> None:
        if not is_traced(transaction_id, self._ratio):
            return
        again = transaction_id in self._submitted
        self._submitted[transaction_id] = None
        if len(self._submitted) > REMEMBERED:
            self._submitted.popitem(last=False)
        self._take(
            Span(
                transaction_id,
                CLIENT,
                SUBMIT,
                begun_us,
                self._now_us(),
                span_id(transaction_id, CLIENT, SUBMIT) if again else None,
                SpanKind.CLIENT,
                error=code,
                occasion=f" {begun_us}" if again else "",
            )
        )

    @contextlib.contextmanager
    def _wait(self, transaction_id: TransactionId) -> Iterator[Told]:
        begun_us, code = self._now_us(), ""
        heard: list[SpanEvent] = []
        try:
            yield lambda state: heard.append(SpanEvent(state, self._now_us()))
        except LedgerError as error:
            code = _code(error)
            raise
        finally:
            self._take(
                Span(
                    transaction_id,
                    CLIENT,
                    "wait until final",
                    begun_us,
                    self._now_us(),
                    span_id(transaction_id, CLIENT, SUBMIT),
                    events=tuple(heard),
                    error=code,
                    occasion=f" {begun_us}",
                )
            )

    def _take(self, span: Span) -> None:
        assert self._export is not None, "something is traced"
        self._export.take(span)


def _code(error: LedgerError | None) -> str:
    return "" if error is None else error.reason_code or error.status.lower()


_of_process: ClientTracing | None = None


def process_tracing() -> ClientTracing:
    """Return the tracing that the environment asks for, the same one for the whole process.

    Raises `TracingUnavailable`.
    """
    global _of_process
    if _of_process is None:
        try:
            ratio = traced_share(os.environ)
            if ratio is None:
                _of_process = ClientTracing()
            else:
                export = open_export(SERVICE, str(os.getpid()))
                atexit.register(export.close)
                _of_process = ClientTracing(export, ratio)
        except TracingInvalid as error:
            raise TracingUnavailable(str(error)) from error
    return _of_process
