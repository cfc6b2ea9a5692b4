"""One bank as its operator sees it: its report, its links, its account, the evidence against it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from enum import Enum

from node.client.treasury_report import TreasuryReport
from node.dashboard.block_answer import evidence_object
from node.dashboard.treasury_answer import stake_object
from node.ledger.fiscal_year import label
from node.ledger.types import BankIndex, FiscalYear
from node.runtime.consortium_directory import short_name
from node.wire.operator_records import NodeReport, PeerReport
from node.wire.records import EvidenceItem


def bank_object(
    row: Mapping[str, object],
    report: NodeReport | None,
    *,
    treasury: TreasuryReport | None,
    movements: Sequence[dict[str, object]],
    evidence: Sequence[EvidenceItem],
) -> dict[str, object]:
    """Return everything about a bank; `row` is that of the overview.

    What the ledger says of it is None if no bank answers.
    """
    bank = BankIndex(int(str(row["bank"])))
    account: dict[str, object] = {}
    settled: list[dict[str, object]] = []
    if treasury is not None:
        account = stake_object(treasury, treasury.state.banks[bank])
        settled = [
            {
                "year": year.fiscal_year,
                "label": label(FiscalYear(year.fiscal_year)),
                "count": share.count,
                "reward": share.reward,
            }
            for year in treasury.settlements
            for share in year.shares
            if share.bank == bank
        ]
    return {
        **account,
        **row,
        "report": None if report is None else to_plain(report),
        "links": [] if report is None else [_link(peer) for peer in report.peers],
        "evidence": [evidence_object(item) for item in evidence if item.bank == bank],
        "treasury": list(movements),
        "settled_years": settled,
        # Ballots are anonymous: only a settlement tells how many approvals were a bank's.
        "votes_cast": sum(int(str(year["count"])) for year in settled) if settled else None,
    }


def _link(peer: PeerReport) -> dict[str, object]:
    plain = to_plain(peer)
    assert isinstance(plain, dict), "a record becomes an object"
    return {**plain, "name": short_name(peer.bank)}


def to_plain(value: object) -> object:
    """Return a record as JSON has it: fields by name, bytes in hexadecimal."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    return value
