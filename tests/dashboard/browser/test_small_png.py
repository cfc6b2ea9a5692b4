"""Screenshots of the README keep what they show when their colours become few."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from playwright.async_api import Browser

from tests.dashboard.browser.chromium_window import Look, Window, open_window
from tests.dashboard.browser.small_png import with_few_colours

pytestmark = pytest.mark.browser

in_module_loop = pytest.mark.asyncio(loop_scope="module")

NOWHERE = "http://127.0.0.1:9"
DRAWING = """<!doctype html><body style="margin: 0; background: #fff">
<div style="height: 40px; background: #0b6a7a"></div>
<p style="font: 20px sans-serif; color: #14221d">Two more may fail</p>"""

DIFFERENCE = """async (pictures) => {
  const read = async (text) => {
    const picture = await createImageBitmap(await (await fetch(text)).blob());
    const canvas = new OffscreenCanvas(picture.width, picture.height);
    const brush = canvas.getContext("2d");
    brush.drawImage(picture, 0, 0);
    return [picture.width, picture.height,
            brush.getImageData(0, 0, picture.width, picture.height).data];
  };
  const [one, other] = await Promise.all(pictures.map(read));
  let greatest = 0;
  for (let i = 0; i < one[2].length; i += 1) {
    greatest = Math.max(greatest, Math.abs(one[2][i] - other[2][i]));
  }
  return { sizes: [one.slice(0, 2), other.slice(0, 2)], greatest };
}"""


async def difference(window: Window, one: bytes, other: bytes) -> Any:
    """What a browser sees of two pictures: their sizes and how far a sample is off at most."""
    texts = [f"data:image/png;base64,{base64.b64encode(data).decode()}" for data in (one, other)]
    return await window.evaluate(DIFFERENCE, texts)


@in_module_loop
async def test_few_colours_stay_exactly(browser: Browser) -> None:
    async with open_window(browser, NOWHERE, Look(width=240, height=120)) as window:
        await window.page.set_content(DRAWING)
        picture = await window.page.screenshot()
        small = with_few_colours(picture)
        seen = await difference(window, picture, small)
    assert seen == {"sizes": [[240, 120], [240, 120]], "greatest": 0}


@in_module_loop
async def test_many_colours_become_the_nearest(browser: Browser) -> None:
    style = "height: 120px; background: linear-gradient(to right, #000, #08f 70%, #fff)"
    async with open_window(browser, NOWHERE, Look(width=600, height=120)) as window:
        await window.page.set_content(f"<body style='margin: 0'><div style='{style}'></div>")
        picture = await window.page.screenshot()
        small = with_few_colours(picture)
        seen = await difference(window, picture, small)
    assert seen["sizes"] == [[600, 120], [600, 120]]
    assert 0 < seen["greatest"] <= 24
    assert len(small) < len(picture)


@in_module_loop
async def test_a_small_mark_keeps_its_colour(browser: Browser) -> None:
    """However many shades are more frequent."""
    shades = "height: 100px; background: linear-gradient(to right, #000, #fff)"
    mark = "height: 2px; width: 2px; background: #c01020"
    async with open_window(browser, NOWHERE, Look(width=900, height=120)) as window:
        await window.page.set_content(
            f"<body style='margin: 0'><div style='{shades}'></div><div style='{mark}'></div>"
        )
        small = with_few_colours(await window.page.screenshot())
    assert bytes.fromhex("c01020") in small


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\x89PNG\r\n\x1a"])
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="this is no PNG"):
        with_few_colours(data)
