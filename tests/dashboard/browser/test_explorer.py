"""What the explorer's pages make of rare answers: late banks, refusals, what is on its way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Route, expect

from tests.dashboard.browser.canned_window import canned_window, page_paths, settled
from tests.dashboard.browser.chromium_window import WAITS_MS, Window
from tests.dashboard.browser.page_reading import read_table
from tests.dashboard.canned_explorer import LATE_VIEW, REFUSED_ID

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

expect.set_options(timeout=WAITS_MS)

LOOKS_WHEN_FINAL = 4
"""Banks apply a block a little after each other, so the page asks on for a while."""
LEDGER_VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "ledger.json"


async def axis_until_us(window: Window, *ends_us: Sequence[int]) -> int:
    """How long the axis is for banks whose events end then."""
    until: int = await window.evaluate(
        """async (ends) => {
          const { stretchOf } = await import("/static/time_scale.js");
          const rows = ends.map((times) => ({
            events: times.map((at) => ({ kind: "sealed", view: 0, at_us: 1e15 + at })),
          }));
          const { from, until } = stretchOf(rows);
          return until - from;
        }""",
        [list(times) for times in ends_us],
    )
    return until


async def test_late_banks_do_not_press_the_others_into_a_line(browser: Browser) -> None:
    async with canned_window(browser, banks=4) as window:
        await window.visit("/blocks")
        usual = [(0, 40_000, 80_000)] * 9
        assert await axis_until_us(window, *usual) == 80_000
        assert await axis_until_us(window, *usual, (0, 41_000, 9_000_000)) == 80_000
        twice = [(0, 41_000, 9_000_000), (0, 42_000, 9_100_000)]
        assert await axis_until_us(window, *usual, *twice) == 80_000
        assert await axis_until_us(window, (0, 9_000_000)) == 9_000_000, "nothing else to show"
        assert await axis_until_us(window, (0,)) == 1_000, "a moment has no length to divide by"


async def test_the_axis_has_round_steps(browser: Browser) -> None:
    async with canned_window(browser, banks=4) as window:
        await window.visit("/blocks")
        steps = await window.evaluate(
            """async () => {
              const { ticksOf } = await import("/static/time_scale.js");
              return [ticksOf(164_000, 6), ticksOf(1_000, 4), ticksOf(9_999_999, 1)];
            }"""
        )
    assert steps == [[0, 50_000, 100_000, 150_000], [0, 500, 1_000], [0]]


async def test_section_2_the_header_is_read_as_the_ledger_writes_it(browser: Browser) -> None:
    vector = json.loads(LEDGER_VECTORS.read_text())["header"]
    async with canned_window(browser, banks=4) as window:
        await window.visit("/blocks")
        header = await window.evaluate(
            """async (encoding) => {
              const { readHeader } = await import("/static/merkle.js");
              const { fromHex, toHex } = await import("/static/bytes.js");
              const snake = (name) => name.replace(/[A-Z]/g, (big) => `_${big.toLowerCase()}`);
              const plain = (value) => (value instanceof Uint8Array ? toHex(value) : Number(value));
              return Object.fromEntries(Object.entries(await readHeader(fromHex(encoding))).map(
                ([name, value]) => [snake(name), plain(value)]));
            }""",
            vector["encoding"],
        )
        assert header == {**vector["fields"], "block_id": vector["block_id"]}
        refusals = await window.evaluate(
            """async (encoding) => {
              const { readHeader } = await import("/static/merkle.js");
              const { fromHex } = await import("/static/bytes.js");
              const otherLength = `00000001${encoding.slice(8)}`;
              const wrong = [encoding.slice(0, -2), `${encoding}00`, otherLength];
              return Promise.all(wrong.map((text) =>
                readHeader(fromHex(text)).then(() => "taken", (error) => error.message)));
            }""",
            vector["encoding"],
        )
    assert refusals == [
        "32 bytes wanted at offset 236 of 267",
        "1 bytes follow the value",
        "these bytes are not a block header",
    ]


async def test_a_round_of_two_views_is_drawn_twice_and_said_in_a_table(browser: Browser) -> None:
    async with canned_window(browser, banks=4, scenario="trouble") as window:
        await settled(window, "/")
        height: int = await window.evaluate(
            "async () => (await (await fetch('/api/overview')).json()).height"
        )
        height -= height % LATE_VIEW
        await window.visit(f"/blocks/{height}")
        what = f"the round of block {height}"
        for view in (0, 1):
            drawing = window.page.get_by_role("img", name=f"{what}, view {view}")
            await expect(drawing.locator(".timeline-label")).to_have_count(3)
        await expect(window.page.locator("main")).to_contain_text(
            "dunmere: its process does not run"
        )
        await window.page.get_by_text("The same as a table").click()
        rows = await read_table(
            window, f"When it happened at each bank, after the first moment of {what}"
        )
        assert [(row["Bank"], row["View"]) for row in rows] == [
            (bank, view) for view in "01" for bank in ("amberfield", "birchmoor", "cedarholm")
        ]
        assert all(row["timed out"] != "–" and row["sealed"] == "–" for row in rows[:3])
        assert all(row["timed out"] == "–" and row["sealed"] != "–" for row in rows[3:])


async def test_a_transaction_on_its_way_is_followed(browser: Browser) -> None:
    """The page asks until it is final; what was verified before stays on the page."""
    asked, last_look = 0, asyncio.Event()

    async def younger(route: Route) -> None:
        nonlocal asked
        asked += 1
        answer = await route.fetch()
        body: dict[str, Any] = await answer.json()
        if asked <= 2:
            body |= {"status": {"state": "admitted"}, "height": None, "index": None, "proof": None}
            for bank in body["banks"]:
                bank["events"] = bank["events"][: asked + 1]
        await route.fulfill(response=answer, json=body)
        if asked == 2 + LOOKS_WHEN_FINAL:
            last_look.set()

    async with canned_window(browser, banks=4) as window:
        path = (await page_paths(window))["transaction"]
        await window.page.route("**/api/transactions/*", younger)
        await window.visit(path)
        main, stages = window.page.locator("main"), window.page.locator(".stage")
        await expect(main).to_contain_text("not final")
        await expect(stages.filter(has_text="not yet")).to_have_count(3)
        await expect(main).to_contain_text("final, in a block that a quorum of banks sealed")
        await expect(stages.filter(has_text="4 of 4 banks")).to_have_count(6)
        await expect(window.page.locator("#announcer")).to_contain_text("Transaction sealed")
        await main.get_by_role("button", name="Verify in this browser").click()
        await expect(main.get_by_role("status")).to_contain_text("Verified in this browser")
        await last_look.wait()
        await expect(main.get_by_role("status")).to_contain_text("Verified in this browser")


async def test_a_refused_transaction_names_the_reason_and_the_check(browser: Browser) -> None:
    async with canned_window(browser, banks=4) as window:
        await window.visit(f"/transactions/{REFUSED_ID}")
        main = window.page.locator("main")
        await expect(main).to_contain_text("Refused (nullifier)")
        await expect(main).to_contain_text("amberfield, birchmoor and dunmere: it has never seen")
        rows = await read_table(window, "Checks of this transaction at each bank")
        assert [row["Bank"] for row in rows] == ["cedarholm"]
        assert rows[0]["Came from"] == "client"
        assert rows[0]["Nullifiers"].startswith("failed in")
        assert rows[0]["Nullifiers"].endswith("input 0 is spent already")
        assert await main.get_by_role("button", name="Verify in this browser").count() == 0


async def test_older_blocks_follow_without_gap_and_without_end_in_sight(browser: Browser) -> None:
    async with canned_window(browser, banks=4) as window:
        await settled(window, "/blocks")
        rows = window.page.locator("main tbody tr")
        before = await rows.count()
        await window.page.get_by_role("button", name="Older blocks").scroll_into_view_if_needed()
        await expect(rows).not_to_have_count(before)
        await window.page.wait_for_function(
            "(wanted) => document.querySelectorAll('main tbody tr').length >= wanted",
            arg=before + 50,
        )
        heights = [
            int(height)
            for height in await rows.evaluate_all("(rows) => rows.map((row) => row.dataset.height)")
        ]
        assert all(above - below == 1 for above, below in pairwise(heights))


async def test_movements_are_chosen_by_bank_and_kind(browser: Browser) -> None:
    async with canned_window(browser, banks=4, scenario="trouble") as window:
        await settled(window, "/treasury")
        page = window.page
        await page.get_by_label("Bank", exact=True).select_option(label="birchmoor")
        rows = await read_table(window, "Movements, newest first")
        assert {(row["Bank"], row["Kind"]) for row in rows} == {("birchmoor", "penalty")}
        await page.get_by_label("Kind", exact=True).select_option(label="fee")
        rows = await read_table(window, "Movements, newest first")
        assert [next(iter(row.values())) for row in rows] == [
            "No movement of this bank and kind among the newest"
        ]
        await page.get_by_label("Bank", exact=True).select_option(label="all")
        await expect(page.locator("main")).to_contain_text("movements of the newest 200")
        await page.get_by_role("button", name="Show all").click()
        rows = await read_table(window, "Movements, newest first")
        assert len(rows) > 100
        assert {row["Kind"] for row in rows} == {"fee"}


async def test_a_search_sent_before_the_page_was_ready_is_answered(browser: Browser) -> None:
    """The form works as a plain form as well: its address is read by the page of blocks."""
    async with canned_window(browser, banks=4) as window:
        await window.page.goto(f"{window.origin}/blocks?q=cedarholm")
        await window.page.wait_for_url("**/banks/2")
        await window.page.goto(f"{window.origin}/blocks?q=nobody")
        await expect(window.page.locator("main")).to_contain_text("is called 'nobody'")
