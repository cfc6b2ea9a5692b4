"""Following the ledger block by block: everything is verified, nothing is taken from a bank's word.

Of every block: it links to the one before, a quorum of the active set cast the ballots of its
certificate, and its `parent_ballots` are a valid voting record of its parent (BFT-12 17). Each
ballot is verified once: most of a parent's ballots are those of its certificate.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from itertools import combinations

from crypto.ballot import BallotKey, Decision
from crypto.ballot_tally import EMPTY_SUM, add_ciphertexts, count_block
from crypto.errors import ProvingError
from crypto.merkle import merkle_root
from node.client.errors import (
    ActiveSetInvalid,
    ClientError,
    HeaderInvalid,
    RecordsInvalid,
    SealInvalid,
    VerificationError,
)
from node.client.ledger_client import LedgerClient
from node.client.verification import SealVerifier, decode_active_set
from node.ledger.active_set import MINIMUM_BANKS, ActiveSet
from node.ledger.ballots import BallotCertificate, VerifiedBallot, ballot_view, check_approvals
from node.ledger.blocks import Block, Header
from node.ledger.draw import is_drawn
from node.ledger.encoding import MalformedEncoding
from node.ledger.fiscal_year import fiscal_year
from node.ledger.genesis import Genesis
from node.ledger.rejection import Rejection
from node.ledger.state import genesis_header
from node.ledger.types import BankIndex, BlockId, FiscalYear, Height, TimeMs, View
from node.ledger.voting_record import check_voting_record
from node.runtime.draw_seeds import DrawSeeds, NoSeedLeft
from node.storage.regulator.database import RegulatorDatabase
from node.storage.regulator.records import (
    Alarm,
    FollowedBlock,
    FollowedSet,
    RecordedTag,
    VotingRecord,
)
from node.wire.records import PublishedBlock

logger = logging.getLogger(__name__)

RETRY_S = 1.0
REMEMBERED_RECORDS = 256
"""Voting records whose ballots need not be verified again: some 15 kB each."""

RaiseAlarm = Callable[[Alarm], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Verified:
    """A block of which everything that is published about its vote holds."""

    header: Header
    block: Block
    record: tuple[VerifiedBallot, ...]
    """Of the parent."""


class Follower:
    """Keeps the regulator's database at the tip of the ledger."""

    def __init__(
        self,
        genesis: Genesis,
        ledger: LedgerClient,
        database: RegulatorDatabase,
        opener: BallotKey | None,
        draw_seeds: DrawSeeds,
        raise_alarm: RaiseAlarm,
        now_ms: Callable[[], TimeMs],
    ) -> None:
        """`opener` is None where officers hold it: then nobody counts here."""
        self._genesis = genesis
        self._ledger = ledger
        self._database = database
        self._opener = opener
        self._draw_seeds = draw_seeds
        self._raise_alarm = raise_alarm
        self._now_ms = now_ms
        self._verifier = SealVerifier(genesis)
        self._tip = genesis_header(genesis)
        self._sets: list[FollowedSet] = []
        self._active = genesis.active_set([bank.index for bank in genesis.banks])
        self._parent_active = self._active
        self._records: OrderedDict[Height, tuple[VerifiedBallot, ...]] = OrderedDict()
        self.advanced = asyncio.Event()
        """Set whenever a block was taken; whoever waits clears it."""

    @property
    def tip(self) -> Header:
        """The highest header that was verified."""
        return self._tip

    def active_set_at(self, height: Height) -> ActiveSet | None:
        """Return the set that decided a height, or decides the next one; None above that."""
        if height > self._tip.height + 1:
            return None
        covering = [item for item in self._sets if item.from_height <= height]
        return _decoded(covering[-1]) if covering else None

    def voting_record_in(self, height: Height) -> tuple[VerifiedBallot, ...] | None:
        """Return the verified ballots in a block that was taken lately."""
        return self._records.get(height)

    def forget_opener(self) -> None:
        """Go on without the opener's key: officers hold it."""
        self._opener = None

    async def load(self) -> None:
        """Take up where the database ends; a new one begins with the genesis."""
        tip = await self._database.tip()
        if tip is None:
            first = FollowedSet(Height(1), self._active.set_hash, self._active.encode())
            await self._database.follow(self._followed(self._tip), None, first)
        else:
            self._tip = Header.decode(tip.header)
        self._sets = list(await self._database.active_sets())
        self._active = self._set_of(Height(self._tip.height + 1))
        self._parent_active = self._set_of(self._tip.height)

    def _set_of(self, height: Height) -> ActiveSet:
        active = self.active_set_at(Height(max(1, height)))
        assert active is not None, "every height up to the next has its set"
        return active

    async def run(self) -> None:
        """Follow without end; banks that fail are passed over, those that lie get an alarm."""
        while True:
            bank = self._ledger.preferred_endpoint
            try:
                await self._follow()
            except VerificationError as error:
                await self._raise_alarm(
                    Alarm(
                        kind="block-not-sealed",
                        text=f"bank {bank.bank} shows a block that no quorum sealed: {error}",
                        bank=bank.bank,
                        height=Height(self._tip.height + 1),
                        proof=None,
                        time_ms=self._now_ms(),
                    )
                )
                if self._ledger.preferred_endpoint == bank:
                    self._ledger.prefer_next_endpoint()
            except ClientError as error:
                logger.info("no bank answers", extra={"detail": str(error)})
            await asyncio.sleep(RETRY_S)

    async def _follow(self) -> None:
        stream = self._ledger.stream_blocks(Height(self._tip.height + 1), follow=True)
        async with aclosing(stream):
            async for stored in stream:
                await self.take(stored)

    async def take(self, stored: PublishedBlock) -> None:
        """Verify the next block and keep what it says; raises `VerificationError`."""
        verified = await asyncio.to_thread(self._verify, stored)
        header = verified.header
        new_set = await asyncio.to_thread(self._new_set, header)
        record = await asyncio.to_thread(self._voting_record, verified.record)
        await self._database.follow(self._followed(header), record, new_set)
        if new_set is not None:
            self._sets.append(new_set)
        self._parent_active = self._active
        if new_set is not None:
            self._active = _decoded(new_set)
        self._tip = header
        self._records[header.height] = verified.record
        if len(self._records) > REMEMBERED_RECORDS:
            self._records.popitem(last=False)
        self.advanced.set()

    # Verifying

    def _verify(self, stored: PublishedBlock) -> _Verified:
        try:
            header, block = Header.decode(stored.header), Block.decode(stored.block)
        except MalformedEncoding as error:
            raise HeaderInvalid(f"the block does not decode: {error}") from error
        self._check_links(header, block)
        self._check_certificate(header, stored.certificate)
        return _Verified(header, block, self._verified_record(block))

    def _check_links(self, header: Header, block: Block) -> None:
        parent = self._tip
        if header.chain_id != self._genesis.chain_id:
            raise HeaderInvalid("the block is of another chain")
        if (header.height, header.parent_id) != (parent.height + 1, parent.block_id):
            raise HeaderInvalid(f"the block does not follow block {parent.height}")
        if header.time_ms <= parent.time_ms:
            raise HeaderInvalid("the block is not later than the one before it")
        if block.header != header:
            raise RecordsInvalid("the block has another header than the sealed one")
        if header.transaction_count != len(block.transaction_ids):
            raise RecordsInvalid("the block names another number of transactions than its header")
        if merkle_root(block.evidence) != header.evidence_root:
            raise RecordsInvalid("the evidence is not what the header commits to")

    def _check_certificate(self, header: Header, data: bytes) -> None:
        try:
            certificate = BallotCertificate.decode(data)
            if (certificate.height, certificate.block_id) != (header.height, header.block_id):
                raise SealInvalid("the ballot certificate is of another block")
            check_approvals(certificate.ballots, certificate.block_id, self._active.quorum)
        except (MalformedEncoding, Rejection) as error:
            raise SealInvalid(str(error)) from error
        self._verifier.verify_votes(
            certificate.ballots, certificate.height, certificate.view, self._active
        )

    def _verified_record(self, block: Block) -> tuple[VerifiedBallot, ...]:
        raws, parent = block.parent_ballots, self._tip
        try:
            view = ballot_view(raws[0]) if raws else View(0)
            verified = self._verifier.verify_votes(raws, parent.height, view, self._parent_active)
            return check_voting_record(
                raws,
                verified,
                root=block.header.ballots_root,
                parent=parent,
                active_set=self._parent_active,
            )
        except Rejection as rejection:
            raise SealInvalid(f"the voting record does not hold: {rejection}") from rejection

    def _new_set(self, header: Header) -> FollowedSet | None:
        """Return the set that decides from the next height on, if this block changes it.

        The keys are those of the genesis, so the hash alone tells which banks are meant: few leave
        or return at a time, and the nearest sets are tried first. Raises `ActiveSetInvalid`.
        """
        if header.next_set_hash == self._active.set_hash:
            return None
        banks = [bank.index for bank in self._genesis.banks]
        for distance in range(1, len(banks) + 1):
            for changed in combinations(banks, distance):
                members = sorted(set(self._active.banks) ^ set(changed))
                if len(members) < MINIMUM_BANKS:
                    continue
                candidate = self._genesis.active_set(members)
                if candidate.set_hash == header.next_set_hash:
                    following = Height(header.height + 1)
                    return FollowedSet(following, candidate.set_hash, candidate.encode())
        raise ActiveSetInvalid(f"no banks of the genesis make the set after block {header.height}")

    # What is kept

    def year_of(self, header: Header) -> FiscalYear:
        """Return the fiscal year of a header."""
        return fiscal_year(self._genesis.parameters, self._genesis.time_ms, header.time_ms)

    def _followed(self, header: Header) -> FollowedBlock:
        year = self.year_of(header)
        return FollowedBlock(
            height=header.height,
            block_id=header.block_id,
            header=header.encode(),
            fiscal_year=year,
            drawn=header.height > 0 and self._drawn(year, header.block_id),
        )

    def _drawn(self, year: FiscalYear, block_id: BlockId) -> bool:
        try:
            return is_drawn(self._draw_seeds.seed(self._genesis, year), block_id)
        except NoSeedLeft as error:
            logger.error("no draw seed", extra={"year": year, "detail": str(error)})
            return False

    def _voting_record(self, ballots: tuple[VerifiedBallot, ...]) -> VotingRecord | None:
        if not ballots:
            return None
        approvals = [item for item in ballots if item.decision is Decision.APPROVE]
        total = add_ciphertexts(EMPTY_SUM, [item.ciphertext for item in approvals])
        return VotingRecord(
            height=self._tip.height,
            ciphertext_sum=total,
            tags=tuple(
                [RecordedTag(item.tag, item.decision is Decision.APPROVE) for item in ballots]
            ),
            approvers=self._approvers(total),
        )

    def _approvers(self, total: bytes) -> tuple[BankIndex, ...] | None:
        opener = self._opener
        if opener is None:
            return None
        active = self._parent_active
        try:
            positions = count_block(total, opener, active.ballot_ring, active.quorum)
        except ProvingError as error:
            # Verified ballots always add up to keys of the ring: this is a defect, and the counts
            # of the year would be wrong.
            raise RecordsInvalid(f"the ballots of block {self._tip.height}: {error}") from error
        return tuple([active.members[position].bank for position in positions])


def _decoded(followed: FollowedSet) -> ActiveSet:
    return decode_active_set(followed.encoded, followed.set_hash)
