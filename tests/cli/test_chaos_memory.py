"""Growth of memory is told from the filling of caches."""

from __future__ import annotations

from dataclasses import replace

from node.cli.chaos_memory import LEAST_SAMPLES, SAMPLE_INTERVAL_S, MemoryWatch
from node.wire.operator_records import NodeReport
from tests.runtime.node_reports import make_report

MEBIBYTE = 1 << 20


def report(bank: int, pid: int, mebibytes: float) -> NodeReport:
    made = make_report(bank)
    process = replace(made.process, pid=pid, resident_bytes=int(mebibytes * MEBIBYTE))
    return replace(made, process=process)


def test_growth_is_counted_from_the_warm_process() -> None:
    watch = MemoryWatch()
    for number in range(100):
        resident = 50 + 5 * number if number < 10 else 100 + number / 20
        watch.take(number * SAMPLE_INTERVAL_S, [report(0, 11, 100), report(1, 12, resident)])
    growth = watch.growth()
    assert growth is not None
    assert 3 < growth.most < 4
    assert 1.5 < growth.all_banks < 2, "the other bank did not grow"


def test_a_process_that_lived_shortly_says_nothing() -> None:
    watch = MemoryWatch()
    for number in range(LEAST_SAMPLES - 1):
        watch.take(number * SAMPLE_INTERVAL_S, [report(0, 11, 100 + number)])
    assert watch.growth() is None
    watch.take(LEAST_SAMPLES * SAMPLE_INTERVAL_S - 6, [report(0, 11, 200)])
    assert watch.growth() is None, "less than an interval has passed"
    watch.take(LEAST_SAMPLES * SAMPLE_INTERVAL_S, [report(0, 11, 200)])
    assert watch.growth() is not None
