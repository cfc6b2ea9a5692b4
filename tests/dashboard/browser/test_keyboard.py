"""Everything can be done without a mouse, and the reader always sees where the keyboard is."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from tests.dashboard.browser.canned_window import canned_window, page_paths, settled
from tests.dashboard.browser.chromium_window import WAITS_MS, Window
from tests.dashboard.browser.page_reading import until

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

expect.set_options(timeout=WAITS_MS)

MOST_STOPS = 60
"""Presses of Tab that reach every kind of control of every page."""

STOP = """async () => {
  // Even without motion a style takes a frame to hold.
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const node = document.activeElement;
  if (!node || node === document.body) return null;
  const style = getComputedStyle(node);
  const shapes = node instanceof SVGElement ? Array.from(node.querySelectorAll("circle")) : [];
  const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
  const box = node.getBoundingClientRect();
  return {
    name: (node.getAttribute("aria-label") || node.innerText || node.id || node.localName).trim(),
    place: `${node.localName}.${node.getAttribute("class") ?? ""}#${node.id}`,
    seen: outlined || style.boxShadow !== "none"
      || shapes.some((shape) => parseFloat(getComputedStyle(shape).strokeWidth) >= 3),
    inside: box.right > 0 && box.left < innerWidth && box.bottom > 0 && box.top < innerHeight,
  };
}"""


async def tab_until(window: Window, selector: str) -> None:
    """Press Tab until the focus is on such an element."""
    for _ in range(MOST_STOPS):
        await window.page.keyboard.press("Tab")
        if await window.evaluate(f"() => document.activeElement.matches({selector!r})"):
            return
    raise AssertionError(f"Tab does not reach {selector}")


async def focused(window: Window) -> str:
    """The text or label of what has the focus."""
    stop = await window.evaluate(STOP)
    return "" if stop is None else str(stop["name"])


@pytest.mark.parametrize("name", ["overview", "block", "transaction", "bank", "treasury", "faults"])
async def test_every_stop_of_the_keyboard_is_seen(browser: Browser, name: str) -> None:
    """WCAG 2.4.7: whatever has the focus shows it, and is in the window."""
    async with canned_window(browser, banks=4) as window:
        await settled(window, (await page_paths(window))[name])
        stops = []
        for _ in range(MOST_STOPS):
            await window.page.keyboard.press("Tab")
            stop = await window.evaluate(STOP)
            if stop is None or (stops and stop == stops[0]):
                break
            stops.append(stop)
        assert len(stops) > 8
        assert [stop for stop in stops if not stop["seen"] or not stop["inside"]] == []


async def test_the_skip_link_leads_past_the_menu(browser: Browser) -> None:
    async with canned_window(browser) as window:
        await settled(window, "/")
        await window.page.keyboard.press("Tab")
        assert await focused(window) == "Skip to the content"
        await window.page.keyboard.press("Enter")
        await window.page.keyboard.press("Tab")
        assert await window.evaluate(
            "() => document.querySelector('main').contains(document.activeElement)"
        )


async def test_search_by_keyboard(browser: Browser) -> None:
    async with canned_window(browser) as window:
        await settled(window, "/treasury")
        await window.page.keyboard.press("/")
        await window.page.keyboard.type("dunmere")
        await window.page.keyboard.press("Enter")
        await window.heading("dunmere")
        await until(window, "() => document.activeElement.matches('h1')")
        assert window.page.url.endswith("/banks/3")
        assert await window.page.title() == "dunmere · Consortium"


@pytest.mark.parametrize("name", ["block", "transaction", "bank", "treasury"])
async def test_the_reader_stays_at_the_heading_while_a_page_fills(
    browser: Browser, name: str
) -> None:
    """A page is drawn twice: at once, and with what the server answered."""
    async with canned_window(browser) as window:
        path = (await page_paths(window))[name]
        await window.page.keyboard.press("/")
        if name == "treasury":
            await tab_until(window, "a[href='/treasury']")
        else:
            await window.page.keyboard.type(path.split("/")[-1] if name != "bank" else "cedarholm")
        await window.page.keyboard.press("Enter")
        await until(
            window,
            """(name) => document.querySelectorAll(
                 `.page[data-page=${name}] :is(dl, table)`).length > 0""",
            name,
        )
        assert await window.evaluate("() => document.activeElement.matches('main h1')")


async def test_around_the_ring_by_arrow_keys(browser: Browser) -> None:
    async with canned_window(browser) as window:
        await settled(window, "/")
        await tab_until(window, ".seat")
        for key, bank in (("ArrowRight", 1), ("ArrowDown", 2), ("End", 11), ("ArrowRight", 0)):
            await window.page.keyboard.press(key)
            assert await window.evaluate("() => document.activeElement.dataset.bank") == str(bank)
        await window.page.keyboard.press("ArrowLeft")
        await window.page.keyboard.press("Enter")
        await window.heading("larkhaven")


async def test_the_focus_outlives_what_changes_each_second(browser: Browser) -> None:
    """Rows are drawn anew with every look at the banks; the reader's place is not lost."""
    async with canned_window(browser) as window:
        await settled(window, "/")
        await tab_until(window, "main table a[href='/banks/5']")
        await window.evaluate(
            """() => {
              window.changes = 0;
              const table = document.querySelector("main table tbody");
              const watch = new MutationObserver(() => (window.changes += 1));
              watch.observe(table, { childList: true, subtree: true, characterData: true });
            }"""
        )
        await until(window, "() => window.changes >= 3")
        assert await focused(window) == "fernhollow"


async def test_a_fault_is_confirmed_or_escaped_by_keyboard(browser: Browser) -> None:
    async with canned_window(browser) as window:
        page = window.page
        await settled(window, "/faults")
        await tab_until(window, "input[name=kind]")
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("ArrowDown")
        assert await window.evaluate("() => document.activeElement.value") == "pause"
        await tab_until(window, "form.fault-form button[type=submit]")
        dialog = page.get_by_role("dialog")
        broken = page.get_by_role("region", name="Broken now")

        await page.keyboard.press("Enter")
        await expect(dialog).to_be_visible()
        assert await focused(window) == "Cancel"
        await page.keyboard.press("Escape")
        await expect(dialog).to_have_count(0)
        assert await window.evaluate("() => document.activeElement.type") == "submit"
        await expect(broken).to_contain_text("Nothing is broken")

        await page.keyboard.press("Enter")
        await expect(dialog).to_be_visible()
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(dialog).to_have_count(0)
        await expect(broken).to_contain_text("paused")
        await tab_until(window, "[aria-label='Broken now'] li button")
        await page.keyboard.press("Enter")
        await expect(broken).to_contain_text("Nothing is broken")
