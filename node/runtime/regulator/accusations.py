"""An invalid block that was sealed: evidence against who created it, until the banks have taken it.

The item is an E5 by the seal (`node.consensus.evidence_items.SealedInvalid`): the header, the
ballots that sealed it, and what shows anybody that it is invalid. The banks judge it by the same
function as here. Banks that sealed the block by a defect refuse it until the defect is mended; so
it is offered again and again, and given up only when its height leaves the evidence window.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import logging
from collections.abc import Sequence

from node.client.connection import ClientCredentials, Endpoint
from node.consensus.evidence_items import SealedInvalid, encode_item
from node.consensus.evidence_verification import verify_evidence
from node.consensus.signatures import Ed25519Verifier
from node.ledger.ballots import BallotCertificate
from node.ledger.blocks import Header
from node.ledger.genesis import Genesis
from node.ledger.invalidity import disprove
from node.ledger.rejection import Rejection
from node.runtime.regulator.follower import Follower
from node.runtime.regulator.handing_in import EvidenceDoor
from node.storage.regulator.database import RegulatorDatabase
from node.storage.regulator.records import Accusation

logger = logging.getLogger(__name__)

LOOK_S = 5.0


class AccusationDesk:
    """Makes evidence of disproofs, keeps it, and hands it in."""

    def __init__(
        self,
        genesis: Genesis,
        endpoints: Sequence[Endpoint],
        credentials: ClientCredentials,
        database: RegulatorDatabase,
        follower: Follower,
    ) -> None:
        self._genesis = genesis
        self._door = EvidenceDoor(endpoints, credentials)
        self._database = database
        self._follower = follower

    async def close(self) -> None:
        """Close the connections."""
        await self._door.close()

    async def run(self) -> None:
        """Hand in what waits, without end."""
        while True:
            await asyncio.sleep(LOOK_S)
            await self.hand_in()

    async def accuse(self, header: Header, certificate: bytes, proof: bytes) -> bytes | None:
        """Keep the evidence that a sealed block is invalid; return its id, 32 bytes.

        `certificate` is the verified ballot certificate of the block. None if the proof is too
        long for an item, or if the item does not convict by the judgement that the banks use.
        """
        item = SealedInvalid.of(header, BallotCertificate.decode(certificate), proof)
        if item is None:
            logger.warning("a disproof is too long", extra={"height": header.height})
            return None
        raw = encode_item(item)
        try:
            verified = await asyncio.to_thread(
                verify_evidence,
                raw,
                chain_id=self._genesis.chain_id,
                active_set_at=self._follower.active_set_at,
                verifier=Ed25519Verifier(),
                disprove=functools.partial(disprove, self._genesis),
            )
        except Rejection as rejection:
            logger.error(
                "a disproof convicts nobody",
                extra={"height": header.height, "detail": str(rejection)},
            )
            return None
        evidence_id = verified.evidence_id
        said = {
            "evidence": evidence_id.hex(),
            "offence": verified.offence.value,
            "height": item.height,
            "block": item.block_id.hex(),
            "bank": item.bank,
            "proof": hashlib.sha256(proof).hexdigest(),
        }
        accusation = Accusation(evidence_id, item.height, item.bank, raw, None)
        if await self._database.add_accusation(accusation, said):
            logger.warning("accusation", extra={"height": item.height, "accused": item.bank})
        return evidence_id

    async def hand_in(self) -> None:
        """Offer every accusation that waits to the banks."""
        for accusation in await self._database.waiting_accusations():
            active = self._follower.active_set_at(accusation.height)
            assert active is not None, "the block was followed"
            handed_in = await self._door.hand_in(accusation.item, active)
            if handed_in is not None:
                await self._database.end_accusation(
                    accusation.evidence_id, handed_in.outcome, handed_in.banks
                )
