"""Byzantine banks that act as one: they share what they hear, their keys and one scheme a height.

Up to seven of twelve must not be able to fork the chain, whatever they do (BFT-12 section 1), so
the coalition is given more than its members could have: it hears in one place what any of them
heard, and signs for all of them at once. What it cannot do is sign for a correct bank.

Every member's production core runs on inside its bank. As long as a scheme is under way it is
kept in the dark: it does not see the certificates that the scheme hides, and so it proposes,
votes and gives up views like a bank that never heard of them.
"""

from __future__ import annotations

from collections.abc import Collection
from random import Random

from node.consensus.core import Consensus
from node.consensus.effects import Broadcast, BuildBlock, Effect, Send
from node.consensus.events import BlockBuilt, Event, MessageReceived, TimerFired, TimerKind
from node.consensus.messages import Message, QuorumCertificate, Seal
from node.consensus.signatures import BallotSigner, Signer
from node.consensus.statements import Proposal, Timeout
from node.ledger.blocks import Block
from node.ledger.types import BankIndex, Height
from node.simulation.byzantine.schemes import Orders, Scheme
from node.simulation.byzantine.style import (
    ByzantineConsensus,
    Situation,
    Style,
    message_of,
    to_each,
)

REMEMBERED_HEIGHTS = 3
"""Schemes of so many heights are pursued at once: banks that are a height behind the top are the
easiest prey."""


class Coalition:
    """The shared mind. `join` makes members; each member's host knows nothing of the others."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.signers: dict[BankIndex, Signer] = {}
        self.ballot_signers: dict[BankIndex, BallotSigner] = {}
        self._schemes: dict[Height, Scheme] = {}
        self._outbox: dict[BankIndex, list[Effect]] = {}
        self._inbox: dict[BankIndex, list[Event]] = {}

    def join(
        self, bank: BankIndex, consensus: Consensus, signer: Signer, ballot_signer: BallotSigner
    ) -> ByzantineConsensus:
        """Return the core of a member; a bank that restarts joins again."""
        self.signers[bank] = signer
        self.ballot_signers[bank] = ballot_signer
        self._inbox[bank] = []
        return ByzantineConsensus(
            lambda situation: Colluder(situation, self),
            consensus,
            signer,
            ballot_signer,
            self.chance,
        )

    def scheme_at(self, situation: Situation) -> Scheme:
        """Return the scheme of the height that this member decides."""
        scheme = self._schemes.get(situation.height)
        if scheme is None:
            scheme = Scheme(
                situation.context,
                situation.active_set,
                self.signers,
                self.ballot_signers,
                self.chance,
            )
            self._schemes[situation.height] = scheme
            for old in sorted(self._schemes)[:-REMEMBERED_HEIGHTS]:
                del self._schemes[old]
        return scheme

    def known_scheme(self, height: Height) -> Scheme | None:
        """Return the scheme of a height, if any member ever decided that height."""
        return self._schemes.get(height)

    def schemes(self) -> list[Scheme]:
        return list(self._schemes.values())

    def follow(self, orders: Orders) -> list[Effect]:
        """Hand out orders; return those that any member can carry out, so this one does."""
        for bank, effects in orders.by_member.items():
            self._outbox.setdefault(bank, []).extend(effects)
        for bank in self.signers:
            for message in orders.to_members:
                source = next((peer for peer in self.signers if peer != bank), None)
                if source is not None:
                    self._inbox[bank].append(MessageReceived(source, message))
        return orders.effects

    def take_inbox(self, bank: BankIndex) -> list[Event]:
        events, self._inbox[bank] = self._inbox[bank], []
        return events

    def take_outbox(self, bank: BankIndex) -> list[Effect]:
        return self._outbox.pop(bank, [])


class Colluder(Style):
    """A member of a coalition."""

    def __init__(self, situation: Situation, coalition: Coalition) -> None:
        super().__init__(situation)
        self._coalition = coalition
        self._due: list[Effect] = []
        self._rival: Block | None = None

    def events(self, event: Event) -> list[Event]:
        bank = self.situation.bank
        seen = self._coalition.take_inbox(bank)
        match event:
            case MessageReceived(sender=sender, message=message):
                if self._overhear(sender, message):
                    seen.append(event)
            case TimerFired(kind=TimerKind.RETRY | TimerKind.VIEW):
                scheme = self._coalition.scheme_at(self.situation)
                self._obey(scheme.grow_impatient())
                seen.append(event)
            case BlockBuilt():
                scheme = self._coalition.scheme_at(self.situation)
                if event.height == self.situation.height and scheme.awaits_rival(event.view):
                    self._rival = event.block
                else:
                    seen.append(event)
            case _:
                seen.append(event)
        return seen

    def effects(self, effects: list[Effect]) -> list[Effect]:
        scheme = self._coalition.scheme_at(self.situation)
        changed: list[Effect] = []
        for effect in effects:
            changed += self._altered(scheme, effect)
        if self._rival is not None:
            block, self._rival = self._rival, None
            self._obey(scheme.take_rival(self.situation.bank, block))
        for known in self._coalition.schemes():
            self._obey(known.advance())
        changed += self._due
        self._due = []
        return changed + self._coalition.take_outbox(self.situation.bank)

    @property
    def protected(self) -> Collection[BankIndex]:
        """All members."""
        return self._coalition.signers.keys()

    def _obey(self, orders: Orders) -> None:
        self._due += self._coalition.follow(orders)

    def _overhear(self, sender: BankIndex, message: Message) -> bool:
        """Note what a message gives away; return whether this bank's core may see it."""
        self._coalition.scheme_at(self.situation)
        visible = True
        for scheme in self._coalition.schemes():
            scheme.hear(sender, message)
            visible = visible and scheme.may_be_seen(message)
        return visible

    def _altered(self, scheme: Scheme, effect: Effect) -> list[Effect]:
        message = message_of(effect)
        if isinstance(message, Timeout):
            scheme.hear(self.situation.bank, message)
        if isinstance(message, Proposal | QuorumCertificate | Seal):
            if message.height != scheme.height:
                return [effect]
            if isinstance(message, Proposal) and isinstance(effect, Broadcast):
                return self._plan(scheme, message)
            audience = scheme.audience(message)
            if audience is None:
                return [effect]
            if isinstance(effect, Broadcast):
                return to_each(sorted(audience), message)
            return [effect] if isinstance(effect, Send) and effect.to in audience else []
        return [effect]

    def _plan(self, scheme: Scheme, proposal: Proposal) -> list[Effect]:
        orders = scheme.plan(proposal)
        if scheme.awaits_rival(proposal.view):
            return [BuildBlock(proposal.height, proposal.view)]
        return self._coalition.follow(orders)
