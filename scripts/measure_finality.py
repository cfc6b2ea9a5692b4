"""Time lone payments on an idle consortium, from their submission to the seal.

python -m scripts.measure_finality 3@127.0.0.1:7003 CLIENT_DIRECTORY WALLET_FILE [COUNT]

The wallet (opened by its key file) pays itself one minor unit COUNT times, 30 by default, waiting
between two payments until the ledger is idle again. Printed: milliseconds from the home bank's
receipt until it says that the payment is sealed, and the whole time as the payer sees it, with
proving, admission and the verification of the inclusion proof.
"""

import asyncio
import statistics
import sys
import time
from pathlib import Path

from node.client import KeyFile, LedgerClient, Wallet

IDLE_S = 3.0
"""Longer than a bin stays open, so that no block is on its way."""


async def measure(
    endpoint: str, credentials: str, wallet_file: str, count: int
) -> tuple[list[float], list[float]]:
    """Return the milliseconds of each payment: submission to seal, and as the payer sees it."""
    path = Path(wallet_file)
    sealed_ms, payer_ms = [], []
    async with LedgerClient.connect(endpoint, credentials) as ledger:
        secret = KeyFile(path.with_suffix(".key"))
        async with await Wallet.open(path.parent, path.stem, secret, ledger) as wallet:
            for number in range(count):
                await asyncio.sleep(IDLE_S)
                await wallet.sync()
                begun = time.monotonic()
                payment = await wallet.pay(wallet.address, 1)
                transaction_id = payment.attempts[-1].transaction_id
                submitted = time.monotonic()
                async for status in ledger.wait_for(transaction_id, timeout_ms=30_000):
                    if status.state.name == "SEALED":
                        sealed_ms.append((time.monotonic() - submitted) * 1000)
                await wallet.wait_sealed(payment)
                payer_ms.append((time.monotonic() - begun) * 1000)
                print(f"{number + 1}/{count}: {sealed_ms[-1]:.0f} ms", file=sys.stderr)
    return sealed_ms, payer_ms


def line(name: str, values: list[float]) -> str:
    """Return one row of the result."""
    cuts = statistics.quantiles(values, n=20)
    return (
        f"{name}: p50 {statistics.median(values):.0f} ms, p95 {cuts[18]:.0f} ms, "
        f"max {max(values):.0f} ms of {len(values)}"
    )


if __name__ == "__main__":
    arguments = sys.argv[1:]
    times = asyncio.run(measure(*arguments[:3], int(arguments[3]) if arguments[3:] else 30))
    print(line("admitted to sealed", times[0]))
    print(line("as the payer sees it", times[1]))
