"""Every page in every size, theme and condition: readable, whole, and nothing cut off."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.dashboard.browser.canned_window import canned_window, page_paths, settled
from tests.dashboard.browser.chromium_window import (
    DESKTOP,
    PHONE,
    PROJECTOR,
    Look,
    Window,
)
from tests.dashboard.browser.page_checks import (
    crowded_texts,
    lacking_structure,
    poor_contrast,
    sideways_overflow,
)
from tests.dashboard.browser.page_reading import until
from tests.dashboard.browser.screenshots import keep_screenshot

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

FEWEST_TEXTS = 20
"""A page that shows fewer was not there when it was measured."""


async def judge(window: Window, name: str) -> list[str]:
    """What is wrong with the page that is shown, in light and in dark."""
    wrong = [
        *await lacking_structure(window.page),
        *await sideways_overflow(window.page),
        *await crowded_texts(window.page),
    ]
    for scheme in ("light", "dark"):
        await window.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        texts, poor = await poor_contrast(window.page)
        wrong += [f"{scheme}: {line}" for line in poor]
        if name not in ("login", "missing") and texts < FEWEST_TEXTS:
            wrong.append(f"{scheme}: only {texts} texts were there to be measured")
    return [f"{name}: {line}" for line in wrong]


@pytest.mark.parametrize(("label", "look"), [("desktop", DESKTOP), ("phone", PHONE)])
async def test_every_page_is_readable_and_whole(
    browser: Browser, screenshots: Path, label: str, look: Look
) -> None:
    """WCAG 2.2 AA contrast of every text; no sideways scrolling, at 360 px as well."""
    wrong = []
    async with canned_window(browser, look, scenario="trouble") as window:
        for name, path in (await page_paths(window)).items():
            await settled(window, path)
            await keep_screenshot(window, screenshots, f"canned-{name}-{label}")
            wrong += await judge(window, name)
            await keep_screenshot(window, screenshots, f"canned-{name}-{label}-dark")
            await window.page.emulate_media(color_scheme="light", reduced_motion="reduce")
        assert wrong + window.unexpected() == []


@pytest.mark.parametrize("scenario", ["halted", "idle", "visitor"])
async def test_the_overview_is_whole_in_every_condition(
    browser: Browser, screenshots: Path, scenario: str
) -> None:
    async with canned_window(browser, PHONE, scenario=scenario) as window:
        await settled(window, "/")
        wrong = await judge(window, scenario)
        await keep_screenshot(window, screenshots, f"canned-overview-{scenario}")
        assert wrong == []


@pytest.mark.parametrize("banks", [4, 12, 16])
@pytest.mark.parametrize(("label", "look"), [("projector", PROJECTOR), ("phone", PHONE)])
async def test_the_overview_has_a_seat_for_every_bank(
    browser: Browser, screenshots: Path, banks: int, label: str, look: Look
) -> None:
    async with canned_window(browser, look, banks=banks, scenario="trouble") as window:
        await settled(window, "/")
        seats = window.page.locator("main svg a[href^='/banks/']")
        await expect(seats).to_have_count(banks)
        wrong = [*await sideways_overflow(window.page), *await crowded_texts(window.page)]
        await keep_screenshot(window, screenshots, f"canned-{banks}-banks-{label}")
        assert wrong + window.unexpected() == []


async def test_a_window_may_be_resized(browser: Browser) -> None:
    async with canned_window(browser, PROJECTOR, scenario="trouble") as window:
        await settled(window, "/")
        for look in (PHONE, DESKTOP, PHONE):
            await window.page.set_viewport_size({"width": look.width, "height": look.height})
            await until(window, "() => document.documentElement.scrollWidth <= innerWidth")
        await until(window, "() => document.querySelector('.ring-drawing[data-compact]')")


async def test_less_motion_means_none(browser: Browser) -> None:
    """prefers-reduced-motion: nothing is animated, and nothing moves into its place."""
    async with canned_window(browser, DESKTOP) as window:
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
