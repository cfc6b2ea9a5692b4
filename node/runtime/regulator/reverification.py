"""Verifying blocks again from the bytes that one bank stores, each time another bank.

Drawn blocks (BFT-12 18) and challenged ones. Of such a block everything is verified afresh, without
what was remembered while following: its certificate and the voting record of its parent, ballot by
ballot; roots; evidence; every transaction's signature and proofs over certified rings; and the
block is executed on the state that `execution` kept, whose outcome must have the roots of the
header. That no note is spent twice is looked at for every block while it is executed first.

Two outcomes raise a public alarm. The bytes are not those that were sealed: the bank is damaged or
lies, and the block is verified at the next one. Or what was sealed is invalid: then a quorum
approved it, and who created it is accused (`accusations`) by a proof for everybody.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from crypto.ring import ClosedBin
from node.client.connection import ClientCredentials, Endpoint
from node.client.errors import (
    ClientError,
    LedgerError,
    LedgerFault,
    LedgerUnavailable,
    VerificationError,
)
from node.client.ledger_client import LedgerClient
from node.ledger.active_set import ActiveSet
from node.ledger.ballots import BallotCertificate, VerifiedBallot, verify_ballot_certificate
from node.ledger.blocks import Block, Header
from node.ledger.encoding import MalformedEncoding
from node.ledger.genesis import Genesis
from node.ledger.invalidity import prove_invalidity
from node.ledger.proofs import SealedView, verify_sealed_block
from node.ledger.rejection import Rejection
from node.ledger.state import LedgerState
from node.ledger.types import Height, TimeMs
from node.ledger.voting_record import check_voting_record
from node.runtime.regulator.accusations import AccusationDesk
from node.runtime.regulator.certified_bins import CertifiedBins, bins_read
from node.runtime.regulator.execution import (
    Executable,
    Executor,
    carried_by_alarm,
    disproof_by_execution,
    disproof_over_rings,
    execute_again,
    verify_items,
)
from node.runtime.regulator.follower import Follower, RaiseAlarm
from node.runtime.regulator.sealed_bytes import require_sealed
from node.storage.regulator.database import RegulatorDatabase
from node.storage.regulator.records import (
    Alarm,
    Challenge,
    FollowedBlock,
    Reverification,
    ReverificationResult,
)
from node.wire.records import PublishedBlock

logger = logging.getLogger(__name__)

LOOK_S = 1.0
BLOCKS_AT_ONCE = 10
DATA_LOSS = "DATA_LOSS"
"""The status of a bank that met damage in its own database."""
NOT_EXECUTED = "it was not executed: the state before it is not known"


class _Differs(Exception):
    """What the bank shows is not what was sealed."""


class _Invalid(Exception):
    """What was sealed breaks a rule."""

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(str(rejection))
        self.rejection = rejection


class NobodyAnswers(Exception):
    """No bank could show the block now."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    result: ReverificationResult
    detail: str
    transactions: int
    proof: bytes | None = None


class Reverifier:
    """Verifies drawn and challenged blocks; one at a time."""

    def __init__(
        self,
        genesis: Genesis,
        endpoints: Sequence[Endpoint],
        credentials: ClientCredentials,
        database: RegulatorDatabase,
        follower: Follower,
        bins: CertifiedBins,
        executor: Executor,
        desk: AccusationDesk,
        raise_alarm: RaiseAlarm,
        now_ms: Callable[[], TimeMs],
    ) -> None:
        self._genesis = genesis
        self._banks = [LedgerClient([endpoint], credentials) for endpoint in endpoints]
        self._database = database
        self._follower = follower
        self._bins = bins
        self._executor = executor
        self._desk = desk
        self._raise_alarm = raise_alarm
        self._now_ms = now_ms
        self._turn = 0
        self._drawn_from = Height(0)
        self._busy = asyncio.Lock()

    async def close(self) -> None:
        """Close the connections."""
        for bank in self._banks:
            await bank.close()

    async def run(self) -> None:
        """Verify every drawn block, and challenges that a restart left over, without end."""
        while True:
            await asyncio.sleep(LOOK_S)
            for challenge in await self._database.unanswered_challenges():
                await self._try(challenge.height, challenge)
            tip = self._follower.tip.height
            pending = await self._database.drawn_pending(BLOCKS_AT_ONCE, self._drawn_from)
            # What is below the first that waits is done for good, and need not be looked at again.
            self._drawn_from = pending[0].height if pending else tip
            for drawn in pending:
                if self._executor.has_reached(drawn.height):
                    await self._try(drawn.height)

    async def _try(self, height: Height, challenge: Challenge | None = None) -> None:
        """Verify a block if a bank shows it; one that none shows does not hold up the others."""
        try:
            await self.verify_again(height, challenge)
        except NobodyAnswers as error:
            logger.info("re-verification waits", extra={"detail": str(error)})

    async def verify_again(
        self, height: Height, challenge: Challenge | None = None
    ) -> Reverification:
        """Verify a block at one bank after the other until one shows what was sealed.

        The bank that challenges is looked at last, and never alone. Raises `NobodyAnswers`,
        `NotFound` for a height that was not followed. Every look is kept; the last one is returned.
        """
        async with self._busy:
            if challenge is not None:
                known = await self._database.answer_to(challenge.challenge)
                if known is not None:
                    return known
            block = await self._database.block(height)
            return await self._at_some_bank(block, challenge)

    def _in_turn(self, challenge: Challenge | None) -> list[LedgerClient]:
        """Return the banks in the order to ask them, each time from the next one on."""
        first = self._turn % len(self._banks)
        self._turn += 1
        in_turn = self._banks[first:] + self._banks[:first]
        if challenge is None:
            return in_turn
        return sorted(in_turn, key=lambda bank: _is_of(challenge, bank))

    async def _at_some_bank(
        self, block: FollowedBlock, challenge: Challenge | None
    ) -> Reverification:
        told: Reverification | None = None
        for bank in self._in_turn(challenge):
            if told is None and challenge is not None and _is_of(challenge, bank):
                raise NobodyAnswers(
                    f"no bank shows block {block.height} but the one that challenges it"
                )
            try:
                outcome = await self._look(block, bank)
            except LedgerFault as error:
                if error.status != DATA_LOSS:
                    logger.info("a bank is passed over", extra={"detail": str(error)})
                    continue
                outcome = _Outcome(ReverificationResult.BYTES_DIFFER, error.message, 0)
            except ClientError as error:
                logger.info("a bank is passed over", extra={"detail": str(error)})
                continue
            told = await self._keep(block, challenge, bank.endpoints[0], outcome)
            if outcome.result is not ReverificationResult.BYTES_DIFFER:
                return told
        if told is None:
            raise NobodyAnswers(f"no bank shows block {block.height}")
        return told

    async def _keep(
        self,
        block: FollowedBlock,
        challenge: Challenge | None,
        endpoint: Endpoint,
        outcome: _Outcome,
    ) -> Reverification:
        record = Reverification(
            height=block.height,
            block_id=block.block_id,
            fiscal_year=block.fiscal_year,
            challenge=None if challenge is None else challenge.challenge,
            bank=endpoint.bank,
            result=outcome.result,
            detail=outcome.detail,
            transactions=outcome.transactions,
            time_ms=self._now_ms(),
        )
        await self._database.add_reverification(record)
        if challenge is None and outcome.result is not ReverificationResult.BYTES_DIFFER:
            await self._executor.release(block)
        if outcome.result is not ReverificationResult.CORRECT:
            await self._tell(record, outcome, endpoint)
        logger.info(
            "verified again",
            extra={
                "height": block.height,
                "shown_by": endpoint.bank,
                "result": outcome.result.value,
            },
        )
        return record

    async def _tell(self, record: Reverification, outcome: _Outcome, endpoint: Endpoint) -> None:
        if outcome.result is ReverificationResult.INVALID:
            text = f"block {record.height} was sealed although it is invalid: {outcome.detail}"
        else:
            text = (
                f"bank {endpoint.bank} does not show block {record.height} as it was sealed: "
                f"{outcome.detail}"
            )
        await self._raise_alarm(
            Alarm(
                kind=outcome.result.value,
                text=text,
                bank=endpoint.bank,
                height=record.height,
                proof=outcome.proof,
                time_ms=self._now_ms(),
            )
        )

    # One look at one bank

    async def _look(self, followed: FollowedBlock, bank: LedgerClient) -> _Outcome:
        count = 0
        try:
            stored = await bank.block(followed.height, include_transactions=True)
            count = len(stored.transactions)
            block = require_sealed(followed, stored)
            parent = Header.decode((await self._database.block(Height(block.height - 1))).header)
            state = await self._state_before(block.height)
            rings = await self._rings(bank, stored, state)
            view = SealedView(self._genesis, block.height, rings)
            item = Executable(parent, block, stored)
            await asyncio.to_thread(self._judge, item, view, state)
        except LedgerError:
            raise
        except (_Differs, VerificationError) as error:
            return _Outcome(ReverificationResult.BYTES_DIFFER, str(error), count)
        except _Invalid as error:
            proof = await self._disproof(item, view, state, error.rejection)
            return await self._convict(item, str(error), proof)
        detail = NOT_EXECUTED if state is None else ""
        return _Outcome(ReverificationResult.CORRECT, detail, count)

    async def _convict(self, item: Executable, detail: str, proof: bytes | None) -> _Outcome:
        """Accuse who created an invalid block, if that can be shown to everybody."""
        count = len(item.stored.transactions)
        if proof is not None:
            header, certificate = item.block.header, item.stored.certificate
            evidence_id = await self._desk.accuse(header, certificate, proof)
            if evidence_id is not None:
                detail = f"{detail}; evidence {evidence_id.hex()}"
        return _Outcome(ReverificationResult.INVALID, detail, count, carried_by_alarm(proof))

    async def _disproof(
        self, item: Executable, view: SealedView, state: LedgerState | None, rejection: Rejection
    ) -> bytes | None:
        """Return what shows anybody that the block is invalid, the shortest proof there is."""
        block, raws = item.block, item.stored.transactions
        ballots, genesis = block.parent_ballots, self._genesis
        proof = prove_invalidity(genesis, block.header, raws, rejection, ballots)
        if proof is not None or state is None:
            return proof
        index = rejection.transaction_index
        if index is not None:
            closed = await self._database.first_bins(state.closed_bins.count)
            shown = await asyncio.to_thread(
                disproof_over_rings, genesis, state, item, index, closed, view.bins
            )
            if shown is not None:
                return shown
        return await asyncio.to_thread(disproof_by_execution, genesis, state, item)

    async def _rings(
        self, bank: LedgerClient, stored: PublishedBlock, state: LedgerState | None
    ) -> dict[int, ClosedBin]:
        """Return the rings that the transactions spend from, as this bank shows them.

        A bin that is not closed in the state before the block is left out: whoever spends from it
        is refused. The digests come from whatever bank shows the certified ones; that one does not
        is no fault of the bank looked at. Raises `VerificationError` if its rings are others,
        `LedgerError`.
        """
        wanted = bins_read(stored.transactions, self._genesis)
        try:
            if state is None:
                certified = await self._bins.digests(wanted)
            else:
                count = state.closed_bins.count
                certified = await self._bins.closed_before(wanted, count)
                wanted &= certified.keys()
        except VerificationError as error:
            raise LedgerUnavailable(f"no certified bins: {error}") from error
        return await self._bins.fetch(bank, certified, wanted)

    async def _state_before(self, height: Height) -> LedgerState | None:
        """Return the state to execute on; what other banks do not show is no fault of this one.

        Raises `LedgerUnavailable`.
        """
        try:
            return await self._executor.state_before(height)
        except ClientError as error:
            raise LedgerUnavailable(f"no state before block {height}: {error}") from error

    def _judge(self, item: Executable, view: SealedView, state: LedgerState | None) -> None:
        """Raise `_Differs` for a bad certificate of the bank's, `_Invalid` for a bad block."""
        block, parent, raws = item.block, item.parent, item.stored.transactions
        self._judge_certificate(block, item.stored.certificate)
        transactions, votes = verify_sealed_block(
            raws,
            view,
            os.urandom,
            ballots=block.parent_ballots,
            parent=parent,
            active_set=self._set_of(parent.height),
        )
        try:
            checked = self._voting_record(block, parent, votes)
            verify_items(self._genesis, self._follower.active_set_at, block.evidence)
            for index, rejection in enumerate(transactions):
                if rejection is not None:
                    raise rejection.at(index)
            if state is not None:
                execute_again(
                    self._genesis,
                    self._follower.active_set_at,
                    state,
                    replace(item, votes=checked),
                )
        except Rejection as rejection:
            raise _Invalid(rejection) from rejection

    def _set_of(self, height: Height) -> ActiveSet:
        active = self._follower.active_set_at(Height(max(1, height)))
        assert active is not None, "a followed height has its set"
        return active

    def _judge_certificate(self, block: Block, data: bytes) -> None:
        try:
            certificate = BallotCertificate.decode(data)
            if (certificate.height, certificate.block_id) != (block.height, block.block_id):
                raise _Differs("the ballot certificate is of another block")
            verify_ballot_certificate(
                certificate, self._genesis.chain_id, self._set_of(block.height)
            )
        except (MalformedEncoding, Rejection) as error:
            raise _Differs(f"the ballot certificate does not hold: {error}") from error

    def _voting_record(
        self, block: Block, parent: Header, votes: Sequence[VerifiedBallot | Rejection]
    ) -> tuple[VerifiedBallot, ...]:
        return check_voting_record(
            block.parent_ballots,
            votes,
            root=block.header.ballots_root,
            parent=parent,
            active_set=self._set_of(parent.height),
        )


def _is_of(challenge: Challenge, bank: LedgerClient) -> bool:
    return bank.endpoints[0].bank == challenge.challenged_by
