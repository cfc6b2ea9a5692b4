"""Words of banks reach the page as text alone, whatever they hold; a long path is verified."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Browser, Route, expect

from tests.dashboard.browser.canned_window import canned_window, page_paths, settled
from tests.dashboard.browser.chromium_window import WAITS_MS, open_window
from tests.dashboard.canned import CannedServer
from tests.dashboard.canned_consortium import CannedConsortium

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

expect.set_options(timeout=WAITS_MS)

MARKUP = "<b class=evil>bold</b><img src=/static/none.svg onerror=alert(1)>"
WORDS = {
    *["consortium", "description", "detail", "label", "last_error", "message", "name", "next"],
    *["reason", "suspicion", "text", "verdict", "waiting_for", "why", "words"],
}
"""Fields in which somebody else's words may stand."""


def hostile(value: Any, key: str = "") -> Any:
    """Return a JSON value whose words carry markup."""
    if isinstance(value, dict):
        return {name: hostile(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [hostile(item, key) for item in value]
    return f"{value}{MARKUP}" if isinstance(value, str) and key in WORDS else value


class HostileConsortium(CannedConsortium):
    """Says markup in its event stream."""

    def hello(self) -> dict[str, Any]:
        """As always, with markup."""
        told: dict[str, Any] = hostile(super().hello())
        return told

    def overview(self) -> dict[str, Any]:
        """As always, with markup."""
        told: dict[str, Any] = hostile(super().overview())
        return told


async def answer_with_markup(route: Route) -> None:
    answer = await route.fetch()
    await route.fulfill(response=answer, json=hostile(await answer.json()))


async def test_markup_in_words_is_shown_as_text(browser: Browser) -> None:
    with CannedServer(HostileConsortium(4, "trouble")) as server:
        async with open_window(browser, server.origin) as window:
            paths = await page_paths(window)
            for kind in ("banks", "blocks", "faults", "overview", "transactions", "treasury"):
                await window.page.route(f"**/api/{kind}**", answer_with_markup)
                await window.page.route(f"**/api/{kind}/*", answer_with_markup)
            for name in ("overview", "block", "transaction", "bank", "treasury", "faults"):
                await settled(window, paths[name])
                await expect(window.page.locator("main")).to_contain_text(MARKUP)
                assert await window.page.locator(".evil, main img").count() == 0, name


async def test_a_path_of_many_hashes_is_verified(browser: Browser) -> None:
    async with canned_window(browser) as window:
        paths = await page_paths(window)
        await settled(window, paths["transaction"])
        main = window.page.locator("main")
        await main.get_by_role("button", name="Verify in this browser").click()
        await expect(main.get_by_role("status")).to_contain_text("Verified in this browser")
        steps = main.get_by_role("list", name="Path from the leaf to the root").locator("li")
        proof = await window.evaluate(
            "async (path) => (await (await fetch(`/api${path}`)).json()).proof",
            paths["transaction"],
        )
        assert await steps.count() == len(proof["siblings"]) > 1
