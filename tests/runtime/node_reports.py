"""Reports of nodes for tests of what is made of them."""

from __future__ import annotations

from node.ledger.types import BankIndex, BlockId, Height, TimeMs, View
from node.wire.operator_records import (
    ConsensusReport,
    DatabaseReport,
    MempoolReport,
    NodeReport,
    PeerReport,
    ProcessReport,
)


def banks(*indices: int) -> tuple[BankIndex, ...]:
    return tuple(BankIndex(index) for index in indices)


def peer(bank: int, *, linked_in: bool = True, linked_out: bool = True) -> PeerReport:
    return PeerReport(
        bank=BankIndex(bank),
        address="127.0.0.1:1",
        linked_out=linked_out,
        linked_in=linked_in,
        height=Height(7),
        last_heard_ms=5,
        queued_items=0,
        queued_bytes=0,
        sent_frames=1,
        sent_items=1,
        sent_bytes=1,
        dropped_transactions=0,
        dropped_messages=0,
        connections=1,
        last_error="",
    )


def make_report(
    bank: int, *, chain_id: bytes = bytes(32), peers: tuple[PeerReport, ...] = ()
) -> NodeReport:
    """A bank of twelve that is well, at height 7, two links of three up in both directions."""
    return NodeReport(
        bank=BankIndex(bank),
        bank_name=f"Bank {bank}",
        software_version="0.1.0",
        chain_id=chain_id,
        height=Height(7),
        block_id=BlockId(bytes(32)),
        state_root=bytes(32),
        time_ms=TimeMs(1_700_000_000_000),
        last_seal_age_ms=1_250,
        ready=True,
        halted="",
        consensus=ConsensusReport(
            height=Height(8),
            view=View(1),
            leader=BankIndex(4),
            active_banks=12,
            quorum=10,
            has_work=True,
            approvals=banks(1, 2, 3),
            rejections=(),
            commits=banks(1),
            timed_out=(),
            missing=(),
            margin=2,
            highest_view=View(0),
        ),
        peers=peers or (peer(0), peer(1), peer(2, linked_in=False)),
        mempool=MempoolReport(5, 30_000, 4_000, 40 << 20, 9, 1),
        process=ProcessReport(4_711, 60_000, 104 << 20, 2_000),
        database=DatabaseReport(True, "180004", 9 << 20),
        alarms=(),
    )


def reports_of(count: int, *, cut: frozenset[tuple[int, int]] = frozenset()) -> dict[
    BankIndex, NodeReport
]:
    """Banks that are all well and linked, except for the directed links in `cut`."""
    return {
        BankIndex(bank): make_report(
            bank,
            peers=tuple(
                peer(
                    other,
                    linked_out=(bank, other) not in cut,
                    linked_in=(other, bank) not in cut,
                )
                for other in range(count)
                if other != bank
            ),
        )
        for bank in range(count)
    }
