"""The supervisor with real nodes in processes of their own, on databases of the test server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from node.runtime import supervisor as supervisor_module
from node.runtime.bank_databases import ExternalServer
from node.runtime.config import load_node_config, render_node_config
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.health_check import StartFailed
from node.runtime.initialise import create_consortium
from node.runtime.notice import Notice, NoticeKind
from node.runtime.ports import LOOPBACK, choose_ports
from node.runtime.running_consortium import (
    ProcessReference,
    RunningConsortium,
    node_processes,
    supervisor_lock,
)
from node.runtime.secrets_directory import write_private
from node.runtime.start_requests import request_start
from node.runtime.supervisor import Supervisor, stop_left_over

pytestmark = [pytest.mark.postgres, pytest.mark.processes]

DEADLINE_S = 60
HEALTHY_WITHIN_S = 30


class Notices:
    """Collects what an operator is told, and waits for it."""

    def __init__(self) -> None:
        self.all: list[Notice] = []

    def __call__(self, notice: Notice) -> None:
        self.all.append(notice)

    async def next(self, kind: NoticeKind, bank: int | None = None) -> Notice:
        """Wait for a notice and forget it; what was told before it may still be asked for.

        A bank's end and the loss of the quorum are found by two who do not wait for each other.
        """
        while True:
            for position, notice in enumerate(self.all):
                if notice.kind is kind and notice.bank == bank:
                    del self.all[position]
                    return notice
            await asyncio.sleep(0.02)


@pytest.fixture
def directory(tmp_path: Path, make_database_url: Callable[[], str]) -> ConsortiumDirectory:
    place = ConsortiumDirectory(tmp_path / "consortium")
    create_consortium(place, bank_count=4)
    for bank in range(4):
        write_private(place.bank(bank).database_url_file, make_database_url().encode())
    return place


@contextlib.asynccontextmanager
async def supervised(directory: ConsortiumDirectory, notices: Notices) -> AsyncIterator[Supervisor]:
    databases = ExternalServer(directory.genesis().chain_id)
    with supervisor_lock(directory):
        supervisor = Supervisor(directory, databases, notices)
        try:
            async with asyncio.timeout(DEADLINE_S):
                yield supervisor
        finally:
            await supervisor.stop()
    assert node_processes(directory) == []
    assert RunningConsortium.load(directory) is None


async def test_a_bank_that_ends_is_reported_and_started_when_asked(
    directory: ConsortiumDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "RESTARTS", 1)
    notices = Notices()
    async with supervised(directory, notices) as supervisor:
        await supervisor.start()
        seen: list[tuple[int, int]] = []
        health = await supervisor.wait_healthy(
            HEALTHY_WITHIN_S, lambda done, total: seen.append((done, total))
        )
        assert health.out_of_service == {}
        reports = health.healthy
        assert [report.chain_id for report in reports.values()] == [supervisor.genesis.chain_id] * 4
        assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
        running = RunningConsortium.load(directory)
        assert running is not None
        assert running.supervisor == ProcessReference.of(os.getpid())
        assert [bank.process for bank in running.banks] == [
            process.reference for process in supervisor.banks
        ]
        serving = asyncio.create_task(supervisor.run())

        # A killed bank stays down until its operator starts it.
        supervisor.banks[3].send(signal.SIGKILL)
        down = await notices.next(NoticeKind.BANK_DOWN, 3)
        assert down.text == (
            "dunmere is down (killed by SIGKILL); `consortium logs dunmere` shows more, "
            "`consortium node start dunmere` starts it again"
        )
        lost = await notices.next(NoticeKind.QUORUM_LOST)
        assert lost.text == (
            "the ledger has halted by design: 4 of 4 are needed, 3 answer; nothing can be lost; "
            "restart dunmere: `consortium node start dunmere`"
        )
        request_start(directory, 3)
        started = await notices.next(NoticeKind.BANK_STARTED, 3)
        assert started.text == "dunmere was started again"
        back = await notices.next(NoticeKind.QUORUM_BACK)
        assert back.text == "the quorum is back: votes 4/4, margin 0"
        await supervisor.wait_healthy(HEALTHY_WITHIN_S)

        # A stopped one too.
        supervisor.banks[0].send(signal.SIGTERM)
        stopped = await notices.next(NoticeKind.BANK_STOPPED, 0)
        assert stopped.text == (
            "amberfield has stopped as it was asked; "
            "`consortium node start amberfield` starts it again"
        )

        # One that lost its database is started again, but not for ever.
        url = directory.bank(1).database_url_file.read_text()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        write_private(directory.bank(1).database_url_file, b"postgresql://u:p@127.0.0.1:1/none")
        again = await notices.next(NoticeKind.BANK_DOWN, 1)
        assert again.text.startswith("birchmoor lost its database (database failed: ")
        assert again.text.endswith("); it is started again in 0.5 s, attempt 1 of 1")
        given_up = await notices.next(NoticeKind.BANK_DOWN, 1)
        assert given_up.text.startswith("birchmoor is down (exit code 75: database failed: ")
        assert "u:p" not in given_up.text
        serving.cancel()


async def test_a_bank_that_cannot_start_is_named(directory: ConsortiumDirectory) -> None:
    (directory.bank(2).keys / "consensus.key").chmod(0o644)
    async with supervised(directory, Notices()) as supervisor:
        await supervisor.start()
        with pytest.raises(StartFailed) as failed:
            await supervisor.wait_healthy(HEALTHY_WITHIN_S)
    path = directory.bank(2).keys / "consensus.key"
    assert str(failed.value) == (
        f"cedarholm ended while it started: cannot start: {path.resolve()} may be read by others "
        f"(mode 0644); run `chmod 600 {path.resolve()}`; `consortium logs cedarholm` shows more"
    )


async def test_banks_that_must_not_go_on_are_done_without_down_to_the_quorum(
    directory: ConsortiumDirectory,
) -> None:
    """Four of four are needed, so one is too many."""
    directory.bank(2).guard_file.write_bytes(b"not a guard file")
    async with supervised(directory, Notices()) as supervisor:
        await supervisor.start()
        with pytest.raises(StartFailed) as failed:
            await supervisor.wait_healthy(HEALTHY_WITHIN_S)
    assert str(failed.value).startswith(
        "4 banks are needed, only 3 can go on; cedarholm: unsafe to run: "
    )


async def test_left_overs_are_stopped_and_addresses_are_everybodys(
    directory: ConsortiumDirectory,
) -> None:
    """What a supervisor that was killed leaves: here, processes that it never started."""
    place = directory.bank(2)
    config = load_node_config(place.config_file)
    address = f"{LOOPBACK}:{choose_ports(1)[0]}"
    moved = replace(config, listen=address)
    place.config_file.write_text(render_node_config(moved, place.root))
    notices = Notices()
    async with supervised(directory, notices) as supervisor:
        await supervisor.start()
        # A process that has just been started shows no command line for a moment.
        for _ in range(100):
            if len(node_processes(directory)) == 4:
                break
            await asyncio.sleep(0.02)
        assert len(node_processes(directory)) == 4
        assert supervisor.endpoints[2].address == address
        for bank in (0, 1, 3):
            peers = load_node_config(directory.bank(bank).config_file).peers
            assert {peer.bank: peer.address for peer in peers}[2] == address
        with pytest.raises(StartFailed, match="not every bank became healthy"):
            await supervisor.wait_healthy(0)
        assert stop_left_over(directory, None) == ["4 banks"]
        assert node_processes(directory) == []
