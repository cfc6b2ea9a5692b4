"""The page of a running consortium in a real browser: every figure against the banks' own word."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Route, expect

from node.ledger.blocks import Header
from node.ledger.types import BankIndex, Height, TransactionId
from node.runtime.consortium_directory import short_name
from tests.dashboard.browser.chromium_window import WAITS_MS, Window, open_window
from tests.dashboard.browser.page_reading import read_definitions, read_table, until
from tests.dashboard.browser.running_page import BANKS, RunningPage, running_page
from tests.dashboard.browser.screenshots import keep_screenshot

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.postgres,
    pytest.mark.asyncio(loop_scope="module"),
]

expect.set_options(timeout=WAITS_MS)

NAMES = [short_name(bank) for bank in range(BANKS)]
PAID = 5_000
LOOKS = 150
"""At a page that may be a moment behind."""


@dataclass
class Scene:
    """A consortium at work, a browser, and what is on the ledger."""

    running: RunningPage
    browser: Browser
    operator: dict[str, Any]
    """Cookies of an operator who has opened the printed address."""
    screenshots: Path
    issue: tuple[TransactionId, int]
    transfer: tuple[TransactionId, int]
    """Ids and heights."""

    def window(self) -> AbstractAsyncContextManager[Window]:
        """An operator's window."""
        return open_window(self.browser, self.running.origin, storage_state=self.operator)

    def visitor(self) -> AbstractAsyncContextManager[Window]:
        """A window of somebody who is not logged in."""
        return open_window(self.browser, self.running.origin)

    async def reports(self) -> list[Any]:
        """What every bank says of itself."""
        answers = await self.running.consortium.ask_every_bank(lambda bank: bank.report())
        return [answers[BankIndex(bank)] for bank in range(BANKS)]

    async def header(self, height: int) -> Header:
        block = await self.running.ledger.block(Height(height))
        return Header.decode(block.header)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(
    browser: Browser, screenshots: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Scene]:
    """A consortium with its page, and an ISSUE and a TRANSFER on its ledger."""
    async with running_page() as running:
        issue = await running.mint()
        transfer = await running.pay(PAID)
        operator = await running.operator_state(browser)
        yield Scene(running, browser, operator, screenshots, issue, transfer)


async def agree(shown: Callable[[], Awaitable[Any]], told: Callable[[], Awaitable[Any]]) -> None:
    """Wait until a page shows what the banks tell; the page comes a moment later."""
    on_the_page, word = await shown(), await told()
    for _ in range(LOOKS):
        if on_the_page == word:
            break
        await asyncio.sleep(0.2)
        on_the_page, word = await shown(), await told()
    assert on_the_page == word


def number(value: int) -> str:
    return f"{value:,}"


async def test_overview_tells_what_the_banks_tell(scene: Scene) -> None:
    async with scene.window() as window:
        await window.visit("/", "Overview")
        await expect(window.page.get_by_role("table", name="All banks")).to_contain_text("up")

        async def shown() -> list[tuple[str, ...]]:
            wanted = ("Bank", "State", "Height", "Behind", "Links", "Waiting", "Sector")
            rows = await read_table(window, "All banks")
            return [tuple(row[name] for name in wanted) for row in rows]

        async def told() -> list[tuple[str, ...]]:
            banks = scene.running.consortium.genesis.banks
            return [
                (
                    NAMES[bank.index],
                    "up",
                    number(report.height),
                    "–",
                    str(BANKS - 1),
                    number(report.mempool.transactions),
                    bank.sector.value,
                )
                for bank, report in zip(banks, await scene.reports(), strict=True)
            ]

        await agree(shown, told)
        verdict = window.page.locator(".verdict")
        await expect(verdict).to_contain_text("One more may fail")
        await expect(verdict).to_contain_text("6 of 6 can vote, 5 needed")

        async def shown_height() -> str:
            return (await read_definitions(window))["Height"].split()[0]

        async def told_height() -> str:
            return number((await scene.reports())[0].height)

        await agree(shown_height, told_height)
        seats = window.page.locator("main svg a[href^='/banks/']")
        words = await seats.evaluate_all(
            "(seats) => seats.map((seat) => seat.getAttribute('aria-label').split(':')[0])"
        )
        assert words == NAMES
        heights = await whole_stream(window)
        assert {scene.issue[1], scene.transfer[1]} <= set(heights)
        await keep_screenshot(window, scene.screenshots, "overview")


async def stream_heights(window: Window) -> list[int]:
    """The heights in the stream of blocks, as shown."""
    heights: list[int] = await window.page.locator("main .stream a").evaluate_all(
        "(links) => links.map((link) => Number(link.textContent.replaceAll(',', '')))"
    )
    return heights


async def whole_stream(window: Window) -> list[int]:
    """The heights in the stream, of which none is missing and none is there twice."""
    heights = await stream_heights(window)
    assert heights == list(range(heights[0], heights[0] - len(heights), -1))
    return heights


async def test_a_block_shows_its_header_batch_seal_and_round(scene: Scene) -> None:
    identity, height = scene.transfer
    header = await scene.header(height)
    async with scene.window() as window:
        await window.visit(f"/blocks/{height}", f"Block {number(height)}")
        fields = window.page.locator("main .header-fields")
        await fields.wait_for()
        terms = await fields.evaluate(
            """(list) => Object.fromEntries(Array.from(list.querySelectorAll("dt"), (term) => {
                 const value = term.parentElement.querySelector("dd");
                 return [term.textContent, value.querySelector("code")?.title || value.innerText];
               }))"""
        )
        assert terms == {
            "Chain": header.chain_id.hex(),
            "Height": number(height),
            "Parent": header.parent_id.hex(),
            "View": number(header.original_view),
            "Proposer": short_name(header.proposer),
            "Time": utc(header.time_ms),
            "Merkle root": header.transactions_root.hex(),
            "Evidence root": header.evidence_root.hex(),
            "Ballots root": header.ballots_root.hex(),
            "Transactions": number(header.transaction_count),
            "State root": header.post_state_root.hex(),
            "Next set": header.next_set_hash.hex(),
        }

        main = window.page.locator("main")
        await expect(main).to_contain_text("Certificate verified")
        await expect(main).to_contain_text("recomputed in this browser")
        await expect(main).to_contain_text("which ones nobody learns")
        rows = await read_table(window, f"Transactions of block {height}")
        assert [(row["Place"], row["Kind"]) for row in rows] == [("0", "Transfer")]
        links = window.page.locator("main a[href^='/transactions/']")
        assert await links.get_attribute("href") == f"/transactions/{identity.hex()}"
        round_of = window.page.get_by_role("img", name=f"the round of block {height}")
        await expect(round_of).to_be_visible()
        await keep_screenshot(window, scene.screenshots, "block")

        await window.page.get_by_role("link", name=f"← Block {height - 1}").click()
        await window.heading(f"Block {number(height - 1)}")
        await window.page.go_back()
        await window.heading(f"Block {number(height)}")


def utc(time_ms: int) -> str:
    """Unix milliseconds as the page writes them; the windows of tests are in UTC."""
    time = datetime.fromtimestamp(time_ms // 1000, UTC)
    return f"{time:%Y-%m-%d %H:%M:%S}.{time_ms % 1000:03}"


async def test_the_browser_verifies_a_transaction(scene: Scene) -> None:
    identity, height = scene.transfer
    async with scene.window() as window:
        await window.visit(f"/transactions/{identity.hex()}")
        main = window.page.locator("main")
        await expect(main).to_contain_text("Sealed")
        await expect(main.get_by_role("link", name=f"block {number(height)}")).to_be_visible()
        public = await read_definitions(window, "main .columns")
        assert public["Kind"] == "Transfer"
        assert public["Size"] == f"{number(len(await scene_bytes(scene, identity)))} bytes"
        await expect(main).to_contain_text("the amounts of its outputs")
        checks = await read_table(window, "Checks of this transaction at each bank")
        assert [row["Bank"] for row in checks] == NAMES
        for row in checks:
            assert all("passed" in took for name, took in row.items() if name == "Proofs"), row

        await main.get_by_role("button", name="Verify in this browser").click()
        await expect(main.get_by_role("status")).to_contain_text("Verified in this browser")
        verdicts = await main.locator("[data-check]").evaluate_all(
            "(items) => items.map((item) => [item.dataset.check, item.dataset.passed])"
        )
        names = ["domain", "id", "leaf", "chain", "root", "block", "height"]
        assert verdicts == [[name, "yes"] for name in names]
        await keep_screenshot(window, scene.screenshots, "transaction")


async def scene_bytes(scene: Scene, identity: TransactionId) -> bytes:
    record = await scene.running.ledger.transaction(identity, include_transaction=True)
    assert record.transaction is not None, "a sealed transaction is stored"
    return record.transaction


def other_hash(proof: dict[str, Any]) -> None:
    proof["leaf_preimage_hex"] = proof["leaf_preimage_hex"][:-2] + "00"


def other_root(proof: dict[str, Any]) -> None:
    """A header of the same height whose transactions' root is another."""
    hexadecimal = proof["header_hex"]
    place = 2 * (4 + len("bft12/1/header") + 32 + 8 + 32 + 4 + 2 + 8)
    flipped = f"{int(hexadecimal[place], 16) ^ 1:x}"
    proof["header_hex"] = hexadecimal[:place] + flipped + hexadecimal[place + 1 :]


def other_path(proof: dict[str, Any]) -> None:
    proof["siblings"] = [*proof["siblings"], "11" * 32]


@pytest.mark.parametrize(
    ("tamper", "failing"),
    [(other_hash, {"id", "leaf"}), (other_root, {"root", "block"}), (other_path, {"form"})],
)
async def test_the_browser_refuses_a_proof_that_was_tampered_with(
    scene: Scene, tamper: Callable[[dict[str, Any]], None], failing: set[str]
) -> None:
    identity, _ = scene.transfer

    async def answer_with_lies(route: Route) -> None:
        answer = await route.fetch()
        body = await answer.json()
        tamper(body["proof"])
        await route.fulfill(response=answer, json=body)

    async with scene.window() as window:
        await window.page.route("**/api/transactions/*", answer_with_lies)
        await window.visit(f"/transactions/{identity.hex()}")
        main = window.page.locator("main")
        await main.get_by_role("button", name="Verify in this browser").click()
        await expect(main.get_by_role("status")).to_contain_text("Does NOT verify")
        failed = await main.locator("[data-check][data-passed=no]").evaluate_all(
            "(items) => items.map((item) => item.dataset.check)"
        )
        assert failing <= set(failed)


async def test_search_finds_heights_ids_and_banks(scene: Scene) -> None:
    identity, height = scene.transfer
    block_id = (await scene.header(height)).block_id
    async with scene.window() as window:
        await window.visit("/")
        box = window.page.get_by_role("searchbox")
        # No two in a row lead to the same page: the address tells when the search is done.
        for text, path in (
            (str(height), f"/blocks/{height}"),
            (identity.hex(), f"/transactions/{identity.hex()}"),
            (block_id.hex(), f"/blocks/{height}"),
            (NAMES[4], "/banks/4"),
        ):
            await box.fill(text)
            await box.press("Enter")
            await window.page.wait_for_url(f"**{path}")
            await until(window, "() => document.activeElement.matches('main h1')")
        answer = window.page.locator("#search-answer")
        for text in ("<b>nobody</b>", "99999999", "ab" * 32):
            await box.fill(text)
            await box.press("Enter")
            await expect(answer).not_to_be_empty()
            assert "/banks/4" in window.page.url
            await box.fill("")


async def test_a_reload_in_mid_stream_loses_and_doubles_nothing(scene: Scene) -> None:
    async with scene.window() as window:
        await window.visit("/")
        await until(window, "() => document.querySelectorAll('main .stream a').length > 0")
        heights = []
        for _ in range(2):
            sealing = asyncio.create_task(scene.running.mint())
            await window.page.reload()
            heights.append((await sealing)[1])
            await seen(window, heights[-1])
        assert set(heights) <= set(await whole_stream(window))


async def seen(window: Window, height: int) -> None:
    """Wait until a block stands in the stream."""
    await until(
        window,
        """(height) => Array.from(document.querySelectorAll("main .stream a")).some(
             (link) => link.getAttribute("href") === `/blocks/${height}`)""",
        height,
    )


async def test_a_bank_shows_its_report(scene: Scene) -> None:
    async with scene.window() as window:
        await window.visit("/banks/2", NAMES[2])

        async def shown() -> dict[str, str]:
            wanted = ("Process", "PostgreSQL", "Admitted", "Waiting", "Stake", "Has a vote")
            terms = await read_definitions(window, "main .columns")
            return {name: terms[name] for name in wanted}

        async def told() -> dict[str, str]:
            report = (await scene.reports())[2]
            mempool = report.mempool
            return {
                "Process": f"{report.process.pid}, version {report.software_version}",
                "PostgreSQL": report.database.server_version,
                "Admitted": number(mempool.admitted),
                "Waiting": f"{mempool.transactions} of {number(mempool.capacity_transactions)}",
                "Stake": (await stakes(scene))[2],
                "Has a vote": "yes",
            }

        await window.page.locator("main .columns dl").first.wait_for()
        await agree(shown, told)
        links = await read_table(window, "Links with the other banks")
        others = [name for name in NAMES if name != NAMES[2]]
        assert [(row["Bank"], row["Linked"]) for row in links] == [
            (name, "both ways") for name in others
        ]
        await keep_screenshot(window, scene.screenshots, "bank")


ASK_AS_A_VISITOR = """async () => {
  const headers = { "Content-Type": "application/json" };
  const body = JSON.stringify({ kind: "crash", bank: 5 });
  const crash = { method: "POST", headers, body };
  return {
    "/api/faults": (await fetch("/api/faults")).status,
    "POST /api/faults": (await fetch("/api/faults", crash)).status,
  };
}"""


async def test_without_a_session_only_the_public_ledger_is_shown(scene: Scene) -> None:
    """Bank internals and faults are refused; the token opens them; logging out closes them."""
    async with scene.visitor() as window:
        await window.visit("/", "Overview")
        await seen(window, scene.transfer[1])
        table = window.page.get_by_role("table", name="All banks")
        await expect(table).to_contain_text(NAMES[5])
        rows = await read_table(window, "All banks")
        assert {(row["Links"], row["Memory"], row["Vote"]) for row in rows} == {("–", "–", "–")}
        main = window.page.locator("main")
        await window.visit("/banks/2", NAMES[2])
        await expect(main).to_contain_text("Stake")
        await expect(main).not_to_contain_text("Mempool")
        await window.visit("/faults", "Faults")
        await expect(main).to_contain_text("you are not logged in")
        await expect(main.locator("form.fault-form button[type=submit]")).to_be_disabled()
        statuses = await window.evaluate(ASK_AS_A_VISITOR)
        assert statuses == {"/api/faults": 401, "POST /api/faults": 401}
        window.expect_finding("/api/faults: status 401")
        bank = await window.evaluate("async () => (await fetch('/api/banks/2')).json()")
        assert bank["report"] is None

        await window.visit("/banks/2", NAMES[2])
        await main.get_by_role("link", name="Log in").click()
        await window.heading("Log in")
        window.expect_finding("POST /api/login: status 403")
        await window.page.get_by_label("Login token").fill("not the token")
        await window.page.get_by_role("button", name="Log in").click()
        await expect(main.get_by_role("alert")).to_contain_text("This is not the login token")
        await window.page.get_by_label("Login token").fill(scene.running.token)
        await window.page.get_by_role("button", name="Log in").click()
        await window.heading(NAMES[2])
        await expect(main).to_contain_text("Mempool")

        await window.page.get_by_role("link", name="Log out").click()
        await expect(window.page.get_by_role("link", name="Log in").first).to_be_visible()
        assert await window.evaluate(ASK_AS_A_VISITOR) == statuses


async def test_the_address_with_the_token_forgets_it(scene: Scene) -> None:
    async with scene.visitor() as window:
        await window.page.goto(scene.running.address)
        await window.heading("Overview")
        await expect(window.page.get_by_role("link", name="Log out")).to_be_visible()
        assert window.page.url == f"{scene.running.origin}/"
        assert scene.running.token not in str(await window.evaluate("() => history.length"))
        cookies = await window.page.context.cookies()
        assert [(one["httpOnly"], one["sameSite"]) for one in cookies] == [(True, "Strict")]
        assert scene.running.token not in {one["value"] for one in cookies}


async def test_a_killed_bank_is_named_and_the_others_go_on(scene: Scene) -> None:
    """The bank's own page says so; the overview goes on although it was the page's source."""
    running = scene.running
    async with scene.window() as overview, scene.window() as window:
        await overview.visit("/")
        await seen(overview, scene.transfer[1])
        source = await overview.evaluate(
            "async () => (await (await fetch('/api/overview')).json()).source"
        )
        assert source in range(BANKS)
        await window.visit(f"/banks/{source}", NAMES[source])
        await expect(window.page.locator("main")).to_contain_text("Mempool")

        await running.kill(source)
        main = window.page.locator("main")
        await expect(main).to_contain_text("It does not vote: its process has ended")
        verdict = overview.page.locator(".verdict")
        await expect(verdict).to_contain_text("No further bank may fail")
        await expect(overview.page.locator("#status-line")).to_contain_text(NAMES[source])
        _, height = await running.mint()
        await seen(overview, height)
        await keep_screenshot(overview, scene.screenshots, "overview-killed")
        await keep_screenshot(window, scene.screenshots, "bank-killed")

        await running.start(source)
        await expect(verdict).to_contain_text("One more may fail")
        await expect(main).not_to_contain_text("It does not vote")
        assert height in await whole_stream(overview)


async def break_bank(window: Window, kind: str, bank: int) -> None:
    """Choose a fault on the faults page, and confirm it."""
    page = window.page
    await page.locator(f"input[name=kind][value={kind}]").check()
    await page.get_by_label("Bank", exact=True).select_option(str(bank))
    await page.locator("form.fault-form button[type=submit]").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text(NAMES[bank])
    await dialog.get_by_role("button").last.click()
    await expect(dialog).to_be_hidden()


async def test_a_fault_is_injected_seen_and_healed(scene: Scene) -> None:
    async with scene.window() as overview, scene.window() as window:
        await overview.visit("/")
        await window.visit("/faults", "Faults")
        attention = overview.page.locator(".attention")
        broken = window.page.get_by_role("region", name="Broken now")
        await expect(broken).to_contain_text("Nothing is broken")

        await break_bank(window, "disconnect", 5)
        await expect(broken).to_contain_text("disconnect")
        await expect(attention).to_contain_text("broken on purpose")
        report = (await scene.reports())[5]
        assert [fault.kind for fault in report.faults] == ["disconnect"]
        await expect(overview.page.locator(".verdict")).to_contain_text("No further bank may fail")
        await keep_screenshot(window, scene.screenshots, "faults")
        await broken.get_by_role("button", name=f"Heal {NAMES[5]}").click()
        await expect(broken).to_contain_text("Nothing is broken")
        await expect(overview.page.locator(".verdict")).to_contain_text("One more may fail")
        assert (await scene.reports())[5].faults == ()

        await break_bank(window, "crash", 5)
        await expect(broken).to_contain_text("exited")
        await expect(attention).to_contain_text("its process has ended")
        _, height = await scene.running.mint()
        await seen(overview, height)
        await broken.get_by_role("button", name=f"Start {NAMES[5]}").click()
        await expect(broken).to_contain_text("Nothing is broken")
        await expect(overview.page.locator(".verdict")).to_contain_text("One more may fail")


async def test_the_treasury_is_what_the_command_says(scene: Scene) -> None:
    books = await scene.running.json("treasury", "--rows")
    async with scene.window() as window:
        await window.visit("/treasury", "Treasury")
        main = window.page.locator("main")
        await expect(main).to_contain_text("Adds up")
        terms = books["invariant"]
        came_in = terms["initial_stakes_minor"] + terms["topped_up_minor"] + terms["fees_minor"]
        sums = await main.locator("dd.total").all_inner_texts()
        assert sums == [money(books, came_in)] * 2

        rows = await read_table(window, "Stakes by bank")
        code = books["asset"]
        assert [
            (row["Bank"], row[f"Stake, {code}"], row["Offences"], row["State"]) for row in rows
        ] == [
            (bank["bank"], amount(books, bank["stake_minor"]), str(bank["offences"]), "whole")
            for bank in books["banks"]
        ]
        years = await read_table(window, f"Pots by fiscal year ({code})")
        assert [
            (row["Fiscal year"], row["Fees"], row["Penalties"], row["In the pot"]) for row in years
        ] == [
            (
                year["fiscal_year"],
                amount(books, year["approver_fees_minor"]),
                amount(books, year["penalties_minor"]),
                amount(books, year["pot_minor"]),
            )
            for year in books["years"]
        ]
        movements = await read_table(window, "Movements, newest first")
        assert [(row["Block"], row["Bank"], row["Kind"], row["Amount"]) for row in movements] == [
            (
                number(row["height"]),
                row["bank"] or "all",
                row["kind"],
                amount(books, row["amount_minor"]),
            )
            for row in reversed(books["rows"])
        ]
        await keep_screenshot(window, scene.screenshots, "treasury")


def amount(books: dict[str, Any], minor_units: int) -> str:
    """Exactly, as people read it."""
    scale = 10 ** books["decimals"]
    sign = "−" if minor_units < 0 else ""
    major, minor = divmod(abs(minor_units), scale)
    return f"{sign}{major:,}.{minor:0{books['decimals']}}"


def money(books: dict[str, Any], minor_units: int) -> str:
    return f"{amount(books, minor_units)} {books['asset']}"


async def stakes(scene: Scene) -> list[str]:
    """What each bank has at stake, as the command says it."""
    books = await scene.running.json("treasury")
    return [money(books, bank["stake_minor"]) for bank in books["banks"]]


async def test_the_page_finds_its_way_back_when_its_server_ended(scene: Scene) -> None:
    async with scene.window() as window:
        window.expect_finding("ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_EMPTY_RESPONSE")
        window.expect_finding("ERR_CONNECTION_RESET")
        await window.visit("/")
        connection = window.page.locator("#connection")
        await expect(connection).to_have_text("Live")
        scene.running.server.kill()
        await expect(connection).to_have_text("Connection lost, retrying")
        await expect(connection).to_have_text("Live")
        _, height = await scene.running.mint()
        await seen(window, height)
        assert height in await whole_stream(window)
