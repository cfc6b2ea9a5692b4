"""What a page says, as a reader takes it: tables by their caption, terms and what they are."""

from __future__ import annotations

from playwright.async_api import Locator

from tests.dashboard.browser.chromium_window import Window

ROWS = """(table) => {
  const words = (cell) => cell.innerText.replace(/\\s+/g, " ").trim();
  const heads = Array.from(table.tHead.rows[0].cells, words);
  return Array.from(table.tBodies[0].rows, (row) =>
    Object.fromEntries(Array.from(row.cells, (cell, place) => [heads[place], words(cell)])));
}"""

TERMS = """(lists) => Object.fromEntries(
  lists.flatMap((list) => Array.from(list.querySelectorAll("dt"), (term) => [
    term.innerText.trim(),
    term.parentElement.querySelector("dd").innerText.replace(/\\s+/g, " ").trim(),
  ])))"""


def table_of(window: Window, caption: str) -> Locator:
    """Return the table with this caption."""
    return window.page.get_by_role("table", name=caption, exact=True)


async def read_table(window: Window, caption: str) -> list[dict[str, str]]:
    """Return every row of a table: what stands below each heading."""
    rows: list[dict[str, str]] = await table_of(window, caption).evaluate(ROWS)
    return rows


async def read_definitions(window: Window, scope: str = "main") -> dict[str, str]:
    """Return every term inside `scope` (a selector) with what it is."""
    lists = window.page.locator(f"{scope} dl")
    await lists.filter(visible=True).first.wait_for()
    terms: dict[str, str] = await lists.evaluate_all(TERMS)
    return terms


async def until(window: Window, condition: str, argument: object = None) -> None:
    """Wait until a function of the page returns something true."""
    await window.page.wait_for_function(condition, arg=argument)
