"""Every page in every size, theme and condition: readable, whole, and nothing cut off."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.dashboard.browser.chromium_window import (
    DARK,
    DARK_PHONE,
    DESKTOP,
    PHONE,
    PROJECTOR,
    Look,
    Window,
    open_window,
)
from tests.dashboard.browser.page_checks import (
    lacking_structure,
    poor_contrast,
    sideways_overflow,
)
from tests.dashboard.browser.page_reading import until
from tests.dashboard.browser.screenshots import keep_screenshot
from tests.dashboard.canned import CannedServer
from tests.dashboard.canned_consortium import CannedConsortium

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

FEWEST_TEXTS = 20
"""A page that shows fewer was not there when it was measured."""


@contextlib.asynccontextmanager
async def canned(
    browser: Browser, look: Look, *, banks: int = 12, scenario: str = "healthy"
) -> AsyncIterator[Window]:
    """A window on a page with canned data."""
    with CannedServer(CannedConsortium(banks, scenario)) as server:
        async with open_window(browser, server.origin, look) as window:
            yield window


async def paths(window: Window) -> dict[str, str]:
    """Every page by a name; block and transaction are whatever the data hold."""
    await window.visit("/")
    found: tuple[int, str] = tuple(
        await window.evaluate(
            """async () => {
              const ask = async (path) => (await fetch(path)).json();
              const { blocks } = await ask("/api/blocks?limit=50");
              const full = blocks.find((block) => block.transactions > 0);
              const block = await ask(`/api/blocks/${full.height}`);
              return [full.height, block.transactions[0].id];
            }"""
        )
    )
    height, transaction = found
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
    """Open a page and wait until it has drawn what it asked the server for."""
    await window.visit(path)
    await window.page.wait_for_function(
        """() => document.querySelector("#connection").dataset.state === "live"
          && !Array.from(document.querySelectorAll("main .notice"),
                         (notice) => notice.textContent).some((text) => text.endsWith("…"))"""
    )


async def judge(window: Window, name: str) -> list[str]:
    """What is wrong with the page that is shown."""
    texts, poor = await poor_contrast(window.page)
    wrong = [*await lacking_structure(window.page), *await sideways_overflow(window.page), *poor]
    if name not in ("login", "missing") and texts < FEWEST_TEXTS:
        wrong.append(f"only {texts} texts were there to be measured")
    return [f"{name}: {line}" for line in wrong]


@pytest.mark.parametrize(
    ("label", "look"),
    [("light", DESKTOP), ("dark", DARK), ("phone", PHONE), ("dark-phone", DARK_PHONE)],
)
async def test_every_page_is_readable_and_whole(
    browser: Browser, screenshots: Path, label: str, look: Look
) -> None:
    """WCAG 2.2 AA contrast of every text; no sideways scrolling, at 360 px as well."""
    wrong = []
    async with canned(browser, look, scenario="trouble") as window:
        window.expect_finding("GET /api/.*no-such-page")
        for name, path in (await paths(window)).items():
            await settled(window, path)
            wrong += await judge(window, name)
            await keep_screenshot(window, screenshots, f"canned-{name}-{label}")
        assert wrong + window.unexpected() == []


@pytest.mark.parametrize("scenario", ["halted", "idle", "visitor"])
async def test_the_overview_is_whole_in_every_condition(
    browser: Browser, screenshots: Path, scenario: str
) -> None:
    async with canned(browser, PHONE, scenario=scenario) as window:
        await settled(window, "/")
        wrong = await judge(window, scenario)
        await keep_screenshot(window, screenshots, f"canned-overview-{scenario}")
        assert wrong == []


@pytest.mark.parametrize("banks", [4, 12, 16])
@pytest.mark.parametrize(("label", "look"), [("projector", PROJECTOR), ("phone", PHONE)])
async def test_the_overview_has_a_seat_for_every_bank(
    browser: Browser, screenshots: Path, banks: int, label: str, look: Look
) -> None:
    async with canned(browser, look, banks=banks, scenario="trouble") as window:
        await settled(window, "/")
        seats = window.page.locator("main svg a[href^='/banks/']")
        await expect(seats).to_have_count(banks)
        wrong = [*await sideways_overflow(window.page), *await cut_off(window)]
        await keep_screenshot(window, screenshots, f"canned-{banks}-banks-{label}")
        assert wrong + window.unexpected() == []


async def test_a_window_may_be_resized(browser: Browser) -> None:
    async with canned(browser, PROJECTOR, scenario="trouble") as window:
        await settled(window, "/")
        for look in (PHONE, DESKTOP, PHONE):
            await window.page.set_viewport_size({"width": look.width, "height": look.height})
            await until(window, "() => document.documentElement.scrollWidth <= innerWidth")
        await until(window, "() => document.querySelector('.ring-drawing[data-compact]')")


async def cut_off(window: Window) -> list[str]:
    """Texts of drawings that reach beyond them or into each other."""
    found: list[str] = await window.evaluate(
        """() => {
          const wrong = [];
          for (const drawing of document.querySelectorAll("main svg")) {
            const frame = drawing.getBoundingClientRect();
            const texts = Array.from(drawing.querySelectorAll("text"), (node) => ({
              words: node.textContent,
              box: node.getBoundingClientRect(),
            })).filter(({ words, box }) => words.trim() && box.width > 0);
            for (const [place, { words, box }] of texts.entries()) {
              const beyond = Math.max(frame.left - box.left, box.right - frame.right,
                                      frame.top - box.top, box.bottom - frame.bottom);
              if (beyond > 1) wrong.push(`"${words}" reaches ${Math.round(beyond)} px beyond`);
              for (const other of texts.slice(place + 1)) {
                const that = other.box;
                const wide = Math.min(box.right, that.right) - Math.max(box.left, that.left);
                const high = Math.min(box.bottom, that.bottom) - Math.max(box.top, that.top);
                // Boxes of lines reach above and below their letters.
                if (wide > 1 && high > 0.4 * Math.min(box.height, that.height)) {
                  wrong.push(`"${words}" lies over "${other.words}"`);
                }
              }
            }
          }
          return wrong;
        }"""
    )
    return found


async def test_less_motion_means_none(browser: Browser) -> None:
    """prefers-reduced-motion: nothing is animated, and nothing moves into its place."""
    async with canned(browser, DESKTOP) as window:
        await settled(window, "/")
        moving = await window.evaluate(
            """() => document.getAnimations()
              .filter((one) => Number(one.effect.getComputedTiming().activeDuration) > 20)
              .map((one) => one.animationName ?? one.transitionProperty)"""
        )
        slow = await window.evaluate(
            """() => Array.from(document.querySelectorAll("*")).filter((node) => {
              const style = getComputedStyle(node);
              const seconds = (text) => text.split(",").map(parseFloat);
              const durations = [style.animationDuration, style.transitionDuration];
              return durations.flatMap(seconds).some((one) => one > 0.02);
            }).map((node) => `${node.localName}.${node.getAttribute("class")}`)"""
        )
    assert (moving, slow) == ([], [])
