"""A leader that is down costs the others one full time-out, not one at each of its turns.

BFT-12 sections 7 and 14, in virtual time over whole consortiums.
"""

from __future__ import annotations

import pytest

from tests.consensus.cluster import Cluster, Network

ROUNDS = 3
"""How often each bank leads."""


def sealing_times_ms(cluster: Cluster, heights: int, witness: int) -> list[int]:
    """Seal heights one by one under load; return how long each took."""
    times = []
    for _ in range(heights):
        begun_ms = cluster.now_ms
        height = cluster.banks[witness].height + 1
        cluster.submit()
        cluster.reach(height, banks=[witness], limit_ms=30_000)
        times.append(cluster.now_ms - begun_ms)
    return times


@pytest.mark.parametrize("down", [(5,), (5, 9), (5, 6)])
def test_section_7_no_repeated_full_time_out_with_banks_down(down: tuple[int, ...]) -> None:
    cluster = Cluster(12)
    cluster.start()
    for bank in down:
        cluster.crash(bank)
    times = sealing_times_ms(cluster, 12 * ROUNDS, witness=0)
    t0_ms = cluster.parameters.view_timeout_ms
    first, later = times[:12], times[12:]
    # Neighbours lead one after the other: the second one costs its view of the same height.
    assert sum(time >= t0_ms for time in first) == (1 if down == (5, 6) else len(down))
    assert max(later) < t0_ms // 2


def test_section_14_a_bank_that_is_back_leads_again() -> None:
    cluster = Cluster(12)
    cluster.start()
    cluster.crash(5)
    sealing_times_ms(cluster, 24, witness=0)
    cluster.restart(5)
    cluster.run(10_000)
    sealing_times_ms(cluster, 12, witness=0)
    recent = [sealed.block.header for sealed in cluster.banks[0].disk.chain[-12:]]
    assert {header.proposer for header in recent} == set(range(12))
    assert {header.original_view for header in recent} == {0}


def test_section_14_slow_messages_of_a_suspected_leader_are_waited_for() -> None:
    """All suspect bank 5 after an outage, and its messages take longer than T0/8."""
    cluster = Cluster(12, network=Network(min_delay_ms=1, max_delay_ms=2))
    cluster.start()
    cluster.crash(5)
    sealing_times_ms(cluster, 24, witness=0)
    cluster.network.min_delay_ms, cluster.network.max_delay_ms = 280, 300
    cluster.restart(5)
    cluster.run(10_000)
    sealing_times_ms(cluster, 24, witness=0)
    recent = [sealed.block.header for sealed in cluster.banks[0].disk.chain[-12:]]
    assert 5 in {header.proposer for header in recent}
