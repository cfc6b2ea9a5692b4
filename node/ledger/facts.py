"""What the rules ask of the ledger's history, fetched by the host before it calls them.

The state holds no nullifiers, no notes and no closed bins; the host looks up, in one query,
exactly what the transactions at hand could collide with or spend from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from crypto.ring import ClosedBin
from node.ledger.governance import LedgerTransaction
from node.ledger.types import TransactionId


class CarriesTransaction(Protocol):
    """Anything that has a decoded transaction inside."""

    @property
    def transaction(self) -> LedgerTransaction:
        """The decoded transaction."""
        ...


@dataclass(frozen=True, slots=True)
class FactsNeeded:
    """What to look up; each tuple without repetitions, in order of first mention."""

    nullifiers: tuple[bytes, ...]
    """96 bytes each."""
    one_time_keys: tuple[bytes, ...]
    """P of the outputs, 96 bytes each."""
    bin_ids: tuple[int, ...]
    transaction_ids: tuple[TransactionId, ...]


@dataclass(frozen=True, slots=True)
class BlockFacts:
    """What was found in the parent state. Whatever is absent does not exist there."""

    spent: frozenset[bytes] = frozenset()
    """Those of the needed nullifiers that are spent."""
    known_notes: frozenset[bytes] = frozenset()
    """Those of the needed one-time keys that are on the ledger, in open or closed bins."""
    closed_bins: Mapping[int, ClosedBin] = field(default_factory=dict)
    """Those of the needed bins that are closed; one object per bin, for it caches its points."""
    sealed_transactions: frozenset[bytes] = frozenset()
    """Those of the needed transaction ids that are sealed."""


def facts_needed(
    transactions: Iterable[LedgerTransaction | CarriesTransaction],
) -> FactsNeeded:
    """Return what `verify_transactions`, `execute` and `build_block` read for these."""
    nullifiers: dict[bytes, None] = {}
    one_time_keys: dict[bytes, None] = {}
    bin_ids: dict[int, None] = {}
    transaction_ids: dict[TransactionId, None] = {}
    for item in transactions:
        decoded = item if isinstance(item, LedgerTransaction) else item.transaction
        transaction_ids[TransactionId(decoded.transaction_id)] = None
        for spend in decoded.inputs:
            nullifiers[spend.nullifier] = None
            bin_ids[spend.bin_id] = None
        for output in decoded.outputs:
            one_time_keys[output.one_time_key] = None
    return FactsNeeded(
        tuple(nullifiers), tuple(one_time_keys), tuple(bin_ids), tuple(transaction_ids)
    )
