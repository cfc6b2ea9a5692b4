"""The page's server over four real banks: every answer, who may have it, and what is no question.

One consortium for all tests; they leave it as they found it.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from node.dashboard import encoding, server
from node.storage.embedded_postgres import EmbeddedPostgres
from tests.cli.running_banks import BANKS, RunningBanks, running_banks, until_linked
from tests.dashboard.served_page import TOKEN, WITHIN_S, ServedPage, place_of, served_page

pytestmark = [pytest.mark.postgres, pytest.mark.long, pytest.mark.asyncio(loop_scope="module")]

BREAKABLE = 3
UNKNOWN = "ab" * 32
VOLATILE = {"last_seal_age_ms", "resident_bytes", "view", "leader", "mempool"}
"""What may change between two looks."""


@dataclass
class Scene:
    """The banks, the page, and the mint that is sealed."""

    banks: RunningBanks
    page: ServedPage
    transaction_id: str
    height: int

    async def command(self, *arguments: str) -> Any:
        result = await self.banks.command(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


    async def quiet(self) -> None:
        """Wait until nothing is being decided and all banks are at one height."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                shown = await self.page.json("/api/overview")
                heights = {row["height"] for row in shown["banks"]}
                if heights == {shown["height"]} and not shown["quorum"]["waiting_for"]:
                    return
                await asyncio.sleep(0.2)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: EmbeddedPostgres
) -> AsyncIterator[Scene]:
    names = iter(f"page_{os.getpid()}_{number}" for number in range(BANKS))
    made: list[str] = []

    def make_url() -> str:
        name = next(names)
        postgres_server.create_database(name, name, name)
        made.append(name)
        return postgres_server.url(name, name, name)

    root: Path = tmp_path_factory.mktemp("page") / "data"
    async with running_banks(root, make_url, breakable={BREAKABLE}) as banks:
        for arguments in (("wallet", "new", "alice"), ("issue", "1", "alice", "40")):
            result = await banks.command(*arguments)
            assert result.exit_code == 0, result.output
        async with served_page(place_of(banks.directory)) as page:
            blocks = (await page.json("/api/blocks"))["blocks"]
            height = next(block["height"] for block in blocks if block["transactions"])
            block = await page.json(f"/api/blocks/{height}")
            yield Scene(banks, page, block["transactions"][0]["id"], height)
    for name in made:
        postgres_server.drop_database(name, name)


async def test_the_overview_says_what_consortium_status_says(scene: Scene) -> None:
    await scene.quiet()
    status = await scene.command("status")
    shown = await scene.page.json("/api/overview")
    conditions = {name: shown["quorum"][name] for name in status["quorum"]}
    assert conditions == status["quorum"]
    assert shown["quorum"]["words"] == "4 of 4 can vote, 4 needed: no further bank may fail"
    assert (shown["height"], shown["chain_id"]) == (status["height"], status["chain_id"])
    for row, bank in zip(shown["banks"], status["banks"], strict=True):
        steady = {name: value for name, value in bank.items() if name not in VOLATILE}
        assert {name: row[name] for name in steady} == steady
    assert {row["database_bytes"] > 0 for row in shown["banks"]} == {True}
    assert [row["kind"] for row in shown["banks"]] == ["public", "public", "private", "private"]


async def test_a_block_is_what_the_commands_say_and_is_verified(scene: Scene) -> None:
    height = scene.height
    block, votes = await scene.command("block", str(height)), await scene.command("votes", "1")
    shown = await scene.page.json(f"/api/blocks/{height}")
    header = {name: shown["header"][name] for name in shown["header"] if name in block}
    assert header == {name: block[name] for name in header if name != "proposer"} | {
        "proposer": shown["proposer"]
    }
    assert (shown["block_id"], shown["proposer_name"]) == (block["block_id"], block["proposer"])
    for row, summary in zip(shown["transactions"], block["transactions"], strict=True):
        assert {name: row[name] for name in summary} == summary
    assert (shown["certificate"]["ballots"], shown["certificate"]["quorum"]) == (4, 4)
    assert shown["certificate"]["verified"] is True
    assert [row["name"] for row in shown["rounds"]] == [
        bank.name.lower() for bank in scene.banks.consortium.genesis.banks
    ]
    kinds = {event["kind"] for row in shown["rounds"] for event in row["events"]}
    assert {"proposal", "voted", "certified", "committed", "sealed", "applied"} <= kinds
    first = (await scene.page.json("/api/blocks/1"))["votes"]
    assert (first["status"], first["approved"], first["rejected"]) == ("recorded", 4, 0)
    assert [vote["tag"] for vote in first["votes"]] == [vote["tag"] for vote in votes["votes"]]


async def test_blocks_are_listed_downwards(scene: Scene) -> None:
    tip = (await scene.page.json("/api/blocks?limit=1"))["tip"]
    listed = (await scene.page.json(f"/api/blocks?before={tip + 1}&limit=2"))["blocks"]
    assert [block["height"] for block in listed] == [tip, tip - 1]
    rest = (await scene.page.json(f"/api/blocks?before={tip - 1}"))["blocks"]
    assert [block["height"] for block in rest] == list(range(tip - 2, -1, -1))
    assert (await scene.page.json("/api/blocks?before=0"))["blocks"] == []


async def test_a_transaction_carries_its_proof_and_every_banks_trace(scene: Scene) -> None:
    told = await scene.command("tx", scene.transaction_id)
    shown = await scene.page.json(f"/api/transactions/{scene.transaction_id}")
    assert (shown["status"]["state"], shown["status"]["verified"]) == ("sealed", True)
    assert (shown["height"], shown["index"]) == (told["height"], told["index"])
    assert shown["public"] == {**shown["public"], "kind": "issue", "bank": "birchmoor"}
    assert [bank["source"] for bank in shown["banks"]].count("client") == 1
    assert {bank["checks"][-1]["passed"] for bank in shown["banks"]} == {True}
    proof = shown["proof"]
    assert (proof["index"], proof["height"], proof["ballots"]) == (told["index"], told["height"], 4)
    assert proof["leaf_preimage_hex"].startswith("00")
    assert len(proof["leaf_preimage_hex"]) == 2 + 2 * shown["bytes"]


async def test_the_treasury_adds_up_as_the_command_says(scene: Scene) -> None:
    told = await scene.command("treasury", "--rows")
    shown = await scene.page.json("/api/treasury")
    stakes = [bank["stake_minor"] for bank in told["banks"]]
    assert [bank["stake"] for bank in shown["stakes"]] == stakes
    floors = [bank["floor"] * 10 for bank in shown["stakes"]]
    assert floors == [bank["initial_stake"] * 3 for bank in shown["stakes"]]
    assert (shown["invariant"]["holds"], told["invariant"]["holds"]) == (True, True)
    sides = {
        side: sum(term["amount"] for term in shown["invariant"]["terms"] if term["side"] == side)
        for side in ("in", "where")
    }
    assert sides["in"] == sides["where"] == shown["invariant"]["left"]
    listed = [(row["sequence"], row["kind"], row["amount"]) for row in shown["movements"]]
    rows = [(row["record"], row["kind"], row["amount_minor"]) for row in told["rows"]]
    assert listed == rows[::-1]


async def test_a_bank_is_shown_whole_to_operators_alone(scene: Scene) -> None:
    inside = await scene.page.json("/api/banks/2")
    assert inside["report"]["bank_name"] == "Cedarholm"
    assert [link["name"] for link in inside["links"]] == ["amberfield", "birchmoor", "dunmere"]
    assert inside["report"]["peers"][0]["linked_out"] is True
    assert inside["address"].startswith("127.0.0.1:")
    outside = (await scene.page.anybody.get("/api/banks/2")).json()
    assert (outside["report"], outside["links"], outside["address"]) == (None, [], None)
    assert (outside["stake"], outside["state"]) == (inside["stake"], "up")
    assert outside["treasury"] == inside["treasury"] != []


@pytest.mark.parametrize(
    ("query", "kind", "path"),
    [
        ("1", "block", "/blocks/1"),
        ("block 1", "block", "/blocks/1"),
        ("dunmere", "bank", "/banks/3"),
        ("Cedar", "bank", "/banks/2"),
        ("bank 0", "bank", "/banks/0"),
        ("999999999", "none", None),
        ("1" * 90, "none", None),
        (UNKNOWN, "none", None),
        ("<script>", "none", None),
        ("", "none", None),
        ("abcdef0123", "none", None),
    ],
)
async def test_a_word_leads_somewhere_or_is_explained(
    scene: Scene, query: str, kind: str, path: str | None
) -> None:
    answer = await scene.page.operator.get("/api/search", params={"q": query})
    assert (answer.json()["kind"], answer.json()["path"]) == (kind, path)
    assert answer.json()["why"]


async def test_ids_are_found(scene: Scene) -> None:
    found = await scene.page.json(f"/api/search?q={scene.transaction_id}")
    assert found["path"] == f"/transactions/{scene.transaction_id}"
    block = await scene.page.json("/api/blocks/1")
    assert (await scene.page.json(f"/api/search?q={block['block_id']}"))["path"] == "/blocks/1"


FREE = ("/", "/blocks/1", "/login", "/static/app.js", "/api/session", "/api/overview")
FREE_LEDGER = ("/api/blocks", "/api/blocks/1", "/api/treasury", "/api/search?q=1", "/api/banks/0")


@pytest.mark.parametrize("path", [*FREE, *FREE_LEDGER])
async def test_the_public_ledger_is_free_on_loopback(scene: Scene, path: str) -> None:
    answer = await scene.page.anybody.get(path)
    assert answer.status_code == 200, answer.text
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'self'") and "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in answer.headers


async def test_without_a_session_nothing_of_the_inside_is_told(scene: Scene) -> None:
    overview = (await scene.page.anybody.get("/api/overview")).json()
    assert (overview["operator"], overview["csrf"], overview["alarms"]) == (False, None, [])
    row = overview["banks"][0]
    shown = {name for name, value in row.items() if value not in (None, "", [])}
    assert shown <= {"bank", "name", "kind", "state", "height", "lag", "active"}
    block = (await scene.page.anybody.get(f"/api/blocks/{scene.height}")).json()
    assert block["rounds"] == []
    known = (await scene.page.anybody.get(f"/api/transactions/{scene.transaction_id}")).json()
    assert (known["banks"], known["status"]["state"]) == ([], "sealed")
    async with scene.page.events(scene.page.anybody) as events:
        assert (await events.until("hello"))["operator"] is False
        assert (await events.until("overview"))["banks"][1]["address"] is None


async def test_files_are_asked_for_again_and_cost_nothing_then(scene: Scene) -> None:
    first = await scene.page.anybody.get("/static/app.js")
    assert first.headers["cache-control"] == "no-cache"
    again = await scene.page.anybody.get(
        "/static/app.js", headers={"If-None-Match": first.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")


async def test_asking_for_the_headers_of_the_stream_opens_none(scene: Scene) -> None:
    viewers = scene.page.server.watch.broadcast.viewers
    answer = await scene.page.operator.head("/api/events")
    assert (answer.status_code, answer.content) == (200, b"")
    assert scene.page.server.watch.broadcast.viewers == viewers


async def _code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def test_faults_need_session_token_and_origin(scene: Scene) -> None:
    page, body = scene.page, {"kind": "heal", "bank": BREAKABLE}
    assert await _code(await page.anybody.get("/api/faults")) == (401, "login-needed")
    assert await _code(await page.anybody.post("/api/faults", json=body)) == (401, "login-needed")
    assert await _code(await page.operator.post("/api/faults", json=body)) == (
        403,
        "wrong-csrf-token",
    )
    headers = await page.csrf()
    foreign = {**headers, "Origin": "https://elsewhere.example"}
    answer = await page.operator.post("/api/faults", json=body, headers=foreign)
    assert await _code(answer) == (403, "foreign-origin")
    cross = {**headers, "Sec-Fetch-Site": "cross-site"}
    answer = await page.operator.post("/api/faults", json=body, headers=cross)
    assert await _code(answer) == (403, "foreign-origin")
    own = {**headers, "Origin": page.server.url, "Sec-Fetch-Site": "same-origin"}
    answer = await page.operator.post("/api/faults", json=body, headers=own)
    assert (answer.status_code, answer.json()["faults"]) == (200, [])


async def test_a_fault_is_injected_shown_and_healed(scene: Scene) -> None:
    page, headers = scene.page, await scene.page.csrf()
    listed = await page.json("/api/faults")
    assert (listed["allowed"], listed["faults"]) == (True, [])
    assert {"crash", "slow", "byzantine", "heal"} <= {kind["kind"] for kind in listed["kinds"]}
    assert "double-voter" in {style["name"] for style in listed["styles"]}
    slow = {"kind": "slow", "bank": BREAKABLE, "delay_ms": 5, "peers": [0], "direction": "out"}
    answer = await page.operator.post("/api/faults", json=slow, headers=headers)
    assert answer.status_code == 200, answer.text
    (fault,) = answer.json()["faults"]
    assert (fault["bank"], fault["name"], fault["kind"]) == (BREAKABLE, "dunmere", "slow")
    assert (await page.json("/api/overview"))["banks"][BREAKABLE]["faults"] == [fault["text"]]
    heal = {"kind": "heal", "bank": BREAKABLE}
    answer = await page.operator.post("/api/faults", json=heal, headers=headers)
    assert (answer.status_code, answer.json()["faults"]) == (200, [])
    assert "dunmere is healed of" in answer.json()["text"]
    refused = {"kind": "slow", "bank": 0, "delay_ms": 5}
    answer = await page.operator.post("/api/faults", json=refused, headers=headers)
    assert await _code(answer) == (409, "fault-refused")
    assert answer.json()["error"]["next"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/blocks/-1", 400),
        ("/api/blocks/1e3", 400),
        ("/api/blocks/%D9%A1", 400),
        ("/api/blocks/" + "9" * 40, 400),
        ("/api/blocks/999999999", 404),
        ("/api/blocks?before=x", 400),
        ("/api/blocks?limit=0", 400),
        ("/api/blocks?limit=101", 400),
        ("/api/blocks?before=" + "9" * 30, 400),
        ("/api/transactions/zz", 400),
        ("/api/transactions/" + "ab" * 31, 400),
        ("/api/transactions/" + UNKNOWN, 404),
        ("/api/banks/4", 404),
        ("/api/banks/amberfield", 400),
        ("/api/search?q=" + "x" * 2_000, 414),
        ("/api/nothing", 404),
        ("/nothing", 404),
        ("/static/../application.py", 404),
        ("/static/%2e%2e/application.py", 404),
        ("/api/login", 405),
    ],
)
async def test_what_is_no_question_gets_a_sentence(scene: Scene, path: str, status: int) -> None:
    answer = await scene.page.operator.get(path)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "next"} and error["message"]
    assert "Traceback" not in answer.text and "node/dashboard" not in answer.text


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "localhost:1", "[::1]", ""])
async def test_another_host_name_is_refused(scene: Scene, host: str) -> None:
    for path in ("/", "/api/overview", "/static/app.js"):
        answer = await scene.page.operator.get(path, headers={"Host": host})
        assert answer.status_code in (400, 421), path


async def test_own_names_are_served(scene: Scene) -> None:
    port = scene.page.server.port
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"LOCALHOST:{port}", f"[::1]:{port}"):
        answer = await scene.page.anybody.get("/api/session", headers={"Host": host})
        assert answer.status_code == 200, host


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'{"token": 5}', "application/json", 400),
        (b"[" * 3_000, "application/json", 400),
        (b'{"token": "x"}', "text/plain", 415),
        (b'{"token": "' + b"x" * 5_000 + b'"}', "application/json", 413),
    ],
)
async def test_bodies_have_limits(scene: Scene, body: bytes, media_type: str, status: int) -> None:
    headers = {"Content-Type": media_type}
    answer = await scene.page.anybody.post("/api/login", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["message"]


async def test_who_sends_half_a_request_is_not_waited_for(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "REQUEST_WITHIN_S", 0.1)
    monkeypatch.setattr(encoding, "BODY_WITHIN_S", 0.1)
    port = scene.page.server.port
    head = f"POST /api/login HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n".encode()
    body = head + b"Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
    for sent, answered in ((b"", b""), (head, b""), (body, b"HTTP/1.1 408 ")):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        async with asyncio.timeout(WITHIN_S):
            assert (await reader.read(13)) == answered
        writer.close()


async def test_logging_out_ends_session_and_stream(scene: Scene) -> None:
    url = scene.page.server.url
    async with httpx.AsyncClient(base_url=url) as client:
        answer = await client.post("/api/login", json={"token": TOKEN})
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie and "samesite=strict" in cookie and TOKEN not in cookie
        async with scene.page.events(client) as events:
            assert (await events.until("hello"))["operator"] is True
            assert (await client.post("/api/logout")).status_code == 403
            headers = {"X-CSRF-Token": answer.json()["csrf"]}
            assert (await client.post("/api/logout", headers=headers)).status_code == 200
            with pytest.raises(AssertionError, match="the stream ended"):
                while True:
                    await events.next()
        assert (await client.get("/api/faults")).status_code == 401


async def test_a_stream_begins_with_the_past_and_doubles_nothing(scene: Scene) -> None:
    async with scene.page.events() as events:
        hello = await events.until("hello")
        heights = [block["height"] for block in hello["blocks"]]
        assert heights == list(range(heights[0], -1, -1))
        assert hello["bank_count"] == BANKS and hello["asset"] == {"code": "INR", "decimals": 2}
        await events.until("overview")
        result = await scene.banks.command("issue", "0", "alice", "1", "--notes", "1")
        assert result.exit_code == 0, result.output
        sealed = await events.until("block", transactions=1)
        fresh = [data["height"] for name, data in events.taken if name == "block"]
        assert fresh == list(range(heights[0] + 1, sealed["height"] + 1))
        assert sealed["seen_ms"] >= sealed["time_ms"]
        assert (await events.until("sample"))["resident_bytes"] > 0
    async with scene.page.events() as events:
        again = [block["height"] for block in (await events.until("hello"))["blocks"]]
        assert again == list(range(again[0], -1, -1)) and again[0] >= sealed["height"]


async def test_the_stream_survives_its_own_source(scene: Scene) -> None:
    """The bank whose blocks are followed stops, says nothing, and the page goes on."""
    banks, page = scene.banks, scene.page
    async with page.events() as events:
        source = (await events.until("overview"))["source"]
        await banks.stop(source)
        while True:
            overview = await events.until("overview")
            if overview["source"] not in (None, source):
                break
        row = overview["banks"][source]
        assert (row["state"], row["height"]) == ("no answer", None)
        assert overview["quorum"]["missing"] == [row["name"]]
        assert overview["alarms"][0]["name"] == row["name"]
        bank = await page.json(f"/api/banks/{source}")
        assert (bank["report"], bank["stake"] > 0) == (None, True)
        block = await page.json(f"/api/blocks/{scene.height}")
        assert block["certificate"]["verified"] is True
        assert block["rounds"][source]["error"]
        banks.start(source)
        await until_linked(banks)
        sealing = asyncio.create_task(banks.command("issue", "2", "alice", "1", "--notes", "1"))
        await events.until("block", transactions=1)
        assert (await sealing).exit_code == 0


async def test_fifty_viewers_get_the_same_events(scene: Scene) -> None:
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(scene.page.events()) for _ in range(50)]
        seen = [[await stream.until("overview") for _ in range(2)][-1] for stream in streams[:3]]
        assert scene.page.server.watch.broadcast.viewers == 50
        assert {tuple(sorted(overview)) for overview in seen} == {tuple(sorted(seen[0]))}
    async with asyncio.timeout(WITHIN_S):
        while True:
            await asyncio.sleep(0.05)
            if not scene.page.server.watch.broadcast.viewers:
                return
