"""What the page costs and how fast it is, with a real consortium and a real browser.

    python -m tests.dashboard.browser.measure [--banks 12] [--viewers 50] [--json]

Three figures, none of which a test asserts, because they depend on the machine:

- interactive: from the beginning of the navigation until every bank of the event stream is drawn
  and the search answers, in a browser that has never seen the page;
- latency: from the first bank that saw a block sealed, and from the last that applied it, until
  the block stands on the page; all clocks are this machine's;
- viewers: processor time and memory of the page's process with one viewer and with many.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

import httpx
from playwright.async_api import Browser, async_playwright

from node.client.errors import LedgerError
from node.ledger.types import Height
from node.wire.operator_records import RoundEventKind, RoundReport
from scripts.chromium import find_chromium
from tests.dashboard.browser.chromium_window import launch, open_window
from tests.dashboard.browser.page_reading import until
from tests.dashboard.browser.running_page import RunningPage, running_page

LOADS = 7
BLOCKS = 10
OBSERVED_S = 20.0
SETTLE_S = 3.0

WHEN_INTERACTIVE = """
const look = () => {
  const drawn = document.querySelectorAll("main table tbody a[href^='/banks/']").length;
  const live = document.querySelector("#connection")?.dataset.state === "live";
  if (drawn >= BANKS && live) window.interactiveMs = performance.now();
  else requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""

WHEN_SHOWN = """
window.shownMs = {};
new MutationObserver(() => {
  for (const link of document.querySelectorAll("main .stream a")) {
    const height = link.getAttribute("href").split("/").at(-1);
    window.shownMs[height] ??= Date.now();
  }
}).observe(document, { childList: true, subtree: true });
"""


@dataclass(frozen=True)
class Spread:
    """Smallest, middle and greatest of some measurements."""

    least: float
    median: float
    greatest: float
    count: int

    @staticmethod
    def of(values: Sequence[float]) -> Spread:
        return Spread(
            round(min(values), 1),
            round(statistics.median(values), 1),
            round(max(values), 1),
            len(values),
        )

    def __str__(self) -> str:
        return f"{self.median:,.0f} ms ({self.least:,.0f} to {self.greatest:,.0f}, {self.count})"


@dataclass(frozen=True)
class ServerLoad:
    """What the page's process used while so many viewers looked on."""

    viewers: int
    cpu_percent: float
    """Of one core."""
    resident_bytes: int
    events_received: int

    def __str__(self) -> str:
        return (
            f"{self.cpu_percent} % of a core, {self.resident_bytes / 1e6:.1f} MB, "
            f"{self.events_received:,} events received"
        )


async def interactive(running: RunningPage, browser: Browser, state: dict[str, Any]) -> Spread:
    """Load the overview in fresh contexts; milliseconds until it can be used."""
    banks = len(running.consortium.genesis.banks)
    taken = []
    for _ in range(LOADS):
        async with open_window(browser, running.origin, storage_state=state) as window:
            await window.page.add_init_script(WHEN_INTERACTIVE.replace("BANKS", str(banks)))
            await window.page.goto(running.origin)
            await until(window, "() => window.interactiveMs !== undefined")
            taken.append(await window.evaluate("() => window.interactiveMs"))
    return Spread.of(taken)


async def transferred(running: RunningPage, browser: Browser, state: dict[str, Any]) -> int:
    """Bytes of everything that the overview loads, as sent."""
    async with open_window(browser, running.origin, storage_state=state) as window:
        await window.visit("/")
        size: int = await window.evaluate(
            """() => performance.getEntriesByType("resource")
              .concat(performance.getEntriesByType("navigation"))
              .filter((entry) => !entry.name.includes("/api/"))
              .reduce((sum, entry) => sum + entry.transferSize, 0)"""
        )
        return size


async def latency(
    running: RunningPage, browser: Browser, state: dict[str, Any]
) -> tuple[Spread, Spread]:
    """Milliseconds until a block is shown: after its first seal, after its first application."""
    after_seal, after_application = [], []
    async with open_window(browser, running.origin, storage_state=state) as window:
        await window.page.add_init_script(WHEN_SHOWN)
        await window.visit("/")
        for _ in range(BLOCKS):
            _, height = await running.mint()
            await until(window, "(height) => window.shownMs[height] !== undefined", height)
            shown_ms = await window.evaluate("(height) => window.shownMs[height]", height)
            rounds = await running.consortium.ask_every_bank(
                lambda bank, height=height: bank.round(Height(height))  # type: ignore[misc]
            )
            after_seal.append(shown_ms - first_ms(rounds.values(), RoundEventKind.SEALED))
            after_application.append(shown_ms - first_ms(rounds.values(), RoundEventKind.APPLIED))
    return Spread.of(after_seal), Spread.of(after_application)


def first_ms(rounds: Any, kind: RoundEventKind) -> float:
    """When the first bank saw this of a round."""
    reports: list[RoundReport] = [item for item in rounds if not isinstance(item, LedgerError)]
    return (
        min(event.at_us for report in reports for event in report.events if event.kind is kind)
        / 1000
    )


@asynccontextmanager
async def viewers(running: RunningPage, count: int) -> AsyncIterator[list[int]]:
    """Follow the event stream so many times; yields how many events each has received."""
    received = [0] * count
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=running.origin, limits=limits, timeout=None) as client:
        await client.post("/api/login", json={"token": running.token})

        async def follow(place: int) -> None:
            async with client.stream("GET", "/api/events") as answer:
                async for line in answer.aiter_lines():
                    received[place] += line.startswith("event:")

        tasks = [asyncio.create_task(follow(place)) for place in range(count)]
        try:
            yield received
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def load_of(running: RunningPage, count: int) -> ServerLoad:
    """Watch the page's process while so many look on and now and then a block is sealed."""
    async with viewers(running, count) as received:
        await asyncio.sleep(SETTLE_S)
        server, loop = running.server, asyncio.get_running_loop()
        begun, begun_s, before = server.cpu_times(), loop.time(), sum(received)
        while loop.time() < begun_s + OBSERVED_S:
            await running.mint()
            await asyncio.sleep(1)
        ended, elapsed_s = server.cpu_times(), loop.time() - begun_s
        used_s = ended.user + ended.system - begun.user - begun.system
        return ServerLoad(
            count,
            round(100 * used_s / elapsed_s, 2),
            server.memory_info().rss,
            sum(received) - before,
        )


async def measure(bank_count: int, many: int) -> dict[str, Any]:
    """Take every figure."""
    async with async_playwright() as playwright, running_page(bank_count=bank_count) as running:
        browser = await launch(playwright, find_chromium())
        state = await running.operator_state(browser)
        await running.mint()
        say("loading the page")
        figures: dict[str, Any] = {
            "banks": bank_count,
            "interactive_ms": await interactive(running, browser, state),
            "transferred_bytes": await transferred(running, browser, state),
        }
        say("sealing blocks")
        seal, application = await latency(running, browser, state)
        figures |= {"after_first_seal_ms": seal, "after_first_application_ms": application}
        await browser.close()
        for count in (0, 1, many):
            say(f"{count} viewers")
            figures[f"viewers_{count}"] = await load_of(running, count)
        return figures


def say(text: str) -> None:
    print(f"measure: {text}", file=sys.stderr, flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure the operator's page.")
    parser.add_argument("--banks", type=int, default=12)
    parser.add_argument("--viewers", type=int, default=50)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    figures = asyncio.run(measure(arguments.banks, arguments.viewers))
    if arguments.json:
        print(json.dumps(figures, default=asdict, indent=2))
        return
    for name, value in figures.items():
        print(f"{name.replace('_', ' '):<30}{value}")


if __name__ == "__main__":
    main()
