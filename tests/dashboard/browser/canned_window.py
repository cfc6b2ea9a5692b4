"""Windows on pages with canned data, and where every page is found in them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from playwright.async_api import Browser

from tests.dashboard.browser.chromium_window import DESKTOP, Look, Window, open_window
from tests.dashboard.canned import CannedServer
from tests.dashboard.canned_consortium import CannedConsortium


@contextlib.asynccontextmanager
async def canned_window(
    browser: Browser, look: Look = DESKTOP, *, banks: int = 12, scenario: str = "healthy"
) -> AsyncIterator[Window]:
    """A window on a page with canned data."""
    with CannedServer(CannedConsortium(banks, scenario)) as server:
        async with open_window(browser, server.origin, look) as window:
            yield window


async def page_paths(window: Window) -> dict[str, str]:
    """Every page by a name; block and transaction are whatever the data hold."""
    await window.visit("/")
    height, transaction = await window.evaluate(
        """async () => {
          const ask = async (path) => (await fetch(path)).json();
          const { blocks } = await ask("/api/blocks?limit=50");
          const full = blocks.find((block) => block.transactions > 1);
          const block = await ask(`/api/blocks/${full.height}`);
          return [full.height, block.transactions[1].id];
        }"""
    )
    return {
        "overview": "/",
        "blocks": "/blocks",
        "block": f"/blocks/{height}",
        "transaction": f"/transactions/{transaction}",
        "bank": "/banks/2",
        "treasury": "/treasury",
        "faults": "/faults",
        "login": "/login",
        "missing": "/no-such-page",
    }


async def settled(window: Window, path: str) -> None:
    """Open a page and wait until it has drawn what it asked the server for.

    The login page alone asks for nothing that lives.
    """
    await window.visit(path)
    await window.page.wait_for_function(
        """(state) => document.querySelector("#connection").dataset.state === state
          && !Array.from(document.querySelectorAll("main .notice"),
                         (notice) => notice.textContent).some((text) => text.endsWith("…"))""",
        arg="idle" if path == "/login" else "live",
    )
