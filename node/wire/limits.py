"""Sizes that no message may exceed, checked before anything is parsed or built.

All stay below `MAX_MESSAGE_BYTES`, which every channel and server of the consortium sets as its
gRPC limit.
"""

from __future__ import annotations

from crypto.transaction import MAX_TRANSACTION_BYTES
from node.consensus.messages import MAX_MESSAGE_BYTES as MAX_CONSENSUS_MESSAGE_BYTES
from node.consensus.messages import MAX_SYNC_BLOCKS
from node.ledger.blocks import MAX_BALLOT_BYTES, MAX_PARENT_BALLOTS
from node.ledger.types import HASH_BYTES

__all__ = [
    "MAX_BINS",
    "MAX_BLOCK_IDS",
    "MAX_CERTIFICATE_BYTES",
    "MAX_CONFLICTS_PER_PAGE",
    "MAX_CONSENSUS_MESSAGE_BYTES",
    "MAX_EVIDENCE_PAGE_BYTES",
    "MAX_EVIDENCE_PER_PAGE",
    "MAX_FETCHED_BYTES",
    "MAX_FETCHED_TRANSACTIONS",
    "MAX_FRAME_ITEMS",
    "MAX_FRAME_MESSAGES",
    "MAX_MESSAGE_BYTES",
    "MAX_NOTES_PER_PAGE",
    "MAX_RECORDS_PER_PAGE",
    "MAX_SEED_BYTES",
    "MAX_SYNC_BLOCKS",
    "MAX_TEXT_BYTES",
    "MAX_TRANSACTION_BYTES",
]

MAX_MESSAGE_BYTES = 4 << 20
"""One gRPC message, in either direction."""
MAX_FRAME_ITEMS = 16_384
"""Items of one peer frame; more would be a flood of empty ones."""
MAX_FRAME_MESSAGES = 128
"""Consensus messages of one frame: they are decoded in one go, while everybody else waits."""
MAX_FETCHED_TRANSACTIONS = 200
"""Ids in one FetchTransactions: two blocks."""
MAX_FETCHED_BYTES = 3 << 20
"""Transaction bodies in one answer to FetchTransactions."""
MAX_BINS = 64
"""Bins in one GetBins: 64 bins of 256 notes are 3 MiB."""
MAX_NOTES_PER_PAGE = 500
MAX_RECORDS_PER_PAGE = 1_000
"""Nullifiers or closed bins in one page."""
MAX_EVIDENCE_PER_PAGE = 100
MAX_EVIDENCE_PAGE_BYTES = 2 << 20
"""Items of evidence in one page, unless a single one is larger."""
MAX_CONFLICTS_PER_PAGE = 100
MAX_CERTIFICATE_BYTES = 8 + 4 + HASH_BYTES + 4 + MAX_PARENT_BALLOTS * (4 + MAX_BALLOT_BYTES)
"""A canonical ballot certificate (`node.ledger.ballots`)."""
MAX_BLOCK_IDS = 50_000
"""Block ids in one answer to GetDigests, 1.7 MB: with each the bank reads its whole tables once."""
MAX_SEED_BYTES = 64
"""Seed of an audit's sample."""
MAX_TEXT_BYTES = 4_096
"""Any text field."""
