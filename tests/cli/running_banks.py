"""A directory as `consortium up` makes it, with its real nodes in this process's event loop.

Every bank has its own database, server and links, exactly as in its own process. Commands are run
in a thread, because they run an event loop of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
from click.testing import CliRunner, Result

from node.cli.access import Consortium
from node.cli.main import main
from node.client.errors import ClientError
from node.ledger.parameters import Parameters
from node.ledger.types import Amount
from node.runtime.config import load_node_config
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.exit_code import ExitCode
from node.runtime.initialise import create_consortium
from node.runtime.node import run_node_until
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
    stopping: list[asyncio.Event]
    nodes: list[asyncio.Task[ExitCode]]

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


@contextlib.asynccontextmanager
async def running_banks(
    root: Path, make_database_url: Callable[[], str]
) -> AsyncIterator[RunningBanks]:
    """Make a consortium and run its nodes until the block ends."""
    directory = ConsortiumDirectory(root)
    create_consortium(directory, bank_count=BANKS, parameters=FAST)
    for bank in range(BANKS):
        write_private(directory.bank(bank).database_url_file, make_database_url().encode())
    stopping = [asyncio.Event() for _ in range(BANKS)]
    nodes = [
        asyncio.create_task(
            run_node_until(load_node_config(directory.bank(bank).config_file), stopping[bank])
        )
        for bank in range(BANKS)
    ]
    running = RunningBanks(Consortium.load(directory), stopping, nodes)
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            await _until_linked(running)
        yield running
    finally:
        for event in stopping:
            event.set()
        await asyncio.gather(*nodes)


async def _until_linked(running: RunningBanks) -> None:
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
