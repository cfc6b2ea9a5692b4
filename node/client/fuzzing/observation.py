"""What a bank is before and after: its process, its memory, and everything it stores."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from node.client.operator_client import OperatorClient
from node.ledger.blocks import Block
from node.ledger.types import Height
from node.wire.operator_records import LedgerDigests, NodeReport

MEMORY_GROWTH_BYTES = 96 << 20
"""Of one bank over a campaign: caches that fill up, and what Python does not give back."""
AGREEMENT_S = 60.0
POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Observation:
    """All banks at one height."""

    reports: tuple[NodeReport, ...]
    digests: tuple[LedgerDigests, ...]
    """Of the same height at every bank."""

    @property
    def height(self) -> Height:
        return Height(self.digests[0].at_height)


async def observe(banks: Sequence[OperatorClient]) -> Observation:
    """Look at every bank; raises `LedgerError` if one does not answer.

    Waits until the lowest bank has what the highest had at first.
    """
    reports = await asyncio.gather(*(bank.report() for bank in banks))
    height = Height(max(report.height for report in reports))
    async with asyncio.timeout(AGREEMENT_S):
        while min(report.height for report in reports) < height:
            await asyncio.sleep(POLL_S)
            reports = await asyncio.gather(*(bank.report() for bank in banks))
    digests = await asyncio.gather(*(bank.digests(Height(1), height) for bank in banks))
    return Observation(tuple(reports), tuple(digests))


def differences(
    before: Observation, after: Observation, since: Iterable[Block], sent: frozenset[bytes]
) -> list[str]:
    """Return everything that hostile messages have changed; empty if nothing.

    `since` are the blocks sealed between the two observations, `sent` the ids of all transactions
    that were in the messages. Empty blocks may be sealed meanwhile, nothing else.
    """
    return [
        *_processes(before, after),
        *_disagreement(after),
        *_changed_state(before, after),
        *_sealed(since, sent),
    ]


def _processes(before: Observation, after: Observation) -> Iterable[str]:
    for old, new in zip(before.reports, after.reports, strict=True):
        if (new.process.pid, new.process.uptime_ms > old.process.uptime_ms) != (
            old.process.pid,
            True,
        ):
            yield f"bank {new.bank} was restarted"
        if new.halted and not old.halted:
            yield f"bank {new.bank} has halted: {new.halted}"
        grown = new.process.resident_bytes - old.process.resident_bytes
        if grown > MEMORY_GROWTH_BYTES:
            yield f"bank {new.bank} takes {grown >> 20} MiB more memory"


def _disagreement(after: Observation) -> Iterable[str]:
    first = after.digests[0]
    for report, digests in zip(after.reports, after.digests, strict=True):
        if (digests.state_root, digests.block_ids) != (first.state_root, first.block_ids):
            yield f"bank {report.bank} has another ledger at height {after.height}"


def _changed_state(before: Observation, after: Observation) -> Iterable[str]:
    for report, old, new in zip(after.reports, before.digests, after.digests, strict=True):
        for name in (
            "transaction_count",
            "nullifier_count",
            "nullifier_digest",
            "note_count",
            "note_digest",
            "treasury_count",
            "treasury_digest",
        ):
            if getattr(old, name) != getattr(new, name):
                yield f"{name} of bank {report.bank} has changed"
        if new.block_ids[: len(old.block_ids)] != old.block_ids:
            yield f"bank {report.bank} has other blocks than before"


def _sealed(since: Iterable[Block], sent: frozenset[bytes]) -> Iterable[str]:
    for block in since:
        hostile = [item for item in block.transaction_ids if bytes(item) in sent]
        if hostile:
            yield f"block {block.height} seals a hostile transaction: {hostile[0].hex()}"
        elif block.transaction_ids:
            yield f"block {block.height} seals transactions of somebody else: the ledger was in use"
        if block.evidence:
            yield f"block {block.height} punishes somebody"
