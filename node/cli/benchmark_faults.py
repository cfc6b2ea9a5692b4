"""What a consortium seals while some of its banks are down, next to what it seals undisturbed.

Eight payers pay one another without rest. Each round measures with every bank up, then with one
killed, then with as many as may fail, each from the moment of the kill on; the banks come back in
between. Rounds alternate, so that what else the machine does meets all cases alike.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from node.cli.access import Consortium
from node.cli.chaos_load import ChaosLoad
from node.cli.failure import CommandFailed
from node.client.errors import LedgerError
from node.client.ledger_client import LedgerClient
from node.ledger.active_set import quorum_size
from node.ledger.blocks import Header
from node.ledger.types import BankIndex, Height
from node.runtime import fault_processes
from node.runtime.consortium_directory import short_name
from node.runtime.start_requests import request_start
from node.wire.operator_records import NodeReport

PAYERS = 8
WARM_UP_S = 10.0
BACK_WITHIN_S = 120.0
POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class Window:
    """One measured stretch of time."""

    down: int
    payments_per_s: float
    blocks_per_s: float
    longest_gap_s: float
    """Between two blocks."""
    later_views: int
    """Blocks that were proposed after a view change."""

    def __str__(self) -> str:
        return (
            f"{self.down} down: {self.payments_per_s:.2f} payments/s, {self.blocks_per_s:.2f} "
            f"blocks/s, longest gap {self.longest_gap_s:.1f} s, {self.later_views} blocks after a "
            "view change"
        )


@dataclass(frozen=True, slots=True)
class FaultBenchmark:
    """All windows of all rounds."""

    seconds: float
    """Of each window."""
    windows: tuple[Window, ...]

    def ratio(self, down: int) -> float:
        """Return the median rate with so many banks down, as a share of the undisturbed one."""
        whole = self._median(0)
        return self._median(down) / whole if whole else 0.0

    def lines(self) -> list[str]:
        """Return a line for each number of banks down."""
        return [
            f"{down} down: median {self._median(down):.2f} payments/s "
            f"({min(self._rates(down)):.2f} to {max(self._rates(down)):.2f}), "
            f"{100 * self.ratio(down):.0f} % of the undisturbed rate; longest gap between blocks "
            f"{max(item.longest_gap_s for item in self._of(down)):.1f} s"
            for down in self._cases()
        ]

    def to_json_object(self) -> dict[str, object]:
        """Return every window, and the ratios."""
        return {**asdict(self), "ratios": {down: self.ratio(down) for down in self._cases()}}

    def _cases(self) -> list[int]:
        return sorted({item.down for item in self.windows})

    def _of(self, down: int) -> list[Window]:
        return [item for item in self.windows if item.down == down]

    def _rates(self, down: int) -> list[float]:
        return [item.payments_per_s for item in self._of(down)]

    def _median(self, down: int) -> float:
        return statistics.median(self._rates(down))


async def run_fault_benchmark(
    consortium: Consortium, rounds: int, seconds: float, tell: Callable[[str], None]
) -> FaultBenchmark:
    """Measure a running consortium; raises `FaultRefused` if it is not up, `CommandFailed`."""
    banks = [bank.index for bank in consortium.genesis.banks]
    victims = banks[-1::-2][: len(banks) - quorum_size(len(banks))]
    if not victims:
        raise CommandFailed(
            f"of {len(banks)} banks none may fail", "measure a consortium of 6 banks or more"
        )
    for bank in victims:
        fault_processes.bank_process(consortium.directory, bank)
    windows: list[Window] = []
    payers = min(PAYERS, len(banks) - 2 * len(victims))
    async with ChaosLoad(consortium, 1, 0.0, payers=payers) as load:
        await asyncio.sleep(WARM_UP_S)
        for number in range(rounds):
            for down in range(len(victims) + 1):
                windows.append(await _measure(consortium, load, victims[:down], seconds))
                tell(f"round {number + 1} of {rounds}, {windows[-1]}")
    return FaultBenchmark(seconds, tuple(windows))


async def _measure(
    consortium: Consortium, load: ChaosLoad, victims: Sequence[BankIndex], seconds: float
) -> Window:
    """Kill these banks, measure, and bring them back."""
    for bank in victims:
        await asyncio.to_thread(fault_processes.crash, consortium.directory, bank)
    async with consortium.ledger(BankIndex(0)) as ledger:
        first = Height((await ledger.node_status()).height + 1)
        before = len(load.acknowledged)
        blocks, gap_s, later = await _follow(ledger, first, seconds)
        payments = len(load.acknowledged) - before
    for bank in victims:
        request_start(consortium.directory, bank)
    await _all_back(consortium)
    return Window(len(victims), payments / seconds, blocks / seconds, gap_s, later)


async def _follow(ledger: LedgerClient, first: Height, seconds: float) -> tuple[int, float, int]:
    """Follow the blocks for a time; return their number, the longest gap, and later views."""
    begun_s = last_s = time.monotonic()
    longest_s, count, later = 0.0, 0, 0
    try:
        async with asyncio.timeout(seconds):
            async for stored in ledger.stream_blocks(first, follow=True):
                now_s = time.monotonic()
                longest_s, last_s, count = max(longest_s, now_s - last_s), now_s, count + 1
                later += Header.decode(stored.header).original_view > 0
    except TimeoutError:
        pass
    return count, max(longest_s, begun_s + seconds - last_s), later


async def _all_back(consortium: Consortium) -> None:
    deadline_s = time.monotonic() + BACK_WITHIN_S
    missing: list[str] = ["nobody was asked"]
    while missing:
        if time.monotonic() > deadline_s:
            raise CommandFailed(
                f"{', '.join(missing)} did not come back within {BACK_WITHIN_S:.0f} s",
                "see `consortium status` and `consortium logs`",
            )
        answers: dict[BankIndex, NodeReport | LedgerError] = await consortium.ask_every_bank(
            lambda bank: bank.report()
        )
        missing = [
            short_name(bank)
            for bank, report in answers.items()
            if not isinstance(report, NodeReport) or not report.ready
        ]
        await asyncio.sleep(POLL_S)
