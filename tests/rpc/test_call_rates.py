"""A bucket of calls for each party, filled at a steady rate."""

from __future__ import annotations

from node.rpc.call_rates import CallRate, CallRates
from node.wire.identity import Identity, Role

RATES = {role: CallRate(per_s=10, burst=3) for role in Role}
ALICE = Identity("ledger", Role.CLIENT, "alice")
BOB = Identity("ledger", Role.CLIENT, "bob")


class Clock:
    now_ms = 100_000

    def __call__(self) -> int:
        return self.now_ms * 1_000_000


def test_a_burst_then_a_steady_rate_and_the_wait_is_told() -> None:
    clock = Clock()
    rates = CallRates(RATES, clock)
    assert [rates.take(ALICE) for _ in range(5)] == [0, 0, 0, 100, 100]
    clock.now_ms += 50
    assert rates.take(ALICE) == 50
    clock.now_ms += 50
    assert [rates.take(ALICE) for _ in range(2)] == [0, 100]
    clock.now_ms += 60_000
    assert [rates.take(ALICE) for _ in range(4)] == [0, 0, 0, 100]


def test_one_party_does_not_use_up_anothers_calls() -> None:
    rates = CallRates(RATES, Clock())
    assert [rates.take(ALICE) for _ in range(4)][-1] == 100
    assert rates.take(BOB) == 0


def test_only_buckets_that_are_full_again_are_forgotten() -> None:
    clock = Clock()
    rates = CallRates(RATES, clock, kept=1)
    assert [rates.take(ALICE) for _ in range(4)][-1] == 100
    assert rates.take(BOB) == 0
    assert rates.take(ALICE) == 100
    clock.now_ms += 300
    assert rates.take(Identity("ledger", Role.CLIENT, "carol")) == 0
    assert [rates.take(ALICE) for _ in range(4)] == [0, 0, 0, 100]
