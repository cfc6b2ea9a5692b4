"""The load of a throughput measurement: who submits what when, and what becomes of it.

Transactions are handed to every bank in turn, over one stream a bank. With a rate they are due at
fixed times whatever the banks answer (open loop): latencies count from the time a transaction was
due, so that a client that cannot keep up is no excuse. Without one (saturation) a bounded number
is under way, and a new one is due when an old one is sealed. What a bank has no room for is handed
in again after the pause that the bank asks for, at the same bank, and counted.

One bank's block stream tells what is sealed, as it would tell a client of that bank.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

from crypto.transaction import transaction_id
from node.cli.access import Consortium
from node.client.errors import LedgerError, RecordNotFound
from node.client.ledger_client import LedgerClient, SubmissionOutcome
from node.client.submission_stream import SubmissionStream
from node.ledger.blocks import Block
from node.ledger.types import BankIndex, Height, TransactionId
from node.wire.records import TransactionState

FOLLOWED_BANK = BankIndex(0)
PACE_S = 0.005
"""How often due transactions are looked for."""
RECONNECT_S = 0.5
LOOKUPS_AT_ONCE = 64


class Transactions(Protocol):
    """What can be submitted: a workload file, or a list."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Unused:
    """The rest of a workload whose beginning this ledger holds already."""

    transactions: Transactions
    first: int

    def __len__(self) -> int:
        return len(self.transactions) - self.first

    def __getitem__(self, index: int, /) -> bytes:
        return self.transactions[self.first + index]


async def find_unused(ledger: LedgerClient, transactions: Transactions) -> Unused:
    """Return what an earlier measurement on the same ledger has left of a workload.

    Measurements take transactions from the beginning, so a search by halves finds the place.
    """
    below, above = 0, len(transactions)
    while below < above:
        middle = (below + above) // 2
        try:
            await ledger.transaction(TransactionId(transaction_id(transactions[middle])))
        except RecordNotFound:
            above = middle
        else:
            below = middle + 1
    return Unused(transactions, below)


class WorkloadUsedUp(Exception):
    """Every transaction of the workload has been submitted."""


@dataclass(slots=True)
class Submission:
    """One transaction under way; times by `time.monotonic`, None until it happens."""

    index: int
    bank: BankIndex
    due_s: float
    answered_s: float | None = None
    """When its bank acknowledged it."""
    sealed_s: float | None = None
    rejection: str = ""
    """Reason code of a final refusal."""

    @property
    def open(self) -> bool:
        return self.sealed_s is None and not self.rejection


@dataclass(frozen=True, slots=True)
class SealedBlock:
    """One block as the followed bank told it."""

    height: Height
    seen_s: float
    """When the client saw it, by `time.monotonic`."""
    time_ms: int
    """Of the header."""
    transactions: int
    view: int
    """In which it was proposed first."""
    bytes: int
    """Canonical block without transactions, with the ballots about its parent."""


class Load:
    """Submits, follows, keeps the books; `async with Load(...) as load:`."""

    def __init__(
        self,
        consortium: Consortium,
        transactions: Transactions,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._consortium = consortium
        self._transactions = transactions
        self._clock_s = clock_s
        self.submissions: list[Submission] = []
        """In the order of the workload, one for each transaction used."""
        self.blocks: list[SealedBlock] = []
        self.overloaded = 0
        """Answers that asked to come back later."""
        self._follower_reconnected = 0
        self.duplicates = 0
        """Transactions seen in a second block."""
        self._index_of: dict[TransactionId, int] = {}
        self._open = 0
        self._settled = asyncio.Event()
        """Set whenever a transaction is sealed or refused."""
        self._streams: list[SubmissionStream] = []
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def used(self) -> int:
        """Transactions of the workload that were submitted."""
        return len(self.submissions)

    @property
    def reconnected(self) -> int:
        """Streams that broke or ended and were opened again."""
        return self._follower_reconnected + sum(item.reconnected for item in self._streams)

    @property
    def left(self) -> int:
        """Transactions that are still to be had."""
        return len(self._transactions) - self.used

    @property
    def under_way(self) -> int:
        """Submitted, and neither sealed nor refused."""
        return self._open

    async def __aenter__(self) -> Load:
        async with self._consortium.ledger(FOLLOWED_BANK) as ledger:
            height = (await ledger.node_status()).height
        for endpoint in self._consortium.endpoints:
            credentials = self._consortium.client_credentials(endpoint.bank)
            stream = SubmissionStream(endpoint, credentials, self.raw, self._answered)
            self._streams.append(stream)
        follower = asyncio.create_task(self._follow(Height(height + 1)))
        submitting = [asyncio.create_task(stream.run()) for stream in self._streams]
        self._tasks = [follower, *submitting]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for stream in self._streams:
            await stream.close()

    # --- submitting ---------------------------------------------------------------------------

    async def at_rate(self, rate: float, until_s: float) -> None:
        """Submit `rate` transactions a second until a moment; raises `WorkloadUsedUp`."""
        begun_s, first = self._clock_s(), self.used
        while (now_s := self._clock_s()) < until_s:
            self._require_running()
            for number in range(self.used - first, int((now_s - begun_s) * rate)):
                self._submit(begun_s + (number + 1) / rate)
            await asyncio.sleep(PACE_S)

    async def saturating(self, in_flight: int, until_s: float) -> None:
        """Keep so many transactions under way until a moment; raises `WorkloadUsedUp`."""
        while (now_s := self._clock_s()) < until_s:
            self._require_running()
            while self._open < in_flight:
                self._submit(now_s)
            self._settled.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._settled.wait(), min(1.0, until_s - now_s))

    async def drain(self, within_s: float, meter: Callable[[int, int], None]) -> None:
        """Wait until everything is sealed or refused, as long as something still is."""
        begin = self._open
        least, last_s = begin, self._clock_s()
        while self._open and self._clock_s() - last_s < within_s:
            self._require_running()
            if self._open < least:
                least, last_s = self._open, self._clock_s()
            meter(begin - self._open, begin)
            await asyncio.sleep(0.2)
        await self._look_up_the_rest()

    def _submit(self, due_s: float) -> None:
        index = self.used
        if index >= len(self._transactions):
            raise WorkloadUsedUp
        stream = self._streams[index % len(self._streams)]
        self._index_of[TransactionId(transaction_id(self.raw(index)))] = index
        self.submissions.append(Submission(index, stream.bank, due_s))
        self._open += 1
        stream.put(index)

    def raw(self, index: int) -> bytes:
        """Return a transaction's canonical bytes."""
        return self._transactions[index]

    def _require_running(self) -> None:
        """Raise what ended a task of ours: none ends by itself."""
        for task in self._tasks:
            if task.done():
                task.result()

    # --- what becomes of it -------------------------------------------------------------------

    def _answered(self, outcome: SubmissionOutcome) -> None:
        """Note what a bank says of a transaction; hand it in again if the bank asks for that."""
        submission, error = self.submissions[outcome.item], outcome.error
        if error is None:
            if submission.answered_s is None:
                submission.answered_s = self._clock_s()
        elif error.retry_delay_ms:
            self.overloaded += 1
            self._streams[submission.bank].put_later(submission.index, error.retry_delay_ms)
        else:
            self._refuse(submission, error.reason_code or error.status)

    def _refuse(self, submission: Submission, reason: str) -> None:
        if submission.open:
            submission.rejection = reason
            self._settle()

    def _seal(self, index: int, seen_s: float) -> None:
        submission = self.submissions[index]
        if submission.sealed_s is not None:
            self.duplicates += 1
            return
        if not submission.rejection:
            self._settle()
        submission.sealed_s = seen_s

    def _settle(self) -> None:
        self._open -= 1
        self._settled.set()

    async def _follow(self, from_height: Height) -> None:
        height = from_height
        async with self._consortium.ledger(FOLLOWED_BANK) as ledger:
            while True:
                try:
                    async for published in ledger.stream_blocks(height, follow=True):
                        seen_s = self._clock_s()
                        block = Block.decode(published.block)
                        self._saw(block, len(published.block), seen_s)
                        height = Height(block.height + 1)
                except LedgerError:
                    self._follower_reconnected += 1
                    await asyncio.sleep(RECONNECT_S)

    def _saw(self, block: Block, size_bytes: int, seen_s: float) -> None:
        header = block.header
        self.blocks.append(
            SealedBlock(
                height=block.height,
                seen_s=seen_s,
                time_ms=header.time_ms,
                transactions=header.transaction_count,
                view=header.original_view,
                bytes=size_bytes,
            )
        )
        for identity in block.transaction_ids:
            index = self._index_of.get(identity)
            if index is not None:
                self._seal(index, seen_s)

    async def _look_up_the_rest(self) -> None:
        """Ask the banks about what the block stream never showed."""
        rest = [item for item in self.submissions if item.open]
        for start in range(0, len(rest), LOOKUPS_AT_ONCE):
            await asyncio.gather(*map(self._look_up, rest[start : start + LOOKUPS_AT_ONCE]))

    async def _look_up(self, submission: Submission) -> None:
        identity = TransactionId(transaction_id(self.raw(submission.index)))
        async with self._consortium.ledger(submission.bank) as ledger:
            with contextlib.suppress(LedgerError):
                self._looked_up(submission, await _status(ledger, identity))

    def _looked_up(self, submission: Submission, found: tuple[TransactionState, str]) -> None:
        state, reason = found
        if state is TransactionState.SEALED:
            self._seal(submission.index, self._clock_s())
        elif state.is_final:
            self._refuse(submission, reason or state.name.lower())


async def _status(ledger: LedgerClient, identity: TransactionId) -> tuple[TransactionState, str]:
    status = (await ledger.transaction(identity)).status
    return status.state, status.refusal.reason if status.refusal is not None else ""


def rejections(submissions: Sequence[Submission]) -> dict[str, int]:
    """Count final refusals by their reason."""
    return dict(Counter(item.rejection for item in submissions if item.rejection))
