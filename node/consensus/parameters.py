"""Timing and batching of the consensus (BFT-12 section 1); the same for every bank."""

from __future__ import annotations

from dataclasses import dataclass

from node.ledger.genesis import Genesis
from node.ledger.types import View

MAX_VIEWS_AHEAD = 50
"""Statements of views further ahead are dropped unread (BFT-12 section 12); certificates prove
themselves and may lead further."""

_MAX_GROWTH_EXPONENT = 64
"""Bounds the arithmetic; any sensible TMAX is reached long before."""

SUSPECT_SHARE = 8
"""A view led by a bank that is not there lasts T0/8 instead of T0: an undisturbed block needs at
most T0/10 (BFT-12 section 7)."""

LATE_HEIGHTS = 2
"""Sealed heights whose late statements are still kept as evidence (BFT-12 section 9)."""


@dataclass(frozen=True, slots=True)
class ConsensusParameters:
    """Durations in milliseconds. Safety holds for any values; liveness wants
    `view_timeout_max_ms > retry_ms + 8 message delays + one block's verification`."""

    view_timeout_ms: int = 2_000
    """T0: duration of view 0; ten times the p99 of an undisturbed block."""
    view_timeout_growth_numerator: int = 3
    view_timeout_growth_denominator: int = 2
    """B = 3/2: each further view of a height lasts so much longer."""
    view_timeout_max_ms: int = 20_000
    """TMAX."""
    status_ms: int = 1_000
    """STATUS: how often two peers are told where I stand."""
    heartbeat_ms: int = 30_000
    """HB: an empty block is due after so much idle time; it finds a dead leader before traffic
    does."""
    batch_limit: int = 100
    """BATCH: a full batch is proposed at once."""
    batch_wait_ms: int = 50
    """BATCH_WAIT: longest wait for a batch to fill."""
    sync_gap_ms: int = 100
    """Shortest time between catch-up requests, and between answers to one peer."""

    @classmethod
    def of(cls, genesis: Genesis) -> ConsensusParameters:
        """Return the timing that the genesis prescribes."""
        parameters = genesis.parameters
        return cls(
            view_timeout_ms=parameters.view_timeout_ms,
            view_timeout_growth_numerator=parameters.view_timeout_growth.numerator,
            view_timeout_growth_denominator=parameters.view_timeout_growth.denominator,
            view_timeout_max_ms=parameters.view_timeout_max_ms,
            heartbeat_ms=parameters.heartbeat_ms,
            batch_limit=parameters.batch_limit,
            batch_wait_ms=parameters.batch_wait_ms,
        )

    @property
    def retry_ms(self) -> int:
        """RETRY = T0/2: the retransmission period."""
        return max(1, self.view_timeout_ms // 2)

    def view_timeout(self, view: View, *, suspected: bool = False) -> int:
        """Return `min(T0 * B^view, TMAX)` in milliseconds; T0/8 for a suspected leader."""
        if suspected:
            return max(1, self.view_timeout_ms // SUSPECT_SHARE)
        exponent = min(view, _MAX_GROWTH_EXPONENT)
        numerator: int = self.view_timeout_growth_numerator**exponent
        denominator: int = self.view_timeout_growth_denominator**exponent
        duration_ms = self.view_timeout_ms * numerator // denominator
        return min(duration_ms, self.view_timeout_max_ms)
