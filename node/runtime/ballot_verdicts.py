"""Proofs of ballots, verified once: for a seal, for the next block's voting record, in catching up.

A ballot comes to a bank several times: with a Commit, in a seal, and among the `parent_ballots` of
the next block (BFT-12 17). Its proof takes milliseconds and is good or bad for certain bytes and
the ring of one active set, so a good verdict is kept by the hash of both. Bad ones are not kept:
whoever makes garbage must not fill the memory, and whoever asks again has a bound of his own.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence

from node.ledger.active_set import ActiveSet
from node.ledger.ballots import VerifiedBallot, verify_ballots, verify_parent_ballots
from node.ledger.blocks import Header
from node.ledger.rejection import Rejection
from node.ledger.types import Height, View

KEPT_BALLOTS = 1_024
"""Of sixty-four heights of sixteen banks, 2 MB: what catching up fetches ahead at most."""

BallotVerdict = VerifiedBallot | Rejection


class BallotVerdicts:
    """Verifies ballots of one chain off the event loop and remembers the good ones."""

    def __init__(self, chain_id: bytes, kept: int = KEPT_BALLOTS) -> None:
        self._chain_id = chain_id
        self._kept = kept
        self._verified: OrderedDict[bytes, VerifiedBallot] = OrderedDict()
        self._turn = asyncio.Lock()
        """One batch at a time: who comes second usually asks for the same ballots."""
        self.judged_ever = 0
        """Ballots whose proofs were checked since the start, good or bad."""

    async def verify(
        self, ballots: Sequence[bytes], *, height: Height, view: View, active_set: ActiveSet
    ) -> tuple[BallotVerdict, ...]:
        """Return one verdict per ballot in order; those not known yet are verified in one batch."""

        def judge(lacking: Sequence[bytes]) -> tuple[BallotVerdict, ...]:
            return verify_ballots(
                lacking, chain_id=self._chain_id, height=height, view=view, active_set=active_set
            )

        # A good ballot asked for in another context is a bad one there (IDX1 9.6).
        return await self._verdicts(
            ballots, active_set, lambda item: (item.height, item.view) == (height, view), judge
        )

    async def verify_about(
        self, ballots: Sequence[bytes], parent: Header, active_set: ActiveSet
    ) -> tuple[BallotVerdict, ...]:
        """Return one verdict per ballot of a block on `parent`, each in the view that it names."""

        def judge(lacking: Sequence[bytes]) -> tuple[BallotVerdict, ...]:
            return verify_parent_ballots(lacking, parent, active_set)

        return await self._verdicts(
            ballots, active_set, lambda item: item.height == parent.height, judge
        )

    async def _verdicts(
        self,
        ballots: Sequence[bytes],
        active_set: ActiveSet,
        serves: Callable[[VerifiedBallot], bool],
        judge: Callable[[Sequence[bytes]], tuple[BallotVerdict, ...]],
    ) -> tuple[BallotVerdict, ...]:
        found = self._known(ballots, active_set, serves)
        if len(found) < len(set(ballots)):
            async with self._turn:
                found = self._known(ballots, active_set, serves)
                lacking = [raw for raw in dict.fromkeys(ballots) if raw not in found]
                if lacking:
                    judged = await asyncio.to_thread(judge, lacking)
                    self._remember(judged, active_set)
                    self.judged_ever += len(lacking)
                    found |= dict(zip(lacking, judged, strict=True))
        return tuple([found[raw] for raw in ballots])

    def _known(
        self,
        ballots: Sequence[bytes],
        active_set: ActiveSet,
        serves: Callable[[VerifiedBallot], bool],
    ) -> dict[bytes, BallotVerdict]:
        verdicts = {raw: self._verified.get(_key(raw, active_set)) for raw in ballots}
        return {raw: item for raw, item in verdicts.items() if item is not None and serves(item)}

    def _remember(self, verdicts: Sequence[BallotVerdict], active_set: ActiveSet) -> None:
        for verdict in verdicts:
            if isinstance(verdict, VerifiedBallot):
                self._verified[_key(verdict.raw, active_set)] = verdict
        while len(self._verified) > self._kept:
            self._verified.popitem(last=False)


def _key(raw: bytes, active_set: ActiveSet) -> bytes:
    # The set's hash has a fixed length, so the concatenation is unambiguous.
    return hashlib.sha256(active_set.set_hash + raw).digest()
