"""Evidence on its way into a block: what is being examined, and what waits to be recorded.

Everything in here is bounded, and what a peer can make this bank do is bounded per peer: so many
items under examination at a time, and so many refused ones in a STATUS period. A spammer of
evidence costs itself its turn and nobody else anything (BFT-12 section 12).
"""

from __future__ import annotations

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from node.ledger.blocks import MAX_EVIDENCE
from node.ledger.state_records import PunishedOffence
from node.ledger.types import BankIndex, Height

MAX_PENDING = 1_024
MAX_PENDING_PER_ACCUSED = 128
"""A bank may convict itself of more than can be recorded; others' offences keep their place."""
MAX_PENDING_BYTES = 8 << 20
MAX_EXAMINATIONS_PER_PEER = 4
MAX_REFUSALS_PER_PEER = 8
"""In one STATUS period; then nothing more is taken from the peer until the next one."""
MAX_SETTLED = 4_096
"""Digests of items that were refused or recorded; forgetting one costs an examination."""
MAX_GOSSIP_ITEMS = 8
MAX_GOSSIP_BYTES = 256 << 10
"""Repeated to one peer in one STATUS period, or a single larger item."""
EXAMINED_FOR = 64
"""Heights after which an item that is still not recorded is examined again: it may have become
too old, which only the ledger knows."""


@dataclass(slots=True)
class _Waiting:
    item: bytes
    examined_at: Height


class EvidencePool:
    """Accepted items by the key that they punish, and the examinations under way."""

    def __init__(self) -> None:
        self._waiting: dict[PunishedOffence, _Waiting] = {}
        self._bytes = 0
        self._of_accused: Counter[BankIndex] = Counter()
        self._examining: dict[bytes, BankIndex] = {}
        self._settled: OrderedDict[bytes, None] = OrderedDict()
        self._punished: OrderedDict[PunishedOffence, None] = OrderedDict()
        self._refusals: Counter[BankIndex] = Counter()
        self._turn = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def needs(self, key: PunishedOffence) -> bool:
        """Whether no item of this key waits or was recorded lately."""
        return key not in self._waiting and key not in self._punished

    # Examination.

    def would_hear(self, item: bytes, source: BankIndex) -> bool:
        """Whether an item of a peer is new, and the peer has not used up its share."""
        digest = _digest(item)
        if digest in self._settled or digest in self._examining:
            return False
        if self._refusals[source] >= MAX_REFUSALS_PER_PEER:
            return False
        under_way = sum(1 for examined in self._examining.values() if examined == source)
        return under_way < MAX_EXAMINATIONS_PER_PEER

    def examine(self, item: bytes, source: BankIndex) -> bool:
        """Note an examination; return False if this very item is being examined."""
        digest = _digest(item)
        if digest in self._examining:
            return False
        self._examining[digest] = source
        return True

    def examined(self, item: bytes) -> BankIndex | None:
        """Return for whom the item was examined, None if nobody asked."""
        return self._examining.pop(_digest(item), None)

    def refuse(self, item: bytes, source: BankIndex) -> None:
        """Remember an item that proves nothing, and who brought it."""
        self.charge(source)
        self.settle(item)

    def charge(self, source: BankIndex) -> None:
        """Count something useless against the share of a peer."""
        self._refusals[source] += 1

    def begin_period(self) -> None:
        """A STATUS period is over: hear everybody again."""
        self._refusals.clear()

    # What waits to be recorded.

    def accept(self, key: PunishedOffence, item: bytes, height: Height) -> bool:
        """Take an examined item; return whether it is new, and there was room for it.

        An item that stays out for lack of room may come again. One that was examined before its
        key was punished, and answered after, is not taken.
        """
        if key in self._punished:
            self.settle(item)
            return False
        known = self._waiting.get(key)
        if known is not None:
            if known.item == item:
                known.examined_at = height
            else:
                self.settle(item)
            return False
        full = (
            len(self._waiting) >= MAX_PENDING
            or self._of_accused[key.bank] >= MAX_PENDING_PER_ACCUSED
            or self._bytes + len(item) > MAX_PENDING_BYTES
        )
        if full:
            return False
        self._waiting[key] = _Waiting(item, height)
        self._bytes += len(item)
        self._of_accused[key.bank] += 1
        return True

    def punished(self, keys: Iterable[PunishedOffence]) -> None:
        """Drop what a block recorded."""
        for key in keys:
            self._drop(key)
            self._punished[key] = None
        while len(self._punished) > MAX_PENDING:
            self._punished.popitem(last=False)

    def drop(self, item: bytes) -> None:
        """Drop a waiting item that was examined again and refused."""
        for key in [key for key, waiting in self._waiting.items() if waiting.item == item]:
            self._drop(key)

    def stale(self, height: Height) -> list[bytes]:
        """Return the items to be examined again at this height."""
        return [
            waiting.item
            for waiting in self._waiting.values()
            if height - waiting.examined_at >= EXAMINED_FOR
        ]

    def for_block(self) -> tuple[bytes, ...]:
        """Return what should be recorded next, in increasing key order."""
        return tuple([self._waiting[key].item for key in sorted(self._waiting)[:MAX_EVIDENCE]])

    def for_peer(self) -> list[bytes]:
        """Return the items whose turn it is to be repeated, in rotation."""
        keys = list(self._waiting)
        chosen: list[bytes] = []
        total = 0
        for _ in range(min(len(keys), MAX_GOSSIP_ITEMS)):
            item = self._waiting[keys[self._turn % len(keys)]].item
            total += len(item)
            if chosen and total > MAX_GOSSIP_BYTES:
                break
            chosen.append(item)
            self._turn += 1
        return chosen

    def _drop(self, key: PunishedOffence) -> None:
        waiting = self._waiting.pop(key, None)
        if waiting is not None:
            self._bytes -= len(waiting.item)
            self._of_accused[key.bank] -= 1
            self.settle(waiting.item)

    def settle(self, item: bytes) -> None:
        """Remember an item that need not be looked at again."""
        self._settled[_digest(item)] = None
        if len(self._settled) > MAX_SETTLED:
            self._settled.popitem(last=False)


def _digest(item: bytes) -> bytes:
    return hashlib.sha256(item).digest()
