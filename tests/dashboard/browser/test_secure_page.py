"""The page from another machine: over TLS, with the token or an operator's certificate.

And what it shows there while every bank is dead, for that is when operators look.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from node.ledger.types import TransactionId
from node.runtime.consortium_directory import short_name
from tests.dashboard.browser.chromium_window import WAITS_MS, Window, open_window
from tests.dashboard.browser.page_reading import read_table
from tests.dashboard.browser.running_page import ADDRESS, NO_PAGE, RunningPage, running_page
from tests.dashboard.browser.screenshots import keep_screenshot
from tests.scenarios.consortium_process import STOPPED_WITHIN_S, start_command

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.postgres,
    pytest.mark.asyncio(loop_scope="module"),
]

expect.set_options(timeout=WAITS_MS)

BANKS = 4
NAMES = [short_name(bank) for bank in range(BANKS)]


@dataclass
class Scene:
    """A consortium, its page on all addresses, and a payment on its ledger."""

    running: RunningPage
    """With the address that other machines use."""
    browser: Browser
    screenshots: Path
    issue: tuple[TransactionId, int]

    def window(self, certificate: Path | None = None) -> AbstractAsyncContextManager[Window]:
        """A window of another machine, with or without a certificate in its browser.

        That a browser which knows the authority accepts the server's own certificate is tested in
        `test_secure_server`; Chromium knows none that was made a minute ago.
        """
        shown = certificate and {
            "origin": self.running.origin,
            "certPath": certificate / "tls.crt",
            "keyPath": certificate / "tls.key",
        }
        return open_window(
            self.browser,
            self.running.origin,
            ignore_https_errors=True,
            client_certificates=[shown] if shown else [],
        )

    async def log_in(self, window: Window) -> None:
        """Open the printed address."""
        await window.page.goto(self.running.address)
        await window.page.get_by_text("Log out").wait_for()


@asynccontextmanager
async def dashboard_process(running: RunningPage) -> AsyncIterator[str]:
    """Run `consortium dashboard` for other machines; yield the address that it prints."""
    directory = running.process.directory.root
    log = directory.parent / "dashboard.log"
    process = start_command(
        log,
        *("dashboard", "--data", str(directory)),
        *("--listen", "0.0.0.0:0", "--host", "localhost"),
    )
    try:
        async with asyncio.timeout(60):
            while (found := ADDRESS.search(log.read_text())) is None:
                assert process.poll() is None, log.read_text()
                await asyncio.sleep(0.1)
        yield found.group()
        assert process.poll() is None, log.read_text()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            await asyncio.to_thread(process.wait, STOPPED_WITHIN_S)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(browser: Browser, screenshots: Path) -> AsyncIterator[Scene]:
    async with running_page(NO_PAGE, bank_count=BANKS) as running:
        issue = await running.mint()
        async with dashboard_process(running) as address:
            yield Scene(replace(running, address=address), browser, screenshots, issue)


async def test_another_machine_sees_nothing_until_it_logs_in(scene: Scene) -> None:
    assert scene.running.origin.startswith("https://")
    async with scene.window() as window:
        window.expect_finding("status 401")
        for path in ("/", f"/blocks/{scene.issue[1]}", "/treasury", "/faults", "/banks/0"):
            await window.page.goto(scene.running.origin + path)
            await window.page.wait_for_url("**/login**")
            await expect(window.page.locator("main")).not_to_contain_text(NAMES[0])


async def test_the_token_opens_it_and_the_browser_verifies(scene: Scene) -> None:
    """WebCrypto works in secure contexts only: over TLS this is one."""
    transaction, _ = scene.issue
    async with scene.window() as window:
        await scene.log_in(window)
        await window.visit("/", "Overview")
        await expect(window.page.locator("#connection")).to_have_text("Live")
        await expect(window.page.locator(".verdict")).to_contain_text("4 of 4 can vote")
        cookies = await window.page.context.cookies()
        assert [(one["secure"], one["httpOnly"], one["sameSite"]) for one in cookies] == [
            (True, True, "Strict")
        ]
        await window.visit(f"/transactions/{transaction.hex()}")
        await window.page.get_by_role("button", name="Verify in this browser").click()
        await expect(window.page.locator("main")).to_contain_text("Verified in this browser")
        await keep_screenshot(window, scene.screenshots, "secure-transaction")


async def test_an_operators_certificate_is_enough(scene: Scene) -> None:
    directory = scene.running.process.directory
    async with scene.window(directory.operator) as window:
        await window.visit("/faults", "Faults")
        await expect(window.page.get_by_role("region", name="Broken now")).to_contain_text(
            "Nothing is broken"
        )
    async with scene.window(directory.client(0)) as window:
        window.expect_finding("status 401")
        await window.page.goto(scene.running.origin)
        await window.page.wait_for_url("**/login**")


async def test_the_page_outlives_every_bank(scene: Scene) -> None:
    """All dead: it says so of each and why, keeps what it knew, and goes on when they are back."""
    running = scene.running
    async with scene.window() as window, scene.window() as asking:
        await scene.log_in(window)
        await scene.log_in(asking)
        await window.visit("/", "Overview")
        verdict = window.page.locator(".verdict")
        await expect(verdict).to_contain_text("The ledger goes on")
        for bank in range(BANKS):
            await running.kill(bank)
        await expect(verdict).to_contain_text("The ledger has halted")
        await expect(verdict).to_contain_text("0 of 4 can vote")
        for row in await read_table(window, "All banks"):
            assert row["State"] == "exited"
        await expect(window.page.locator("#connection")).to_have_text("Live")
        await keep_screenshot(window, scene.screenshots, "overview-all-dead")

        asking.expect_finding("status 503")
        await asking.visit(f"/blocks/{scene.issue[1]}")
        await expect(asking.page.locator("main")).to_contain_text("No bank answers")
        await keep_screenshot(asking, scene.screenshots, "block-all-dead")

        for bank in range(BANKS):
            await running.start(bank)
        await expect(verdict).to_contain_text("4 of 4 can vote")
        _, height = await running.mint()
        await expect(window.page.locator(f"a[href='/blocks/{height}']").first).to_be_visible()
