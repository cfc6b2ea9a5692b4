"""What was checked of the last transactions, and when what happened to them.

Columns of plain numbers, a slot for each transaction: a hundred bytes instead of the thousand that
objects would take, and nothing for the garbage collector to look at.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from node.ledger.rejection import Rejection
from node.ledger.types import BankIndex, TransactionId
from node.runtime.observation.check_times import (
    GOVERNANCE_CHECKS,
    TRANSFER_CHECKS,
    BatchTimes,
)
from node.wire.operator_records import (
    TransactionCheck,
    TransactionEvent,
    TransactionEventKind,
    TransactionTrace,
)

TRANSACTIONS_KEPT = 20_000
SLOTS_AT_ONCE = 500
REFUSED_KEPT = 500
"""Refused ones are kept apart: a flood of them must not push out the others."""
MESSAGE_LENGTH = 200

NOT_YET = "not yet: judged again after the next block"

CLIENT = -1
"""As a source: somebody who is no bank, or a bank that submits like a client."""
DATABASE = -2

_STEPS = len(TRANSFER_CHECKS)
_VERIFIED, _REFUSED, _JUDGED, _GOVERNANCE, _COMPARED = 1, 2, 4, 8, 16
"""Flags: what the verification said; that it came to the equations; what kind of transaction it
is; that it was compared with the mempool."""


def source_of(text: str) -> int:
    """Return the bank that the pool's name of a source stands for, else CLIENT or DATABASE."""
    kind, _, name = text.partition("/")
    index = name.partition("/")[0]
    if kind == "bank" and index.isdigit():
        return int(index)
    return DATABASE if text == "database" else CLIENT


class TransactionLog:
    """Transactions by id, at most so many; the oldest give way."""

    def __init__(
        self, bank: BankIndex, kept: int = TRANSACTIONS_KEPT, refused: int = REFUSED_KEPT
    ) -> None:
        self._bank = bank
        self._kept = kept
        self._refused_kept = refused
        self._slots: dict[TransactionId, int] = {}
        self._ids: list[TransactionId | None] = []
        self._free: list[int] = []
        self._next = 0
        """The slot whose transaction gives way next, once all are taken."""
        self._refused: OrderedDict[TransactionId, TransactionTrace] = OrderedDict()
        self._source = array("b")
        self._flags = array("B")
        self._begun = array("B")
        self._size = array("I")
        self._height = array("q")
        self._batch, self._proven = array("H"), array("H")
        self._lookup_us, self._proofs_us, self._compared_us = array("I"), array("I"), array("I")
        self._steps_us = array("I")
        """`_STEPS` for each slot."""
        self._received_us, self._verified_us = array("q"), array("q")
        self._admitted_us, self._gossiped_us = array("q"), array("q")
        self._proposed_us, self._sealed_us, self._applied_us = array("q"), array("q"), array("q")
        self._columns = tuple([item for item in vars(self).values() if isinstance(item, array)])

    def __len__(self) -> int:
        return len(self._slots) + len(self._refused)

    def received(self, transaction_id: TransactionId, source: int, size: int, at_us: int) -> None:
        """A transaction came for the first time, or again after it was refused."""
        if transaction_id in self._slots:
            return
        self._refused.pop(transaction_id, None)
        slot = self._take_slot()
        self._slots[transaction_id] = slot
        self._ids[slot] = transaction_id
        self._source[slot] = source
        self._size[slot] = size
        self._received_us[slot] = at_us

    def _take_slot(self) -> int:
        if self._free:
            return self._free.pop()
        if len(self._ids) < self._kept:
            first = len(self._ids)
            self._grow(min(SLOTS_AT_ONCE, self._kept - first))
            self._free.extend(reversed(range(first + 1, len(self._ids))))
            return first
        slot, self._next = self._next, (self._next + 1) % self._kept
        given_up = self._ids[slot]
        if given_up is not None:
            del self._slots[given_up]
        self._clear(slot)
        return slot

    def _grow(self, slots: int) -> None:
        self._ids.extend([None] * slots)
        for column in self._columns:
            cells = slots * _STEPS if column is self._steps_us else slots
            column.frombytes(bytes(cells * column.itemsize))

    def _clear(self, slot: int) -> None:
        self._ids[slot] = None
        for column in self._columns:
            if column is not self._steps_us:
                column[slot] = 0

    def judged(
        self,
        transaction_ids: Sequence[TransactionId],
        accepted: Sequence[bool],
        times: BatchTimes,
        lookup_us: int,
        at_us: int,
    ) -> None:
        """A batch was verified; both lists are in its order."""
        batch, proven, proofs_us = len(transaction_ids), times.proven, times.proofs_us
        for transaction_id, good, item in zip(transaction_ids, accepted, times.items, strict=True):
            slot = self._slots.get(transaction_id)
            if slot is None or self._flags[slot] & _VERIFIED:
                # What a block names is verified at once, and perhaps again when gossip brings it.
                continue
            first = slot * _STEPS
            begun = len(item.steps_us)
            self._steps_us[first : first + begun] = array("I", item.steps_us)
            self._begun[slot] = begun
            self._lookup_us[slot] = lookup_us
            self._proofs_us[slot] = proofs_us
            self._batch[slot] = batch
            self._proven[slot] = proven
            self._flags[slot] = (
                (_VERIFIED if good else _REFUSED)
                | (_JUDGED if item.judged else 0)
                | (_GOVERNANCE if item.governance else 0)
            )
            self._verified_us[slot] = at_us if good else 0

    def compared(self, transaction_id: TransactionId, duration_us: int) -> None:
        """It was compared with what waits here and with the newest blocks."""
        slot = self._slots.get(transaction_id)
        if slot is not None:
            self._compared_us[slot] += duration_us
            self._flags[slot] |= _COMPARED

    def admitted(self, transaction_id: TransactionId, at_us: int) -> None:
        """It waits for a block."""
        slot = self._slots.get(transaction_id)
        if slot is not None and not self._admitted_us[slot]:
            self._admitted_us[slot] = at_us

    def gossiped(self, transaction_id: TransactionId, at_us: int) -> None:
        """It was told to the other banks."""
        slot = self._slots.get(transaction_id)
        if slot is not None and not self._gossiped_us[slot]:
            self._gossiped_us[slot] = at_us

    def proposed(self, transaction_ids: Iterable[TransactionId], height: int, at_us: int) -> None:
        """They stand in a valid proposal."""
        for transaction_id in transaction_ids:
            slot = self._slots.get(transaction_id)
            if slot is not None:
                self._proposed_us[slot] = at_us
                self._height[slot] = height

    def applied(
        self, transaction_ids: Iterable[TransactionId], height: int, sealed_us: int, at_us: int
    ) -> list[int]:
        """Their block was applied; return how long each one of my clients took, in microseconds."""
        taken_us = []
        for transaction_id in transaction_ids:
            slot = self._slots.get(transaction_id)
            if slot is not None:
                self._sealed_us[slot] = sealed_us
                self._applied_us[slot] = at_us
                self._height[slot] = height
                if self._source[slot] == CLIENT:
                    taken_us.append(at_us - self._received_us[slot])
            elif transaction_id in self._refused:
                self._sealed_after_all(transaction_id, height, sealed_us, at_us)
        return taken_us

    def _sealed_after_all(
        self, transaction_id: TransactionId, height: int, sealed_us: int, at_us: int
    ) -> None:
        """What had no room here, or came too early, had room elsewhere and came in time."""
        trace, at_height = self._refused[transaction_id], f"block {height}"
        events = (
            *trace.events,
            TransactionEvent(TransactionEventKind.SEALED, sealed_us, at_height),
            TransactionEvent(TransactionEventKind.APPLIED, at_us, at_height),
        )
        self._refused[transaction_id] = replace(trace, events=events)

    def refused(self, transaction_id: TransactionId, rejection: Rejection, at_us: int) -> None:
        """It was refused, or evicted; what says nothing about a sealed one is ignored."""
        slot = self._slots.get(transaction_id)
        if slot is None or self._applied_us[slot]:
            return
        # The message about a full mempool names whoever filled it.
        message = "no room now" if not rejection.reason.is_deterministic else rejection.message
        message = message[:MESSAGE_LENGTH]
        events = (
            *self._events(slot),
            TransactionEvent(
                TransactionEventKind.REFUSED, at_us, f"{rejection.reason.value}: {message}"
            ),
        )
        trace = TransactionTrace(
            self._bank,
            transaction_id,
            _source_text(self._source[slot]),
            tuple(self._checks(slot, message)),
            tuple(events),
        )
        del self._slots[transaction_id]
        self._clear(slot)
        self._free.append(slot)
        self._refused[transaction_id] = trace
        if len(self._refused) > self._refused_kept:
            self._refused.popitem(last=False)

    def trace(self, transaction_id: TransactionId) -> TransactionTrace | None:
        """Return what is kept of a transaction."""
        slot = self._slots.get(transaction_id)
        if slot is None:
            return self._refused.get(transaction_id)
        return TransactionTrace(
            self._bank,
            transaction_id,
            _source_text(self._source[slot]),
            tuple(self._checks(slot, None)),
            tuple(self._events(slot)),
        )

    def _checks(self, slot: int, refusal: str | None) -> Iterator[TransactionCheck]:
        flags = self._flags[slot]
        if flags & (_VERIFIED | _REFUSED):
            yield TransactionCheck("lookup", True, self._lookup_us[slot], self._batch[slot])
            yield from self._verification(slot, flags, refusal or NOT_YET)
        if flags & _COMPARED:
            # Once it waits, what ends it is an eviction and no check.
            passed = refusal is None or self._admitted_us[slot] > 0
            message = "" if passed else refusal or ""
            yield TransactionCheck("conflicts", passed, self._compared_us[slot], 1, message)

    def _verification(self, slot: int, flags: int, refusal: str) -> Iterator[TransactionCheck]:
        names = GOVERNANCE_CHECKS if flags & _GOVERNANCE else TRANSFER_CHECKS
        first, begun = slot * _STEPS, self._begun[slot]
        for position in range(begun):
            failed = position == begun - 1 and not flags & _JUDGED
            spent_us = self._steps_us[first + position]
            message = refusal if failed else ""
            yield TransactionCheck(names[position], not failed, spent_us, 1, message)
        if flags & _JUDGED and not flags & _GOVERNANCE:
            good = bool(flags & _VERIFIED)
            yield TransactionCheck(
                "proofs",
                good,
                self._proofs_us[slot],
                self._proven[slot],
                "" if good else refusal,
            )

    def _events(self, slot: int) -> list[TransactionEvent]:
        at_height = f"block {self._height[slot]}"
        batch = self._batch[slot]
        moments = (
            (TransactionEventKind.RECEIVED, self._received_us, f"{self._size[slot]} bytes"),
            (TransactionEventKind.VERIFIED, self._verified_us, f"in a batch of {batch}"),
            (TransactionEventKind.ADMITTED, self._admitted_us, ""),
            (TransactionEventKind.GOSSIPED, self._gossiped_us, ""),
            (TransactionEventKind.PROPOSED, self._proposed_us, at_height),
            (TransactionEventKind.SEALED, self._sealed_us, at_height),
            (TransactionEventKind.APPLIED, self._applied_us, at_height),
        )
        events = [
            TransactionEvent(kind, column[slot], detail)
            for kind, column, detail in moments
            if column[slot]
        ]
        return sorted(events, key=lambda event: event.at_us)


def _source_text(source: int) -> str:
    if source == CLIENT:
        return "client"
    return "database" if source == DATABASE else f"bank {source}"
