"""The tables of one bank's database, one module a topic.

Rules: amounts are integers in minor units (`MinorUnits`, wide enough for every u64); times are
with time zone; byte strings of fixed length are checked by the database; every foreign key column
leads an index; columns that are set by the database have server defaults. Everything here is
public to the banks: amounts, senders and receivers of transfers are confidential and exist in no
table. `migrations/` builds the same catalog, and a test compares the two.
"""

from __future__ import annotations

from node.storage.tables.banks import AccountEntry, BankRow, Miner, TreasuryRecord
from node.storage.tables.base import Base
from node.storage.tables.blocks import BlockRow, SetChangeRow, TransactionBatch
from node.storage.tables.consensus import (
    ConsensusBody,
    ConsensusRecord,
    LedgerIdentity,
    LedgerStateRow,
)
from node.storage.tables.evidence import EvidenceRow, IntegrityFinding
from node.storage.tables.notes import BinRow, NoteRow, NullifierRow
from node.storage.tables.settlements import SettlementRow, SettlementShare
from node.storage.tables.snapshots import SnapshotOrigin
from node.storage.tables.transactions import TransactionBody, TransactionRow
from node.storage.tables.votes import BallotConflict, VotingRecord

__all__ = [
    "AccountEntry",
    "BallotConflict",
    "BankRow",
    "Base",
    "BinRow",
    "BlockRow",
    "ConsensusBody",
    "ConsensusRecord",
    "EvidenceRow",
    "IntegrityFinding",
    "LedgerIdentity",
    "LedgerStateRow",
    "Miner",
    "NoteRow",
    "NullifierRow",
    "SetChangeRow",
    "SettlementRow",
    "SettlementShare",
    "SnapshotOrigin",
    "TransactionBatch",
    "TransactionBody",
    "TransactionRow",
    "TreasuryRecord",
    "VotingRecord",
]
