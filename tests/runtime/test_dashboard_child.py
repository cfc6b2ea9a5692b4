"""The operators' page as a process of its own: it serves without banks, comes back, and ends."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import httpx
import psutil
import pytest

from node.ledger.parameters import Parameters
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.dashboard_child import DashboardChild, dashboard_processes, served_address
from node.runtime.initialise import create_consortium
from node.runtime.login_token import write_login_token
from node.runtime.notice import Notice, NoticeKind

pytestmark = pytest.mark.processes

WITHIN_S = 60.0


async def test_a_page_without_banks_serves_comes_back_and_ends(tmp_path: Path) -> None:
    directory = ConsortiumDirectory(tmp_path / "data")
    create_consortium(directory, bank_count=4, parameters=Parameters())
    notices: list[Notice] = []
    token_file = write_login_token(directory)
    assert stat.S_IMODE(os.stat(token_file).st_mode) == 0o600
    child = DashboardChild(directory, "127.0.0.1:0", token_file, notices.append)
    await child.start()
    try:
        address = await child.wait_serving()
        assert address is not None, (directory.dashboard / "dashboard.log").read_text()
        assert served_address(directory) == address
        assert address.login_url == f"{address.url}/login#token={token_file.read_text()}"
        async with httpx.AsyncClient(base_url=address.url) as client:
            shown = (await client.get("/api/overview")).json()
            assert {row["state"] for row in shown["banks"]} == {"no answer"}
            assert shown["quorum"]["words"].startswith("0 of 4 can vote, 4 needed: nothing is")
            silent = await client.get("/api/blocks/1")
            assert (silent.status_code, silent.json()["error"]["code"]) == (503, "no-bank-answers")
            assert (await client.get("/")).status_code == 200
        (process,) = dashboard_processes(directory)
        assert process.pid == child.pid
        process.kill()
        await _until_serving(address.url)
        assert child.pid not in (None, process.pid)
        assert [notice.kind for notice in notices] == [NoticeKind.DASHBOARD]
        assert "killed by SIGKILL" in notices[0].text
    finally:
        await child.stop()
    assert (dashboard_processes(directory), served_address(directory)) == ([], None)
    assert not psutil.pid_exists(process.pid) and child.pid is None


async def _until_serving(url: str) -> None:
    """Wait until it answers again, at the same address."""
    async with asyncio.timeout(WITHIN_S), httpx.AsyncClient(base_url=url) as client:
        while True:
            try:
                assert (await client.get("/api/session")).status_code == 200
                return
            except httpx.HTTPError:
                await asyncio.sleep(0.1)
