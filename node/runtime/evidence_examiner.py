"""Judging evidence against this bank's chain: on arrival, in a block, and before building one.

Whether an item proves its offence never changes, so that verdict is kept by the item's hash; what
depends on the tip (the window, punished keys) is asked every time (BFT-12 section 9).
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
from collections import OrderedDict
from collections.abc import Sequence

from node.consensus.evidence_verification import verify_evidence
from node.consensus.signatures import Verifier
from node.ledger.active_set import ActiveSet
from node.ledger.invalidity import disprove
from node.ledger.offences import VerifiedEvidence
from node.ledger.rejection import Rejection
from node.ledger.slashing import check_offence
from node.ledger.types import Height
from node.runtime.chain import Chain

KEPT_ITEMS = 256
"""Verdicts kept: four times what a block can hold."""


class EvidenceExaminer:
    """Verifies items with the active sets that the chain's state remembers."""

    def __init__(self, chain: Chain, verifier: Verifier) -> None:
        self._chain = chain
        self._verifier = verifier
        self._verified: OrderedDict[bytes, VerifiedEvidence] = OrderedDict()

    async def examine(self, raw: bytes) -> VerifiedEvidence:
        """Return an item that the next block may punish; raises `Rejection`."""
        evidence = await self.verify(raw)
        check_offence(self._chain.genesis, self._chain.state, evidence)
        return evidence

    async def verify(self, raw: bytes) -> VerifiedEvidence:
        """Check signatures and proofs of an item; raises `Rejection`."""
        item_hash = hashlib.sha256(raw).digest()
        known = self._verified.get(item_hash)
        if known is not None:
            return known
        # An invalid proposal is proven by a transaction, whose proofs take milliseconds.
        evidence = await asyncio.to_thread(self._verify, raw)
        self._verified[item_hash] = evidence
        if len(self._verified) > KEPT_ITEMS:
            self._verified.popitem(last=False)
        return evidence

    async def verdicts(self, items: Sequence[bytes]) -> tuple[VerifiedEvidence | Rejection, ...]:
        """Return one verdict per item of a block, in order."""
        return tuple([await self._verdict(raw) for raw in items])

    async def _verdict(self, raw: bytes) -> VerifiedEvidence | Rejection:
        try:
            return await self.verify(raw)
        except Rejection as rejection:
            return rejection

    def _verify(self, raw: bytes) -> VerifiedEvidence:
        genesis = self._chain.genesis
        return verify_evidence(
            raw,
            chain_id=genesis.chain_id,
            active_set_at=self._active_set_at,
            verifier=self._verifier,
            disprove=functools.partial(disprove, genesis),
        )

    def _active_set_at(self, height: Height) -> ActiveSet | None:
        return self._chain.state.active_set_at(self._chain.genesis, height)

