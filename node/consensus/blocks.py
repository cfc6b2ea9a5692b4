"""The blocks of the current height that this bank has a copy of, and what it thinks of them.

A block id commits to the header. Whether a copy's lists belong to that header is for the host to
say (it needs the transactions' bytes), so a copy may turn out to be unusable and be replaced by
another one of the same id. A copy that was judged is never replaced.
"""

from __future__ import annotations

from dataclasses import dataclass

from node.consensus.events import Approved, BodyUnusable, Rejected, Verdict
from node.ledger.blocks import Block, Header
from node.ledger.types import BankIndex, BlockId


@dataclass(slots=True)
class KnownBlock:
    """One copy and its judgement."""

    block: Block
    source: BankIndex
    """Who gave this copy: the first to ask for its transactions."""
    verdict: Approved | Rejected | None = None
    ticket: int | None = None
    """Of the `Validate` under way."""

    @property
    def rejection(self) -> Rejected | None:
        return self.verdict if isinstance(self.verdict, Rejected) else None

    def judged(self, *, with_clock: bool) -> Approved | Rejected | None:
        """Return the verdict if it answers the question: a rejection because of the clock says
        nothing where the clock is not asked (BFT-12 section 8)."""
        rejection = self.rejection
        if rejection is not None and not rejection.deterministic and not with_clock:
            return None
        return self.verdict


class KnownBlocks:
    """Copies by block id."""

    def __init__(self) -> None:
        self._blocks: dict[BlockId, KnownBlock] = {}
        self._last_ticket = 0
        self._headers: dict[int, Header] = {}
        """Of the questions under way, also after their copy was dropped."""

    def get(self, block_id: BlockId) -> KnownBlock | None:
        return self._blocks.get(block_id)

    def offer(self, block: Block, source: BankIndex) -> KnownBlock:
        """Take a copy unless one is known that was judged or is identical."""
        known = self._blocks.get(block.block_id)
        if known is None or (known.verdict is None and known.block != block):
            known = KnownBlock(block, source)
            self._blocks[block.block_id] = known
        return known

    def ask(self, known: KnownBlock) -> int:
        """Give a copy the ticket under which it is judged."""
        known.ticket = self.next_ticket()
        self._headers[known.ticket] = known.block.header
        return known.ticket

    def header_asked(self, ticket: int) -> Header | None:
        """Return what a question was about, once; None for a ticket that nobody waits for."""
        return self._headers.pop(ticket, None)

    def next_ticket(self) -> int:
        """Return a number that no question of this process had before."""
        self._last_ticket += 1
        return self._last_ticket

    def answer(self, ticket: int, verdict: Verdict) -> BlockId | None:
        """Record a verdict; return the block id, or None if nobody waits for this ticket."""
        for block_id, known in self._blocks.items():
            if known.ticket != ticket:
                continue
            known.ticket = None
            if isinstance(verdict, BodyUnusable):
                del self._blocks[block_id]
            else:
                known.verdict = verdict
            return block_id
        return None

    def discard(self, block_id: BlockId) -> None:
        """Drop a copy that turned out to be unusable."""
        self._blocks.pop(block_id, None)

    def keep_only(self, wanted: list[BlockId]) -> None:
        """Drop every copy but those of these ids."""
        self._blocks = {key: known for key, known in self._blocks.items() if key in wanted}

    def clear(self) -> None:
        self._blocks.clear()
