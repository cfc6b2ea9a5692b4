"""What holds on every page: text can be read, structure is whole, nothing is cut off."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from playwright.async_api import Page

HERE = Path(__file__).parent


@cache
def _script(name: str) -> str:
    source = (HERE / f"{name}.js").read_text(encoding="utf-8")
    code = [line for line in source.splitlines() if not line.startswith("//")]
    return "\n".join(code).strip().removesuffix(";")


STILL = """async () => {
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  for (let still = 0; still < 5; still += 1) {
    await frame();
    if (document.getAnimations().some((one) => one.playState === "running")) still = 0;
  }
}"""
"""A colour that is inherited through transitions comes a frame later at each generation."""


async def _whole_page(page: Page) -> None:
    """Make the window as tall as its page, so that nothing has to be scrolled to."""
    size = page.viewport_size
    assert size is not None, "windows of tests have a size"
    height: int = await page.evaluate("() => document.documentElement.scrollHeight")
    await page.set_viewport_size({"width": size["width"], "height": max(size["height"], height)})
    await page.evaluate(STILL)


async def poor_contrast(page: Page) -> tuple[int, list[str]]:
    """Return how many texts were measured and those below WCAG 2.2 AA (1.4.3)."""
    size = page.viewport_size
    assert size is not None, "windows of tests have a size"
    await _whole_page(page)
    found: dict[str, Any] = await page.evaluate(_script("contrast"))
    await page.set_viewport_size(size)
    return found["texts"], found["poor"]


async def lacking_structure(page: Page) -> list[str]:
    """Return what the page lacks for keyboards and screen readers."""
    lacks: list[str] = await page.evaluate(_script("structure"))
    return lacks


async def sideways_overflow(page: Page) -> list[str]:
    """Return what makes the page scroll sideways."""
    wide: list[str] = await page.evaluate(_script("overflow"))
    return wide


async def crowded_texts(page: Page) -> list[str]:
    """Return texts that lie over each other or reach out of their drawing."""
    size = page.viewport_size
    assert size is not None, "windows of tests have a size"
    await _whole_page(page)
    found: list[str] = await page.evaluate(_script("crowding"))
    await page.set_viewport_size(size)
    return found
