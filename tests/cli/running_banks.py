"""A directory as `consortium up` makes it, with its real nodes in this process's event loop.

Every bank has its own database, server and links, exactly as in its own process. Commands are run
in a thread, because they run an event loop of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
from click.testing import CliRunner, Result

from node.cli.access import Consortium
from node.cli.main import main
from node.client.errors import ClientError
from node.ledger.parameters import Parameters
from node.ledger.types import Amount
from node.runtime.config import load_node_config, render_node_config
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.exit_code import ExitCode
from node.runtime.initialise import create_consortium
from node.runtime.node_process import run_node_until
from node.runtime.ports import LOOPBACK, choose_ports
from node.runtime.secrets_directory import write_private

BANKS = 4
READY_WITHIN_S = 30

FAST = Parameters(
    ring_base=4,
    transfer_fee=Amount(100),
    bin_age_ms=200,
    batch_wait_ms=20,
    heartbeat_ms=60_000,
)


@dataclass
class RunningBanks:
    """Four banks that run, and their directory."""

    consortium: Consortium
    stopping: dict[int, asyncio.Event]
    nodes: dict[int, asyncio.Task[ExitCode]]

    @property
    def directory(self) -> ConsortiumDirectory:
        return self.consortium.directory

    async def command(self, *arguments: str) -> Result:
        """Run `consortium ARGUMENTS` on the directory."""
        environment = {"CONSORTIUM_DATA": str(self.directory.root), "NO_COLOR": "1"}
        return await asyncio.to_thread(CliRunner().invoke, main, list(arguments), env=environment)

    def execute(self, bank: int, statement: str, *parameters: object) -> list[tuple[object, ...]]:
        """Run a statement in a bank's database, as an intruder with its password would."""
        url = self.directory.bank(bank).database_url_file.read_text()
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), parameters)
            return cursor.fetchall() if cursor.description else []

    async def stop(self, bank: int) -> ExitCode:
        self.stopping[bank].set()
        return await self.nodes[bank]

    def start(self, bank: int) -> None:
        """Run the bank's node; it walks through no history, so that only readers find damage."""
        config = load_node_config(self.directory.bank(bank).config_file)
        self.stopping[bank] = asyncio.Event()
        self.nodes[bank] = asyncio.create_task(
            run_node_until(replace(config, scrub_percent=0), self.stopping[bank])
        )

    async def forget_damage(self, bank: int) -> None:
        """Let a bank that halted on rows that are whole again go on."""
        await self.stop(bank)
        self.execute(bank, "TRUNCATE integrity_findings")
        self.start(bank)
        await until_linked(self)


@contextlib.asynccontextmanager
async def running_banks(
    root: Path, make_database_url: Callable[[], str], *, breakable: Collection[int] = ()
) -> AsyncIterator[RunningBanks]:
    """Make a consortium and run its nodes until the block ends.

    Operators may break the banks in `breakable`, as they may those that `consortium up` starts.
    """
    directory = ConsortiumDirectory(root)
    create_consortium(directory, bank_count=BANKS, parameters=FAST)
    for bank in range(BANKS):
        write_private(directory.bank(bank).database_url_file, make_database_url().encode())
    for bank, port in enumerate(choose_ports(BANKS)):
        place = directory.bank(bank)
        config = replace(
            load_node_config(place.config_file),
            allow_faults=bank in breakable,
            metrics_listen=f"{LOOPBACK}:{port}",
        )
        place.config_file.write_text(render_node_config(config, place.root.resolve()))
    running = RunningBanks(Consortium.load(directory), {}, {})
    for bank in range(BANKS):
        running.start(bank)
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            await until_linked(running)
        yield running
    finally:
        for event in running.stopping.values():
            event.set()
        await asyncio.gather(*running.nodes.values())


async def until_linked(running: RunningBanks) -> None:
    for bank in running.consortium.genesis.banks:
        async with running.consortium.operator(bank.index) as client:
            while True:
                with contextlib.suppress(ClientError):
                    report = await client.report()
                    if report.ready and all(
                        peer.linked_in and peer.linked_out for peer in report.peers
                    ):
                        break
                await asyncio.sleep(0.05)
