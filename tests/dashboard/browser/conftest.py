"""A Chromium for the tests of the operator's page: one a file, or one message why there is none."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from scripts.chromium import ChromiumMissing, find_chromium
from tests.dashboard.browser.chromium_window import launch
from tests.dashboard.browser.screenshots import screenshot_directory


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The browser's program; without one the tests are skipped, or fail if one is required."""
    try:
        return find_chromium()
    except ChromiumMissing as missing:
        if os.environ.get("CONSORTIUM_REQUIRE_BROWSER") == "1":
            pytest.fail(f"{missing}\nCONSORTIUM_REQUIRE_BROWSER=1 asks for it", pytrace=False)
        pytest.skip(str(missing))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(chromium: Path) -> AsyncIterator[Browser]:
    """A Chromium that runs until the file's tests are done."""
    async with async_playwright() as playwright:
        running = await launch(playwright, chromium)
        try:
            yield running
        finally:
            await running.close()


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots are kept: CONSORTIUM_SCREENSHOTS, or a directory of this run."""
    return screenshot_directory() or tmp_path_factory.mktemp("screenshots")
