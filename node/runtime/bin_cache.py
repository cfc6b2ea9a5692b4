"""Closed bins, the most recently used ones.

A closed bin never changes, so it may be kept for ever; its n^2 notes take 12 KB at ring base 8, and
bins also close by age, several a minute in a ledger at rest, so only the busiest are.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from crypto.ring import ClosedBin

CAPACITY = 64
"""About 1 MB at ring base 8. Full blocks of the workload `local` read from eight at most."""


class BinCache:
    """Least recently used bins fall out."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._bins: OrderedDict[int, ClosedBin] = OrderedDict()

    def get(self, bin_id: int) -> ClosedBin | None:
        closed = self._bins.get(bin_id)
        if closed is not None:
            self._bins.move_to_end(bin_id)
        return closed

    def put(self, bins: Iterable[ClosedBin]) -> None:
        for closed in bins:
            self._bins[closed.bin_id] = closed
            self._bins.move_to_end(closed.bin_id)
        while len(self._bins) > self._capacity:
            self._bins.popitem(last=False)
