"""BFT-12 section 1: `min(T0 * B^view, TMAX)`."""

from __future__ import annotations

from node.consensus.parameters import ConsensusParameters
from node.ledger.types import View


def test_view_timeouts_grow_and_stop_growing() -> None:
    parameters = ConsensusParameters()
    durations = [parameters.view_timeout(View(view)) for view in range(8)]
    assert durations == [2_000, 3_000, 4_500, 6_750, 10_125, 15_187, 20_000, 20_000]
    assert parameters.view_timeout(View(2**31 - 1)) == 20_000


def test_retry_is_half_of_the_first_timeout() -> None:
    assert ConsensusParameters().retry_ms == 1_000
    assert ConsensusParameters(view_timeout_ms=1).retry_ms == 1
