"""Measure what a consortium of twelve seals while 0, 1 and 2 of its banks are down.

python -m scripts.measure_degraded DATA_DIRECTORY [ROUNDS] [SECONDS]

Needs a consortium that `consortium up` runs in DATA_DIRECTORY. Eight payers at the first eight
banks pay one another without rest. Each round measures SECONDS (40) with every bank up, then with
one killed, then with two, each from the moment of the kill on; the banks come back in between.
Printed: payments a second, blocks a second, the longest time between two blocks, and the ratio of
the medians to that of the undisturbed consortium.
"""

import asyncio
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from node.cli.access import Consortium
from node.cli.chaos_load import ChaosLoad
from node.client.errors import LedgerError
from node.client.ledger_client import LedgerClient
from node.ledger.blocks import Header
from node.ledger.types import Height
from node.runtime import fault_processes
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.start_requests import request_start

PAYERS = 8
VICTIMS = (8, 10)
WARM_UP_S = 10.0
BACK_WITHIN_S = 60.0


@dataclass(frozen=True)
class Measured:
    """One window of time."""

    down: int
    payments_per_s: float
    blocks_per_s: float
    longest_gap_s: float
    later_views: int
    """Blocks that needed a view change."""


async def heights_and_gaps(
    ledger: LedgerClient, first: int, seconds: float
) -> tuple[int, float, int]:
    """Follow the blocks for a time; return their number, the longest gap, and view changes."""
    begun, last, longest, count, later = time.monotonic(), time.monotonic(), 0.0, 0, 0
    try:
        async with asyncio.timeout(seconds):
            async for stored in ledger.stream_blocks(Height(first), follow=True):
                now = time.monotonic()
                longest, last, count = max(longest, now - last), now, count + 1
                later += Header.decode(stored.header).original_view > 0
    except TimeoutError:
        pass
    return count, max(longest, begun + seconds - last), later


async def measure(consortium: Consortium, load: ChaosLoad, down: int, seconds: float) -> Measured:
    """Kill so many banks, measure, bring them back."""
    for bank in VICTIMS[:down]:
        fault_processes.crash(consortium.directory, bank)
    async with consortium.ledger(consortium.genesis.banks[0].index) as ledger:
        first = (await ledger.node_status()).height + 1
        before = len(load.acknowledged)
        blocks, gap, later = await heights_and_gaps(ledger, first, seconds)
        payments = len(load.acknowledged) - before
    for bank in VICTIMS[:down]:
        request_start(consortium.directory, bank)
    await all_back(consortium)
    return Measured(down, payments / seconds, blocks / seconds, gap, later)


async def all_back(consortium: Consortium) -> None:
    async with asyncio.timeout(BACK_WITHIN_S):
        while True:
            answers = await consortium.ask_every_bank(lambda bank: bank.report())
            if all(not isinstance(item, LedgerError) and item.ready for item in answers.values()):
                return
            await asyncio.sleep(0.5)


async def main(directory: str, rounds: int, seconds: float) -> None:
    consortium = Consortium.load(ConsortiumDirectory(Path(directory)))
    results: list[Measured] = []
    async with ChaosLoad(consortium, 1, 0.0, payers=PAYERS) as load:
        await asyncio.sleep(WARM_UP_S)
        for number in range(rounds):
            for down in range(len(VICTIMS) + 1):
                item = await measure(consortium, load, down, seconds)
                results.append(item)
                print(
                    f"round {number + 1}, {down} down: {item.payments_per_s:.2f} payments/s, "
                    f"{item.blocks_per_s:.2f} blocks/s, longest gap {item.longest_gap_s:.1f} s, "
                    f"{item.later_views} blocks after a view change",
                    file=sys.stderr,
                )
    whole = statistics.median([item.payments_per_s for item in results if item.down == 0])
    for down in range(len(VICTIMS) + 1):
        rates = [item.payments_per_s for item in results if item.down == down]
        rate = statistics.median(rates)
        print(
            f"{down} down: median {rate:.2f} payments/s ({min(rates):.2f} to {max(rates):.2f}), "
            f"{100 * rate / whole:.0f} % of the undisturbed rate"
        )


if __name__ == "__main__":
    arguments = sys.argv[1:]
    asyncio.run(
        main(
            arguments[0],
            int(arguments[1]) if arguments[1:] else 3,
            float(arguments[2]) if arguments[2:] else 40.0,
        )
    )
