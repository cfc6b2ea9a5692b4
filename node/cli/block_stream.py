"""One line for every sealed block, as any bank tells it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import asdict, dataclass

from node.client import ClientCredentials, Endpoint, LedgerClient
from node.client.errors import LedgerError
from node.ledger.blocks import Header
from node.ledger.types import Height
from node.runtime.consortium_directory import ConsortiumDirectory, short_name

RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class BlockLine:
    """What a person wants to know of a block that was just sealed."""

    height: int
    transactions: int
    proposer: str
    view: int
    block_id: str
    since_last_ms: int | None
    """Between the header times of this block and its parent; None for the first one shown."""
    finality_ms: int | None
    """From the block's header time until it was seen here, sealed; None for one from before."""

    def __str__(self) -> str:
        since = "" if self.since_last_ms is None else f"  +{self.since_last_ms / 1000:.1f} s"
        later = f"  view {self.view}" if self.view else ""
        noun = "transaction" if self.transactions == 1 else "transactions"
        final = "" if self.finality_ms is None else f"  final in {self.finality_ms} ms"
        return (
            f"block {self.height}  {self.transactions} {noun}  by {self.proposer}"
            f"{since}{final}{later}"
        )

    def to_json_object(self) -> dict[str, object]:
        """Return the fields by name, marked as an event."""
        return {"event": "block", **asdict(self)}


async def stream_block_lines(
    directory: ConsortiumDirectory, endpoints: Sequence[Endpoint], *, earlier: int = 0
) -> AsyncGenerator[BlockLine, None]:
    """Yield a line for every block from now on, asking whichever bank answers.

    Begins with as many that were sealed `earlier`, if there are so many above genesis.
    """
    credentials = ClientCredentials.load(directory.operator)
    async with LedgerClient(endpoints, credentials) as ledger:
        height: int | None = None
        first_new = 0
        previous_ms: int | None = None
        while True:
            try:
                if height is None:
                    first_new = (await ledger.node_status()).height + 1
                    height = max(1, first_new - earlier)
                async for stored in ledger.stream_blocks(Height(height), follow=True):
                    header = Header.decode(stored.header)
                    yield _line(header, previous_ms, is_new=header.height >= first_new)
                    height = header.height + 1
                    previous_ms = header.time_ms
            except LedgerError:
                await asyncio.sleep(RETRY_S)


def _line(header: Header, previous_ms: int | None, *, is_new: bool) -> BlockLine:
    return BlockLine(
        height=header.height,
        transactions=header.transaction_count,
        proposer=short_name(header.proposer),
        view=header.original_view,
        block_id=header.block_id.hex(),
        since_last_ms=None if previous_ms is None else header.time_ms - previous_ms,
        finality_ms=max(0, int(time.time() * 1000) - header.time_ms) if is_new else None,
    )
