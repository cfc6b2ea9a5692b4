"""The page's own proof check (merkle.js) in a browser, judged by the project's known answers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Route

from tests.dashboard.browser.chromium_window import Window, open_window

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

ROOT = Path(__file__).resolve().parents[3]
STATIC = ROOT / "node" / "dashboard" / "static"
VECTORS = ROOT / "tests" / "vectors" / "idx1.json"
SECURE, INSECURE = "http://127.0.0.1:9", "http://consortium.example:9"
"""A browser offers cryptography to pages of this machine, and of others only over TLS."""


async def serve_static(route: Route) -> None:
    path = route.request.url.split("/", 3)[3]
    if path == "":
        await route.fulfill(body="<!doctype html><title>Vectors</title>", content_type="text/html")
    else:
        await route.fulfill(path=STATIC / path.removeprefix("static/"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def window(browser: Browser) -> AsyncIterator[Window]:
    async with open_window(browser, SECURE) as window:
        await window.page.route("**/*", serve_static)
        await window.page.goto(SECURE)
        yield window


def sections() -> dict[str, Any]:
    vectors = json.loads(VECTORS.read_text())
    return {name: vectors[name] for name in ("merkle", "transactions")}


async def judge(window: Window, vectors: dict[str, Any]) -> Any:
    return await window.evaluate(
        """async (vectors) =>
          (await import("/static/merkle_vectors.js")).judgeVectors(vectors)""",
        vectors,
    )


async def test_section_13_every_known_answer_is_met(window: Window) -> None:
    vectors = sections()
    expected = sum(1 + len(tree["cases"]) for tree in vectors["merkle"])
    expected += sum(1 for item in vectors["transactions"] if item.get("txid"))
    assert await judge(window, vectors) == {"passed": expected, "failed": []}


async def test_section_13_wrong_answers_are_not_met(window: Window) -> None:
    """The judge itself can fail: an opposite verdict, another root, another id."""
    vectors = sections()
    tree = next(number for number, tree in enumerate(vectors["merkle"]) if tree["cases"])
    case = vectors["merkle"][tree]["cases"][0]
    case["valid"] = not case["valid"]
    vectors["merkle"][0]["root"] = sha256(b"another").hexdigest()
    named = next(item for item in vectors["transactions"] if item.get("txid"))
    named["txid"] = sha256(b"another").hexdigest()
    judged = await judge(window, vectors)
    assert judged["failed"] == [
        "tree 0: root",
        f"tree {tree}: case 0",
        f"id of {named['name']}",
    ]


async def test_blake2b_agrees_with_another_implementation(window: Window) -> None:
    """RFC 7693: around the block of 128 bytes, where the last block is treated differently."""
    lengths = [0, 1, 127, 128, 129, 255, 256, 257, 1000]
    found = await window.evaluate(
        """async (lengths) => {
          const { blake2b512 } = await import("/static/blake2b.js");
          const { toHex } = await import("/static/bytes.js");
          return lengths.map((length) =>
            toHex(blake2b512(Uint8Array.from({ length }, (_, place) => place % 251))));
        }""",
        lengths,
    )
    expected = [
        blake2b(bytes(place % 251 for place in range(length))).hexdigest() for length in lengths
    ]
    assert found == expected


async def test_a_page_that_is_not_secure_says_that_it_cannot_check(browser: Browser) -> None:
    async with open_window(browser, INSECURE) as window:
        await window.page.route("**/*", serve_static)
        await window.page.goto(INSECURE)
        said = await window.evaluate(
            """async () => {
              const { leafHash, NoCryptography } = await import("/static/merkle.js");
              return leafHash(new Uint8Array()).then(
                () => "a hash", (error) => [error instanceof NoCryptography, error.message]);
            }"""
        )
    assert said == [
        True,
        "this browser offers cryptography only to pages from https or from localhost",
    ]
