"""Banks that answer twice: two votes, or two commits, in one view (BFT-12 E1, E3)."""

from __future__ import annotations

import hashlib

from node.consensus.effects import Broadcast, Effect
from node.consensus.signing import Decision
from node.consensus.statements import Commit, Vote
from node.ledger.rejection import Reason
from node.ledger.types import BlockId
from node.simulation.byzantine.style import Style, message_of, to_each


class DoubleVoter(Style):
    """Approves a block to its leader and rejects it to everybody."""

    def effects(self, effects: list[Effect]) -> list[Effect]:
        changed: list[Effect] = []
        for effect in effects:
            changed.append(effect)
            vote = message_of(effect)
            if isinstance(vote, Vote) and vote.decision is Decision.APPROVE:
                if vote.height != self.situation.height:
                    continue
                changed.append(
                    Broadcast(
                        self.situation.vote(
                            vote.view, vote.block_id, Decision.REJECT, Reason.STATE_ROOT
                        )
                    )
                )
        return changed


class DoubleCommitter(Style):
    """Commits to the certified block, and tells others that it commits to another one."""

    def effects(self, effects: list[Effect]) -> list[Effect]:
        changed: list[Effect] = []
        for effect in effects:
            changed.append(effect)
            commit = message_of(effect)
            if isinstance(commit, Commit) and commit.height == self.situation.height:
                rival = BlockId(hashlib.sha256(b"rival of" + commit.block_id).digest())
                second = self.situation.commit(commit.view, rival)
                changed += to_each(self.situation.some_others(), second)
                changed += to_each([self.situation.leader(commit.view)], second)
        return changed
