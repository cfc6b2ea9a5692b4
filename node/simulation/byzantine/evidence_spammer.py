"""A bank that accuses everybody of everything: forged, empty, malformed and old evidence.

None of it may convict a correct bank, cost the others more than a bounded number of examinations,
or be recorded twice (BFT-12 sections 9 and 12).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import replace

from node.consensus.accusations import pair_of
from node.consensus.effects import Broadcast, Effect
from node.consensus.events import Event, MessageReceived
from node.consensus.evidence_items import (
    DoubleCommit,
    DoubleVote,
    EvidenceItem,
    LockViolation,
    SealedInvalid,
    SignedAnswer,
    SignedBlockId,
    encode_item,
    in_order,
)
from node.consensus.messages import Evidence, Seal
from node.consensus.signing import Decision
from node.consensus.statements import Commit, Proposal, Timeout
from node.ledger.blocks import Header
from node.ledger.types import HASH_BYTES, NO_VIEW, SIGNATURE_BYTES, BlockId, View
from node.simulation.byzantine.style import Situation, Style

REMEMBERED = 16
MAX_NOISE_BYTES = 200


class EvidenceSpammer(Style):
    """Sends a few worthless items for about every third message that it hears."""

    def __init__(self, situation: Situation) -> None:
        super().__init__(situation)
        self._commits: deque[Commit] = deque(maxlen=REMEMBERED)
        self._timeouts: deque[Timeout] = deque(maxlen=REMEMBERED)
        self._heard: deque[bytes] = deque(maxlen=REMEMBERED)
        self._headers: OrderedDict[BlockId, Header] = OrderedDict()
        self._seals: deque[Seal] = deque(maxlen=REMEMBERED)
        self._due: list[Effect] = []

    def events(self, event: Event) -> list[Event]:
        if isinstance(event, MessageReceived):
            match event.message:
                case Commit() as commit:
                    self._commits.append(commit)
                case Timeout() as timeout:
                    self._timeouts.append(timeout)
                case Evidence() as evidence:
                    self._heard.append(evidence.item)
                case Proposal(block=block):
                    self._headers[block.block_id] = block.header
                    if len(self._headers) > REMEMBERED:
                        self._headers.popitem(last=False)
                case Seal() as seal:
                    self._seals.append(seal)
                case _:
                    pass
            if self.situation.chance.random() < 0.3:
                self._due = [Broadcast(Evidence(item)) for item in self._worthless_items()]
        return [event]

    def effects(self, effects: list[Effect]) -> list[Effect]:
        due, self._due = self._due, []
        return [*effects, *due]

    def _worthless_items(self) -> list[bytes]:
        """Return one item of each kind of worthlessness for which there is material."""
        chance = self.situation.chance
        items = [chance.randbytes(chance.randint(1, MAX_NOISE_BYTES)), encode_item(self._forged())]
        items += [encode_item(item) for item in [*self._misread(), *self._sealed()]]
        if self._heard:
            old = chance.choice(self._heard)
            place = chance.randrange(len(old))
            items += [old, old[:place] + bytes([old[place] ^ 1]) + old[place + 1 :]]
        return chance.sample(items, min(2, len(items)))

    def _forged(self) -> EvidenceItem:
        """Accuse some bank of two answers that only this bank signed."""
        situation = self.situation
        victim = situation.chance.choice(situation.others)
        view = View(0)
        answers = []
        for number in range(2):
            block_id = BlockId(bytes([number]) * HASH_BYTES)
            signature = situation.vote(view, block_id, Decision.APPROVE).signature
            answers.append(SignedAnswer(block_id, Decision.APPROVE, "", None, signature))
        return DoubleVote(victim, situation.height, view, *in_order(*answers))

    def _misread(self) -> list[EvidenceItem]:
        """Accuse correct banks by their own true signatures, put where they do not belong."""
        items: list[EvidenceItem] = []
        if self._commits:
            commit = self._commits[-1]
            timeout = self._timeout_of(commit)
            items += [_as_double_commit(commit), _as_lock_violation(commit, timeout)]
        return [item for item in items if item.bank != self.situation.bank]

    def _sealed(self) -> list[EvidenceItem]:
        """Call valid blocks invalid, by their true seals and by seals that are none (E5)."""
        sealed = [(self._headers.get(seal.block_id), seal) for seal in self._seals]
        known = [(header, seal) for header, seal in sealed if header is not None]
        if not known:
            return []
        header, seal = known[-1]
        proof = self.situation.chance.randbytes(MAX_NOISE_BYTES)
        item = SealedInvalid(header, seal.view, seal.ballots, proof)
        victim = self.situation.chance.choice(self.situation.others)
        framed = replace(item, header=replace(header, proposer=victim))
        return [item, framed, replace(item, ballots=(seal.ballots[0],) * len(seal.ballots))]

    def _timeout_of(self, commit: Commit) -> Timeout | None:
        return next(
            (
                timeout
                for timeout in self._timeouts
                if (timeout.bank, timeout.height) == (commit.bank, commit.height)
                and pair_of(commit, timeout) is None
            ),
            None,
        )


def _as_double_commit(commit: Commit) -> EvidenceItem:
    """A commit to one block, and the same signature under another block's name."""
    true = SignedBlockId(commit.block_id, commit.signature)
    false = SignedBlockId(BlockId(bytes(HASH_BYTES)), commit.signature)
    return DoubleCommit(commit.bank, commit.height, commit.view, *in_order(true, false))


def _as_lock_violation(commit: Commit, timeout: Timeout | None) -> EvidenceItem:
    """A commit and an innocent timeout, or one that nobody signed."""
    return LockViolation(
        bank=commit.bank,
        height=commit.height,
        commit_view=commit.view,
        commit=SignedBlockId(commit.block_id, commit.signature),
        timeout_view=commit.view if timeout is None else timeout.view,
        highest_view=NO_VIEW if timeout is None else timeout.highest_view,
        timeout_signature=bytes(SIGNATURE_BYTES) if timeout is None else timeout.signature,
    )
