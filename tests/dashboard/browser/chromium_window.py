"""Chromium windows that note everything a page does wrong.

A window is a browser context with one page. Whatever the page tells the console as an error, every
failed or refused request, every exception, every violation of the content security policy and every
request to a host that is not the page's own is a finding, unless the test expected it.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Playwright,
    Request,
    Response,
)

WAITS_MS = 30_000
"""How long a window waits for what a test is after: long, so that no verdict tells the time."""

VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) => {
  console.error(`policy ${event.effectiveDirective} refused ${event.blockedURI}`);
});
"""

LEFT = "net::ERR_ABORTED"
"""A request that its own page gave up, by leaving or by reloading."""


@dataclass(frozen=True)
class Look:
    """How a window shows pages."""

    width: int = 1280
    height: int = 800
    scheme: str = "light"
    motion: str = "reduce"
    scale: float = 1.0


DESKTOP = Look()
DARK = Look(scheme="dark")
PHONE = Look(width=360, height=800)
DARK_PHONE = Look(width=360, height=800, scheme="dark")
PROJECTOR = Look(width=1920, height=1080)


@dataclass
class Window:
    """One window, its page, and what went wrong in it."""

    page: Page
    origin: str
    """Of the page's server, without a path."""
    findings: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    async def visit(self, path: str, heading: str | re.Pattern[str] | None = None) -> None:
        """Open a page of the server; wait for its heading if one is named."""
        await self.page.goto(self.origin + path)
        await self.heading(heading)

    async def heading(self, heading: str | re.Pattern[str] | None = None) -> None:
        """Wait until the page's only heading is there."""
        place = self.page.locator("main h1")
        if heading is not None:
            place = place.filter(has_text=heading)
        await place.wait_for()

    async def evaluate(self, script: str, argument: Any = None) -> Any:
        """Run a function in the page; return what it returns."""
        return await self.page.evaluate(script, argument)

    def expect_finding(self, pattern: str) -> None:
        """Findings that match this (a regular expression) are what the test is about."""
        self.expected.append(pattern)

    def unexpected(self) -> list[str]:
        """Return what nobody expected."""
        return [
            finding
            for finding in self.findings
            if not any(re.search(pattern, finding) for pattern in self.expected)
        ]

    def watch(self) -> None:
        """Begin to note what goes wrong."""
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self._note(f"exception: {error}"))
        self.page.on("request", self._asked)
        self.page.on("response", self._answered)
        self.page.on("requestfailed", self._failed)

    def _note(self, finding: str) -> None:
        if finding not in self.findings:
            self.findings.append(finding)

    def _heard(self, message: ConsoleMessage) -> None:
        # A response's status is noted with its request.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self._note(f"console: {message.text}")

    def _asked(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in ("data", "blob") and self._is_foreign(request.url):
            self._note(f"asked another host: {request.url}")

    def _is_foreign(self, url: str) -> bool:
        address, own = urlsplit(url), urlsplit(self.origin)
        return (address.scheme, address.netloc) != (own.scheme, own.netloc)

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            path = urlsplit(response.url).path
            self._note(f"{response.request.method} {path}: status {response.status}")

    def _failed(self, request: Request) -> None:
        if request.failure != LEFT:
            self._note(f"{request.method} {urlsplit(request.url).path}: {request.failure}")


async def launch(playwright: Playwright, chromium: Path) -> Browser:
    """Start Chromium, which as root cannot use the sandbox that keeps it apart from the machine."""
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    return await playwright.chromium.launch(executable_path=chromium, args=arguments)


async def make_context(browser: Browser, look: Look, **options: Any) -> BrowserContext:
    """Return a context of its own: cookies, storage and appearance."""
    context = await browser.new_context(
        viewport={"width": look.width, "height": look.height},
        color_scheme=look.scheme,
        reduced_motion=look.motion,
        device_scale_factor=look.scale,
        locale="en-GB",
        timezone_id="UTC",
        **options,
    )
    context.set_default_timeout(WAITS_MS)
    await context.add_init_script(VIOLATIONS)
    return context


@asynccontextmanager
async def open_window(
    browser: Browser, origin: str, look: Look = DESKTOP, **options: Any
) -> AsyncIterator[Window]:
    """Open a window; at the end of the block it must have nothing to complain of."""
    context = await make_context(browser, look, **options)
    try:
        window = Window(await context.new_page(), origin)
        window.watch()
        yield window
        if window.unexpected():
            raise AssertionError("\n".join(["the page went wrong:", *window.unexpected()]))
    finally:
        await context.close()
