"""A consortium that exists only as JSON: what its banks would say, as a function of the time."""

from __future__ import annotations

import hashlib
import math
import time
from dataclasses import dataclass, field
from typing import Any

from node.ledger.active_set import quorum_size
from node.runtime.consortium_directory import BANK_NAMES

SCENARIOS = ("healthy", "trouble", "halted", "idle", "visitor")
BLOCK_S = 1.7
BEGUN_S = 1_790_000_000.0
ASSET = {"code": "EUR", "decimals": 2}
STYLES = {
    "double-voter": "approves and rejects the same block (E1)",
    "equivocating-leader": "as leader proposes two valid blocks to two halves (E2)",
    "always-reject": "rejects every block; no offence",
}
PUBLIC_ROW = ("bank", "name", "kind", "state", "height", "lag", "active")

TROUBLE: dict[int, dict[str, Any]] = {
    1: {"suspicion": "3 banks hold statements that convict it: see `consortium evidence`"},
    2: {"faults": ["double-voter"]},
    -1: {"state": "exited", "reason": "its process has ended"},
}
HALTED: dict[int, dict[str, Any]] = {
    0: {"state": "paused", "reason": "its process is stopped by a signal"},
    1: {"state": "halted", "reason": "the stored state root differs from the sealed one"},
    2: {"state": "cut off", "reason": "from all other banks"},
    3: {"state": "exited", "reason": "its process has ended"},
}


def digest(*parts: object) -> str:
    """Return a canned id."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()


@dataclass
class CannedConsortium:
    """Some banks in some condition."""

    bank_count: int = 12
    scenario: str = "healthy"
    operator: bool = True
    injected: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.operator = self.scenario != "visitor"
        self.begun_s = time.time() - 1_234 * BLOCK_S

    @property
    def names(self) -> list[str]:
        return [name.lower() for name in BANK_NAMES[: self.bank_count]]

    def height(self, at_s: float | None = None) -> int:
        """Blocks sealed until then."""
        if self.scenario == "idle":
            return 0
        if self.scenario == "halted":
            return 1_187
        return max(0, int(((time.time() if at_s is None else at_s) - self.begun_s) / BLOCK_S))

    def _conditions(self, bank: int) -> dict[str, Any]:
        found = {"trouble": TROUBLE, "halted": HALTED}.get(self.scenario, {})
        return {**found.get(bank, {}), **found.get(bank - self.bank_count, {})}

    def hello(self) -> dict[str, Any]:
        """As at the beginning of the stream, without samples."""
        tip = self.height()
        return {
            "consortium": "Consortium",
            "chain_id": digest("chain"),
            "software_version": "0.9.0",
            "bank_count": self.bank_count,
            "banks": [
                {"bank": bank, "name": name, "kind": self._kind(bank)}
                for bank, name in enumerate(self.names)
            ],
            "quorum": quorum_size(self.bank_count),
            "asset": ASSET,
            "operator": self.operator,
            "faults_allowed": True,
            "csrf": "canned" if self.operator else None,
            "blocks": [self.block(height) for height in range(tip, max(-1, tip - 30), -1)],
        }

    def _kind(self, bank: int) -> str:
        return "public" if bank < self.bank_count * 2 // 3 else "private"

    def overview(self) -> dict[str, Any]:
        """As told each second."""
        now_s = time.time()
        height = self.height(now_s)
        rows = [self.row(bank, now_s) for bank in range(self.bank_count)]
        missing = [row["name"] for row in rows if row["state"] not in ("up", "observer")]
        quorum = quorum_size(self.bank_count)
        margin = self.bank_count - len(missing) - quorum
        words = {0: "no further bank may fail", 1: "one more may fail", 2: "two more may fail"}
        more = words.get(margin, f"{margin} more may fail")
        if margin < 0:
            more = f"nothing is sealed until {-margin} more can"
        count = f"{self.bank_count - len(missing)} of {self.bank_count} can vote, {quorum} needed"
        if not self.operator:
            rows = [{name: row[name] for name in PUBLIC_ROW} for row in rows]
        return {
            "at_ms": int(now_s * 1000),
            "source": 0,
            "height": height,
            "deciding_height": height + 1,
            "quorum": {
                "votes_possible": self.bank_count - len(missing),
                "banks": self.bank_count,
                "quorum": quorum,
                "margin": margin,
                "missing": missing,
                "verdict": f"restart any one of {', '.join(missing)}" if missing else "",
                "waiting_for": "",
                "words": f"{count}: {more}",
            },
            "leader": height % self.bank_count,
            "view": 0,
            "alarms": self._alarms(now_s) if self.operator else [],
            "totals": {"sealed_blocks": height, "sealed_transactions": height * 41, "mempool": 12},
            "banks": rows,
        }

    def _alarms(self, now_s: float) -> list[dict[str, Any]]:
        if self.scenario not in ("trouble", "halted"):
            return []
        texts = (
            ("missing", "exited: its process has ended"),
            ("conviction", "3 statements convict birchmoor of double voting (E1) at height 1,102"),
            ("slow-database", "a commit took 2,310 ms"),
        )
        return [
            {
                "bank": (self.bank_count - 1 + index) % self.bank_count,
                "name": self.names[(self.bank_count - 1 + index) % self.bank_count],
                "kind": kind,
                "text": text,
                "at_ms": int((self.begun_s + 1000 - index * 97) * 1000),
            }
            for index, (kind, text) in enumerate(texts)
        ]

    def row(self, bank: int, now_s: float) -> dict[str, Any]:
        """One bank in the overview."""
        height, wave = self.height(now_s), math.sin(now_s / 9 + bank)
        phase = (now_s / BLOCK_S) % 1
        found = {
            "bank": bank,
            "name": self.names[bank],
            "kind": self._kind(bank),
            "state": "up",
            "reason": "",
            "suspicion": "",
            "faults": [],
            "height": height,
            "lag": 0,
            "view": 0,
            "leader": height % self.bank_count,
            "linked": [peer for peer in range(self.bank_count) if peer != bank],
            "mempool": 12 + bank % 3,
            "last_seal_age_ms": int((now_s - self.begun_s) % BLOCK_S * 1000) + 40 * bank,
            "cpu_percent": round(11 + 4 * wave, 1),
            "resident_bytes": 131_000_000 + bank * 1_700_000,
            "database_bytes": 48_300_000 + height * 700,
            "database_connected": True,
            "voted": "approve" if phase > 0.3 + bank * 0.02 else None,
            "committed": phase > 0.6 + bank * 0.03,
            "active": True,
            "address": f"127.0.0.1:{7100 + bank}",
            "pid": 41_000 + bank,
            "alarms": 0,
            **self._conditions(bank),
            **self._injected(bank),
        }
        if self.scenario == "trouble" and bank in (3, 4) and self.bank_count > 4:
            found["linked"].remove(7 - bank)
        if found["state"] in ("exited", "paused"):
            silent = ("height", "lag", "view", "mempool", "last_seal_age_ms", "cpu_percent")
            found |= dict.fromkeys((*silent, "resident_bytes", "database_bytes", "voted"))
            found |= {"linked": [], "committed": False}
        if self.scenario in ("halted", "idle"):
            found |= {"voted": None, "committed": False}
        found["peers_linked"] = len(found["linked"]) if found["height"] is not None else None
        return found

    def _injected(self, bank: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for fault in self.injected:
            if fault["bank"] == bank and fault["kind"] in ("paused", "exited"):
                found |= {"state": fault["kind"], "reason": fault["text"]}
            elif fault["bank"] == bank:
                found["faults"] = [*found.get("faults", []), fault["text"]]
        return found

    def block(self, height: int) -> dict[str, Any]:
        """One line of the block stream."""
        sealed_ms = int((self.begun_s + height * BLOCK_S) * 1000)
        return {
            "height": height,
            "block_id": digest("block", height),
            "time_ms": sealed_ms,
            "seen_ms": sealed_ms + 130,
            "transactions": int(40 + 38 * math.sin(height / 3)) if height else 0,
            "proposer": height % self.bank_count,
            "view": 0,
            "evidence": int(self.scenario == "trouble" and height % 20 == 0),
        }

    def samples(self) -> list[dict[str, Any]]:
        """The last ten minutes, with a pause in the middle."""
        if self.scenario == "idle":
            return []
        now_s = time.time()
        times = [now_s - 600 + 2 * index for index in range(300)]
        return [self.sample(at_s) for at_s in times if not 220 < now_s - at_s < 260]

    def sample(self, at_s: float) -> dict[str, Any]:
        """The figures of one moment."""
        wave = math.sin(at_s / 40)
        busy = self.scenario not in ("halted", "idle")
        noise = (int(at_s * 7919) % 17) / 17
        return {
            "at_ms": int(at_s * 1000),
            "sealed_per_second": round(24 + 6 * wave + 5 * noise, 2) if busy else 0,
            "finality_ms_p50": int(1900 + 300 * wave + 200 * noise) if busy else None,
            "finality_ms_p95": int(3100 + 500 * wave + 700 * noise) if busy else None,
            "mempool": int(60 + 40 * wave + 20 * noise) if busy else 0,
            "cpu_percent": round(120 + 25 * wave + 12 * noise, 1) if busy else 3.5,
            "resident_bytes": int(1.62e9 + 2e7 * wave),
        }

    def session(self) -> dict[str, Any]:
        """Whose session this is."""
        name = "operator" if self.operator else None
        return {"operator": self.operator, "csrf": "canned" if self.operator else None} | {
            "name": name
        }

    def faults(self) -> dict[str, Any]:
        """What can be broken and what is."""
        return {
            "allowed": True,
            "operator": self.operator,
            "kinds": [],
            "styles": [{"name": name, "description": text} for name, text in STYLES.items()],
            "faults": self.injected,
        }

    def inject(self, body: dict[str, Any]) -> dict[str, Any]:
        """Take a fault, or heal."""
        bank, kind = body["bank"], body["kind"]
        if kind in ("heal", "resume", "start"):
            self.injected = [f for f in self.injected if bank not in ("all", f["bank"])]
            return {"faults": self.injected, "text": f"{bank} is healed"}
        shown = {"crash": "exited", "stop": "exited", "pause": "paused"}.get(kind, kind)
        name = self.names[bank]
        text = body.get("style") or body.get("row") or f"{kind} on purpose"
        self.injected.append({"bank": bank, "name": name, "kind": shown, "text": text, "age_ms": 0})
        return {"faults": self.injected, "text": f"{name}: {kind}"}

    def bank(self, bank: int) -> dict[str, Any]:
        """Everything about one bank."""
        from tests.dashboard.canned_bank import bank_answer

        if not 0 <= bank < self.bank_count:
            raise LookupError(f"There is no bank {bank}; the last is {self.bank_count - 1}")
        return bank_answer(self, bank)
