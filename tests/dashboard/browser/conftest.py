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

HERE = Path(__file__).parent
HOW_TO = "no Chromium: `scripts/bootstrap -P scripts/chromium.py` says how to get one"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a browser where there is none, unless one is asked for."""
    ours = [item for item in items if item.path.is_relative_to(HERE)]
    if not ours or os.environ.get("CONSORTIUM_REQUIRE_BROWSER") == "1":
        return
    try:
        find_chromium()
    except ChromiumMissing:
        for item in ours:
            item.add_marker(pytest.mark.skip(reason=HOW_TO))


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The browser's program."""
    try:
        return find_chromium()
    except ChromiumMissing as missing:
        pytest.fail(f"CONSORTIUM_REQUIRE_BROWSER=1 asks for a browser: {missing}", pytrace=False)


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
