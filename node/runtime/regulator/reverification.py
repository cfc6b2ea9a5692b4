"""Verifying blocks again from the bytes that one bank stores, each time another bank.

Drawn blocks (BFT-12 18) and challenged ones. Of such a block everything is verified afresh, without
what was remembered while following: its certificate and the voting record of its parent, ballot by
ballot; roots; evidence; and every transaction's signature and proofs over certified rings. What
reads more of the state than rings (balances, nonces, limits, that no note is spent twice) is
re-executed by every bank with every block, and compared by the state root.

Two outcomes raise a public alarm. The bytes are not those that were sealed: the bank is damaged or
lies, and the block is verified at the next one. Or what was sealed is invalid: then a quorum
approved it, and the alarm carries a proof for everybody, where one exists that needs no state.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from crypto.merkle import merkle_root
from crypto.ring import ClosedBin
from crypto.transaction import transaction_id
from node.client.connection import ClientCredentials, Endpoint
from node.client.errors import (
    ClientError,
    LedgerError,
    LedgerFault,
    LedgerUnavailable,
    VerificationError,
)
from node.client.ledger_client import LedgerClient
from node.consensus.evidence_verification import verify_evidence
from node.consensus.signatures import Ed25519Verifier
from node.ledger.active_set import ActiveSet
from node.ledger.ballots import BallotCertificate, VerifiedBallot, verify_ballot_certificate
from node.ledger.blocks import Block, Header
from node.ledger.encoding import MalformedEncoding
from node.ledger.genesis import Genesis
from node.ledger.invalidity import disprove, prove_invalidity
from node.ledger.proofs import SealedView, verify_sealed_block
from node.ledger.rejection import Rejection
from node.ledger.types import Height, TimeMs
from node.ledger.voting_record import check_voting_record
from node.runtime.regulator.certified_bins import CertifiedBins, bins_read
from node.runtime.regulator.follower import Follower, RaiseAlarm
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


class _Differs(Exception):
    """What the bank shows is not what was sealed."""


class _Invalid(Exception):
    """What was sealed breaks a rule; `proof` shows it to anybody, if that needs no state."""

    def __init__(self, message: str, proof: bytes | None = None) -> None:
        super().__init__(message)
        self.proof = proof


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
        raise_alarm: RaiseAlarm,
        now_ms: Callable[[], TimeMs],
    ) -> None:
        self._genesis = genesis
        self._banks = [LedgerClient([endpoint], credentials) for endpoint in endpoints]
        self._database = database
        self._follower = follower
        self._bins = bins
        self._raise_alarm = raise_alarm
        self._now_ms = now_ms
        self._turn = 0
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
            for drawn in await self._database.drawn_pending(BLOCKS_AT_ONCE):
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
            block = self._sealed_block(followed, stored)
            rings = await self._rings(bank, stored)
            view = SealedView(self._genesis, block.height, rings)
            parent = Header.decode((await self._database.block(Height(block.height - 1))).header)
            await asyncio.to_thread(self._judge, block, parent, stored, view)
        except LedgerError:
            raise
        except (_Differs, VerificationError) as error:
            return _Outcome(ReverificationResult.BYTES_DIFFER, str(error), count)
        except _Invalid as error:
            return _Outcome(ReverificationResult.INVALID, str(error), count, error.proof)
        return _Outcome(ReverificationResult.CORRECT, "", count)

    async def _rings(self, bank: LedgerClient, stored: PublishedBlock) -> dict[int, ClosedBin]:
        """Return the rings that the transactions spend from, as this bank shows them.

        The digests come from whatever bank shows the certified ones; that one does not is no fault
        of the bank looked at. Raises `VerificationError` if its rings are others, `LedgerError`.
        """
        wanted = bins_read(stored.transactions, self._genesis)
        try:
            certified = await self._bins.digests(wanted)
        except VerificationError as error:
            raise LedgerUnavailable(f"no certified bins: {error}") from error
        return await self._bins.fetch(bank, certified, wanted)

    def _sealed_block(self, followed: FollowedBlock, stored: PublishedBlock) -> Block:
        """Check that these are the bytes that the sealed header commits to; raises `_Differs`."""
        if stored.header != followed.header:
            raise _Differs("the header is another one")
        try:
            block = Block.decode(stored.block)
        except MalformedEncoding as error:
            raise _Differs(f"the block does not decode: {error}") from error
        header = block.header
        if header.encode() != followed.header:
            raise _Differs("the block has another header")
        named = tuple([transaction_id(raw) for raw in stored.transactions])
        if named != block.transaction_ids:
            raise _Differs("the transactions are not those that the block names")
        for name, root, leaves in (
            ("transactions", header.transactions_root, stored.transactions),
            ("evidence", header.evidence_root, block.evidence),
            ("voting record", header.ballots_root, block.parent_ballots),
        ):
            if merkle_root(leaves) != root:
                raise _Differs(f"the {name} does not have the Merkle root of the header")
        return block

    def _judge(
        self, block: Block, parent: Header, stored: PublishedBlock, view: SealedView
    ) -> None:
        """Raise `_Differs` for a bad certificate of the bank's, `_Invalid` for a bad block."""
        self._judge_certificate(block, stored.certificate)
        transactions, votes = verify_sealed_block(
            stored.transactions,
            view,
            os.urandom,
            ballots=block.parent_ballots,
            parent=parent,
            active_set=self._set_of(parent.height),
        )
        self._judge_voting_record(block, parent, votes, stored)
        self._judge_evidence(block)
        for index, rejection in enumerate(transactions):
            if rejection is not None:
                named = Rejection(rejection.reason, rejection.message, index)
                proof = prove_invalidity(self._genesis, block.header, stored.transactions, named)
                raise _Invalid(f"transaction {index}: {rejection}", proof)

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

    def _judge_voting_record(
        self,
        block: Block,
        parent: Header,
        votes: Sequence[VerifiedBallot | Rejection],
        stored: PublishedBlock,
    ) -> None:
        try:
            check_voting_record(
                block.parent_ballots,
                votes,
                root=block.header.ballots_root,
                parent=parent,
                active_set=self._set_of(parent.height),
            )
        except Rejection as rejection:
            proof = prove_invalidity(
                self._genesis,
                block.header,
                stored.transactions,
                rejection,
                block.parent_ballots,
            )
            raise _Invalid(f"the voting record does not hold: {rejection}", proof) from rejection

    def _judge_evidence(self, block: Block) -> None:
        for raw in block.evidence:
            try:
                verify_evidence(
                    raw,
                    chain_id=self._genesis.chain_id,
                    active_set_at=self._follower.active_set_at,
                    verifier=Ed25519Verifier(),
                    disprove=functools.partial(disprove, self._genesis),
                )
            except Rejection as rejection:
                raise _Invalid(f"evidence proves nothing: {rejection}") from rejection


def _is_of(challenge: Challenge, bank: LedgerClient) -> bool:
    return bank.endpoints[0].bank == challenge.challenged_by
