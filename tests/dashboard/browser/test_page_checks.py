"""The checks of pages find what is wrong, on pages made for that."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.dashboard.browser.chromium_window import Look, Window, open_window
from tests.dashboard.browser.page_checks import (
    crowded_texts,
    lacking_structure,
    poor_contrast,
    sideways_overflow,
)

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

NOWHERE = "http://127.0.0.1:9"
"""No window asks it for anything."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def window(browser: Browser) -> AsyncIterator[Window]:
    async with open_window(browser, NOWHERE, Look(width=360, height=500)) as window:
        yield window


def document(body: str, style: str = "") -> str:
    return (
        f"<!doctype html><html lang=en><title>A page</title><style>{style}</style>"
        f"<body><main><h1>Heading</h1>{body}</main>"
    )


async def test_contrast_is_measured_against_what_lies_behind(window: Window) -> None:
    await window.page.set_content(
        document(
            """
            <p class=good>black on white</p>
            <p class=grey>grey on white</p>
            <p class="grey large">large grey on white</p>
            <div class=dark><p class=good>black on black</p><p class=light>white on black</p></div>
            <div class=veil><p class=good>black seen through a veil</p></div>
            <p class=faint>black, but faint</p>
            <p class=hidden>a text for screen readers</p>
            <button disabled class=grey>a disabled button</button>
            <p class=below>far below</p>
            <svg viewBox="0 0 200 40" width=200 height=40>
              <rect width=200 height=40 fill="#224"></rect>
              <text x=5 y=25 fill="#fff" class=drawn>white on blue</text>
              <text x=105 y=25 fill="#446" class=drawn>blue on blue</text>
            </svg>
            """,
            """
            .good { color: #000 } .light { color: #fff } .dark { background: #111 }
            .grey { color: #949494 } .large { font-size: 30px }
            .veil { background: rgb(0 0 0 / 80%) }
            .faint { opacity: 0.3 }
            .hidden { position: absolute; width: 1px; height: 1px; overflow: hidden }
            .below { margin-top: 900px; color: color(srgb 0.7 0.7 0.7) }
            .drawn { font-size: 14px }
            """,
        )
    )
    texts, poor = await poor_contrast(window.page)
    assert texts == 11
    assert poor == [
        'p.grey "grey on white": 3.03',
        'p.good "black on black": 1.11',
        'p.good "black seen through a veil": 1.66',
        'p.faint "black, but faint": 2.11',
        'p.below "far below": 2.10',
        'text.drawn "blue on blue": 1.64',
    ]


async def test_structure_that_is_whole_lacks_nothing(window: Window) -> None:
    await window.page.set_content(
        document(
            """
            <h2>Part</h2><h3>Piece</h3>
            <label for=text>What</label><input id=text aria-describedby=why><p id=why>Why</p>
            <a href="/">Home</a><button aria-label=Close></button>
            <table><caption>Sums</caption><tr><th>1</th></tr></table>
            <svg aria-hidden=true></svg><svg role=img aria-label=Ring></svg>
            """
        )
    )
    assert await lacking_structure(window.page) == []


async def test_every_lack_of_structure_is_named(window: Window) -> None:
    await window.page.set_content(
        """
        <!doctype html><h1>One</h1><h1>Other</h1><h3>Deep</h3>
        <input id=twice aria-describedby=gone><p id=twice></p><a href="/"></a>
        <table><tr><td>1</td></tr></table><svg></svg>
        """
    )
    assert await lacking_structure(window.page) == [
        "the document says no language",
        "the document has no title",
        "0 main landmarks",
        "2 first headings",
        '"Deep" is 3 below 1',
        "the id twice is there more than once",
        'aria-describedby="gone" leads nowhere',
        'no name: <input id="twice" aria-describedby="gone">',
        'no name: <a href="/"></a>',
        "no header cells: <table><tbody><tr><td>1</td></tr></tbody></table>",
        "a table without a name",
        "a drawing neither named nor hidden: <svg></svg>",
    ]


async def test_only_what_scrolls_by_itself_may_be_wide(window: Window) -> None:
    frame = "<div style='overflow-x: auto'><div style='width: 900px'>wide</div></div>"
    await window.page.set_content(document(frame))
    assert await sideways_overflow(window.page) == []
    await window.page.set_content(document(f"{frame}<p class=long style='width: 400px'>long</p>"))
    assert await sideways_overflow(window.page) == [
        "the page is 408 wide in a window of 360",
        "p.long ends at 408",
    ]


async def test_texts_that_lie_over_each_other_are_named(window: Window) -> None:
    await window.page.set_content(
        document(
            """
            <p class=one>first</p><p class=up>second</p>
            <div class=frame><p class=long>cut off by its frame</p></div><p class=beside>beside</p>
            <svg viewBox="0 0 100 40" width=100 height=40 overflow=visible>
              <text x=60 y=20 class=drawn>reaching out</text>
            </svg>
            """,
            """
            p, text { font: 16px/20px monospace; margin: 0 } .up { margin-top: -12px }
            .frame { overflow: hidden; width: 50px; float: left } .long { white-space: nowrap }
            """,
        )
    )
    found = await crowded_texts(window.page)
    assert found[1:] == ['"first" lies over "second"']
    assert found[0].startswith('"reaching out" reaches ')


async def test_windows_complain_of_errors(browser: Browser) -> None:
    with pytest.raises(AssertionError) as complaint:
        async with open_window(browser, NOWHERE) as window:
            await window.page.set_content("<!doctype html><p>A page</p>")
            await window.evaluate("() => console.error('something broke')")
            await window.evaluate("() => { setTimeout(() => { throw new Error('lost') }, 0) }")
            async with window.page.expect_event("requestfailed"):
                await window.evaluate("() => void fetch('http://127.0.0.1:1/x').catch(() => 0)")
    for finding in (
        "console: something broke",
        "exception: lost",
        "asked another host: http://127.0.0.1:1/x",
    ):
        assert finding in str(complaint.value)
