"""Every transaction of a workload is submitted once, whoever used the file before."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from loadtest.leases import LEASE, LOOK_AHEAD, Leases, first_unused


@given(count=st.integers(1, 100 * LEASE), data=st.data())
def test_a_run_goes_on_behind_the_part_that_was_used(count: int, data: st.DataObject) -> None:
    used = data.draw(st.integers(0, count))
    found = first_unused(count, lambda index: index < used)
    assert found == min(-(-used // LEASE) * LEASE, count)


@given(leases=st.integers(LOOK_AHEAD + 2, 200), lost=st.sets(st.integers(0, 199)), data=st.data())
def test_a_lease_of_a_lost_worker_is_no_beginning(
    leases: int, lost: set[int], data: st.DataObject
) -> None:
    """What a lost worker had leased is unknown to the ledger, although later leases are used."""
    used = data.draw(st.integers(0, leases - LOOK_AHEAD - 1))
    gaps = {lease for lease in lost if lease < used and lease + 1 not in lost and lease}

    def is_known(index: int) -> bool:
        return index // LEASE < used and index // LEASE not in gaps

    assert first_unused(leases * LEASE, is_known) >= max(
        (lease for lease in range(used) if lease not in gaps), default=-1
    ) * LEASE + (LEASE if used else 0)


def test_only_the_first_or_last_of_a_lease_may_be_known() -> None:
    assert first_unused(10 * LEASE, lambda index: index == 0) == LEASE
    assert first_unused(10 * LEASE, lambda index: index == LEASE - 1) == LEASE


@given(count=st.integers(0, 10 * LEASE), start=st.integers(0, 5))
def test_leases_follow_one_another_to_the_end(count: int, start: int) -> None:
    begin = min(start * LEASE, count)
    leases = Leases(count, lambda: begin)
    taken: list[int] = []
    while run := leases.take():
        assert len(run) <= LEASE
        taken.extend(run)
    assert taken == list(range(begin, count))
    assert not leases.take()
