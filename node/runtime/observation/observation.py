"""The one object that the edges of a node tell what happens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from node.consensus.effects import Persist
from node.consensus.messages import Message, Proposal, QuorumCertificate, Seal
from node.consensus.record import DurableRecord, RecordInvalid
from node.ledger.blocks import Block
from node.ledger.rejection import Rejection
from node.ledger.types import BankIndex, Height, TransactionId, View
from node.runtime.clock import running_ns, unix_us
from node.runtime.observation.check_times import MAX_DURATION_US, BatchTimes
from node.runtime.observation.histogram import Histogram
from node.runtime.observation.recent_values import RecentValues, percentile
from node.runtime.observation.round_log import RoundLog
from node.runtime.observation.transaction_log import CLIENT, TransactionLog, source_of
from node.wire.operator_records import (
    PerformanceReport,
    RoundEventKind,
    RoundReport,
    TransactionTrace,
)

WINDOW_US = 60_000_000
STEP_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
FINALITY_BOUNDS_S = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 20.0, 30.0, 60.0)
BATCH_BOUNDS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 150.0, 200.0)

Expected = Callable[[Height, View], "BankIndex | None"]
"""Who leads a view of a height that is near; None of any other, which is not observed."""


class Observation:
    """Rounds, transactions and durations of one bank, bounded; used in the event loop's thread."""

    def __init__(
        self,
        bank: BankIndex,
        leader_of: Expected | None = None,
        now_us: Callable[[], int] = unix_us,
        clock_ns: Callable[[], int] = running_ns,
    ) -> None:
        """`now_us` is the time of day in microseconds, `clock_ns` a clock for durations."""
        self.on_refused: Callable[[TransactionId], None] | None = None
        """Told of each refusal, if anybody wants to be."""
        self.refusals: Counter[str] = Counter()
        """Since the start, by the code of the reason."""
        self._bank = bank
        self._leader_of = leader_of
        self._now_us = now_us
        self._clock_ns = clock_ns
        self._started_us = now_us()
        self._rounds = RoundLog()
        self._transactions = TransactionLog(bank)
        self._sealed_transactions = self._sealed_blocks = 0
        self._blocks = RecentValues()
        """Transactions of the blocks applied lately."""
        self._recent = {
            name: RecentValues() for name in ("verify", "vote", "seal", "apply", "finality")
        }
        self.histograms: Mapping[str, Histogram] = {
            "verify_seconds": Histogram(STEP_BOUNDS_S),
            "vote_seconds": Histogram(STEP_BOUNDS_S),
            "seal_seconds": Histogram(STEP_BOUNDS_S),
            "apply_seconds": Histogram(STEP_BOUNDS_S),
            "finality_seconds": Histogram(FINALITY_BOUNDS_S),
            "batch_transactions": Histogram(BATCH_BOUNDS),
            "block_transactions": Histogram(BATCH_BOUNDS),
        }
        """Since the start, by name; the unit is the last word of the name."""

    def begin(self) -> int:
        """Return when something begins, for the methods that are told when it did."""
        return self._clock_ns()

    # --- rounds

    def proposal_arrived(self, proposal: Proposal) -> None:
        """A proposal came over the link of its signer; it is not checked yet."""
        height, view, bank = proposal.height, proposal.view, proposal.bank
        if self._leader_of is None or self._leader_of(height, view) == bank:
            self._step(height, RoundEventKind.PROPOSAL, view, bank=bank)

    def certificate_verified(self, height: Height, view: View) -> None:
        """A quorum certificate was made or verified here."""
        self._step(height, RoundEventKind.CERTIFIED, view)

    def knows_certificate(self, height: Height, view: View) -> bool:
        """Whether a quorum certificate of this view was seen before."""
        return self._rounds.first_us(height, RoundEventKind.CERTIFIED, view) is not None

    def persisted(self, effect: Persist) -> None:
        """A statement of this bank is durable, and leaves now."""
        try:
            record = DurableRecord.decode(effect.record)
        except RecordInvalid:
            # What is wrong with it, the next restart says.
            return
        height, view = effect.height, effect.view
        if record.proposed is not None and record.proposed.view == view:
            self._step(height, RoundEventKind.PROPOSAL, view, bank=self._bank)
        if record.voted is not None and record.voted.view == view:
            self._voted(height, view)
        if record.committed is not None and record.committed.view == view:
            self._step(height, RoundEventKind.CERTIFIED, view)
            self._step(height, RoundEventKind.COMMITTED, view)
        if record.timeout is not None and record.timeout.view == view:
            self._step(height, RoundEventKind.TIMED_OUT, view)

    def broadcast(self, message: Message) -> None:
        """This bank tells all others something: certificates and seals that it made."""
        if type(message) is QuorumCertificate:
            self._step(message.height, RoundEventKind.CERTIFIED, message.view)
        elif type(message) is Seal:
            self.sealed(message.height, message.view)

    def validated(self, block: Block, begun_ns: int) -> None:
        """This bank has judged a block that it is to answer."""
        view = self._rounds.latest_view(block.height, RoundEventKind.PROPOSAL)
        if view is None:
            view = block.header.original_view
        self._step(block.height, RoundEventKind.VALIDATED, view, self._since_us(begun_ns))

    def sealed(self, height: Height, view: View) -> None:
        """A seal of the height is here."""
        at_us = self._now_us()
        if not self._rounds.add(height, RoundEventKind.SEALED, view, at_us):
            return
        proposed_us = self._rounds.first_us(height, RoundEventKind.PROPOSAL)
        if proposed_us is not None:
            self._took("seal", at_us, at_us - proposed_us)

    def applied(self, block: Block, view: View, begun_ns: int) -> None:
        """A sealed block was executed and stored."""
        at_us, spent_us = self._now_us(), self._since_us(begun_ns)
        height, count = block.height, len(block.transaction_ids)
        self._rounds.add(height, RoundEventKind.APPLIED, view, at_us, spent_us)
        self._took("apply", at_us, spent_us)
        self._sealed_blocks += 1
        self._sealed_transactions += count
        self._blocks.add(at_us, count)
        if not count:
            return
        self.histograms["block_transactions"].observe(count)
        sealed_us = self._rounds.first_us(height, RoundEventKind.SEALED) or at_us
        taken = self._transactions.applied(block.transaction_ids, height, sealed_us, at_us)
        for taken_us in taken:
            self._took("finality", at_us, taken_us)

    def _voted(self, height: Height, view: View) -> None:
        at_us = self._now_us()
        if not self._rounds.add(height, RoundEventKind.VOTED, view, at_us):
            return
        proposed_us = self._rounds.first_us(height, RoundEventKind.PROPOSAL, view)
        if proposed_us is not None:
            self._took("vote", at_us, at_us - proposed_us)

    def _step(
        self,
        height: Height,
        kind: RoundEventKind,
        view: View | int,
        duration_us: int | None = None,
        bank: BankIndex | None = None,
    ) -> None:
        self._rounds.add(height, kind, view, self._now_us(), duration_us, bank)

    def round(self, height: Height) -> RoundReport | None:
        """Return the steps of a height, None if none is kept."""
        events = self._rounds.events(height)
        return None if events is None else RoundReport(self._bank, height, events)

    # --- transactions

    def received(self, transaction_id: TransactionId, size: int, source: str | None = None) -> None:
        """A transaction came: from a client, or from the source that the pool names so."""
        where = CLIENT if source is None else source_of(source)
        self._transactions.received(transaction_id, where, size, self._now_us())

    def batch_verified(
        self,
        transaction_ids: Sequence[TransactionId],
        accepted: Sequence[bool],
        times: BatchTimes,
        begun_ns: int,
        looked_up_ns: int,
    ) -> None:
        """A batch was verified: begun, with the state looked up, and judged as the lists say."""
        at_us = self._now_us()
        self._took("verify", at_us, self._since_us(begun_ns))
        self.histograms["batch_transactions"].observe(len(transaction_ids))
        lookup_us = min((looked_up_ns - begun_ns) // 1_000, MAX_DURATION_US)
        self._transactions.judged(transaction_ids, accepted, times, lookup_us, at_us)

    def compared(self, transaction_id: TransactionId, begun_ns: int) -> None:
        """A verified transaction was compared with what waits, and with the newest blocks."""
        self._transactions.compared(transaction_id, self._since_us(begun_ns))

    def admitted(self, transaction_id: TransactionId) -> None:
        """A transaction waits for a block."""
        self._transactions.admitted(transaction_id, self._now_us())

    def gossiped(self, transaction_id: TransactionId) -> None:
        """A transaction was told to the other banks."""
        self._transactions.gossiped(transaction_id, self._now_us())

    def proposed(self, block: Block) -> None:
        """A proposed block was found valid."""
        self._transactions.proposed(block.transaction_ids, block.height, self._now_us())

    def refused(self, transaction_id: TransactionId, rejection: Rejection) -> None:
        """A transaction was refused, or evicted from the mempool."""
        self.refusals[rejection.reason.value] += 1
        self._transactions.refused(transaction_id, rejection, self._now_us())
        if self.on_refused is not None:
            self.on_refused(transaction_id)

    def transaction_trace(self, transaction_id: TransactionId) -> TransactionTrace | None:
        """Return what happened to a transaction, None if nothing is kept of it."""
        return self._transactions.trace(transaction_id)

    # --- figures

    def _since_us(self, begun_ns: int) -> int:
        return (self._clock_ns() - begun_ns) // 1_000

    def _took(self, name: str, at_us: int, spent_us: int) -> None:
        spent_us = max(0, spent_us)
        self._recent[name].add(at_us, spent_us)
        self.histograms[f"{name}_seconds"].observe(spent_us / 1_000_000)

    def performance(self) -> PerformanceReport:
        """Return throughput and percentiles of the last minute."""
        now_us = self._now_us()
        window_us = max(1, min(WINDOW_US, now_us - self._started_us))
        from_us = now_us - window_us
        transactions = sum(self._blocks.since(from_us))
        values = {name: recent.since(from_us) for name, recent in self._recent.items()}
        return PerformanceReport(
            sealed_transactions=self._sealed_transactions,
            sealed_blocks=self._sealed_blocks,
            window_ms=window_us // 1_000,
            window_transactions=transactions,
            sealed_per_second=transactions * 1_000_000 / window_us,
            finality_ms_p50=_in_ms(values["finality"], 50),
            finality_ms_p95=_in_ms(values["finality"], 95),
            finality_ms_p99=_in_ms(values["finality"], 99),
            verify_ms_p50=_in_ms(values["verify"], 50),
            vote_ms_p50=_in_ms(values["vote"], 50),
            seal_ms_p50=_in_ms(values["seal"], 50),
            apply_ms_p50=_in_ms(values["apply"], 50),
        )


def _in_ms(ordered_us: list[int], percent: int) -> float | None:
    value_us = percentile(ordered_us, percent)
    return None if value_us is None else value_us / 1_000
