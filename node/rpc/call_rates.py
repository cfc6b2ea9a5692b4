"""How often one party may call: a bucket of calls that refills at a steady rate.

The limit on open calls (`gate`) bounds what a party has under way; it does not bound how many short
calls it makes one after another, and each takes its share of the one event loop that consensus
runs on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic_ns

from node.wire.identity import Identity, Role

KEPT_PARTIES = 4_096
"""Parties whose buckets are kept; beyond it the full ones, which say nothing, are dropped."""


NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class CallRate:
    """What one party may do."""

    per_s: int
    burst: int
    """Calls that may come at once after a pause."""

    @property
    def cost_ns(self) -> int:
        """Time that refills one call."""
        return NS_PER_S // self.per_s

    @property
    def full_ns(self) -> int:
        """Time that fills the bucket."""
        return self.burst * self.cost_ns


CALL_RATES: Mapping[Role, CallRate] = {
    Role.BANK: CallRate(500, 1_000),
    Role.REGULATOR: CallRate(500, 1_000),
    Role.CLIENT: CallRate(500, 1_000),
    Role.OPERATOR: CallRate(200, 400),
}
"""Far above what honest parties do (a payment takes about ten calls, spread over the banks), and a
third of what one event loop could serve."""


@dataclass(slots=True)
class _Bucket:
    """Time saved up, which calls are paid with."""

    saved_ns: int
    seen_ns: int


class CallRates:
    """The buckets of all parties."""

    def __init__(
        self,
        rates: Mapping[Role, CallRate] = CALL_RATES,
        clock_ns: Callable[[], int] = monotonic_ns,
        kept: int = KEPT_PARTIES,
    ) -> None:
        self._rates = rates
        self._clock_ns = clock_ns
        self._kept = kept
        self._buckets: dict[str, _Bucket] = {}

    def take(self, party: Identity) -> int:
        """Count one call; return 0, or after how many milliseconds the party may call again."""
        rate = self._rates[party.role]
        now_ns = self._clock_ns()
        bucket = self._buckets.get(party.uri)
        if bucket is None:
            self._make_room(now_ns)
            bucket = self._buckets[party.uri] = _Bucket(rate.full_ns, now_ns)
        bucket.saved_ns = min(rate.full_ns, bucket.saved_ns + now_ns - bucket.seen_ns)
        bucket.seen_ns = now_ns
        if bucket.saved_ns < rate.cost_ns:
            return -((bucket.saved_ns - rate.cost_ns) // NS_PER_MS)
        bucket.saved_ns -= rate.cost_ns
        return 0

    def _make_room(self, now_ns: int) -> None:
        if len(self._buckets) < self._kept:
            return
        longest_ns = max(rate.full_ns for rate in self._rates.values())
        for uri, bucket in list(self._buckets.items()):
            if now_ns - bucket.seen_ns >= longest_ns:
                del self._buckets[uri]
