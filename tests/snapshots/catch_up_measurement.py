"""How fast a bank catches up that is far behind, while the others go on under load.

A consortium of processes on one machine: every bank but the last holds a long ledger, load comes
in at a steady rate, and the last bank starts from genesis. Run by `scripts/measure_catch_up.py`;
progress goes to standard error, the report as JSON to standard output.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import node
from node.client.errors import LedgerError
from node.client.ledger_client import LedgerClient
from node.ledger.genesis import Parameters
from node.ledger.types import Amount, BankIndex
from node.runtime.bank_process import ALLOCATOR
from node.runtime.config import REPLAY, SNAPSHOT, render_node_config
from node.runtime.running_consortium import NODE_MODULE
from node.runtime.secrets_directory import read_private
from node.storage.embedded_postgres import EmbeddedPostgres
from tests.conftest import TEST_SETTINGS
from tests.ledger.chain import Chain
from tests.runtime.cluster import Cluster, make_cluster
from tests.runtime.test_node import make_issue
from tests.snapshots.long_chain import BLOCK_INTERVAL_MS, copy_database, long_chain, store

PARAMETERS = Parameters(ring_base=4, transfer_fee=Amount(100), heartbeat_ms=60_000)
LEVEL_GAP = 2
"""Heights between two banks that are level: blocks are sealed while one asks."""
SAMPLE_S = 0.5
WARM_UP_S = 10.0


@dataclass(frozen=True)
class Report:
    """What was measured."""

    banks: int
    behind: int
    """Heights that the last bank was behind when it started."""
    join: str
    level: bool
    """Whether it was followed until it was level."""
    load_per_second: float
    """Transactions offered."""
    produced_alone_per_second: float
    """Blocks sealed in a second before the last bank started."""
    produced_per_second: float
    """Blocks sealed in a second while it caught up."""
    caught_up_per_second: float
    """Blocks that it applied in a second, from its first answer on; all at once by a snapshot."""
    caught_up_median_per_second: float
    """Median over windows of five seconds."""
    slowest_window_per_second: float
    seconds: float
    """From its start as a process until it was level."""
    factor: float
    """How much faster than production."""


ROOT = Path(node.__file__).resolve().parent.parent


def say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure how fast a bank catches up.")
    parser.add_argument("--blocks", type=int, default=10_000)
    parser.add_argument("--banks", type=int, default=12)
    parser.add_argument("--load", type=float, default=10.0, help="transactions a second")
    parser.add_argument("--every", type=int, default=25, help="one block in so many is not empty")
    parser.add_argument("--longest", type=float, default=3_600.0, help="seconds to follow it for")
    parser.add_argument("--join", choices=(REPLAY, SNAPSHOT), default=REPLAY)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="consortium-measure-") as name:
        Path(name).chmod(0o711)
        report = asyncio.run(measure(Path(name), given))
    sys.stdout.write(json.dumps(asdict(report), indent=2) + "\n")
    return 0


async def measure(directory: Path, given: argparse.Namespace) -> Report:
    with server(directory / "postgres") as postgres:
        cluster = make_consortium(directory, postgres, given)
        await asyncio.to_thread(fill, directory, cluster, given)
        async with contextlib.AsyncExitStack() as stack:
            last = len(cluster.banks) - 1
            for bank in range(last):
                await stack.enter_async_context(process(directory, cluster, bank))
            clients = [await stack.enter_async_context(cluster.client(b)) for b in range(last + 1)]
            await until_ready(clients[:last])
            loading = asyncio.create_task(load(cluster, clients[:last], given))
            try:
                alone = await production(clients[0])
                say(f"{alone:.2f} blocks a second with {last} of {last + 1} banks")
                begun_s = time.monotonic()
                await stack.enter_async_context(process(directory, cluster, last))
                samples = await follow(clients[0], clients[last], given.longest)
            finally:
                loading.cancel()
                await asyncio.gather(loading, return_exceptions=True)
            return report_of(samples, alone, begun_s, given)


@contextlib.contextmanager
def server(
    directory: Path, settings: Mapping[str, str] | None = None
) -> Iterator[EmbeddedPostgres]:
    postgres = EmbeddedPostgres(directory, settings=settings)
    postgres.start()
    try:
        yield postgres
    finally:
        postgres.destroy()


def make_consortium(
    directory: Path, postgres: EmbeddedPostgres, given: argparse.Namespace
) -> Cluster:
    names = iter(range(given.banks))

    def database_url() -> str:
        name = f"bank_{next(names):02d}"
        postgres.create_database(name, name, name)
        return postgres.url(name, name, name)

    age_ms = (given.blocks + 60) * BLOCK_INTERVAL_MS
    cluster = make_cluster(directory, database_url, given.banks, PARAMETERS, age_ms=age_ms)
    joining = cluster.banks[-1]
    joining.config = replace(joining.config, join=given.join)
    return cluster


def fill(directory: Path, cluster: Cluster, given: argparse.Namespace) -> None:
    """Give all banks but the last the long ledger, by way of a server that does not sync."""
    begun_s = time.monotonic()
    chain = Chain(cluster.genesis, seed="measurement")
    blocks = tuple(long_chain(chain, given.blocks, every=given.every))
    say(f"{given.blocks} blocks made in {time.monotonic() - begun_s:.1f} s")
    urls = [
        read_private(bank.config.database.url_file).decode().strip() for bank in cluster.banks[:-1]
    ]
    with server(directory / "scratch", TEST_SETTINGS) as scratch:
        scratch.create_database("ledger", "ledger", "ledger")
        made = scratch.url("ledger", "ledger", "ledger")
        asyncio.run(store(made, chain, blocks, BankIndex(0)))
        say(f"applied after {time.monotonic() - begun_s:.1f} s")
        for bank, url in enumerate(urls):
            copy_database(made, url, BankIndex(bank))
            # It has signed nothing: the ledger was made for it.
            cluster.banks[bank].config.guard_file.touch()
    say(f"stored at {len(urls)} banks after {time.monotonic() - begun_s:.1f} s")


@contextlib.asynccontextmanager
async def process(directory: Path, cluster: Cluster, bank: int) -> AsyncIterator[None]:
    """Run one bank as a process of its own."""
    place = directory / f"bank-{bank}"
    config_file = place / "node.toml"
    config_file.write_text(render_node_config(cluster.banks[bank].config, place))
    with (place / "node.log").open("ab") as log:
        running = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", NODE_MODULE, "node", "run"),
            *("--config", str(config_file)),
            stdout=log,
            stderr=log,
            env={**ALLOCATOR, **os.environ, "PYTHONPATH": str(ROOT)},
        )
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            running.terminate()
        if await running.wait() != 0:
            log_end = (place / "node.log").read_text()[-800:]
            say(f"bank {bank} ended with {running.returncode}: {log_end}")


async def until_ready(clients: list[LedgerClient]) -> None:
    for client in clients:
        while True:
            with contextlib.suppress(LedgerError):
                status = await client.node_status()
                if status.ready and status.linked_banks >= len(clients):
                    break
            await asyncio.sleep(0.2)
    say(f"{len(clients)} banks are ready")


async def load(cluster: Cluster, clients: list[LedgerClient], given: argparse.Namespace) -> None:
    """Offer issues at a steady rate to one bank after another."""
    begun_s = time.monotonic()
    for number in range(1 << 30 if given.load else 0):
        at = number / given.load
        bank = number % len(clients)
        raw = await asyncio.to_thread(
            make_issue, cluster, 100 + number % 7, bank, given.blocks + 900
        )
        await asyncio.sleep(max(0.0, begun_s + at - time.monotonic()))
        with contextlib.suppress(LedgerError):
            await clients[bank].submit(raw)


async def production(client: LedgerClient) -> float:
    await asyncio.sleep(2)
    begun_s, before = time.monotonic(), (await client.node_status()).height
    await asyncio.sleep(WARM_UP_S)
    after = (await client.node_status()).height
    return (after - before) / (time.monotonic() - begun_s)


@dataclass(frozen=True)
class Sample:
    at_s: float
    ahead: int
    behind: int


async def follow(ahead: LedgerClient, behind: LedgerClient, longest_s: float) -> list[Sample]:
    """Sample both heights until they are level, or for so long."""
    samples: list[Sample] = []
    end_s = time.monotonic() + longest_s
    while not samples or samples[-1].ahead - samples[-1].behind > LEVEL_GAP:
        if samples and time.monotonic() > end_s:
            break
        await asyncio.sleep(SAMPLE_S)
        top = (await ahead.node_status()).height
        with contextlib.suppress(LedgerError):
            samples.append(Sample(time.monotonic(), top, (await behind.node_status()).height))
            if len(samples) % 20 == 0:
                say(f"height {samples[-1].behind} of {samples[-1].ahead}")
    return samples


def report_of(
    samples: list[Sample], alone: float, begun_s: float, given: argparse.Namespace
) -> Report:
    first, last = samples[0], samples[-1]
    seconds = max(last.at_s - first.at_s, SAMPLE_S)
    step = max(1, round(5.0 / SAMPLE_S))
    windows = [
        (later.behind - earlier.behind) / (later.at_s - earlier.at_s)
        for earlier, later in zip(samples[::step], samples[step::step], strict=False)
    ] or [(last.behind - first.behind) / seconds]
    produced = (last.ahead - first.ahead) / seconds
    caught_up = (last.behind - first.behind) / seconds
    return Report(
        banks=given.banks,
        behind=first.ahead,
        join=given.join,
        level=last.ahead - last.behind <= LEVEL_GAP,
        load_per_second=given.load,
        produced_alone_per_second=round(alone, 2),
        produced_per_second=round(produced, 2),
        caught_up_per_second=round(caught_up, 1),
        caught_up_median_per_second=round(statistics.median(windows), 1),
        slowest_window_per_second=round(min(windows), 1),
        seconds=round(last.at_s - begun_s, 1),
        factor=round(caught_up / max(produced, alone, 0.01), 1),
    )


if __name__ == "__main__":
    sys.exit(main())
