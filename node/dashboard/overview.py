"""The overview as the page gets it each second, from one look at all banks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from node.dashboard.alarms import ShownAlarm
from node.ledger.genesis import Genesis
from node.ledger.types import BankIndex
from node.runtime.consortium_directory import short_name
from node.runtime.consortium_look import BankStatus, ConsortiumLook, furthest_ahead
from node.runtime.diagnosis import Condition, Diagnosis
from node.wire.operator_records import NodeReport

NUMBERS = ("no", "one", "two", "three", "four", "five", "six")
PUBLIC_FIELDS = frozenset({"bank", "name", "kind", "state", "height", "lag", "active"})
"""What of a bank everybody may see: the public service tells no more."""


def overview_object(
    genesis: Genesis,
    look: ConsortiumLook,
    reports: Mapping[BankIndex, NodeReport],
    *,
    at_ms: int,
    source: int | None,
    height: int,
    cpu_percent: Mapping[BankIndex, float],
    alarms: Sequence[ShownAlarm],
    sealed_transactions: int,
    metrics: Sequence[str | None] = (),
) -> dict[str, object]:
    """Return the overview for operators; `height` is that of the newest block seen."""
    ahead = furthest_ahead(reports)
    look_object = look.to_json_object()
    quorum = look_object["quorum"]
    assert isinstance(quorum, dict), "a look names its quorum"
    tip = max(height, 0 if ahead is None else ahead.height)
    return {
        "at_ms": at_ms,
        "source": source,
        "height": tip,
        "quorum": {**quorum, "words": quorum_words(look.diagnosis)},
        "leader": None if ahead is None else ahead.consensus.leader,
        "view": None if ahead is None else ahead.consensus.view,
        "deciding_height": None if ahead is None else ahead.consensus.height,
        "alarms": [alarm.to_json_object() for alarm in alarms],
        "totals": {
            "sealed_blocks": tip,
            "sealed_transactions": sealed_transactions,
            "mempool": max((r.mempool.transactions for r in reports.values()), default=0),
        },
        "banks": [
            {
                **_row(genesis, row, reports.get(BankIndex(row.bank)), ahead, cpu_percent),
                "metrics": metrics[row.bank] if metrics else None,
            }
            for row in look.rows
        ],
    }


def public_overview(overview: Mapping[str, object]) -> dict[str, object]:
    """Leave out what banks tell their operators alone."""
    rows = overview["banks"]
    assert isinstance(rows, list), "an overview has a list of banks"
    quorum = overview["quorum"]
    assert isinstance(quorum, dict), "an overview has a quorum"
    return {
        **overview,
        "quorum": {**quorum, "suspects": {}, "waiting_for": ""},
        "alarms": [],
        "banks": [
            {
                name: value if name in PUBLIC_FIELDS else _NOTHING.get(name)
                for name, value in row.items()
            }
            for row in rows
        ],
    }


_NOTHING: Mapping[str, object] = {"reason": "", "suspicion": "", "faults": (), "linked": ()}
"""What stands for a field that is not shown; None for all others."""


def quorum_words(diagnosis: Diagnosis) -> str:
    """Say how far the ledger is from standing still, in one sentence."""
    count = (
        f"{diagnosis.votes_possible} of {diagnosis.active} can vote, {diagnosis.quorum} needed: "
    )
    margin = diagnosis.margin
    if margin < 0:
        return count + f"nothing is sealed until {_number(-margin)} more can"
    if margin == 0:
        return count + "no further bank may fail"
    return count + f"{_number(margin)} more may fail"


def _number(count: int) -> str:
    return NUMBERS[count] if count < len(NUMBERS) else str(count)


def _row(
    genesis: Genesis,
    row: BankStatus,
    report: NodeReport | None,
    ahead: NodeReport | None,
    cpu_percent: Mapping[BankIndex, float],
) -> dict[str, object]:
    bank = BankIndex(row.bank)
    voted, committed = _votes(bank, ahead)
    lag = None
    if row.height is not None and ahead is not None:
        lag = max(0, ahead.height - row.height)
    return {
        **asdict(row),
        "kind": genesis.banks[row.bank].sector.value,
        "lag": lag,
        "leader": None if report is None else report.consensus.leader,
        "linked": []
        if report is None
        else [peer.bank for peer in report.peers if peer.linked_in and peer.linked_out],
        "cpu_percent": cpu_percent.get(bank),
        "database_bytes": None if report is None else report.database.size_bytes,
        "voted": voted,
        "committed": committed,
        "active": row.state != Condition.OBSERVER.value,
    }


def _votes(bank: BankIndex, ahead: NodeReport | None) -> tuple[str | None, bool]:
    """Return how a bank voted on the height being decided, and whether it committed."""
    if ahead is None:
        return None, False
    decided = ahead.consensus
    voted = None
    if bank in decided.approvals:
        voted = "approve"
    elif bank in decided.rejections:
        voted = "reject"
    return voted, bank in decided.commits


def bank_objects(genesis: Genesis) -> list[dict[str, object]]:
    """Return what is fixed of every bank."""
    return [
        {"bank": bank.index, "name": short_name(bank.index), "kind": bank.sector.value}
        for bank in genesis.banks
    ]
