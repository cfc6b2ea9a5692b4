"""Handing evidence in at the banks, at so many that one of them is correct and passes it on."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from node.client.connection import ClientCredentials, Endpoint
from node.client.errors import ClientError, LedgerError
from node.client.regulator_client import SupervisionClient
from node.ledger.active_set import ActiveSet
from node.ledger.rejection import Reason
from node.storage.regulator.records import TAKEN

logger = logging.getLogger(__name__)

FINAL = frozenset({Reason.EVIDENCE_PUNISHED.value, Reason.EVIDENCE_WINDOW.value})
"""Refusals after which an item is of no use any more: its key was punished, or it is too old."""


@dataclass(frozen=True, slots=True)
class HandedIn:
    """What enough banks answered."""

    outcome: str
    """`TAKEN`, or why no bank takes the item any more."""
    banks: tuple[int, ...]
    """Who answered, in order."""


class EvidenceDoor:
    """Connections to what the banks serve to the regulator alone."""

    def __init__(self, endpoints: Sequence[Endpoint], credentials: ClientCredentials) -> None:
        self._banks = [SupervisionClient(endpoint, credentials) for endpoint in endpoints]

    async def close(self) -> None:
        """Close the connections."""
        for bank in self._banks:
            await bank.close()

    async def hand_in(self, item: bytes, active_set: ActiveSet) -> HandedIn | None:
        """Offer an item of a height that this set decided; None if too few banks answered.

        n-q+1 answers are enough: evidence is recorded only while blocks are sealed, and that takes
        no more than n-q faulty banks. Offering it again is harmless.
        """
        needed = min(active_set.reject_threshold, len(self._banks))
        taken: list[int] = []
        refused: dict[int, str] = {}
        for bank in self._banks:
            who = bank.endpoint.bank
            try:
                await bank.submit_evidence(item)
                taken.append(who)
            except ClientError as error:
                code = error.reason_code if isinstance(error, LedgerError) else ""
                if code in FINAL:
                    refused[who] = code
                else:
                    logger.info("evidence waits", extra={"asked": who, "detail": str(error)})
            if len(taken) + len(refused) >= needed:
                outcome = TAKEN if taken else next(iter(refused.values()))
                return HandedIn(outcome, tuple(sorted([*taken, *refused])))
        return None
