"""When each step of deciding the last heights happened here."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from node.ledger.types import BankIndex, Height, View
from node.wire.operator_records import RoundEvent, RoundEventKind

HEIGHTS_KEPT = 512
EVENTS_OF_HEIGHT = 240
"""A height that takes dozens of views keeps its beginning and its end."""

_Entry = tuple[RoundEventKind, int, int, int | None, int | None]
"""Kind, view, moment and duration in microseconds, bank: as in `RoundEvent`."""


class RoundLog:
    """Events by height, bounded in both; each step of a view is kept once."""

    def __init__(self, heights: int = HEIGHTS_KEPT, events: int = EVENTS_OF_HEIGHT) -> None:
        self._heights_kept = heights
        self._events_kept = events
        self._heights: OrderedDict[int, list[_Entry]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._heights)

    def add(
        self,
        height: int,
        kind: RoundEventKind,
        view: int,
        at_us: int,
        duration_us: int | None = None,
        bank: int | None = None,
    ) -> bool:
        """Keep a step; return False if the same one is known (a repeated message, say)."""
        entries = self._heights.get(height)
        if entries is None:
            entries = self._heights[height] = []
            if len(self._heights) > self._heights_kept:
                self._heights.popitem(last=False)
        elif any(item[0] is kind and item[1] == view and item[4] == bank for item in entries):
            return False
        if len(entries) >= self._events_kept:
            del entries[self._events_kept // 2]
        entries.append((kind, view, at_us, duration_us, bank))
        return True

    def first_us(self, height: int, kind: RoundEventKind, view: int | None = None) -> int | None:
        """Return when a step was taken first, in a view or in any; None if it was not."""
        moments = [
            entry[2]
            for entry in self._heights.get(height, ())
            if entry[0] is kind and view in (None, entry[1])
        ]
        return min(moments, default=None)

    def latest_view(self, height: int, kind: RoundEventKind) -> int | None:
        """Return the highest view in which a step was taken."""
        return max(
            (entry[1] for entry in self._heights.get(height, ()) if entry[0] is kind), default=None
        )

    def events(self, height: int) -> tuple[RoundEvent, ...] | None:
        """Return the steps of a height in order of time; None if none is kept."""
        entries = self._heights.get(height)
        if entries is None:
            return None
        return tuple(self._in_order(entries))

    @staticmethod
    def _in_order(entries: list[_Entry]) -> Iterator[RoundEvent]:
        for kind, view, at_us, duration_us, bank in sorted(entries, key=lambda entry: entry[2]):
            proposer = None if bank is None else BankIndex(bank)
            yield RoundEvent(kind, View(view), at_us, duration_us, proposer)

    @property
    def newest_height(self) -> Height | None:
        """The height last heard of."""
        return Height(next(reversed(self._heights))) if self._heights else None
