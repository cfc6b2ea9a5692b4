"""Settling fiscal years, in their order: counts, the one proof, and handing it in until sealed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from crypto.ballot import BallotKey
from crypto.errors import ProvingError
from crypto.transaction import transaction_id as hash_transaction
from node.client.errors import ClientError, LedgerError, TransactionRefused, VerificationError
from node.client.ledger_client import LedgerClient
from node.client.sealing import confirm_sealed
from node.client.verification import SealVerifier
from node.ledger.blocks import Header
from node.ledger.fiscal_year import label
from node.ledger.genesis import Genesis
from node.ledger.rejection import Reason
from node.ledger.settlement import BankCount, SettlementClaim, decode_settlement, prove_settlement
from node.ledger.settlement_rules import tally_of, years_to_settle
from node.ledger.state import LedgerState
from node.ledger.types import FiscalYear, Height, TransactionId
from node.runtime.draw_seeds import DrawSeeds
from node.runtime.regulator.follower import Follower
from node.storage.regulator.database import RegulatorDatabase
from node.storage.regulator.records import SettlementRecord

logger = logging.getLogger(__name__)

LOOK_S = 1.0
HAND_IN_AGAIN_MS = 15_000
"""A settlement that is not sealed by then is handed in again, at the next bank."""
EXPIRY_HEIGHTS = 1_000


class Settling:
    """Hands in SETTLEMENT(Y) once a block of a later year was followed."""

    def __init__(
        self,
        genesis: Genesis,
        ledger: LedgerClient,
        database: RegulatorDatabase,
        follower: Follower,
        opener: BallotKey | None,
        draw_seeds: DrawSeeds,
        now_ms: Callable[[], int],
    ) -> None:
        self._genesis = genesis
        self._ledger = ledger
        self._database = database
        self._follower = follower
        self._opener = opener
        self._draw_seeds = draw_seeds
        self._now_ms = now_ms
        self._verifier = SealVerifier(genesis)
        self.waiting_for = ""
        """What keeps a year from being settled; empty if nothing does."""

    def forget_opener(self) -> None:
        """Go on without the opener's key: officers hold it."""
        self._opener = None

    async def run(self) -> None:
        """Settle every year that can be, without end."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.settle_next()
            except VerificationError as error:
                logger.warning("a bank is passed over", extra={"detail": str(error)})
                self._ledger.prefer_next_endpoint()
            except ClientError as error:
                logger.info("settlement waits", extra={"detail": str(error)})

    async def settle_next(self) -> None:
        """Do the next step towards settling the next year, if there is one to settle."""
        await self._confirm_handed_in()
        _, state = self._verifier.verify_state(await self._ledger.sealed_state())
        year = await self._year_to_settle(state)
        if year is None or not self._is_counted(year):
            self.waiting_for = ""
            return
        known = await self._database.settlement(year)
        if known is not None and self._is_alive(known, state):
            if self._now_ms() - known.submitted_ms >= HAND_IN_AGAIN_MS:
                self._ledger.prefer_next_endpoint()
                await self._hand_in(year, known.raw)
            return
        raw = await self._prove(year, state)
        if raw is not None:
            await self._hand_in(year, raw)

    async def _year_to_settle(self, state: LedgerState) -> FiscalYear | None:
        """Return the next year to settle, None if none is due or none of them is worth it.

        The block of a settlement begins the tally of its own year. Where years are so short that
        nothing else is sealed in one, settling it would give the next year a tally, and so on
        without end. Such a year has nothing to pay; it is settled when one behind it has.
        """
        due = years_to_settle(self._genesis, state)
        for year in due:
            if not await self._has_only_settlements(year, state):
                return due[0]
        return None

    async def _has_only_settlements(self, year: FiscalYear, state: LedgerState) -> bool:
        """Whether settlements are all that was sealed in a year; no pot, no other transaction."""
        if any(pot.year == year for pot in state.pots):
            return False
        settled_at = {item.sealed_height for item in await self._database.settlements()}
        first = await self._database.first_of_year(year, len(settled_at) + 1)
        return bool(first) and all(
            block.height in settled_at and Header.decode(block.header).transaction_count == 1
            for block in first
        )

    def _is_counted(self, year: FiscalYear) -> bool:
        """Whether the first block of a later year was followed: it records the last vote of Y."""
        return self._follower.year_of(self._follower.tip) > year

    def _is_alive(self, known: SettlementRecord, state: LedgerState) -> bool:
        return decode_settlement(known.raw).expiry > state.height

    async def claim(self, year: FiscalYear, state: LedgerState) -> SettlementClaim:
        """Return what is to be claimed of a year: the counts, and its draw seed."""
        counts = await self._database.year_counts(year)
        window = min(EXPIRY_HEIGHTS, self._genesis.parameters.max_expiry_heights)
        return SettlementClaim(
            chain_id=self._genesis.chain_id,
            year=year,
            counts=tuple(
                [BankCount(bank.index, counts.get(bank.index, 0)) for bank in self._genesis.banks]
            ),
            draw_seed=self._draw_seeds.seed(self._genesis, year),
            expiry=Height(state.height + window),
        )

    async def _prove(self, year: FiscalYear, state: LedgerState) -> bytes | None:
        opener = self._opener
        if opener is None:
            self.waiting_for = (
                f"the officers: the year {label(year)} can be settled with their parts "
                "(`consortium regulator partial`)"
            )
            return None
        claim = await self.claim(year, state)
        total = tally_of(self._genesis, state, year).ciphertext_sum
        try:
            raw = await asyncio.to_thread(
                prove_settlement, claim, self._genesis, total, opener
            )
        except ProvingError as error:
            self.waiting_for = f"an operator: the counts of {label(year)} do not hold: {error}"
            logger.error("counts do not hold", extra={"year": year, "detail": str(error)})
            return None
        self.waiting_for = ""
        return raw

    async def _hand_in(self, year: FiscalYear, raw: bytes) -> None:
        identity = TransactionId(hash_transaction(raw))
        await self._database.hand_in_settlement(year, identity, raw)
        try:
            await self._ledger.submit(raw)
        except TransactionRefused as refused:
            if refused.reason not in (Reason.SETTLED, Reason.DUPLICATE_TRANSACTION):
                logger.error(
                    "settlement refused", extra={"year": year, "reason": refused.reason_code}
                )
                self.waiting_for = f"{label(year)}: a bank refused it: {refused}"
            return
        logger.info("settlement handed in", extra={"year": year, "transaction": identity.hex()})

    async def _confirm_handed_in(self) -> None:
        """Note, with their proofs of inclusion, what has been sealed since."""
        for known in await self._database.unsealed_settlements():
            try:
                place = await confirm_sealed(self._ledger, self._verifier, known.transaction_id)
            except LedgerError:
                continue
            await self._database.settlement_sealed(known.year, place.header.height)
            logger.info(
                "settlement sealed",
                extra={"year": known.year, "height": place.header.height},
            )
