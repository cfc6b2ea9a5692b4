"""BFT-12 section 4 on real nodes and databases: nothing that was signed is ever contradicted."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from node.consensus.events import MessageReceived
from node.consensus.statements import Commit, Proposal, Timeout, Vote
from node.ledger.types import BankIndex
from node.runtime.config import render_node_config
from node.runtime.driver import ConsensusDriver
from node.runtime.exit_code import ExitCode
from node.runtime.guard_file import GuardFile, guard_owner
from node.runtime.secrets_directory import write_private
from node.storage.embedded_postgres import EmbeddedPostgres
from tests.runtime.cluster import Cluster, RunningBank, make_cluster
from tests.runtime.crashing_node import Step
from tests.runtime.test_node import make_issue, sealed_at, submit, until_ready

pytestmark = pytest.mark.postgres

ROOT = Path(__file__).parents[2]
DEADLINE_S = 150
Statement = Proposal | Vote | Commit | Timeout


@dataclass
class Heard:
    """Every signed statement of one bank that reached another bank."""

    statements: list[Statement]

    def since(self, count: int) -> list[Statement]:
        return self.statements[count:]

    def require_consistent(self) -> None:
        """E1 to E4 against this bank must be impossible."""
        said: dict[tuple[object, ...], object] = {}
        commits: list[Commit] = []
        timeouts: list[Timeout] = []
        for statement in self.statements:
            match statement:
                case Proposal():
                    content: object = statement.block.block_id
                case Vote():
                    content = (statement.block_id, statement.decision)
                case Commit():
                    content = statement.block_id
                    commits.append(statement)
                case Timeout():
                    timeouts.append(statement)
                    continue
            key = (type(statement), statement.height, statement.view)
            assert said.setdefault(key, content) == content, f"two statements in one place: {key}"
        for commit in commits:
            for timeout in timeouts:
                if timeout.height == commit.height and timeout.view >= commit.view:
                    assert timeout.highest_view >= commit.view, "a lock was forgotten"


@contextmanager
def hearing(bank: int) -> Iterator[Heard]:
    """Listen at the consensus of every node in this process."""
    heard = Heard([])
    post = ConsensusDriver.post_message

    async def listening(self: ConsensusDriver, event: MessageReceived) -> None:
        message = event.message
        if event.sender == bank and isinstance(message, Statement) and message.bank == bank:
            heard.statements.append(message)
        await post(self, event)

    ConsensusDriver.post_message = listening  # type: ignore[method-assign]
    try:
        yield heard
    finally:
        ConsensusDriver.post_message = post  # type: ignore[method-assign]


@asynccontextmanager
async def banks_of(
    directory: Path, make_url: Callable[[], str], count: int, running: int
) -> AsyncIterator[Cluster]:
    """A consortium of which the first `running` banks run in this process."""
    cluster = make_cluster(directory, make_url, count)
    for bank in cluster.banks[:running]:
        bank.start()
    try:
        async with asyncio.timeout(DEADLINE_S):
            yield cluster
    finally:
        await asyncio.gather(*(bank.stop() for bank in cluster.banks if bank.task is not None))


@dataclass
class ChildBank:
    """A bank whose node is a process of its own, to be killed."""

    config_file: Path
    log: Path

    @staticmethod
    def of(bank: RunningBank) -> ChildBank:
        keys = bank.config.key_directory
        config_file = keys / "node.toml"
        config_file.write_text(render_node_config(bank.config, keys))
        return ChildBank(config_file, keys / "node.log")

    def start(self, *crash: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tests.runtime.crashing_node",
                    str(self.config_file),
                    *crash,
                ],
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )


async def test_d1_to_d3_a_bank_killed_at_any_step_contradicts_nothing_and_is_not_missed(
    tmp_path: Path, make_database_url: Callable[[], str]
) -> None:
    """All four banks are needed for a seal, so whatever the killed one signed and never sent must
    come again from its disk, to the others and to itself (D3)."""
    crashes = [(Step.SIGNED, 1), (Step.COMMITTED, 1), (Step.GUARDED, 2), (Step.SENT, 1)]
    with hearing(3) as heard:
        async with banks_of(tmp_path, make_database_url, count=4, running=3) as cluster:
            child = ChildBank.of(cluster.banks[3])
            await until_ready(cluster, 0, 1, 2, linked=3)
            for round_number, (step, count) in enumerate(crashes, 1):
                process = child.start(step.value, str(count))
                try:
                    # A bin that comes due may kill it before this does.
                    raw = make_issue(cluster, round_number)
                    await submit(cluster, 0, raw)
                    assert await asyncio.to_thread(process.wait) == -9, child.log.read_text()
                    process = child.start()
                    places = await sealed_at(cluster, raw, 0, 1, 2, 3)
                    assert len(set(places)) == 1
                finally:
                    process.kill()
                    await asyncio.to_thread(process.wait)
    heard.require_consistent()
    assert {Vote, Commit} <= {type(statement) for statement in heard.statements}


async def test_d4_a_bank_on_a_restored_older_database_says_nothing_twice(
    tmp_path: Path, make_database_url: Callable[[], str], postgres_server: EmbeddedPostgres
) -> None:
    """Dump, go on, restore, start: silent at every height at which it may have signed."""
    restored_url = make_database_url()
    with hearing(6) as heard:
        async with banks_of(tmp_path, make_database_url, count=7, running=7) as cluster:
            victim = cluster.banks[6]
            url_file = victim.config.database.url_file
            await until_ready(cluster, *range(7))
            await seal(cluster, 1)
            await victim.stop()
            dump = tmp_path / "backup.sql"
            await asyncio.to_thread(dump_database, postgres_server, url_file.read_text(), dump)
            victim.start()
            await until_ready(cluster, 6, linked=7)
            for amount in range(2, 5):
                await seal(cluster, amount)
            await victim.stop()
            genesis = cluster.genesis
            guard = GuardFile(
                victim.config.guard_file,
                guard_owner(genesis.chain_id, genesis.banks[6].consensus_key),
            )
            signed = guard.last
            guard.close()
            assert signed is not None and signed.height >= 4

            await asyncio.to_thread(restore_database, postgres_server, restored_url, dump)
            write_private(url_file, restored_url.encode())
            said_before = len(heard.statements)
            victim.start()
            await until_ready(cluster, 6, linked=7)
            async with cluster.operator(6) as client:
                assert "silenced" in {alarm.kind for alarm in (await client.report()).alarms}
            # It follows the others, and speaks again once a later height is sealed without it.
            amount = 5
            while not heard.since(said_before):
                await seal(cluster, amount)
                amount += 1
            assert min(item.height for item in heard.since(said_before)) > signed.height
            heard.require_consistent()


async def seal(cluster: Cluster, amount: int) -> None:
    raw = make_issue(cluster, amount)
    await submit(cluster, 0, raw)
    await sealed_at(cluster, raw, *range(len(cluster.banks)))


def dump_database(server: EmbeddedPostgres, url: str, path: Path) -> None:
    command = [str(server.binaries().program("pg_dump")), "--no-owner", "--dbname", url]
    path.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)


def restore_database(server: EmbeddedPostgres, url: str, path: Path) -> None:
    program = str(server.binaries().program("psql"))
    command = [program, "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", url]
    subprocess.run(command, check=True, capture_output=True, input=path.read_bytes())


async def test_d5_a_second_node_on_the_same_database_does_not_run(
    tmp_path: Path, make_database_url: Callable[[], str]
) -> None:
    """With a guard file of its own: the database's lock alone refuses it."""
    async with banks_of(tmp_path, make_database_url, count=4, running=4) as cluster:
        await until_ready(cluster, *range(4))
        first = cluster.banks[2]
        second = RunningBank(replace(first.config, guard_file=tmp_path / "another.guard"))

        second.start()
        assert second.task is not None
        assert await second.task is ExitCode.DATABASE

        await seal(cluster, 1)
        assert first.config.bank == BankIndex(2)


async def test_d4_a_node_does_not_run_on_a_ledger_whose_guard_file_is_gone(
    tmp_path: Path, make_database_url: Callable[[], str]
) -> None:
    async with banks_of(tmp_path, make_database_url, count=4, running=4) as cluster:
        await until_ready(cluster, *range(4))
        await seal(cluster, 1)
        forgetful = cluster.banks[2]
        assert await forgetful.stop() is ExitCode.STOPPED
        kept = forgetful.config.guard_file.read_bytes()
        forgetful.config.guard_file.unlink()
        for _ in range(2):
            forgetful.start()
            assert forgetful.task is not None
            assert await forgetful.task is ExitCode.UNSAFE
            assert not forgetful.config.guard_file.exists()
        forgetful.config.guard_file.write_bytes(kept)
        forgetful.start()
        await until_ready(cluster, *range(4))
        await seal(cluster, 1)


async def test_d4_a_node_does_not_run_on_another_banks_guard_file(
    tmp_path: Path, make_database_url: Callable[[], str]
) -> None:
    async with banks_of(tmp_path, make_database_url, count=4, running=0) as cluster:
        genesis, config = cluster.genesis, cluster.banks[2].config
        for key, torn in ((genesis.banks[1].consensus_key, False), (b"", True)):
            config.guard_file.unlink(missing_ok=True)
            if torn:
                config.guard_file.write_bytes(b"BFT12GR2 torn")
            else:
                from node.runtime.guard_file import SignaturePoint

                guard = GuardFile(config.guard_file, guard_owner(genesis.chain_id, key))
                guard.advance(SignaturePoint(5, 0, 1))
                guard.close()
            cluster.banks[2].start()
            task = cluster.banks[2].task
            assert task is not None
            assert await task is ExitCode.UNSAFE
