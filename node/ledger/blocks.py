"""Block header and block, with their canonical encodings (BFT-12 sections 2 and 3).

A block names its transactions by id: bodies travel and are stored once, apart from the block.
`transactions_root` is the IDX1 section 11 tree over the transactions' full bytes, so the header
still commits to every byte.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

from crypto.ballot import ballot_bytes
from node.ledger.encoding import MalformedEncoding, Reader, Writer
from node.ledger.types import HASH_BYTES, BankIndex, BlockId, Height, TimeMs, TransactionId, View

HEADER_DOMAIN = b"bft12/1/header"
HEADER_BYTES = 4 + len(HEADER_DOMAIN) + 7 * HASH_BYTES + 8 + 4 + 2 + 8 + 4

MAX_TRANSACTIONS = 100
"""BATCH of BFT-12 section 1."""
MAX_PARENT_BALLOTS = 16
"""At most one ballot per active bank, and a ballot ring holds at most 16 banks (IDX1 9.2)."""
MAX_BALLOT_BYTES = ballot_bytes(MAX_PARENT_BALLOTS)
MAX_EVIDENCE = 64
MAX_EVIDENCE_BYTES = 1 << 20
MAX_BLOCK_BYTES = 2 << 20
"""Encoded block without transaction bodies; every message stays below 4 MiB."""
EVIDENCE_BUDGET_BYTES = (
    MAX_BLOCK_BYTES
    - (HEADER_BYTES + 3 * 4)
    - MAX_PARENT_BALLOTS * (4 + MAX_BALLOT_BYTES)
    - MAX_TRANSACTIONS * HASH_BYTES
)
"""What evidence with its length prefixes may take, so that the rest always fits beside it."""


@dataclass(frozen=True)
class Header:
    """What a seal certifies. Created once; a re-proposal in a later view carries the same bytes."""

    chain_id: bytes
    height: Height
    parent_id: BlockId
    original_view: View
    """View in which the header was created (`orig_view`)."""
    proposer: BankIndex
    """Creator of the header, not a later re-proposer."""
    time_ms: TimeMs
    transactions_root: bytes
    evidence_root: bytes
    ballots_root: bytes
    transaction_count: int
    post_state_root: bytes
    next_set_hash: bytes

    def encode(self) -> bytes:
        """Return the canonical bytes, always `HEADER_BYTES` long."""
        return (
            Writer()
            .blob(HEADER_DOMAIN)
            .fixed(self.chain_id, HASH_BYTES)
            .u64(self.height)
            .fixed(self.parent_id, HASH_BYTES)
            .u32(self.original_view)
            .u16(self.proposer)
            .u64(self.time_ms)
            .fixed(self.transactions_root, HASH_BYTES)
            .fixed(self.evidence_root, HASH_BYTES)
            .fixed(self.ballots_root, HASH_BYTES)
            .u32(self.transaction_count)
            .fixed(self.post_state_root, HASH_BYTES)
            .fixed(self.next_set_hash, HASH_BYTES)
            .finish()
        )

    @cached_property
    def block_id(self) -> BlockId:
        """SHA-256 of the canonical header."""
        return BlockId(hashlib.sha256(self.encode()).digest())

    @staticmethod
    def read(reader: Reader) -> Header:
        """Read a header; raises `MalformedEncoding`."""
        if reader.blob(len(HEADER_DOMAIN)) != HEADER_DOMAIN:
            raise MalformedEncoding("not a block header")
        return Header(
            chain_id=reader.fixed(HASH_BYTES),
            height=Height(reader.u64()),
            parent_id=BlockId(reader.fixed(HASH_BYTES)),
            original_view=View(reader.u32()),
            proposer=BankIndex(reader.u16()),
            time_ms=TimeMs(reader.u64()),
            transactions_root=reader.fixed(HASH_BYTES),
            evidence_root=reader.fixed(HASH_BYTES),
            ballots_root=reader.fixed(HASH_BYTES),
            transaction_count=reader.u32(),
            post_state_root=reader.fixed(HASH_BYTES),
            next_set_hash=reader.fixed(HASH_BYTES),
        )

    @staticmethod
    def decode(data: bytes) -> Header:
        """Decode canonical bytes; raises `MalformedEncoding`."""
        reader = Reader(data)
        header = Header.read(reader)
        reader.finish()
        return header


@dataclass(frozen=True)
class Block:
    """A header with everything it commits to; transactions are named by id, in order."""

    header: Header
    parent_ballots: tuple[bytes, ...]
    """Ballots about the parent, sorted by tag (BFT-12 section 17); none at height 1."""
    evidence: tuple[bytes, ...]
    """Canonical evidence items in increasing key order (BFT-12 section 9)."""
    transaction_ids: tuple[TransactionId, ...]

    @property
    def block_id(self) -> BlockId:
        return self.header.block_id

    @property
    def height(self) -> Height:
        return self.header.height

    def write(self, writer: Writer) -> Writer:
        writer.fixed(self.header.encode(), HEADER_BYTES)
        writer.many(self.parent_ballots, Writer.blob)
        writer.many(self.evidence, Writer.blob)
        writer.many(self.transaction_ids, lambda out, item: out.fixed(item, HASH_BYTES))
        return writer

    def encode(self) -> bytes:
        return self.write(Writer()).finish()

    @staticmethod
    def read(reader: Reader) -> Block:
        """Read a block within the limits of this module; raises `MalformedEncoding`."""
        return Block(
            header=Header.read(reader),
            parent_ballots=reader.many(MAX_PARENT_BALLOTS, lambda r: r.blob(MAX_BALLOT_BYTES)),
            evidence=reader.many(MAX_EVIDENCE, lambda r: r.blob(MAX_EVIDENCE_BYTES)),
            transaction_ids=reader.many(
                MAX_TRANSACTIONS, lambda r: TransactionId(r.fixed(HASH_BYTES))
            ),
        )

    @staticmethod
    def decode(data: bytes) -> Block:
        """Decode canonical bytes; raises `MalformedEncoding`."""
        if len(data) > MAX_BLOCK_BYTES:
            raise MalformedEncoding(f"block of {len(data)} bytes exceeds {MAX_BLOCK_BYTES}")
        reader = Reader(data)
        block = Block.read(reader)
        reader.finish()
        return block
