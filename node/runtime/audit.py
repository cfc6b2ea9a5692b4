"""Re-verification of stored seals and transactions from their bytes alone.

The state before each block is rebuilt as far as proofs read it: closed bins (recomputed from
their stored notes), the chain id, the registered issuers. Verdicts of admission are not consulted,
nor is anything that another bank says. What names the signers of a seal never leaves the banks, so
nobody but the bank itself can check it here.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncGenerator, Sequence

from crypto.randomness import RandomBytes
from crypto.ring import ClosedBin, close_bin
from crypto.transaction import transaction_id
from node.consensus.certificates import CertificateInvalid, Seal, verify_seal
from node.consensus.signatures import Ed25519Verifier
from node.ledger.active_set import ActiveSet
from node.ledger.blocks import Block
from node.ledger.encoding import MalformedEncoding
from node.ledger.proofs import SealedView, verify_sealed
from node.ledger.rejection import Rejection
from node.ledger.rules import decode
from node.ledger.types import Height, TransactionId
from node.runtime.chain import Chain
from node.runtime.stored_blocks import stored_blocks
from node.storage.database import Database
from node.storage.records import StoredBlock
from node.wire.operator_records import AuditExtent, AuditFailure, AuditReport

logger = logging.getLogger(__name__)

BATCH = 100


class Audit:
    """Audits one bank's database."""

    def __init__(self, chain: Chain, database: Database, random_bytes: RandomBytes) -> None:
        self._chain = chain
        self._database = database
        self._random_bytes = random_bytes

    async def run(self, extent: AuditExtent) -> AsyncGenerator[AuditReport, None]:
        """Yield progress after every batch; the last report is `done`."""
        total = await self._total(extent)
        checked = 0
        failures = await self._check_seals()
        async for height, transaction_ids in self._chosen(extent):
            for start in range(0, len(transaction_ids), BATCH):
                part = transaction_ids[start : start + BATCH]
                failures += await self._check(height, part)
                checked += len(part)
            yield AuditReport(checked, max(total, checked), tuple(failures), done=False)
        yield AuditReport(checked, checked, tuple(failures), done=True)

    async def _check_seals(self) -> list[AuditFailure]:
        """Verify the signatures of every stored seal; their ballots are everybody's to verify."""
        tip, first = self._chain.height, await self._database.first_height()
        chain_id, signatures = self._chain.genesis.chain_id, Ed25519Verifier()
        genesis_set = self._chain.genesis.active_set([b.index for b in self._chain.genesis.banks])
        sets = [(Height(0), genesis_set)]
        for item in await self._database.set_changes(tip):
            try:
                sets.append((item.height, ActiveSet.decode(item.active_set)))
            except MalformedEncoding as error:
                text = f"the set that it makes way for does not decode: {error}"
                return [AuditFailure(None, item.height, "seal", text)]

        def failure(stored: StoredBlock) -> AuditFailure | None:
            active_set = [item for height, item in sets if height < stored.height][-1]
            try:
                seal = Seal.decode(stored.seal)
                verify_seal(seal, chain_id, active_set, signatures)
                if seal.block_id == stored.block_id and seal.height == stored.height:
                    return None
                text = "it is of another block"
            except (MalformedEncoding, CertificateInvalid) as error:
                text = str(error)
            return AuditFailure(None, stored.height, "seal", text)

        failures: list[AuditFailure] = []
        async for stored in stored_blocks(self._database, first, tip):
            found = await asyncio.to_thread(failure, stored) if stored.height else None
            if found is not None:
                failures.append(found)
        return failures

    async def _total(self, extent: AuditExtent) -> int:
        origin = await self._database.origin()
        count = self._chain.state.transaction_count - origin.transaction_count
        return count if extent.sample_size is None else min(count, extent.sample_size)

    async def _chosen(
        self, extent: AuditExtent
    ) -> AsyncGenerator[tuple[Height, list[TransactionId]], None]:
        """Yield the transactions to check, block by block.

        A sample takes those with the smallest SHA-256(seed || id): the same at every bank, and
        nobody can tell in advance which without the seed.
        """
        wanted: set[TransactionId] | None = None
        tip = self._chain.height
        first = await self._database.first_height()
        if extent.sample_size is not None:
            ranked: list[tuple[bytes, TransactionId]] = []
            async for stored in stored_blocks(self._database, first, tip):
                ranked += [
                    (hashlib.sha256(extent.seed + item).digest(), item)
                    for item in Block.decode(stored.encoded).transaction_ids
                ]
                ranked = sorted(ranked)[: extent.sample_size]
            wanted = {item for _, item in ranked}
        async for stored in stored_blocks(self._database, first, tip):
            ids = Block.decode(stored.encoded).transaction_ids
            chosen = [item for item in ids if wanted is None or item in wanted]
            if chosen:
                yield stored.height, chosen

    async def _check(
        self, height: Height, transaction_ids: Sequence[TransactionId]
    ) -> list[AuditFailure]:
        bodies = await self._database.transaction_bodies(transaction_ids)
        missing = [item for item in transaction_ids if item not in bodies]
        failures = [
            AuditFailure(item, height, "missing", "the body is not stored") for item in missing
        ]
        failures += [
            AuditFailure(item, height, "corrupt", "the stored bytes hash to another id")
            for item, raw in bodies.items()
            if transaction_id(raw) != item
        ]
        unsound = {failure.transaction_id for failure in failures}
        raws = [bodies[item] for item in transaction_ids if item not in unsound]
        bins = await self._bins_of(raws)
        return failures + await asyncio.to_thread(self._verify, height, raws, bins)

    async def _bins_of(self, raws: Sequence[bytes]) -> dict[int, ClosedBin]:
        """Recompute the rings that these transactions spend from, dummies included."""
        genesis = self._chain.genesis
        wanted: dict[int, None] = {}
        for raw in raws:
            try:
                transaction = decode(raw, genesis)
            except Rejection:
                continue
            wanted.update({spend.bin_id: None for spend in transaction.inputs})
        stored = await self._database.bins(list(wanted)) if wanted else {}
        ring_base = genesis.parameters.ring_base
        return {
            item.bin_id: close_bin(
                item.bin_id, item.asset, item.closed.notes[: item.closed.count], ring_base
            )
            for item in stored.values()
            if item.closed is not None
        }

    def _verify(
        self, height: Height, raws: Sequence[bytes], bins: dict[int, ClosedBin]
    ) -> list[AuditFailure]:
        view = SealedView(self._chain.genesis, height, bins)
        verdicts = verify_sealed(raws, view, self._random_bytes)
        return [
            AuditFailure(
                TransactionId(transaction_id(raw)), height, refused.reason.value, refused.message
            )
            for raw, refused in zip(raws, verdicts, strict=True)
            if refused is not None
        ]
