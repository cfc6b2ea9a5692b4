"""Which notes pay for a transaction.

A TRANSFER spends at most four notes (IDX1 5.2). Rule: the fewest notes that suffice, because each
costs 1.3 kB, a proof, and one more hint at which notes belong together; among those sets the one
with the least change, so that large notes stay whole. Notes of value 0 (the change of an
exact payment) are never chosen. Up to two notes the choice is exact over all notes; for three and
four it is exact over the `CANDIDATES` largest, which bounds the work for wallets with thousands.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import combinations

from node.client.errors import ConsolidationNeeded, InsufficientFunds

MAX_INPUTS = 4
"""IDX1 5.2."""

CANDIDATES = 40
"""Largest notes considered when three or four are needed: below 100 000 steps."""


def select_notes(values: Sequence[int], target: int) -> tuple[int, ...]:
    """Return indices into `values` whose sum covers `target`, in increasing index order.

    At least one note is chosen, also for target 0. Raises `InsufficientFunds` if all of them
    together do not suffice, `ConsolidationNeeded` if more than four notes would be needed.
    """
    order = sorted(
        (index for index, value in enumerate(values) if value > 0), key=values.__getitem__
    )
    total = sum(values[index] for index in order)
    if total < target or not order:
        raise InsufficientFunds(target, total, 0, 0)
    for count in range(1, MAX_INPUTS + 1):
        if sum(values[index] for index in order[-count:]) >= target and len(order) >= count:
            return tuple(sorted(_least_change(values, order, count, target)))
    raise ConsolidationNeeded(target, [values[index] for index in reversed(order[-MAX_INPUTS:])])


def _least_change(
    values: Sequence[int], order: Sequence[int], count: int, target: int
) -> tuple[int, ...]:
    """Return the set of `count` notes with the smallest sum that reaches `target`.

    `order` is sorted by value, and its `count` largest notes are known to suffice.
    """
    considered = order if count <= 2 else order[-CANDIDATES:]
    sorted_values = [values[index] for index in considered]
    best: tuple[int, ...] | None = None
    best_sum = 0
    # All but the smallest member are tried; the smallest is then found by bisection below them.
    for rest in combinations(range(len(considered)), count - 1):
        rest_sum = sum(sorted_values[position] for position in rest)
        limit = rest[0] if rest else len(considered)
        position = bisect_left(sorted_values, target - rest_sum, 0, limit)
        if position == limit:
            continue
        candidate = rest_sum + sorted_values[position]
        if best is None or candidate < best_sum:
            best, best_sum = (considered[position], *(considered[p] for p in rest)), candidate
            if best_sum == target:
                break
    assert best is not None, "the largest notes were checked to suffice"
    return best


def plan_consolidation(values: Sequence[int], fee: int, target: int | None) -> list[list[int]]:
    """Return groups of indices to merge, each by one self-payment that costs `fee`.

    With a target: the largest notes that together reach it, unless four of them already do.
    Without: all notes, unless there are at most four. Groups that hold no more than their fee are
    left alone. An empty plan means that nothing is to be done, or that nothing helps.
    """
    order = sorted(
        (index for index, value in enumerate(values) if value > 0),
        key=values.__getitem__,
        reverse=True,
    )
    chosen = order if target is None else _fewest_reaching(values, order, target)
    if len(chosen) <= MAX_INPUTS:
        return []
    groups = [chosen[start : start + MAX_INPUTS] for start in range(0, len(chosen), MAX_INPUTS)]
    return [
        group for group in groups if len(group) > 1 and sum(values[index] for index in group) > fee
    ]


def _fewest_reaching(values: Sequence[int], order: list[int], target: int) -> list[int]:
    reached = 0
    for count, index in enumerate(order, start=1):
        reached += values[index]
        if reached >= target:
            return order[:count]
    return order
