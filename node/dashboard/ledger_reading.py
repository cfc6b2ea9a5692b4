"""What the pages read of the ledger: any bank's answers, checked from the genesis alone."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing

from node.client.ledger_client import LedgerClient
from node.client.verification import SealVerifier
from node.dashboard.block_row import BlockRow
from node.dashboard.links import BankConnections
from node.dashboard.recent import RecentAnswers
from node.dashboard.watch import Watch
from node.ledger.genesis import Genesis
from node.ledger.types import Height
from node.wire.records import EvidenceItem, PublishedState

MAX_EVIDENCE_ITEMS = 10_000


class LedgerReading:
    """Shared by all pages of one server."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.recent = RecentAnswers()

    @property
    def verifier(self) -> SealVerifier:
        return self.watch.verifier

    @property
    def genesis(self) -> Genesis:
        return self.watch.genesis

    @property
    def connections(self) -> BankConnections:
        return self.watch.connections

    @property
    def ledger(self) -> LedgerClient:
        """Of all banks; the one whose blocks are followed is asked first."""
        return self.watch.connections.ledger

    async def sealed_state(self) -> PublishedState:
        """Return the newest state, unverified, at most a second old."""
        return await self.recent.get_part("state", lambda: self.ledger.sealed_state())

    async def evidence(self) -> Mapping[bytes, EvidenceItem]:
        """Return the evidence that a bank holds by id, unverified."""
        return await self.recent.get_part("evidence", self._evidence)

    async def _evidence(self) -> Mapping[bytes, EvidenceItem]:
        found: dict[bytes, EvidenceItem] = {}
        async for page in self.ledger.evidence(limit=MAX_EVIDENCE_ITEMS):
            found |= {item.evidence_id: item for item in page}
        return found

    async def tip(self) -> int:
        """Return the height of the newest block that any bank told of."""
        known = max(
            (report.height for report in self.watch.reports.values()), default=self.watch.height
        )
        if known or self.watch.blocks:
            return max(known, self.watch.height)
        return (await self.ledger.node_status()).height

    async def block_rows(self, first: int, last: int) -> list[BlockRow]:
        """Return blocks of a span of heights, the newest first."""
        seen = {row.height: row for row in self.watch.blocks}
        heights = range(first, last + 1)
        if all(height in seen for height in heights):
            return [seen[height] for height in reversed(heights)]
        rows: list[BlockRow] = []
        if last < first:
            return rows
        async with aclosing(self.ledger.stream_blocks(Height(first))) as blocks:
            async for stored in blocks:
                row = BlockRow.of(stored, 0)
                rows.append(seen.get(row.height) or BlockRow.of(stored, row.time_ms))
                if row.height >= last:
                    break
        return rows[::-1]
