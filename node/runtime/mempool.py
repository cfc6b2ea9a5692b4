"""Verified transactions that wait for a block.

Every entry has passed all proof checks against closed bins; what can still change its fate is the
chain itself. Conflicts in the mempool never influence a vote (BFT-12 section 8): a proposal is
judged against the parent state alone. Bounded per source and in total; a full mempool refuses
with `mempool-full` and never drops silently.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass

from node.ledger.proofs import VerifiedTransaction
from node.ledger.rejection import Reason, Rejection
from node.ledger.types import Height, TransactionId


@dataclass(frozen=True, slots=True)
class MempoolLimits:
    """Caps against abuse (BFT-12 section 12)."""

    transactions: int = 4_000
    """In all."""
    bytes: int = 40 << 20
    """In all."""
    transactions_per_source: int = 2_000
    """Of one client or one peer, so that one source cannot fill the pool."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One waiting transaction."""

    verified: VerifiedTransaction
    source: str
    """Who handed it in: `client/NAME` or `bank/INDEX`."""


class Mempool:
    """Verified transactions in order of arrival, with indexes over what they would consume."""

    def __init__(self, limits: MempoolLimits) -> None:
        self._limits = limits
        self._entries: dict[TransactionId, Entry] = {}
        self._nullifiers: dict[bytes, TransactionId] = {}
        self._one_time_keys: dict[bytes, TransactionId] = {}
        self._spending_nothing: dict[TransactionId, VerifiedTransaction] = {}
        self._expiries: Counter[int] = Counter()
        """How many wait of each expiry."""
        self._per_source: Counter[str] = Counter()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, transaction_id: object) -> bool:
        return transaction_id in self._entries

    def __iter__(self) -> Iterator[VerifiedTransaction]:
        return (entry.verified for entry in self._entries.values())

    @property
    def size_bytes(self) -> int:
        return self._bytes

    def get(self, transaction_id: TransactionId) -> VerifiedTransaction | None:
        entry = self._entries.get(transaction_id)
        return entry.verified if entry else None

    def require_room(self, source: str, size: int) -> None:
        """Raise `Rejection(mempool-full)` if a transaction of `size` bytes would not fit."""
        if (
            len(self._entries) >= self._limits.transactions
            or self._bytes + size > self._limits.bytes
        ):
            raise Rejection(
                Reason.MEMPOOL_FULL,
                f"the mempool holds {len(self._entries)} transactions; try again later",
            )
        if self._per_source[source] >= self._limits.transactions_per_source:
            raise Rejection(
                Reason.MEMPOOL_FULL,
                f"{source} has {self._per_source[source]} transactions waiting; try again later",
            )

    def has_ample_room(self, source: str) -> bool:
        """Whether less than half of the room is taken, in all and by this source."""
        limits = self._limits
        return (
            2 * len(self._entries) < limits.transactions
            and 2 * self._bytes < limits.bytes
            and 2 * self._per_source[source] < limits.transactions_per_source
        )

    def require_no_conflict(self, verified: VerifiedTransaction) -> None:
        """Raise `Rejection` if a waiting transaction spends the same note or creates the same key.

        The reasons are those the ledger would give to the second of two such transactions
        (IDX1 8.5).
        """
        for nullifier in verified.nullifiers:
            rival = self._nullifiers.get(nullifier)
            if rival is not None and rival != verified.transaction_id:
                raise Rejection(
                    Reason.NULLIFIER,
                    f"a note is already being spent by pending transaction {rival.hex()}",
                )
        for key in verified.one_time_keys:
            rival = self._one_time_keys.get(key)
            if rival is not None and rival != verified.transaction_id:
                raise Rejection(
                    Reason.NOTE,
                    f"an output key is already used by pending transaction {rival.hex()}",
                )

    def add(self, verified: VerifiedTransaction, source: str) -> None:
        """Add one transaction; again is a no-op. Raises `Rejection`, and nothing has changed."""
        if verified.transaction_id in self._entries:
            return
        self.require_room(source, verified.size)
        self.require_no_conflict(verified)
        self._entries[verified.transaction_id] = Entry(verified, source)
        nullifiers = verified.nullifiers
        if not nullifiers:
            self._spending_nothing[verified.transaction_id] = verified
        for nullifier in nullifiers:
            self._nullifiers[nullifier] = verified.transaction_id
        self._expiries[verified.transaction.expiry] += 1
        for key in verified.one_time_keys:
            self._one_time_keys[key] = verified.transaction_id
        self._per_source[source] += 1
        self._bytes += verified.size

    def remove(self, transaction_id: TransactionId) -> VerifiedTransaction | None:
        """Take one transaction out; unknown ids are ignored."""
        entry = self._entries.pop(transaction_id, None)
        if entry is None:
            return None
        verified = entry.verified
        self._spending_nothing.pop(transaction_id, None)
        expiry = verified.transaction.expiry
        self._expiries[expiry] -= 1
        if not self._expiries[expiry]:
            del self._expiries[expiry]
        for nullifier in verified.nullifiers:
            self._nullifiers.pop(nullifier, None)
        for key in verified.one_time_keys:
            self._one_time_keys.pop(key, None)
        self._per_source[entry.source] -= 1
        if not self._per_source[entry.source]:
            del self._per_source[entry.source]
        self._bytes -= verified.size
        return verified

    def candidates(
        self, limit: int, passed_over: Container[TransactionId] = ()
    ) -> tuple[VerifiedTransaction, ...]:
        """Return up to `limit` transactions, oldest first, without those to pass over."""
        chosen: list[VerifiedTransaction] = []
        for transaction_id, entry in self._entries.items():
            if len(chosen) == limit:
                break
            if transaction_id not in passed_over:
                chosen.append(entry.verified)
        return tuple(chosen)

    def spending_nothing(self) -> tuple[VerifiedTransaction, ...]:
        """Return the waiting transactions without inputs: issues, payouts and governance."""
        return tuple(self._spending_nothing.values())

    def conflicting(
        self, nullifiers: Iterable[bytes], one_time_keys: Iterable[bytes]
    ) -> tuple[TransactionId, ...]:
        """Return the waiting transactions that a sealed block has made impossible."""
        doomed = [self._nullifiers[n] for n in nullifiers if n in self._nullifiers]
        doomed += [self._one_time_keys[k] for k in one_time_keys if k in self._one_time_keys]
        return tuple(dict.fromkeys(doomed))

    def expired(self, next_height: Height) -> tuple[TransactionId, ...]:
        """Return the transactions whose expiry is below the height that is decided next."""
        if not self._expiries or min(self._expiries) >= next_height:
            # After nearly every block; the mempool may hold thousands.
            return ()
        return tuple(
            transaction_id
            for transaction_id, entry in self._entries.items()
            if entry.verified.transaction.expiry < next_height
        )
