"""Canned blocks, transactions and books: headers, ids and inclusion proofs are real ones.

Bytes of transactions are noise of the right length, so that their ids and paths can be verified
and nothing else.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote_plus

from crypto.merkle import EMPTY_ROOT, leaf_hash, merkle_root_of_hashes, prove_inclusion_of_hashes
from crypto.transaction import transaction_id
from node.ledger.blocks import Header
from node.ledger.types import BankIndex, BlockId, Height, TimeMs, View

if TYPE_CHECKING:
    from tests.dashboard.canned_consortium import CannedConsortium

TRANSFER_BYTES = 6_318
LATE_VIEW = 7
"""Every so many heights the first leader fails."""
SEARCHED_HEIGHTS = 60
PENDING_ID = hashlib.sha256(b"pending").hexdigest()
REFUSED_ID = hashlib.sha256(b"refused").hexdigest()
KINDS = ("transfer", "transfer", "transfer", "issue", "transfer", "payout", "stake-top-up")
CHECKS = (
    ("lookup", 2_900),
    ("encoding", 180),
    ("rules", 42),
    ("context", 6),
    ("points", 79),
    ("nullifiers", 61),
    ("challenges", 240),
    ("proofs", 24_300),
    ("conflicts", 11),
)
STAGES = ("received", "verified", "admitted", "gossiped", "proposed", "sealed", "applied")


def transaction_bytes(height: int, index: int) -> bytes:
    """Return noise that stands for a transaction."""
    return hashlib.shake_256(f"{height}/{index}".encode()).digest(TRANSFER_BYTES)


def batch(page: CannedConsortium, height: int) -> list[bytes]:
    """Return the transactions of a block."""
    count = page.block(height)["transactions"]
    return [transaction_bytes(height, index) for index in range(count)]


def canned_header(page: CannedConsortium, height: int, transactions: list[bytes]) -> Header:
    """Return a header that commits to the transactions."""
    row = page.block(height)

    def filler(name: str) -> bytes:
        return hashlib.sha256(f"{name}/{height}".encode()).digest()

    return Header(
        chain_id=bytes.fromhex(page.hello()["chain_id"]),
        height=Height(height),
        parent_id=BlockId(filler("parent")),
        original_view=View(_view(height)),
        proposer=BankIndex(row["proposer"]),
        time_ms=TimeMs(row["time_ms"]),
        transactions_root=merkle_root_of_hashes([leaf_hash(raw) for raw in transactions]),
        evidence_root=EMPTY_ROOT,
        ballots_root=filler("ballots"),
        transaction_count=len(transactions),
        post_state_root=filler("state"),
        next_set_hash=filler("set"),
    )


def blocks_answer(page: CannedConsortium, query: str) -> dict[str, Any]:
    """Answer /api/blocks."""
    asked = {name: int(values[0]) for name, values in parse_qs(query).items()}
    first = min(asked.get("before", page.height() + 1) - 1, page.height())
    heights = range(first, max(-1, first - asked.get("limit", 50)), -1)
    return {"blocks": [page.block(height) for height in heights], "tip": page.height()}


def block_answer(page: CannedConsortium, height: int) -> dict[str, Any]:
    """Answer /api/blocks/{height}."""
    tip = page.height()
    if height > tip:
        raise LookupError(f"There is no block {height} yet; the newest one is block {tip}")
    transactions = batch(page, height)
    header = canned_header(page, height, transactions)
    quorum, row = page.hello()["quorum"], page.block(height)
    recorded = height < tip and height > 0
    tags = [hashlib.sha384(f"tag {height} {n}".encode()).hexdigest() for n in range(quorum)]
    return {
        "height": height,
        "block_id": header.block_id.hex(),
        "parent_id": header.parent_id.hex(),
        "time_ms": header.time_ms,
        "proposer": header.proposer if height else None,
        "proposer_name": page.names[header.proposer] if height else None,
        "view": header.original_view,
        "header": {
            name: value.hex() if isinstance(value, bytes) else value
            for name, value in vars(header).items()
            if name != "block_id"
        },
        "header_hex": header.encode().hex(),
        "merkle_root": header.transactions_root.hex(),
        "transactions": [_summary(page, height, n, raw) for n, raw in enumerate(transactions)],
        "votes": {
            "status": "recorded" if recorded else "pending",
            "approved": quorum,
            "rejected": 0,
            "active_banks": page.bank_count,
            "votes": [{"tag": tag, "approve": True} for tag in tags],
        }
        if height
        else None,
        "certificate": {
            "ballots": quorum,
            "quorum": quorum,
            "active_banks": page.bank_count,
            "bytes": 1_500 * quorum,
            "verified": True,
            "why": "every ballot was verified by this page's server, from the genesis alone",
        }
        if height
        else None,
        "evidence": [_evidence(page, height)] if row["evidence"] and height else [],
        "rounds": canned_rounds(page, height) if page.operator else [],
        "previous": height - 1 if height else None,
        "next": height + 1 if height < tip else None,
    }


def canned_rounds(page: CannedConsortium, height: int) -> list[dict[str, Any]]:
    """What each bank remembers of a round."""
    begun_us = page.block(height)["time_ms"] * 1000
    found = []
    for bank, name in enumerate(page.names):
        row: dict[str, Any] = {"bank": bank, "name": name}
        if page.row(bank, begun_us / 1e6)["height"] is None:
            row |= {"events": [], "error": "its process does not run"}
        else:
            row["events"] = _round_of(page, height, bank, begun_us)
        found.append(row)
    return found


def _round_of(
    page: CannedConsortium, height: int, bank: int, begun_us: int
) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    view, leader = _view(height), page.block(height)["proposer"]

    def add(kind: str, after_ms: float, view: int, lasted_ms: float | None = None) -> None:
        lasted_us = None if lasted_ms is None else int(lasted_ms * 1000)
        at_us = int(begun_us + after_ms * 1000)
        events.append(
            {"kind": kind, "view": view, "at_us": at_us, "duration_us": lasted_us, "bank": leader}
        )

    start = 0.0
    if view:
        add("timed-out", 2_000 + 3.1 * bank, 0)
        start = 2_090.0
    spread = 0.0 if bank == leader else 4 + (bank * 37 % 11)
    took = 38 + bank * 29 % 17
    add("proposal", start + spread, view)
    add("validated", start + spread + took, view, took)
    add("voted", start + spread + took + 2.4, view)
    certified = start + 84 + bank * 13 % 9
    add("certified", certified, view)
    add("committed", certified + 1.1, view)
    add("sealed", certified + 22 + bank * 7 % 6, view)
    late = 9_000 if bank == 5 and height % 5 == 0 else 0
    add("applied", certified + 61 + bank * 11 % 19 + late, view, 31 + bank % 5)
    return events


def transaction_answer(page: CannedConsortium, identity: str) -> dict[str, Any]:
    """Answer /api/transactions/{id}."""
    if identity in (PENDING_ID, REFUSED_ID):
        return _unsealed(page, identity)
    for height in range(page.height(), max(0, page.height() - SEARCHED_HEIGHTS), -1):
        transactions = batch(page, height)
        for index, raw in enumerate(transactions):
            if transaction_id(raw).hex() == identity:
                return _sealed(page, height, index, transactions)
    raise LookupError(f"No bank that answers knows transaction {identity}")


def _sealed(
    page: CannedConsortium, height: int, index: int, transactions: list[bytes]
) -> dict[str, Any]:
    raw = transactions[index]
    header = canned_header(page, height, transactions)
    hashes = [leaf_hash(item) for item in transactions]
    path = prove_inclusion_of_hashes(hashes, index)[17:]
    quorum, public = page.hello()["quorum"], _summary(page, height, index, raw)
    return {
        "id": transaction_id(raw).hex(),
        "status": {"state": "sealed"},
        "height": height,
        "index": index,
        "kind": public["kind"],
        "public": public,
        "bytes": len(raw),
        "banks": _traces(page, page.block(height)["time_ms"] * 1000, STAGES)
        if page.operator
        else [],
        "proof": {
            "header_hex": header.encode().hex(),
            "block_id": header.block_id.hex(),
            "height": height,
            "leaf_hash": hashes[index].hex(),
            "leaf_preimage_hex": (b"\x00" + raw).hex(),
            "index": index,
            "size": len(transactions),
            "siblings": [path[n : n + 32].hex() for n in range(0, len(path), 32)],
            "root": header.transactions_root.hex(),
            "ballots": quorum,
            "quorum": quorum,
        },
    }


def _unsealed(page: CannedConsortium, identity: str) -> dict[str, Any]:
    refused = identity == REFUSED_ID
    begun_us = page.block(page.height())["time_ms"] * 1000
    stages = ("received", "refused") if refused else STAGES[:4]
    status: dict[str, Any] = {"state": "rejected" if refused else "admitted"}
    if refused:
        status |= {"reason": "nullifier", "message": "input 0 is spent already"}
    return {
        "id": identity,
        "status": status,
        "height": None,
        "index": None,
        "kind": None if refused else "transfer",
        "public": {} if refused else _summary(page, 0, 0, b"\x00" * TRANSFER_BYTES),
        "bytes": None if refused else TRANSFER_BYTES,
        "banks": _traces(page, begun_us, stages),
        "proof": None,
    }


def _traces(page: CannedConsortium, begun_us: int, stages: tuple[str, ...]) -> list[dict[str, Any]]:
    offsets = {"received": 0, "verified": 31, "admitted": 31.4, "gossiped": 33, "refused": 2.2}
    offsets |= {"proposed": 480, "sealed": 640, "applied": 690}
    found = []
    for bank, name in enumerate(page.names):
        row: dict[str, Any] = {"bank": bank, "name": name}
        if page.row(bank, begun_us / 1e6)["height"] is None:
            found.append({**row, "events": [], "error": "its process does not run"})
            continue
        first = bank == 2
        if "refused" in stages and not first:
            found.append({**row, "events": [], "error": "it has never seen this transaction"})
            continue
        shift = 0 if first else 36 + bank * 17 % 13
        row["source"] = "client" if first else "bank 2"
        row["events"] = [
            {"kind": kind, "at_us": int(begun_us + (offsets[kind] + shift) * 1000), "detail": ""}
            for kind in stages
            if kind != "gossiped" or first
        ]
        row["checks"] = _checks(refused="refused" in stages, bank=bank)
        found.append(row)
    return found


def _checks(*, refused: bool, bank: int) -> list[dict[str, Any]]:
    found = []
    for name, took_us in CHECKS:
        failed = refused and name == "nullifiers"
        found.append(
            {
                "name": name,
                "passed": not failed,
                "duration_us": took_us + took_us * bank // 40,
                "batch": 23 if name in ("lookup", "proofs") else 1,
                "message": "input 0 is spent already" if failed else "",
            }
        )
        if failed:
            break
    return found


def _summary(page: CannedConsortium, height: int, index: int, raw: bytes) -> dict[str, Any]:
    kind = KINDS[(height + index) % len(KINDS)]
    found: dict[str, Any] = {
        "index": index,
        "id": transaction_id(raw).hex(),
        "kind": kind,
        "asset": "EUR",
        "decimals": 2,
        "bytes": len(raw),
        "inputs": 0,
        "outputs": 2,
        "expiry_height": height + 1_000,
    }
    if kind == "transfer":
        redeemed = 125_000 if index % 5 == 4 else 0
        found |= {"fee_minor": 100, "redeemed_minor": redeemed, "inputs": 2, "bins": [118, 121]}
        return found | ({"bank": page.names[1]} if redeemed else {})
    if kind == "stake-top-up":
        found["outputs"] = 0
    return found | {"amount_minor": 2_500_000, "bank": page.names[index % page.bank_count]}


def _evidence(page: CannedConsortium, height: int) -> dict[str, Any]:
    return {
        "id": hashlib.sha256(f"evidence {height}".encode()).hexdigest(),
        "bank": 1,
        "name": page.names[1],
        "offence": "E1",
        "height": height - 3,
        "penalty": 4_500_000,
    }


def search_answer(page: CannedConsortium, query: str) -> dict[str, Any]:
    """Answer /api/search."""
    text = unquote_plus(query.removeprefix("q=")).strip().lower()
    if text.isdigit() and int(text) <= page.height():
        return {"kind": "block", "path": f"/blocks/{int(text)}", "why": "a height"}
    if text in page.names:
        return {"kind": "bank", "path": f"/banks/{page.names.index(text)}", "why": "a bank's name"}
    if re.fullmatch(r"[0-9a-f]{64}", text):
        return {"kind": "transaction", "path": f"/transactions/{text}", "why": "an id"}
    return {"kind": "none", "path": None, "why": f"Neither a block nor a bank is called {text!r}."}


def _view(height: int) -> int:
    return 1 if height and height % LATE_VIEW == 0 else 0
