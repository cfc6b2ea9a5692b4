"""What the regulator hands in at a bank: evidence, verified here and passed on as any other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from node.consensus.events import MessageReceived
from node.consensus.messages import Evidence
from node.ledger.types import BankIndex
from node.runtime.evidence_examiner import EvidenceExaminer


class SupervisionBackend:
    """Implements `node.rpc.regulator_supervision.SupervisionBackend` for one bank."""

    def __init__(
        self,
        bank: BankIndex,
        examiner: EvidenceExaminer,
        post: Callable[[MessageReceived], Awaitable[None]],
    ) -> None:
        self._bank = bank
        self._examiner = examiner
        self._post = post

    async def submit_evidence(self, item: bytes) -> bytes:
        verified = await self._examiner.examine(item)
        await self._post(MessageReceived(self._bank, Evidence(item)))
        return verified.evidence_id
