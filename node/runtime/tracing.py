"""A bank's part of a transaction's trace: spans made of what the bank observed anyway.

When a transaction is applied or refused, what `node.runtime.observation` keeps of it becomes spans
with their true beginnings and ends; until then tracing does nothing, and where it is off nothing at
all. Below the bank's span `transaction`:

- `admission`: from its arrival until it waits for a block, with a span for each check;
- `gossip`: until it was told to the other banks;
- `mempool`: until a block with it was proposed;
- `consensus`: from that proposal to the seal, with validation, vote, certificate and commit;
- `apply`: execution and the database.

Each check's time was measured; checks are one after another, so their beginnings follow from their
ends. A batch's time is that of all its transactions, and the span says how many there were.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from node.ledger.blocks import Block
from node.ledger.types import Height, TransactionId
from node.runtime.config import ConfigurationError, NodeConfig
from node.runtime.observation import Observation
from node.wire.operator_records import (
    RoundEvent,
    RoundEventKind,
    RoundReport,
    TransactionCheck,
    TransactionEventKind,
    TransactionTrace,
)
from node.wire.spans import (
    CLIENT,
    SUBMIT,
    TRANSACTION,
    Span,
    SpanEvent,
    SpanKind,
    Value,
    bank_party,
    is_traced,
    span_id,
)
from node.wire.tracing import TracingInvalid, open_export, traced_share

if TYPE_CHECKING:
    from node.wire.span_export import SpanExport

logger = logging.getLogger(__name__)

SERVICE = "consortium-bank"
CLOSE_WITHIN_S = 1.0
"""A bank that stops waits no longer for its last spans to be sent."""
CONFLICTS = "conflicts"
"""The check that comes after the verdict on the proofs."""


class BankTracing:
    """Makes a bank's spans; used in the event loop's thread."""

    def __init__(self, observation: Observation, export: SpanExport, ratio: float) -> None:
        """`ratio` is the share of the transactions that are traced."""
        observation.on_refused = self.refused
        self._observation = observation
        self._export = export
        self._ratio = ratio

    @staticmethod
    def configured(
        config: NodeConfig, observation: Observation, environ: Mapping[str, str]
    ) -> BankTracing | None:
        """Return what the configuration or the environment asks for, None if nothing is traced.

        Raises `ConfigurationError`.
        """
        try:
            ratio = traced_share(environ, config.trace_exporter, config.trace_ratio)
            if ratio is None:
                return None
            export = open_export(SERVICE, config.short_name)
        except TracingInvalid as error:
            raise ConfigurationError(str(error)) from error
        logger.info("tracing", extra={"ratio": ratio})
        return BankTracing(observation, export, ratio)

    def applied(self, block: Block) -> None:
        """A block was applied: its transactions are at their end."""
        traced = [item for item in block.transaction_ids if is_traced(item, self._ratio)]
        self._later(traced, TransactionEventKind.APPLIED)

    def refused(self, transaction_id: TransactionId) -> None:
        """A transaction was refused."""
        if is_traced(transaction_id, self._ratio):
            self._later([transaction_id], TransactionEventKind.REFUSED)

    def _later(self, transaction_ids: list[TransactionId], ended: TransactionEventKind) -> None:
        # One at a time, so that a full block does not hold up what waits for the event loop.
        loop = asyncio.get_running_loop()
        for transaction_id in transaction_ids:
            loop.call_soon(self._record, transaction_id, ended)

    def _record(self, transaction_id: TransactionId, ended: TransactionEventKind) -> None:
        trace = self._observation.transaction_trace(transaction_id)
        # A copy of a sealed transaction that is refused is no end of it.
        if trace is None or all(event.kind is not ended for event in trace.events):
            return
        height = _height(trace)
        report = None if height is None else self._observation.round(height)
        for span in spans_of(trace, report):
            self._export.take(span)

    async def close(self) -> None:
        """Send what waits, if that goes quickly."""
        sending = asyncio.ensure_future(asyncio.to_thread(self._export.close))
        _, late = await asyncio.wait([sending], timeout=CLOSE_WITHIN_S)
        if late:
            logger.info("the last spans were not sent in time")


def _height(trace: TransactionTrace) -> Height | None:
    """Return the height that a trace's last steps are about."""
    for event in reversed(trace.events):
        word, _, number = event.detail.partition(" ")
        if word == "block" and number.isdecimal():
            return Height(int(number))
    return None


def spans_of(trace: TransactionTrace, report: RoundReport | None) -> Iterator[Span]:
    """Yield the spans of one bank about one transaction, those that hold others first.

    `report` is of the height at which it was sealed, None if it was not or nothing is kept of it.
    """
    if trace.events:
        yield from _SpansOfTransaction(trace, report).make()


class _SpansOfTransaction:
    def __init__(self, trace: TransactionTrace, report: RoundReport | None) -> None:
        self._trace = trace
        self._report = report
        self._at = {event.kind: event.at_us for event in trace.events}
        self._party = bank_party(trace.bank)
        self._begin_us, self._end_us = trace.events[0].at_us, trace.events[-1].at_us
        refused = next(
            (item for item in trace.events if item.kind is TransactionEventKind.REFUSED), None
        )
        # What was refused may come again, and be sealed then.
        self._occasion = "" if refused is None else f" {self._begin_us}"
        self._error = "" if refused is None else refused.detail.partition(":")[0]

    def make(self) -> Iterator[Span]:
        yield self._whole()
        top = self._id(TRANSACTION)
        at = self._at
        admitted_us = at.get(TransactionEventKind.ADMITTED)
        refused_us = at.get(TransactionEventKind.REFUSED)
        received_us = at.get(TransactionEventKind.RECEIVED)
        judged_us = admitted_us or refused_us
        if received_us is not None and judged_us is not None:
            error = self._error if admitted_us is None else ""
            yield self._span("admission", received_us, judged_us, top, error=error)
            yield from self._checks(received_us, judged_us)
        gossiped_us = at.get(TransactionEventKind.GOSSIPED)
        if gossiped_us is not None:
            # The later of those that came before: some are told before they are verified.
            ready_us = max(
                [at_us for at_us in (received_us, admitted_us) if at_us and at_us <= gossiped_us],
                default=gossiped_us,
            )
            yield self._span("gossip", ready_us, gossiped_us, top)
        proposed_us = at.get(TransactionEventKind.PROPOSED)
        if admitted_us is not None and (proposed_us or refused_us):
            yield self._span("mempool", admitted_us, proposed_us or refused_us or 0, top)
        sealed_us = at.get(TransactionEventKind.SEALED)
        if sealed_us is not None:
            yield from self._consensus(proposed_us or sealed_us, sealed_us)

    def _whole(self) -> Span:
        source = self._trace.source
        attributes: dict[str, Value] = {"consortium.bank": self._trace.bank}
        if source.startswith("bank "):
            kind, parent = SpanKind.CONSUMER, (source, TRANSACTION)
        else:
            kind, parent = SpanKind.SERVER, (CLIENT, SUBMIT)
        attributes["consortium.source"] = source
        height = _height(self._trace)
        if height is not None:
            attributes["consortium.height"] = height
        return Span(
            self._trace.transaction_id,
            self._party,
            TRANSACTION,
            self._begin_us,
            self._end_us,
            span_id(self._trace.transaction_id, *parent),
            kind,
            attributes,
            tuple(SpanEvent(event.kind.value, event.at_us) for event in self._trace.events),
            self._error,
            self._occasion,
        )

    def _checks(self, received_us: int, judged_us: int) -> Iterator[Span]:
        parent = self._id("admission")
        verified_us = self._at.get(TransactionEventKind.VERIFIED)
        before = [item for item in self._trace.checks if item.name != CONFLICTS]
        after = [item for item in self._trace.checks if item.name == CONFLICTS]
        end_us = judged_us if verified_us is None else verified_us
        begin_us = max(received_us, end_us - sum(item.duration_us for item in before))
        if before and begin_us > received_us:
            yield self._span("verification queue", received_us, begin_us, parent)
        for check in before:
            yield self._check(check, begin_us, parent)
            begin_us += check.duration_us
        for check in after:
            yield self._check(check, max(received_us, judged_us - check.duration_us), parent)

    def _check(self, check: TransactionCheck, begin_us: int, parent: int) -> Span:
        return self._span(
            f"check {check.name}",
            begin_us,
            begin_us + check.duration_us,
            parent,
            {"consortium.check.passed": check.passed, "consortium.check.batch": check.batch},
            error="" if check.passed else self._error or "failed",
        )

    def _consensus(self, proposed_us: int, sealed_us: int) -> Iterator[Span]:
        steps = {} if self._report is None else _steps(self._report)
        proposal = steps.get(RoundEventKind.PROPOSAL)
        begin_us = min(proposed_us, proposal.at_us) if proposal else proposed_us
        attributes: dict[str, Value] = {}
        if proposal is not None:
            attributes["consortium.view"] = proposal.view
            if proposal.bank is not None:
                attributes["consortium.proposer"] = proposal.bank
        top = self._id(TRANSACTION)
        yield self._span("consensus", begin_us, sealed_us, top, attributes)
        parent = self._id("consensus")
        yield from self._ended(steps, RoundEventKind.VALIDATED, "validation", parent)
        for name, begin_kind, end_kind in _STRETCHES:
            begin, end = steps.get(begin_kind), steps.get(end_kind)
            if begin is not None and end is not None and begin.at_us <= end.at_us:
                yield self._span(name, begin.at_us, end.at_us, parent)
        yield from self._ended(steps, RoundEventKind.APPLIED, "apply", top)

    def _ended(
        self, steps: Mapping[RoundEventKind, RoundEvent], kind: RoundEventKind, name: str, of: int
    ) -> Iterator[Span]:
        """Yield the span of a step whose duration was measured."""
        step = steps.get(kind)
        if step is not None and step.duration_us is not None:
            yield self._span(name, step.at_us - step.duration_us, step.at_us, of)

    def _id(self, name: str) -> int:
        return span_id(self._trace.transaction_id, self._party, name + self._occasion)

    def _span(
        self,
        name: str,
        begin_us: int,
        end_us: int,
        parent: int,
        attributes: Mapping[str, Value] | None = None,
        error: str = "",
    ) -> Span:
        return Span(
            self._trace.transaction_id,
            self._party,
            name,
            begin_us,
            end_us,
            parent,
            attributes={"consortium.bank": self._trace.bank, **(attributes or {})},
            error=error,
            occasion=self._occasion,
        )


_STRETCHES = (
    ("vote", RoundEventKind.PROPOSAL, RoundEventKind.VOTED),
    ("certificate", RoundEventKind.VOTED, RoundEventKind.CERTIFIED),
    ("commit", RoundEventKind.CERTIFIED, RoundEventKind.COMMITTED),
    ("seal", RoundEventKind.COMMITTED, RoundEventKind.SEALED),
)
"""Name, and the steps of a round at which it begins and ends."""


def _steps(report: RoundReport) -> Mapping[RoundEventKind, RoundEvent]:
    """Return the steps of the view that was sealed."""
    sealed = [event.view for event in report.events if event.kind is RoundEventKind.SEALED]
    view = max(sealed) if sealed else max(event.view for event in report.events)
    return {event.kind: event for event in reversed(report.events) if event.view == view}
