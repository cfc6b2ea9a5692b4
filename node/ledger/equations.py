"""The last step of every verification: the equations of many proofs in one batch (IDX1 10)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TypeVar

from crypto.accumulator import BatchItem
from crypto.batch import verify_batch
from crypto.errors import BatchRejected
from crypto.errors import Reason as CryptoReason
from crypto.randomness import RandomBytes
from node.ledger.rejection import Reason, Rejection

EQUATION_FAILS = "an equation does not hold"
OUTSIDE_SUBGROUP = "outside the subgroup of prime order"

Key = TypeVar("Key", bound=Hashable)


def failing_equations(
    items: Mapping[Key, BatchItem], random_bytes: RandomBytes
) -> dict[Key, Rejection]:
    """Return why each bad item is refused; the others hold.

    One multi-scalar multiplication if none is bad, and random sums of the points whose subgroup
    nobody asked before. `random_bytes` draws the weights, after the items are fixed (IDX1 10.5).
    """
    keys = list(items)
    try:
        verify_batch([items[key] for key in keys], random_bytes)
    except BatchRejected as error:
        return {
            keys[position]: Rejection(
                Reason(reason.value),
                OUTSIDE_SUBGROUP if reason is CryptoReason.SUBGROUP else EQUATION_FAILS,
            )
            for position, reason in error.failures.items()
        }
    return {}
