"""What the last blocks consumed, so that a verdict on an older state can be brought up to date.

Verification reads the state at one height and ends some blocks later; between the two a sealed
block may have spent the same note. Looking the few last blocks up in memory closes that gap
without a query per transaction.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from node.ledger.proofs import VerifiedTransaction
from node.ledger.rejection import Reason, Rejection
from node.ledger.types import Height, TransactionId

DEPTH = 64
"""Blocks remembered; verification that took longer than that is repeated."""


class VerdictTooOld(Exception):
    """The verdict is older than what is remembered: verify again."""


@dataclass(frozen=True, slots=True)
class _Consumed:
    height: Height
    transaction_ids: frozenset[TransactionId]
    nullifiers: frozenset[bytes]
    one_time_keys: frozenset[bytes]


class RecentBlocks:
    """The consumption of the last `DEPTH` blocks."""

    def __init__(self, tip: Height, depth: int = DEPTH) -> None:
        self._oldest_known = tip
        """Everything above this height is remembered."""
        self._blocks: deque[_Consumed] = deque(maxlen=depth)

    def add(self, height: Height, transactions: Iterable[VerifiedTransaction]) -> None:
        listed = list(transactions)
        if len(self._blocks) == self._blocks.maxlen:
            self._oldest_known = self._blocks[0].height
        self._blocks.append(
            _Consumed(
                height,
                frozenset([item.transaction_id for item in listed]),
                frozenset([nullifier for item in listed for nullifier in item.nullifiers]),
                frozenset([key for item in listed for key in item.one_time_keys]),
            )
        )

    def require_unconsumed(self, verified: VerifiedTransaction, as_of: Height) -> None:
        """Raise `Rejection` if a block above `as_of` made the transaction impossible.

        Raises `VerdictTooOld` if that can no longer be told.
        """
        if as_of < self._oldest_known:
            raise VerdictTooOld
        for block in self._blocks:
            if block.height <= as_of:
                continue
            if verified.transaction_id in block.transaction_ids:
                raise Rejection(
                    Reason.DUPLICATE_TRANSACTION, f"sealed already at height {block.height}"
                )
            if not block.nullifiers.isdisjoint(verified.nullifiers):
                raise Rejection(Reason.NULLIFIER, f"a note was spent at height {block.height}")
            if not block.one_time_keys.isdisjoint(verified.one_time_keys):
                raise Rejection(
                    Reason.NOTE, f"an output key was published at height {block.height}"
                )
