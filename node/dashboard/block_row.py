"""One sealed block as lists show it."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from crypto.merkle import EMPTY_ROOT
from node.ledger.blocks import Block, Header
from node.wire.records import PublishedBlock


@dataclass(frozen=True, slots=True)
class BlockRow:
    """What the block stream shows of a block: the word of the bank that told it."""

    height: int
    block_id: str
    time_ms: int
    """Header time."""
    seen_ms: int
    """When this server saw it, by its own clock; of older blocks the header time."""
    transactions: int
    proposer: int
    view: int
    evidence: int
    """Evidence items in the block."""

    def to_json_object(self) -> dict[str, object]:
        """Return every field by name."""
        return asdict(self)

    @staticmethod
    def of(stored: PublishedBlock, seen_ms: int) -> BlockRow:
        """Read a block; raises `MalformedEncoding`."""
        header = Header.decode(stored.header)
        evidence = 0
        if stored.block and header.evidence_root != EMPTY_ROOT:
            evidence = len(Block.decode(stored.block).evidence)
        return BlockRow(
            height=header.height,
            block_id=header.block_id.hex(),
            time_ms=header.time_ms,
            seen_ms=seen_ms,
            transactions=header.transaction_count,
            proposer=header.proposer,
            view=header.original_view,
            evidence=evidence,
        )
