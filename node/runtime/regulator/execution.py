"""Executing the ledger again, block by block, and comparing every state root with the header's.

The follower verifies what is published of the vote on each block; this comes after it, with the
blocks' transactions. Every block is executed on the state that the blocks before it led to, from
the genesis on, without its proofs (`node.ledger.reexecution`): 5 ms of CPU for 100 payments, where
verifying them takes 70, so it is done for all blocks and not only for drawn ones. What needs proofs
and rings is `reverification`'s, for drawn and challenged blocks; those are executed there once
more, from the bytes that the bank looked at has stored, on the state kept here.

Where execution leads elsewhere than the header says, q banks sealed a wrong state: an alarm says
which root was expected and which found, and evidence by execution (`node.ledger.execution_proof`)
convicts who created the block. A block that carries evidence itself, or too much for one item,
is named by the alarm alone. Execution does not see that a note was spent in an earlier block, so
all nullifiers are kept beside it; the two blocks and the headers between them are the evidence.
The state that the banks went on from cannot be derived then; it is
taken from a later sealed header, and the blocks between are not executed, which the log says.

States are kept at every `KEPT_EVERY`-th height for good, and before a drawn block until it was
verified: any block can be executed again from the nearest one below it.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from crypto.merkle import prove_inclusion
from crypto.ring import ClosedBin
from node.client.errors import ClientError, VerificationError
from node.client.ledger_client import LedgerClient
from node.client.verification import SealVerifier
from node.consensus.evidence_verification import verify_evidence
from node.consensus.signatures import Ed25519Verifier
from node.ledger.active_set import ActiveSet
from node.ledger.ballots import VerifiedBallot, verify_parent_ballots
from node.ledger.blocks import Block, Header
from node.ledger.effects import Transition
from node.ledger.execution_proof import proof_by_execution
from node.ledger.genesis import Genesis
from node.ledger.invalidity import (
    MAX_ANCESTORS,
    disprove,
    encode_proof_of_sealed,
    prove_spent_before,
)
from node.ledger.offences import VerifiedEvidence
from node.ledger.reexecution import reexecute
from node.ledger.rejection import Rejection
from node.ledger.ring_proof import ListedBin, proof_over_rings
from node.ledger.rules import decode
from node.ledger.state import LedgerState, genesis_state
from node.ledger.types import Height, TimeMs
from node.ledger.voting_record import check_voting_record
from node.runtime.regulator.accusations import AccusationDesk
from node.runtime.regulator.certified_bins import bins_read
from node.runtime.regulator.follower import Follower, RaiseAlarm
from node.runtime.regulator.sealed_bytes import require_sealed
from node.storage.regulator.database import RegulatorDatabase
from node.storage.regulator.records import Alarm, FollowedBin, FollowedBlock
from node.wire.records import PublishedBlock

logger = logging.getLogger(__name__)

LOOK_S = 1.0
KEPT_EVERY = 100
MAX_ALARM_PROOF_BYTES = 32 << 10
"""A longer proof stands in the evidence alone: a list of alarms is one message."""

ActiveSetAt = Callable[[Height], ActiveSet | None]


@dataclass(frozen=True, slots=True)
class Executable:
    """A sealed block with everything that it is executed from but the state."""

    parent: Header
    block: Block
    stored: PublishedBlock
    votes: tuple[VerifiedBallot, ...] | None = None
    """Its voting record if it was verified before."""


def execute_again(
    genesis: Genesis, active_set_at: ActiveSetAt, state: LedgerState, item: Executable
) -> Transition:
    """Return what a block leads to; raises `Rejection` if its header says otherwise."""
    block, parent = item.block, item.parent
    votes = item.votes
    if votes is None:
        active = active_set_at(Height(max(1, parent.height)))
        assert active is not None, "a followed height has its set"
        votes = check_voting_record(
            block.parent_ballots,
            verify_parent_ballots(block.parent_ballots, parent, active),
            root=block.header.ballots_root,
            parent=parent,
            active_set=active,
        )
    return reexecute(
        genesis,
        state,
        parent,
        block.header,
        item.stored.transactions,
        evidence=verify_items(genesis, active_set_at, block.evidence),
        ballots=votes,
    )


def verify_items(
    genesis: Genesis, active_set_at: ActiveSetAt, items: Sequence[bytes]
) -> tuple[VerifiedEvidence, ...]:
    """Verify a block's evidence; raises `Rejection`."""
    verify = functools.partial(
        verify_evidence,
        chain_id=genesis.chain_id,
        active_set_at=active_set_at,
        verifier=Ed25519Verifier(),
        disprove=functools.partial(disprove, genesis),
    )
    return tuple([verify(raw) for raw in items])


def disproof_by_execution(genesis: Genesis, state: LedgerState, item: Executable) -> bytes | None:
    """Return what shows anybody that a sealed block was executed wrongly, None if nothing can."""
    proof = proof_by_execution(
        genesis,
        state,
        item.parent,
        item.block.header,
        ballots=item.block.parent_ballots,
        transactions=item.stored.transactions,
    )
    return None if proof is None else encode_proof_of_sealed(proof)


def disproof_over_rings(
    genesis: Genesis,
    state: LedgerState,
    item: Executable,
    index: int,
    closed_bins: Sequence[FollowedBin],
    rings: Mapping[int, ClosedBin],
) -> bytes | None:
    """Return what shows anybody that a payment in a sealed block is false, None if nothing can.

    `closed_bins` are those of the state in their order; `rings` hold those of them that the block
    spends from.
    """
    raws = item.stored.transactions
    wanted = bins_read(raws[index : index + 1], genesis)
    proof = proof_over_rings(
        genesis,
        state,
        item.parent,
        item.block.header,
        raw=raws[index],
        inclusion_proof=prove_inclusion(list(raws), index),
        closed_bins=[ListedBin(row.bin_id, row.notes, row.digest) for row in closed_bins],
        rings=[rings[bin_id] for bin_id in wanted & rings.keys()],
    )
    return None if proof is None else encode_proof_of_sealed(proof)


class Executor:
    """Keeps the regulator's own state of the ledger."""

    def __init__(
        self,
        genesis: Genesis,
        ledger: LedgerClient,
        database: RegulatorDatabase,
        follower: Follower,
        desk: AccusationDesk,
        raise_alarm: RaiseAlarm,
        now_ms: Callable[[], TimeMs],
    ) -> None:
        self._genesis = genesis
        self._ledger = ledger
        self._database = database
        self._follower = follower
        self._desk = desk
        self._raise_alarm = raise_alarm
        self._now_ms = now_ms
        self._verifier = SealVerifier(genesis)
        self._state = genesis_state(genesis)
        self._lost_at: Height | None = None
        """The block after which the state is not known, until it is found again."""

    @property
    def height(self) -> Height:
        """Of the last block that was executed."""
        return self._state.height

    def has_reached(self, height: Height) -> bool:
        """Whether nothing is gained by waiting before a block of this height is executed."""
        return self._lost_at is not None or self.height >= height - 1

    async def load(self) -> None:
        """Take up at the highest state that is kept."""
        kept = await self._database.kept_state()
        if kept is not None:
            self._state = LedgerState.decode(kept)

    async def run(self) -> None:
        """Execute what was followed, without end."""
        while True:
            await self._guarded(self._go_on)
            await asyncio.sleep(LOOK_S)

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        bank = self._ledger.preferred_endpoint
        try:
            await work()
        except VerificationError as error:
            logger.warning(
                "a bank shows other blocks to execute",
                extra={"shown_by": bank.bank, "detail": str(error)},
            )
            if self._ledger.preferred_endpoint == bank:
                self._ledger.prefer_next_endpoint()
        except ClientError as error:
            logger.info("no bank shows blocks to execute", extra={"detail": str(error)})

    async def _go_on(self) -> None:
        if self._lost_at is not None:
            await self._find_state(self._lost_at)
        if self._lost_at is not None or self.height >= self._follower.tip.height:
            return
        stream = self._ledger.stream_blocks(Height(self.height + 1), include_transactions=True)
        async with aclosing(stream):
            async for stored in stream:
                await self.take(stored)
                if self._lost_at is not None or self.height >= self._follower.tip.height:
                    return

    async def take(self, stored: PublishedBlock) -> None:
        """Execute the next block, which was followed; raises `VerificationError`."""
        followed = await self._database.block(Height(self.height + 1))
        item = await self._executable(followed, stored)
        try:
            transition = await self._execute(self._state, item)
        except Rejection as rejection:
            await self._tell_outcome(item, rejection)
            self._lost_at = followed.height
            return
        spends = [spent.nullifier for spent in transition.nullifiers]
        if await self._spends_again(item, spends):
            # A restart goes on behind this block, and does not tell it once more.
            await self._database.keep_state(followed.height, transition.state.encode())
        if followed.drawn or self.height % KEPT_EVERY == 0:
            await self._database.keep_state(self.height, self._state.encode())
        self._state = transition.state

    async def _executable(self, followed: FollowedBlock, stored: PublishedBlock) -> Executable:
        block = require_sealed(followed, stored)
        parent = Header.decode((await self._database.block(Height(block.height - 1))).header)
        return Executable(parent, block, stored, self._follower.voting_record_in(block.height))

    async def _execute(self, state: LedgerState, item: Executable) -> Transition:
        sets = self._follower.active_set_at
        return await asyncio.to_thread(execute_again, self._genesis, sets, state, item)

    async def state_before(self, height: Height) -> LedgerState | None:
        """Return the state that a followed block is executed on.

        None if it cannot be derived, because a block since the last known state was executed
        wrongly. Raises `ClientError` if the banks do not show the blocks since then.
        """
        if self.height == height - 1:
            return self._state
        kept = await self._database.kept_state(Height(height - 1))
        state = genesis_state(self._genesis) if kept is None else LedgerState.decode(kept)
        if state.height == height - 1:
            return state
        stream = self._ledger.stream_blocks(Height(state.height + 1), include_transactions=True)
        async with aclosing(stream):
            async for stored in stream:
                followed = await self._database.block(Height(state.height + 1))
                item = await self._executable(followed, stored)
                try:
                    state = (await self._execute(state, item)).state
                except Rejection:
                    return None
                if state.height == height - 1:
                    return state
        raise VerificationError(f"the blocks end before {height}")

    async def release(self, block: FollowedBlock) -> None:
        """A drawn block was verified: the state before it is kept no longer."""
        if block.drawn and (block.height - 1) % KEPT_EVERY:
            await self._database.forget_state(Height(block.height - 1))

    # What is sealed and wrong

    async def _tell_outcome(self, item: Executable, rejection: Rejection) -> None:
        proof = await asyncio.to_thread(disproof_by_execution, self._genesis, self._state, item)
        text = f"execution does not lead there: {rejection}"
        await self._accuse("executed-wrongly", text, item, proof)

    async def _spends_again(self, item: Executable, nullifiers: Sequence[bytes]) -> bool:
        """Whether a block spends what an earlier one had spent: the first such note is told."""
        height = item.block.height
        spent = await self._database.spend(height, nullifiers)
        for nullifier in nullifiers:
            if nullifier in spent:
                earlier = spent[nullifier]
                text = f"it spends a note that block {earlier} had spent: {nullifier.hex()[:16]}"
                proof = await self._disproof_of_spend(item, nullifier, earlier)
                await self._accuse("spent-twice", text, item, proof)
                return True
        return False

    async def _disproof_of_spend(
        self, item: Executable, nullifier: bytes, earlier: Height
    ) -> bytes | None:
        height = item.block.height
        if height - earlier > MAX_ANCESTORS:
            return None
        stored = await self._ledger.block(earlier, include_transactions=True)
        require_sealed(await self._database.block(earlier), stored)
        ancestors = [
            Header.decode((await self._database.block(Height(number))).header)
            for number in range(height - 1, earlier - 1, -1)
        ]
        return prove_spent_before(
            item.block.header,
            item.stored.transactions,
            self._spender(item.stored, nullifier),
            ancestors,
            stored.transactions,
            self._spender(stored, nullifier),
        )

    def _spender(self, stored: PublishedBlock, nullifier: bytes) -> int:
        for index, raw in enumerate(stored.transactions):
            spends = decode(raw, self._genesis).inputs
            if nullifier in [spend.nullifier for spend in spends]:
                return index
        raise AssertionError("the block spends what was noted of it")

    async def _accuse(self, kind: str, why: str, item: Executable, proof: bytes | None) -> None:
        header = item.block.header
        evidence_id = None
        if proof is not None:
            evidence_id = await self._desk.accuse(header, item.stored.certificate, proof)
        shown = f"evidence {evidence_id.hex()}" if evidence_id else "no evidence can show it"
        await self._raise_alarm(
            Alarm(
                kind=kind,
                text=f"block {header.height} was sealed although {why}; {shown}",
                bank=None,
                height=header.height,
                proof=carried_by_alarm(proof),
                time_ms=self._now_ms(),
            )
        )

    async def _find_state(self, lost_at: Height) -> None:
        """Go on from the state that a later header seals; raises `ClientError`."""
        header, state = self._verifier.verify_state(await self._ledger.sealed_state())
        if not lost_at <= header.height <= self._follower.tip.height:
            return
        if (await self._database.block(header.height)).header != header.encode():
            raise VerificationError("the sealed state is of another block than was followed")
        await self._database.keep_state(state.height, state.encode())
        self._state, self._lost_at = state, None
        logger.warning(
            "execution goes on from a sealed state",
            extra={"lost_at": lost_at, "height": state.height},
        )


def carried_by_alarm(proof: bytes | None) -> bytes | None:
    """Return the proof if an alarm has room for it."""
    return proof if proof is not None and len(proof) <= MAX_ALARM_PROOF_BYTES else None
