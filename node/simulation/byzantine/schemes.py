"""How a coalition tries to seal two blocks at one height.

A scheme gathers every signature of its height, adds its members' own to whatever serves it, and
makes every certificate that the signatures give, with the production code's own thresholds. Two
plans decide who gets to see what:

- *split*: two blocks in one view, each to its own part of the correct banks (section 13, Lemma 1);
- *hide*: one block is certified, perhaps even sealed, and hardly anybody learns of it; then the
  members give up the view as if they knew nothing, and press for another block in the next one.
  What was hidden is shown to a chosen victim once the other block is certified (Lemma 2).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random

from crypto.ballot import ballot_bytes
from node.consensus import certificates
from node.consensus.certificates import (
    QuorumCertificate,
    RejectCertificate,
    RejectionEntry,
    Seal,
    SignatureEntry,
    TimeoutCertificate,
    TimeoutEntry,
)
from node.consensus.effects import Broadcast, BuildBlock, Effect
from node.consensus.messages import Message, Status, SyncResponse
from node.consensus.signatures import BallotSigner, Signer
from node.consensus.signing import Decision, SigningContext
from node.consensus.statements import Commit, Proposal, Timeout, Vote
from node.ledger.active_set import ActiveSet
from node.ledger.ballots import ballot_tag
from node.ledger.blocks import Block
from node.ledger.rejection import Reason
from node.ledger.types import NO_VIEW, BankIndex, BlockId, Height, View
from node.simulation.byzantine.style import to_each

MAX_BUILDS = 5
"""How often the host is asked for a block that differs from the first."""

Place = tuple[View, BlockId]


@dataclass
class Orders:
    """What the members are to do."""

    effects: list[Effect] = field(default_factory=list)
    """For whichever member is awake."""
    by_member: dict[BankIndex, list[Effect]] = field(default_factory=dict)
    """For the member that signed it."""
    to_members: list[Message] = field(default_factory=list)
    """What every member's own core is shown."""


@dataclass
class Branch:
    """One block in one view, and who is to learn of what."""

    view: View
    block: Block
    proposal_to: frozenset[BankIndex]
    certificate_to: frozenset[BankIndex]
    seal_to: frozenset[BankIndex]
    certificate: QuorumCertificate | None = None
    seal: Seal | None = None

    @property
    def place(self) -> Place:
        return self.view, self.block.block_id

    def audience(self, message: Proposal | QuorumCertificate | Seal) -> frozenset[BankIndex]:
        """Return who may see this message about the branch."""
        match message:
            case Proposal():
                return self.proposal_to
            case QuorumCertificate():
                return self.certificate_to
            case Seal():
                return self.seal_to


class Scheme:
    """One height of the coalition's work."""

    def __init__(
        self,
        context: SigningContext,
        active_set: ActiveSet,
        signers: dict[BankIndex, Signer],
        ballot_signers: dict[BankIndex, BallotSigner],
        chance: Random,
    ) -> None:
        self.height: Height = context.height
        self._context = context
        self._active_set = active_set
        self._signers = signers
        self._ballot_signers = ballot_signers
        self._chance = chance
        self._approvals: dict[Place, dict[BankIndex, bytes]] = {}
        self._commits: dict[Place, dict[BankIndex, bytes]] = {}
        self._ballots: dict[Place, dict[bytes, bytes]] = {}
        """Ballots of commits, by tag."""
        self._timeouts: dict[View, dict[BankIndex, TimeoutEntry]] = {}
        self._certificates: dict[BlockId, QuorumCertificate] = {}
        self._seals: dict[BlockId, Seal] = {}
        self._branches: list[Branch] = []
        self._hidden: dict[BlockId, bool] = {}
        self._held: tuple[Proposal, int] | None = None
        self._pressed: set[View] = set()
        self._led_on: set[View] = set()
        self._patience = len(signers) * chance.randint(2, 8)
        self._victims: frozenset[BankIndex] = frozenset()
        self._released: set[BlockId] = set()
        self._rivals: dict[BlockId, bool] = {}
        """Blocks that a correct leader proposed after a view that was given up for a scheme. It
        shows its certificate to the victim too, so the victim must be told before."""

    @property
    def _members(self) -> list[BankIndex]:
        return [bank for bank in self._signers if bank in self._active_set]

    @property
    def _correct(self) -> list[BankIndex]:
        """The active banks that are no members."""
        return [bank for bank in self._active_set.banks if bank not in self._signers]

    @property
    def _missing(self) -> int:
        """Correct banks whose signatures a quorum needs."""
        quorum = certificates.required_commits(self._active_set)
        return max(0, quorum - len(self._members))

    # What is heard.

    def hear(self, sender: BankIndex, message: Message) -> None:
        """Note every signature of this height that a message carries."""
        match message:
            case Vote() if message.bank == sender and message.height == self.height:
                if message.decision is Decision.APPROVE:
                    self._note(self._approvals, message.view, message.block_id, message)
            case Commit() if message.bank == sender and message.height == self.height:
                self._note(self._commits, message.view, message.block_id, message)
                self._note_ballot((message.view, message.block_id), message.ballot)
            case Timeout() if message.bank == sender and message.height == self.height:
                self._hear_timeout(message)
            case Proposal():
                self._hear_certificate(message.quorum_certificate)
                self._hear_seal(message.parent_seal)
                if message.height == self.height and message.view - 1 in self._pressed:
                    self._rivals[message.block.block_id] = True
            case Status():
                self._hear_certificate(message.quorum_certificate)
            case QuorumCertificate():
                self._hear_certificate(message)
            case Seal():
                self._hear_seal(message)
            case _:
                pass

    def may_be_seen(self, message: Message) -> bool:
        """Whether a member's core may see this: nothing that would tell it what is hidden."""
        match message:
            case Vote() | Commit():
                return message.block_id not in self._hidden
            case QuorumCertificate() | Seal():
                return message.block_id not in self._hidden
            case Proposal():
                attached = (message.quorum_certificate, message.parent_seal)
                return all(item is None or item.block_id not in self._hidden for item in attached)
            case Timeout() | Status():
                certificate = message.quorum_certificate
                return certificate is None or certificate.block_id not in self._hidden
            case SyncResponse():
                return all(item.seal.block_id not in self._hidden for item in message.blocks)
            case _:
                return True

    # What is done.

    def awaits_rival(self, view: View) -> bool:
        """Whether a second block of this view was ordered."""
        return self._held is not None and self._held[0].view == view

    def audience(self, message: Proposal | QuorumCertificate | Seal) -> frozenset[BankIndex] | None:
        """Return who may learn of this from a member's core; None for whoever it likes."""
        if isinstance(message, Proposal) and self.awaits_rival(message.view):
            return frozenset()
        for branch in self._branches:
            if branch.place == (message.view, block_id_of(message)):
                return branch.audience(message)
        return None

    def plan(self, proposal: Proposal) -> Orders:
        """Decide what becomes of a member's proposal."""
        if any(branch.place[0] == proposal.view for branch in self._branches):
            return self._repeat(proposal)
        if self._pressed:
            audience = frozenset(self._correct) - self._victims
            return self._propose(proposal, audience, audience, audience)
        throw = self._chance.random()
        if throw < 0.15 or not self._correct:
            return Orders([Broadcast(proposal)])
        if throw < 0.4 and proposal.quorum_certificate is None:
            self._held = (proposal, 1)
            return Orders()
        return self._hide(proposal)

    def take_rival(self, bank: BankIndex, block: Block) -> Orders:
        """Split the correct banks between the held proposal and this block."""
        if self._held is None:
            return Orders()
        first, builds = self._held
        if block.block_id == first.block.block_id:
            if builds < MAX_BUILDS:
                self._held = (first, builds + 1)
                return Orders([BuildBlock(first.height, first.view)])
            self._held = None
            return self._hide(first)
        self._held = None
        statement = self._context.proposal(first.view, bank, block.block_id)
        second = replace(first, block=block, signature=self._signers[bank].sign(statement))
        left, right = self._halves()
        orders = self._propose(first, left, left, left)
        orders.effects += self._propose(second, right, right, right).effects
        return orders

    def advance(self) -> Orders:
        """Make what the signatures give, and show it to whom it is meant for."""
        orders = Orders()
        for branch in self._branches:
            self._certify(branch, orders)
            self._seal(branch, orders)
        for view in sorted(self._pressed):
            self._lead_on(view, orders)
        self._release(orders)
        return orders

    def grow_impatient(self) -> Orders:
        """A member's timer ran out: repeat, press on, and in the end let the height go on."""
        orders = Orders()
        for branch in self._branches:
            if branch.certificate is not None:
                orders.effects += to_each(sorted(branch.certificate_to), branch.certificate)
            if branch.seal is not None:
                orders.effects += to_each(sorted(branch.seal_to), branch.seal)
            if branch.block.block_id in self._hidden:
                self._press(branch, orders)
            self._pad(branch, orders)
        if self._hidden:
            self._patience -= 1
            if self._patience <= 0:
                self._hidden = {}
                self._pressed = set()
        return orders

    # Plans.

    def _hide(self, proposal: Proposal) -> Orders:
        correct = self._correct
        next_leader = self._active_set.leader(self.height, View(proposal.view + 1))
        others = [bank for bank in correct if bank != next_leader] or correct
        self._victims = frozenset([self._chance.choice(others)])
        candidates = others if self._chance.random() < 0.8 else correct
        throw = self._chance.random()
        if throw < 0.2:
            informed = 0
        elif throw < 0.4:
            informed = 1
        elif throw < 0.8:
            informed = self._missing
        else:
            informed = self._chance.randint(0, len(candidates))
        told = frozenset(self._chance.sample(candidates, min(informed, len(candidates))))
        self._hidden[proposal.block.block_id] = True
        return self._propose(proposal, frozenset(correct), told, frozenset())

    def _halves(self) -> tuple[frozenset[BankIndex], frozenset[BankIndex]]:
        """Part the correct banks in two, both of them big enough for a quorum if there are enough
        banks for that."""
        mixed = self._chance.sample(self._correct, len(self._correct))
        least = min(self._missing, len(mixed) // 2)
        middle = self._chance.randint(least, len(mixed) - least)
        return frozenset(mixed[:middle]), frozenset(mixed[middle:])

    def _propose(
        self,
        proposal: Proposal,
        proposal_to: frozenset[BankIndex],
        certificate_to: frozenset[BankIndex],
        seal_to: frozenset[BankIndex],
    ) -> Orders:
        """Open a branch: every member approves and commits at once, in secret."""
        branch = Branch(proposal.view, proposal.block, proposal_to, certificate_to, seal_to)
        self._branches.append(branch)
        view, block_id = branch.place
        approvals = self._approvals.setdefault(branch.place, {})
        commits = self._commits.setdefault(branch.place, {})
        for bank in self._members:
            sign = self._signers[bank].sign
            approvals[bank] = sign(self._context.approval(view, bank, block_id))
            commits[bank] = sign(self._context.commit(view, bank, block_id))
            ballot = self._ballot_signers[bank].sign_ballot(
                self._active_set, self.height, view, block_id, approve=True
            )
            self._note_ballot(branch.place, ballot)
        members = [bank for bank in self._members if bank != proposal.bank]
        return Orders(to_each([*sorted(proposal_to), *members], proposal))

    def _repeat(self, proposal: Proposal) -> Orders:
        orders = Orders()
        for branch in self._branches:
            if branch.place == (proposal.view, proposal.block.block_id):
                orders.effects += to_each(sorted(branch.proposal_to), proposal)
        return orders

    # Steps.

    def _certify(self, branch: Branch, orders: Orders) -> None:
        required = certificates.required_approvals(self._active_set)
        signatures = self._approvals[branch.place]
        if branch.certificate is not None or len(signatures) < required:
            return
        view, block_id = branch.place
        branch.certificate = QuorumCertificate(
            self.height, view, block_id, _entries(signatures, required)
        )
        self._certificates[block_id] = branch.certificate
        orders.effects += to_each(sorted(branch.certificate_to), branch.certificate)
        if block_id in self._hidden:
            if len(branch.certificate_to) < self._missing:
                self._press(branch, orders)
        else:
            orders.to_members.append(branch.certificate)

    def _seal(self, branch: Branch, orders: Orders) -> None:
        required = certificates.required_commits(self._active_set)
        signatures = self._commits[branch.place]
        ballots = self._chosen_ballots(branch.place)
        if branch.seal is not None or len(signatures) < required:
            return
        if len(ballots) < certificates.required_ballots(self._active_set):
            return
        view, block_id = branch.place
        branch.seal = Seal(self.height, view, block_id, _entries(signatures, required), ballots)
        self._seals[block_id] = branch.seal
        orders.effects += to_each(sorted(branch.seal_to), branch.seal)
        if block_id in self._hidden:
            self._press(branch, orders)
        else:
            orders.to_members.append(branch.seal)

    def _pad(self, branch: Branch, orders: Orders) -> None:
        """Where signatures or ballots are too few, repeat one of them: counted, they suffice."""
        if branch.view in self._pressed:
            self._lead_on(branch.view, orders, padding=True)
        required = certificates.required_commits(self._active_set)
        signatures = self._commits[branch.place]
        if branch.seal is not None or not signatures or self._chance.random() < 0.5:
            return
        view, block_id = branch.place
        entries = _entries(signatures, required)
        padded = (entries[0],) * (required - len(entries)) + entries
        ballots = self._chosen_ballots(branch.place)
        repeated = ballots[:1] * (required - len(ballots)) + ballots
        seal = Seal(self.height, view, block_id, padded, repeated)
        orders.effects += to_each(sorted(branch.proposal_to), seal)

    def _press(self, branch: Branch, orders: Orders) -> None:
        """Give up the view as if nobody knew of a certificate, and reject what was approved."""
        if branch.view in self._pressed:
            return
        self._pressed.add(branch.view)
        timeouts = self._timeouts.setdefault(branch.view, {})
        for bank in self._members:
            statement = self._context.timeout(branch.view, bank, NO_VIEW)
            signature = self._signers[bank].sign(statement)
            timeouts[bank] = TimeoutEntry(bank, NO_VIEW, signature)
            timeout = Timeout(bank, self.height, branch.view, NO_VIEW, None, None, signature)
            orders.by_member.setdefault(bank, []).append(Broadcast(timeout))
        if self._chance.random() < 0.6:
            self._reject(branch, orders)

    def _reject(self, branch: Branch, orders: Orders) -> None:
        required = self._active_set.reject_threshold
        members = sorted(self._members)
        if len(members) < required:
            return
        view, block_id = branch.place
        reason = Reason.STATE_ROOT
        entries = []
        for bank in members[:required]:
            statement = self._context.vote(view, bank, block_id, Decision.REJECT, reason, None)
            signature = self._signers[bank].sign(statement)
            entries.append(RejectionEntry(bank, reason, None, signature))
        certificate = RejectCertificate(self.height, view, block_id, tuple(entries))
        orders.effects += to_each(self._correct, certificate)
        orders.to_members.append(certificate)

    def _lead_on(self, view: View, orders: Orders, *, padding: bool = False) -> None:
        """Leave a view by the timeouts of those who know nothing, once they are enough.

        With `padding`, one of them is repeated until it looks as if they were.
        """
        required = certificates.required_timeouts(self._active_set)
        ignorant = {
            bank: entry
            for bank, entry in self._timeouts.get(view, {}).items()
            if entry.highest_view == NO_VIEW
        }
        if view in self._led_on or not ignorant or (len(ignorant) < required and not padding):
            return
        chosen = tuple(ignorant[bank] for bank in sorted(ignorant)[:required])
        if len(chosen) < required:
            chosen = (chosen[0],) * (required - len(chosen)) + chosen
        else:
            self._led_on.add(view)
        certificate = TimeoutCertificate(self.height, view, chosen)
        status = Status(self.height, View(view + 1), certificate, None)
        orders.effects += to_each(self._correct, status)
        orders.to_members.append(status)

    def _release(self, orders: Orders) -> None:
        """Once another block is certified, show the victim what was hidden; and of two sealed
        blocks, show each to a part of those who are still at this height."""
        certified = self._certificates.keys() | self._seals.keys() | self._rivals.keys()
        for branch in self._branches:
            block_id = branch.block.block_id
            rivals = certified - {block_id}
            if not rivals or block_id in self._released:
                continue
            if block_id in self._hidden and self._victims:
                proof = branch.seal or branch.certificate
                if proof is not None:
                    self._released.add(block_id)
                    orders.effects += to_each(sorted(self._victims), proof)
        if len(self._seals) > 1 and not self._released.issuperset(self._seals):
            for seal, part in zip(self._seals.values(), self._halves(), strict=False):
                self._released.add(seal.block_id)
                orders.effects += to_each(sorted(part), seal)

    # Notes.

    def _note(
        self,
        table: dict[Place, dict[BankIndex, bytes]],
        view: View,
        block_id: BlockId,
        statement: Vote | Commit,
    ) -> None:
        table.setdefault((view, block_id), {})[statement.bank] = statement.signature

    def _note_ballot(self, place: Place, ballot: bytes | None) -> None:
        if ballot is not None and len(ballot) == ballot_bytes(self._active_set.size):
            self._ballots.setdefault(place, {})[ballot_tag(ballot)] = ballot

    def _chosen_ballots(self, place: Place) -> tuple[bytes, ...]:
        """Return as many ballots as a seal takes, by tag, or all there are."""
        by_tag = self._ballots.get(place, {})
        required = certificates.required_ballots(self._active_set)
        return tuple([by_tag[tag] for tag in sorted(by_tag)[:required]])

    def _hear_timeout(self, timeout: Timeout) -> None:
        self._hear_certificate(timeout.quorum_certificate)
        timeouts = self._timeouts.setdefault(timeout.view, {})
        known = timeouts.get(timeout.bank)
        if known is None or timeout.highest_view < known.highest_view:
            timeouts[timeout.bank] = TimeoutEntry(
                timeout.bank, timeout.highest_view, timeout.signature
            )

    def _hear_certificate(self, certificate: QuorumCertificate | None) -> None:
        if certificate is not None and certificate.height == self.height:
            self._certificates.setdefault(certificate.block_id, certificate)

    def _hear_seal(self, seal: Seal | None) -> None:
        if seal is not None and seal.height == self.height:
            self._seals.setdefault(seal.block_id, seal)


def block_id_of(message: Proposal | QuorumCertificate | Seal) -> BlockId:
    """Return the block that the message is about."""
    return message.block.block_id if isinstance(message, Proposal) else message.block_id


def _entries(signatures: dict[BankIndex, bytes], required: int) -> tuple[SignatureEntry, ...]:
    banks = sorted(signatures)[:required]
    return tuple(SignatureEntry(bank, signatures[bank]) for bank in banks)
