"""A bank that runs the production core and lies: what every style of misbehaving is made of.

`ByzantineConsensus` stands where a `Consensus` would: between the host and the core. A style
replaces events on their way in and effects on their way out, and signs with the bank's own key.
The core inside stays honest and keeps its own consistent view, so that it follows the chain and
never trips over what its bank told others. There is no IO and no clock in here, and chance is a
generator that the host gives: the same styles run under a simulator's seed and on a real node.

What the bank orders to disk is what its core signed. The lies are not durable; a correct bank's
rules do not bind a Byzantine one (BFT-12 section 4).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

from node.consensus.certificates import QuorumCertificate, Seal, TimeoutCertificate
from node.consensus.core import Consensus
from node.consensus.effects import Apply, Broadcast, BuildBlock, Effect, Send
from node.consensus.events import BlockApplied, Event
from node.consensus.evidence import Conflict
from node.consensus.evidence_items import decode_item
from node.consensus.messages import Evidence, Message
from node.consensus.signatures import BallotSigner, Signer
from node.consensus.signing import Decision, SigningContext
from node.consensus.statements import Commit, Proposal, Timeout, Vote
from node.consensus.status import ConsensusStatus
from node.ledger.active_set import ActiveSet
from node.ledger.blocks import Block, Header
from node.ledger.encoding import MalformedEncoding
from node.ledger.types import NO_VIEW, BankIndex, BlockId, Height, View


class Situation:
    """Where the bank stands, its pen and its dice: all that a style may use."""

    def __init__(
        self,
        bank: BankIndex,
        signer: Signer,
        ballot_signer: BallotSigner,
        chance: random.Random,
        tip: Header,
        active_set: ActiveSet,
    ) -> None:
        self.bank = bank
        self.signer = signer
        self.ballot_signer = ballot_signer
        self.chance = chance
        self.advance(tip, active_set)

    def advance(self, tip: Header, active_set: ActiveSet) -> None:
        """Stand on this block; `active_set` is that of the next height."""
        self.tip = tip
        self.active_set = active_set
        self.height = Height(tip.height + 1)
        self.context = SigningContext.of(tip.chain_id, active_set, self.height)

    @property
    def others(self) -> list[BankIndex]:
        """The other active banks, in increasing index."""
        return [bank for bank in self.active_set.banks if bank != self.bank]

    def some_others(self) -> list[BankIndex]:
        """A random part of the other active banks: not none, and not all while there are two."""
        others = self.others
        if len(others) < 2:
            return others
        return sorted(self.chance.sample(others, self.chance.randint(1, len(others) - 1)))

    def leader(self, view: View) -> BankIndex:
        return self.active_set.leader(self.height, view)

    def propose_instead(self, proposal: Proposal, block: Block) -> Proposal:
        """Return a proposal of the same view with the same attachments for another block."""
        statement = self.context.proposal(proposal.view, self.bank, block.block_id)
        return replace(proposal, block=block, signature=self.signer.sign(statement))

    def ballot(self, view: View, block_id: BlockId, *, approve: bool) -> bytes:
        """Cast a ballot at this height; whoever is not active casts none worth anything."""
        if self.bank not in self.active_set:
            return b""
        return self.ballot_signer.sign_ballot(
            self.active_set, self.height, view, block_id, approve=approve
        )

    def vote(self, view: View, block_id: BlockId, decision: Decision, reason: str = "") -> Vote:
        statement = self.context.vote(view, self.bank, block_id, decision, reason, None)
        signature = self.signer.sign(statement)
        rejects = decision is Decision.REJECT
        ballot = self.ballot(view, block_id, approve=False) if rejects else None
        return Vote(
            self.bank, self.height, view, block_id, decision, reason, None, signature, ballot
        )

    def commit(self, view: View, block_id: BlockId) -> Commit:
        statement = self.context.commit(view, self.bank, block_id)
        ballot = self.ballot(view, block_id, approve=True)
        return Commit(self.bank, self.height, view, block_id, self.signer.sign(statement), ballot)

    def timeout(
        self,
        view: View,
        certificate: QuorumCertificate | None,
        entry: TimeoutCertificate | None = None,
    ) -> Timeout:
        """Give up a view and claim exactly this certificate, whatever the bank really holds."""
        claim = NO_VIEW if certificate is None else certificate.view
        statement = self.context.timeout(view, self.bank, claim)
        signature = self.signer.sign(statement)
        return Timeout(self.bank, self.height, view, claim, certificate, entry, signature)


class Style:
    """A way to misbehave. The base behaves; a style overrides what it does otherwise."""

    def __init__(self, situation: Situation) -> None:
        self.situation = situation

    def events(self, event: Event) -> list[Event]:
        """Return what the core is given instead of this event, in order."""
        return [event]

    def effects(self, effects: list[Effect]) -> list[Effect]:
        """Return what the host is given instead of these effects, in order.

        Called once for every event, also when the core has nothing to say.
        """
        return effects

    @property
    def protected(self) -> Collection[BankIndex]:
        """Whom this bank does not accuse, whatever its core finds out: itself at least."""
        return (self.situation.bank,)


class ByzantineConsensus:
    """A `Consensus` seen through a style, with the same interface."""

    def __init__(
        self,
        make_style: Callable[[Situation], Style],
        consensus: Consensus,
        signer: Signer,
        ballot_signer: BallotSigner,
        chance: random.Random,
    ) -> None:
        self._make_style = make_style
        self._consensus = consensus
        self._signer = signer
        self._ballot_signer = ballot_signer
        self._chance = chance
        self._style: Style | None = None
        self._seals: dict[Height, Seal] = {}
        """Of the last blocks: an order to build, if it is a style's, lacks their ballots."""

    def restart(
        self,
        record: bytes | None,
        *,
        tip: Header,
        tip_seal: Seal | None,
        active_set: ActiveSet,
        blocks: Sequence[Block] = (),
        transactions_available: int = 0,
        silent_through: Height | None = None,
        evidence: Sequence[bytes] = (),
    ) -> list[Effect]:
        """As `Consensus.restart`; the style starts from nothing."""
        self._seals = {} if tip_seal is None else {tip_seal.height: tip_seal}
        effects = self._consensus.restart(
            record,
            tip=tip,
            tip_seal=tip_seal,
            active_set=active_set,
            blocks=blocks,
            transactions_available=transactions_available,
            silent_through=silent_through,
            evidence=evidence,
        )
        style = self.take_over(tip, active_set)
        return self._performable(style.effects(effects))

    def take_over(self, tip: Header, active_set: ActiveSet) -> Style:
        """Begin to lie around a core that runs already: on this tip, its next height's set."""
        bank = self._consensus.status().bank
        situation = Situation(
            bank, self._signer, self._ballot_signer, self._chance, tip, active_set
        )
        self._style = self._make_style(situation)
        return self._style

    def handle(self, event: Event) -> list[Effect]:
        """As `Consensus.handle`."""
        style = self._style
        assert style is not None, "restart or take_over comes first"
        effects: list[Effect] = []
        for seen in style.events(event):
            effects += self._consensus.handle(seen)
        for effect in effects:
            if isinstance(effect, Apply):
                self._seals[effect.seal.height] = effect.seal
                self._seals.pop(Height(effect.seal.height - 2), None)
        if isinstance(event, BlockApplied):
            style.situation.advance(event.header, event.active_set)
        return self._performable(style.effects(effects))

    def _performable(self, effects: list[Effect]) -> list[Effect]:
        """Give orders to build what every block needs, and leave out what would harm the bank."""
        style = self._style
        assert style is not None, "restart or take_over comes first"
        performable: list[Effect] = []
        for effect in effects:
            if not isinstance(effect, BuildBlock) or effect.height == 1 or effect.ballots:
                performable.append(effect)
            elif (seal := self._seals.get(Height(effect.height - 1))) is not None:
                performable.append(replace(effect, ballots=seal.ballots))
        return discreet(performable, style.protected)

    def status(self) -> ConsensusStatus:
        return self._consensus.status()

    def conflicts(self) -> tuple[Conflict, ...]:
        return self._consensus.conflicts()


def discreet(effects: list[Effect], protected: Collection[BankIndex]) -> list[Effect]:
    """Leave out evidence against these banks, told to others or put into a block."""
    kept: list[Effect] = []
    for effect in effects:
        message = message_of(effect)
        if isinstance(message, Evidence) and _accuses(message.item, protected):
            continue
        if isinstance(effect, BuildBlock) and effect.evidence:
            others = [item for item in effect.evidence if not _accuses(item, protected)]
            effect = replace(effect, evidence=tuple(others))
        kept.append(effect)
    return kept


def _accuses(item: bytes, banks: Collection[BankIndex]) -> bool:
    try:
        return decode_item(item).bank in banks
    except MalformedEncoding:
        return False


def to_each(banks: Iterable[BankIndex], message: Message) -> list[Effect]:
    """Send a message to these banks."""
    return [Send(bank, message) for bank in banks]


def message_of(effect: Effect) -> Message | None:
    """Return the message that leaves by this effect, if one does."""
    return effect.message if isinstance(effect, Send | Broadcast) else None
