"""The canned answer about one bank: its report in full, its money, its offences."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.dashboard.canned_consortium import CannedConsortium

STAKE = 500_000_000


def bank_answer(page: CannedConsortium, bank: int) -> dict[str, Any]:
    """Return what `/api/banks/{bank}` answers."""
    from tests.dashboard.canned_consortium import PUBLIC_ROW

    now_s = time.time()
    row = page.row(bank, now_s)
    offends = page.scenario == "trouble" and bank == 1
    evidence = [_evidence(page)] if offends else []
    told = page.operator and row["height"] is not None
    report = _report(page, bank, row, now_s) if told else None
    return {
        **(row if page.operator else {name: row[name] for name in PUBLIC_ROW}),
        "report": report,
        "stake": STAKE * 9 // 10 if offends else STAKE,
        "initial_stake": STAKE,
        "floor": STAKE * 3 // 10,
        "offences": int(offends),
        "penalties": 50_000_00 * offends,
        "account": 12_345_67 + bank,
        "blocks_created": page.height() // page.bank_count,
        "creator_fees": 1_234_00,
        "rewards": 4_411_10,
        "topped_up": 1_000_00,
        "withdrawn": 0,
        "votes_cast": [{"year": 2025, "label": "FY2025", "count": 1_204, "reward": 4_411_10}],
        "evidence": evidence,
        "links": report["peers"] if report else [],
        "treasury": [
            {
                "sequence": 40 + bank,
                "height": 900 - index * 200,
                "bank": bank,
                "fiscal_year": 2026,
                "label": "FY2026",
                "amount": amount,
                "kind": kind,
                "reason": reason,
            }
            for index, (kind, amount, reason) in enumerate(
                [("penalty", -50_000_00, "E1 at height 888"), ("top-up", 1_000_00, "")]
                if offends
                else [("reward", 4_411_10, "share of FY2026"), ("top-up", 1_000_00, "")]
            )
        ],
    }


def _evidence(page: CannedConsortium) -> dict[str, Any]:
    from tests.dashboard.canned_consortium import digest

    return {
        "id": digest("evidence"),
        "offence": "E1",
        "height": 888,
        "status": "recorded",
        "recorded_height": 900,
        "penalty": 50_000_00,
    }


def _report(page: CannedConsortium, bank: int, row: dict[str, Any], now_s: float) -> dict[str, Any]:
    height, everybody = row["height"], list(range(page.bank_count))
    voted = [item["bank"] for item in (page.row(b, now_s) for b in everybody) if item["voted"]]
    return {
        "software_version": "0.9.0",
        "ready": True,
        "halted": row["reason"] if row["state"] == "halted" else "",
        "consensus": _consensus(page, height, voted),
        "peers": [_peer(page, row, peer) for peer in everybody if peer != bank],
        "mempool": {
            "transactions": 12,
            "bytes": 66_211,
            "capacity_transactions": 10_000,
            "capacity_bytes": 64_000_000,
            "admitted": 50_211,
            "refused": 3,
            "batches": 1_811,
        },
        "process": {
            "pid": row["pid"],
            "uptime_ms": 5_411_000,
            "resident_bytes": row["resident_bytes"],
            "cpu_ms": 612_000,
        },
        "cpu": {
            "verify_ms": 402_000,
            "consensus_ms": 61_000,
            "database_ms": 77_000,
            "network_ms": 52_000,
            "other_ms": 20_000,
            "total_ms": 612_000,
        },
        "traffic": {
            "peers_sent_bytes": 812_000_000,
            "peers_received_bytes": 790_000_000,
            "clients_sent_bytes": 41_000_000,
            "clients_received_bytes": 12_000_000,
        },
        "database": {
            "connected": True,
            "server_version": "16.4",
            "size_bytes": row["database_bytes"],
        },
        "alarms": [
            {"kind": "slow-database", "text": "a commit took 2,310 ms", "time_ms": 1790001234567}
        ],
        "faults": [
            {"kind": "byzantine", "text": text, "peers": [], "age_ms": 61_000}
            for text in row["faults"]
        ],
        "performance": {
            "sealed_transactions": 41_233,
            "sealed_blocks": 1_100,
            "window_ms": 60_000,
            "sealed_per_second": 24.3,
            "finality_ms_p50": 1_912,
            "finality_ms_p95": 3_140,
            "finality_ms_p99": 3_922,
            "verify_ms_p50": 140,
            "vote_ms_p50": 410,
            "seal_ms_p50": 890,
            "apply_ms_p50": 44,
            "window_transactions": 121,
        },
    }


def _consensus(page: CannedConsortium, height: int, voted: list[int]) -> dict[str, Any]:
    return {
        "height": height + 1,
        "view": 0,
        "leader": height % page.bank_count,
        "active_banks": page.bank_count,
        "quorum": page.hello()["quorum"],
        "has_work": True,
        "approvals": voted,
        "rejections": [],
        "commits": voted[:2],
        "timed_out": [],
        "missing": [page.bank_count - 1] if page.scenario == "trouble" else [],
        "margin": 2,
        "highest_view": -1,
        "refused": [{"bank": 1, "messages": 3}] if page.scenario == "trouble" else [],
        "last_refusal": "bank 1: the ballot does not verify" * (page.scenario == "trouble"),
        "waiting_for": "4 more votes",
        "behind": False,
        "active": True,
        "accused": [1] if page.scenario == "trouble" else [],
    }


def _peer(page: CannedConsortium, row: dict[str, Any], peer: int) -> dict[str, Any]:
    linked = peer in row["linked"]
    return {
        "bank": peer,
        "name": page.names[peer],
        "address": f"127.0.0.1:{7200 + peer}",
        "linked_out": linked,
        "linked_in": linked or peer % 2 == 0,
        "height": row["height"],
        "last_heard_ms": 80 + peer * 11,
        "queued_items": 0,
        "queued_bytes": 0,
        "sent_frames": 8_120,
        "sent_items": 91_233,
        "sent_bytes": 73_123_000,
        "dropped_transactions": 0,
        "dropped_messages": 0 if linked else 12,
        "connections": 1 if linked else 3,
        "last_error": "" if linked else "cut on purpose",
    }
