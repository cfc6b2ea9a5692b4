"""Screenshots: those that the tests keep, and the command that renews those of the README.

    python -m tests.dashboard.browser.screenshots ADDRESS [--out docs/screenshots]

ADDRESS is what `consortium up` printed, with its token: the pictures show a real consortium. Let
`consortium up --demo 300 --keep` run, so that there is something to see.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from playwright.async_api import async_playwright

from scripts.chromium import find_chromium
from tests.dashboard.browser.chromium_window import (
    DARK,
    DESKTOP,
    PHONE,
    Look,
    Window,
    launch,
    open_window,
)
from tests.dashboard.browser.small_png import with_few_colours

README_DIRECTORY = Path("docs") / "screenshots"
MOST_BYTES = 120_000
"""Of a picture in the README."""
SETTLED_MS = 3_000
"""What a picture of live data waits for: a few events of the stream."""

Opening = Callable[[Window], Awaitable[None]]


def screenshot_directory() -> Path | None:
    """Where screenshots of tests are kept, if the environment says so."""
    named = os.environ.get("CONSORTIUM_SCREENSHOTS")
    return Path(named) if named else None


async def keep_screenshot(
    window: Window, directory: Path, name: str, *, whole_page: bool = True
) -> Path:
    """Save what the window shows as `name`.png; return its path."""
    path = directory / f"{name}.png"
    await window.page.screenshot(path=path, full_page=whole_page, animations="disabled")
    return path


async def _overview(window: Window) -> None:
    await window.visit("/")


async def _fullest_block(window: Window) -> None:
    await window.visit("/blocks")
    heights = await window.evaluate(
        """async () => {
          const {blocks} = await (await fetch("/api/blocks?limit=50")).json();
          blocks.sort((one, other) => other.transactions - one.transactions);
          return blocks.map((block) => block.height);
        }"""
    )
    await window.visit(f"/blocks/{heights[0]}")


async def _transaction(window: Window) -> None:
    await _fullest_block(window)
    await window.page.locator("main a[href^='/transactions/']").first.click()
    await window.heading()
    await window.page.get_by_role("button", name="Verify in this browser").click()


PICTURES: tuple[tuple[str, Look, Opening], ...] = (
    ("overview-light", replace(DESKTOP, height=1_400), _overview),
    ("overview-dark", replace(DARK, height=1_400), _overview),
    ("block", replace(DESKTOP, height=1_000), _fullest_block),
    ("transaction", replace(DESKTOP, height=1_000), _transaction),
    ("phone", replace(PHONE, height=900), _overview),
)


async def _renew(address: str, directory: Path) -> list[str]:
    """Take every picture; return what is too large."""
    parts = urlsplit(address)
    origin = f"{parts.scheme}://{parts.netloc}"
    complaints = []
    async with async_playwright() as playwright:
        browser = await launch(playwright, find_chromium())
        for name, look, opening in PICTURES:
            async with open_window(browser, origin, look) as window:
                await window.page.goto(address)
                await window.heading()
                await opening(window)
                await window.page.wait_for_timeout(SETTLED_MS)
                path = await keep_screenshot(window, directory, name, whole_page=False)
            size = await asyncio.to_thread(_shrink, path)
            print(f"{path}  {size:,} bytes")
            if size > MOST_BYTES:
                complaints.append(f"{path} has {size:,} bytes, more than {MOST_BYTES:,}")
        await browser.close()
    return complaints


def _shrink(path: Path) -> int:
    """Make a picture small; return its size in bytes."""
    return path.write_bytes(with_few_colours(path.read_bytes()))


def main() -> int:
    """Take the pictures; return the exit code."""
    parser = argparse.ArgumentParser(description="Renew the screenshots of the README.")
    parser.add_argument("address", help="as `consortium up` printed it")
    parser.add_argument("--out", type=Path, default=README_DIRECTORY)
    arguments = parser.parse_args()
    complaints = asyncio.run(_renew(arguments.address, arguments.out))
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
