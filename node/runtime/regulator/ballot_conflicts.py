"""Two ballots under one tag: opened, made into evidence E8, and handed in (BFT-12 9, 17).

A ballot is opened only if nothing identified convicts already: while the banks hold as many double
votes of that height and view as there are conflicting tags, they know who it was.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable, Sequence

from crypto.ballot import BallotContext, BallotKey, collect_ballot
from crypto.ballot_opening import join_opening, open_ballot
from crypto.ballot_proof import CollectedBallot
from crypto.opener_shares import PartialDecryption
from node.client.connection import ClientCredentials, Endpoint
from node.client.errors import ClientError
from node.client.ledger_client import LedgerClient
from node.consensus.evidence_items import DoubleBallot, DoubleVote, decode_item, encode_item
from node.consensus.evidence_verification import verify_evidence
from node.consensus.signatures import Ed25519Verifier
from node.ledger.active_set import ActiveSet
from node.ledger.ballots import VerifiedBallot, ballot_message, ballot_tag, verify_ballots
from node.ledger.encoding import MalformedEncoding
from node.ledger.genesis import Genesis
from node.ledger.invalidity import disprove
from node.ledger.rejection import Rejection
from node.runtime.regulator.follower import Follower
from node.runtime.regulator.handing_in import EvidenceDoor
from node.storage.regulator.database import RegulatorDatabase
from node.storage.regulator.records import HandledConflict
from node.wire.records import BallotConflict

logger = logging.getLogger(__name__)

LOOK_S = 5.0
READ_S = 5.0
"""For one bank's list: an endless one must not keep the regulator from the others."""
LOOKS_FROM_THE_START = 60
"""A rebuilt bank numbers its conflicts anew, so lists are read again from time to time."""
MAX_CLAIMED = 64
"""Of one bank at a time. A bank that claims what does not hold fills its own room alone."""


class ConflictDesk:
    """Looks for conflicting ballots at every bank, and convicts who cast them."""

    def __init__(
        self,
        genesis: Genesis,
        endpoints: Sequence[Endpoint],
        credentials: ClientCredentials,
        database: RegulatorDatabase,
        follower: Follower,
        opener: BallotKey | None,
    ) -> None:
        """`opener` is None where officers hold it: they open by hand."""
        self._genesis = genesis
        self._ledgers = [LedgerClient([endpoint], credentials) for endpoint in endpoints]
        self._door = EvidenceDoor(endpoints, credentials)
        self._database = database
        self._follower = follower
        self._opener = opener
        self._read = [0] * len(self._ledgers)
        self._claimed: list[dict[bytes, BallotConflict]] = [{} for _ in self._ledgers]
        """What each bank shows, by tag, until it is verified: no bank can displace another's."""
        self._proven: dict[bytes, BallotConflict] = {}
        """By tag; opened unless identified votes convict."""
        self._looks = 0

    async def close(self) -> None:
        """Close the connections."""
        for ledger in self._ledgers:
            await ledger.close()
        await self._door.close()

    def forget_opener(self) -> None:
        """Go on without the opener's key: officers hold it."""
        self._opener = None

    async def run(self) -> None:
        """Look at every bank in turn, without end."""
        while True:
            await asyncio.sleep(LOOK_S)
            await self.look()

    async def look(self) -> None:
        """Read what is new at every bank, open what must be, hand in what is not yet."""
        if self._looks % LOOKS_FROM_THE_START == 0:
            self._read = [0] * len(self._ledgers)
        self._looks += 1
        for number, ledger in enumerate(self._ledgers):
            try:
                async with asyncio.timeout(READ_S):
                    await self._read_on(number, ledger)
            except (ClientError, TimeoutError) as error:
                logger.debug("a bank shows no conflicts", extra={"detail": str(error)})
            await self._prove(number)
        for tag, conflict in list(self._proven.items()):
            if self._is_too_old(conflict) or await self._database.conflict_is_handled(tag):
                del self._proven[tag]
            elif self._opener is not None:
                await self._handle(tag, conflict, self._opener)
        for handled in await self._database.conflicts_to_hand_in():
            await self._hand_in(handled)

    async def _read_on(self, number: int, ledger: LedgerClient) -> None:
        """Take what a bank shows; what is above the limit is read once there is room again."""
        claimed = self._claimed[number]
        async for page in ledger.ballot_conflicts(self._read[number]):
            for conflict in page:
                if len(claimed) >= MAX_CLAIMED:
                    return
                self._read[number] = conflict.sequence + 1
                try:
                    tag = ballot_tag(conflict.first)
                except Rejection:
                    continue
                if tag not in self._proven and not self._is_too_old(conflict):
                    claimed.setdefault(tag, conflict)

    def _is_too_old(self, conflict: BallotConflict) -> bool:
        """Whether nobody can be punished for it any more (BFT-12 section 9, EV_WINDOW)."""
        window = self._genesis.parameters.evidence_window
        return conflict.height + window <= self._follower.tip.height

    async def _prove(self, number: int) -> None:
        """Verify what a bank has shown, as far as its heights were followed."""
        claimed = self._claimed[number]
        for tag, conflict in list(claimed.items()):
            active = self._follower.active_set_at(conflict.height)
            if active is None:
                continue
            del claimed[tag]
            if tag in self._proven or await self._database.conflict_is_handled(tag):
                continue
            where = {
                "height": conflict.height,
                "tag": tag.hex(),
                "shown_by": self._ledgers[number].endpoints[0].bank,
            }
            if not await asyncio.to_thread(is_proven, self._genesis, conflict, active):
                logger.warning("a conflict does not hold", extra=where)
                continue
            self._proven[tag] = conflict
            if self._opener is None:
                logger.warning("a conflict waits for the officers", extra=where)

    async def _handle(self, tag: bytes, conflict: BallotConflict, opener: BallotKey) -> None:
        active = self._follower.active_set_at(conflict.height)
        assert active is not None, "it was proven under this set"
        if await self._is_convicted(conflict):
            return
        item = await asyncio.to_thread(make_evidence, self._genesis, conflict, active, opener)
        await keep_evidence(self._database, item, "regulator")
        del self._proven[tag]
        logger.info("double ballot", extra={"height": item.height, "accused": item.bank})

    async def _is_convicted(self, conflict: BallotConflict) -> bool:
        """Whether identified votes of this height and view convict as many banks."""
        here = [
            other
            for other in self._proven.values()
            if (other.height, other.view) == (conflict.height, conflict.view)
        ]
        accused: set[int] = set()
        for ledger in self._ledgers:
            try:
                async for page in ledger.evidence():
                    for item in page:
                        if item.offence_height == conflict.height:
                            accused |= self._double_voter(item.item, conflict)
                break
            except ClientError:
                continue
        return len(accused) >= len(here)

    def _double_voter(self, raw: bytes, conflict: BallotConflict) -> set[int]:
        """Return whom an item convicts of two votes in this view: a bank may show anything."""
        try:
            item = decode_item(raw)
            if not isinstance(item, DoubleVote) or item.view != conflict.view:
                return set()
            verify_evidence(
                raw,
                chain_id=self._genesis.chain_id,
                active_set_at=self._follower.active_set_at,
                verifier=Ed25519Verifier(),
                disprove=functools.partial(disprove, self._genesis),
            )
        except (MalformedEncoding, Rejection):
            return set()
        return {item.bank}

    async def _hand_in(self, handled: HandledConflict) -> None:
        active = self._follower.active_set_at(handled.height)
        assert active is not None, "it was proven under this set"
        if await self._door.hand_in(handled.item, active) is not None:
            await self._database.conflict_handed_in(handled.tag)


def first_of(conflict: BallotConflict) -> bytes:
    """Return the ballot that is opened: the lower of the two."""
    return min(conflict.first, conflict.second)


def is_proven(genesis: Genesis, conflict: BallotConflict, active: ActiveSet) -> bool:
    """Whether both ballots verify, with one tag and two messages."""
    raws = (conflict.first, conflict.second)
    verdicts = verify_ballots(
        raws,
        chain_id=genesis.chain_id,
        height=conflict.height,
        view=conflict.view,
        active_set=active,
    )
    return (
        all(isinstance(verdict, VerifiedBallot) for verdict in verdicts)
        and ballot_tag(raws[0]) == ballot_tag(raws[1])
        and ballot_message(raws[0]) != ballot_message(raws[1])
    )


def collect_first(genesis: Genesis, conflict: BallotConflict, active: ActiveSet) -> CollectedBallot:
    """Return the ballot to open, for the opener or an officer; the pair was proven before."""
    context = BallotContext(genesis.chain_id, conflict.height, conflict.view)
    return collect_ballot(first_of(conflict), active.ballot_ring, context)


def make_evidence(
    genesis: Genesis,
    conflict: BallotConflict,
    active: ActiveSet,
    opener: BallotKey | Sequence[PartialDecryption],
) -> DoubleBallot:
    """Return the E8 of a proven pair; `opener` is the whole key or officers' parts.

    Raises `crypto.errors.ProvingError` for another key, or parts that do not hold.
    """
    first, second = sorted((conflict.first, conflict.second))
    ballot = collect_first(genesis, conflict, active)
    opening = (
        open_ballot(ballot, opener)
        if isinstance(opener, BallotKey)
        else join_opening(ballot, opener)
    )
    bank = active.members[opening.index].bank
    return DoubleBallot(bank, conflict.height, conflict.view, first, second, opening)


async def keep_evidence(database: RegulatorDatabase, item: DoubleBallot, actor: str) -> None:
    """Keep an E8 until a bank has taken it, with the opening's row of the audit log."""
    tag = ballot_tag(item.first)
    handled = HandledConflict(tag, item.height, item.bank, encode_item(item), handed_in=False)
    said = {
        "tag": tag.hex(),
        "reason": "two ballots under one tag",
        "order": "",
        "height": item.height,
        "view": item.view,
        "bank": item.bank,
        "opening": item.opening.encode().hex(),
    }
    await database.add_conflict(handled, said, actor)


async def find_conflict(
    endpoints: Sequence[Endpoint],
    credentials: ClientCredentials,
    tag: bytes,
    holds: Callable[[BallotConflict], bool],
) -> BallotConflict | None:
    """Return the first pair under a tag that some bank shows and that holds; None if none does."""
    for endpoint in endpoints:
        async with LedgerClient([endpoint], credentials) as ledger:
            try:
                async with asyncio.timeout(READ_S):
                    async for page in ledger.ballot_conflicts():
                        for conflict in page:
                            if _has_tag(conflict, tag) and await asyncio.to_thread(holds, conflict):
                                return conflict
            except (ClientError, TimeoutError) as error:
                logger.debug("a bank shows no conflicts", extra={"detail": str(error)})
    return None


def _has_tag(conflict: BallotConflict, tag: bytes) -> bool:
    try:
        return ballot_tag(conflict.first) == tag
    except Rejection:
        return False
