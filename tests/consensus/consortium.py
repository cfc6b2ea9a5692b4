"""Statements and certificates of any bank, and a desk at which one core is played against them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from node.consensus.certificates import (
    QuorumCertificate,
    RejectCertificate,
    RejectionEntry,
    Seal,
    SignatureEntry,
    TimeoutCertificate,
    TimeoutEntry,
)
from node.consensus.core import Consensus
from node.consensus.effects import (
    Apply,
    Broadcast,
    BuildBlock,
    Effect,
    Persist,
    Send,
    SetTimer,
    Validate,
    VerifyBallots,
)
from node.consensus.events import (
    Approved,
    BallotsVerified,
    BlockApplied,
    BlockBuilt,
    Event,
    MessageReceived,
    TimerFired,
    TimerKind,
    Validated,
    Verdict,
)
from node.consensus.evidence_verification import BallotJudge
from node.consensus.messages import (
    Commit,
    Decision,
    Message,
    Proposal,
    SignedStatement,
    Timeout,
    Vote,
)
from node.consensus.parameters import ConsensusParameters
from node.consensus.record import DurableRecord
from node.consensus.signatures import BallotSigner
from node.consensus.signing import SigningContext
from node.ledger.active_set import ActiveSet
from node.ledger.ballots import VerifiedBallot, ballot_tag
from node.ledger.blocks import Block, Header
from node.ledger.types import NO_VIEW, BankIndex, Height, View
from node.simulation.ballot_oracle import BallotOracle, ballot_signer_of
from tests.consensus import toy_ledger
from tests.consensus.oracle import OracleSigner, OracleVerifier, public_key

E = TypeVar("E", bound=Effect)


class Consortium:
    """All keys of a consortium: says whatever a test wants any bank to say."""

    def __init__(self, bank_count: int = 12, *, height: int = 1) -> None:
        self.banks = tuple(BankIndex(index) for index in range(bank_count))
        self.active_set: ActiveSet = toy_ledger.active_set_of(
            {bank: public_key(bank) for bank in self.banks}
        )
        self.genesis = toy_ledger.genesis_header(self.active_set)
        self.height = Height(height)
        self.verifier = OracleVerifier()
        self.ballot_judge: BallotJudge = BallotOracle(toy_ledger.CHAIN_ID)

    @property
    def quorum(self) -> int:
        return self.active_set.quorum

    @property
    def context(self) -> SigningContext:
        return SigningContext.of(toy_ledger.CHAIN_ID, self.active_set, self.height)

    def leader(self, view: int = 0) -> BankIndex:
        return self.active_set.leader(self.height, View(view))

    def block(self, view: int = 0, *, ids: Sequence[int] = (), invalid: bool = False) -> Block:
        """A new block on genesis by the leader of the view; distinct for distinct ids."""
        numbers = [toy_ledger.transaction_id(number) for number in ids]
        if invalid:
            numbers.append(toy_ledger.transaction_id(0, invalid=True))
        return toy_ledger.build(
            self.genesis, view=view, proposer=self.leader(view), ids=tuple(numbers)
        )

    def proposal(
        self,
        block: Block,
        view: int = 0,
        *,
        bank: int | None = None,
        timeouts: TimeoutCertificate | None = None,
        quorum: QuorumCertificate | None = None,
        parent_seal: Seal | None = None,
    ) -> Proposal:
        who = self.leader(view) if bank is None else BankIndex(bank)
        statement = self.context.proposal(View(view), who, block.block_id)
        return Proposal(
            who,
            self.height,
            View(view),
            block,
            timeouts,
            quorum,
            parent_seal,
            self._sign(who, statement),
        )

    def approve(self, bank: int, block: Block, view: int = 0) -> Vote:
        return self._vote(bank, block, view, Decision.APPROVE, "", None)

    def reject(
        self,
        bank: int,
        block: Block,
        view: int = 0,
        *,
        reason: str = "spend",
        index: int | None = 0,
    ) -> Vote:
        return self._vote(bank, block, view, Decision.REJECT, reason, index)

    def commit(self, bank: int, block: Block, view: int = 0) -> Commit:
        who = BankIndex(bank)
        statement = self.context.commit(View(view), who, block.block_id)
        return Commit(
            who,
            self.height,
            View(view),
            block.block_id,
            self._sign(who, statement),
            self.ballot(who, block, view),
        )

    def ballot_signer(self, bank: int) -> BallotSigner:
        """The oracle's signer of a bank: unforgeable, and free of charge."""
        return ballot_signer_of(BankIndex(bank), toy_ledger.CHAIN_ID)

    def ballot(self, bank: int, block: Block, view: int = 0, *, approve: bool = True) -> bytes:
        """The ballot of a bank on a block; distinct banks have distinct tags."""
        signer = self.ballot_signer(bank)
        return signer.sign_ballot(
            self.active_set, self.height, View(view), block.block_id, approve=approve
        )

    def ballots(
        self, block: Block, view: int = 0, *, banks: Iterable[int] | None = None
    ) -> tuple[bytes, ...]:
        """The APPROVE ballots of q banks, or of these, sorted by tag."""
        cast = [self.ballot(bank, block, view) for bank in self._some(banks, self.quorum)]
        return tuple(sorted(cast, key=ballot_tag))

    def timeout(
        self,
        bank: int,
        view: int = 0,
        *,
        quorum: QuorumCertificate | None = None,
        timeouts: TimeoutCertificate | None = None,
        claim: int | None = None,
    ) -> Timeout:
        who = BankIndex(bank)
        attached = NO_VIEW if quorum is None else quorum.view
        highest_view = View(claim) if claim is not None else attached
        statement = self.context.timeout(View(view), who, highest_view)
        return Timeout(
            who,
            self.height,
            View(view),
            highest_view,
            quorum,
            timeouts,
            self._sign(who, statement),
        )

    def quorum_certificate(
        self, block: Block, view: int = 0, *, banks: Iterable[int] | None = None
    ) -> QuorumCertificate:
        votes = [self.approve(bank, block, view) for bank in self._some(banks, self.quorum)]
        entries = tuple(SignatureEntry(vote.bank, vote.signature) for vote in votes)
        return QuorumCertificate(self.height, View(view), block.block_id, entries)

    def seal(self, block: Block, view: int = 0, *, banks: Iterable[int] | None = None) -> Seal:
        commits = [self.commit(bank, block, view) for bank in self._some(banks, self.quorum)]
        entries = tuple(SignatureEntry(commit.bank, commit.signature) for commit in commits)
        ballots = self.ballots(block, view, banks=banks)
        return Seal(self.height, View(view), block.block_id, entries, ballots)

    def timeout_certificate(
        self, view: int = 0, *, claims: dict[int, int] | None = None, count: int | None = None
    ) -> TimeoutCertificate:
        """Banks 0..q-1 give up the view; `claims` names the hqv of those that hold something."""
        claimed = claims or {}
        timeouts = [
            self.timeout(bank, view, claim=claimed.get(bank, NO_VIEW))
            for bank in self.banks[: count or self.quorum]
        ]
        entries = tuple(TimeoutEntry(t.bank, t.highest_view, t.signature) for t in timeouts)
        return TimeoutCertificate(self.height, View(view), entries)

    def reject_certificate(
        self, block: Block, view: int = 0, *, banks: Iterable[int] | None = None
    ) -> RejectCertificate:
        chosen = self._some(banks, self.active_set.reject_threshold)
        votes = [self.reject(bank, block, view) for bank in chosen]
        entries = tuple(
            RejectionEntry(v.bank, v.reason, v.transaction_index, v.signature) for v in votes
        )
        return RejectCertificate(self.height, View(view), block.block_id, entries)

    def _some(self, banks: Iterable[int] | None, count: int) -> list[int]:
        return list(self.banks[:count]) if banks is None else list(banks)

    def _sign(self, bank: int, statement: bytes) -> bytes:
        return OracleSigner(public_key(bank)).sign(statement)

    def _vote(
        self,
        bank: int,
        block: Block,
        view: int,
        decision: Decision,
        reason: str,
        index: int | None,
    ) -> Vote:
        who = BankIndex(bank)
        statement = self.context.vote(View(view), who, block.block_id, decision, reason, index)
        return Vote(
            bank=who,
            height=self.height,
            view=View(view),
            block_id=block.block_id,
            decision=decision,
            reason=reason,
            transaction_index=index,
            signature=self._sign(who, statement),
            ballot=None
            if decision is Decision.APPROVE
            else self.ballot(who, block, view, approve=False),
        )


class Desk:
    """One core; the test is its host and all its peers. `effects` are those of the last step.

    Ballots are verified as soon as the core asks, unless the test wants to answer itself.
    """

    def __init__(
        self,
        consortium: Consortium,
        bank: int,
        *,
        record: bytes | None = None,
        blocks: Sequence[Block] = (),
        tip: Header | None = None,
        tip_seal: Seal | None = None,
        active_set: ActiveSet | None = None,
        silent_through: int | None = None,
        transactions_available: int = 0,
        evidence: Sequence[bytes] = (),
        verifies_ballots: bool = True,
    ) -> None:
        self.consortium = consortium
        self.verifies_ballots = verifies_ballots
        self.bank = BankIndex(bank)
        self.core = Consensus(
            self.bank,
            consortium.banks,
            toy_ledger.CHAIN_ID,
            ConsensusParameters(),
            OracleSigner(public_key(bank)),
            consortium.verifier,
            consortium.ballot_signer(bank),
        )
        self.effects: list[Effect] = []
        self.timers: dict[TimerKind, SetTimer] = {}
        self._take(
            self.core.restart(
                record,
                tip=tip or consortium.genesis,
                tip_seal=tip_seal,
                active_set=active_set or consortium.active_set,
                blocks=blocks,
                silent_through=None if silent_through is None else Height(silent_through),
                transactions_available=transactions_available,
                evidence=evidence,
            )
        )

    # Events.

    def do(self, event: Event) -> list[Effect]:
        return self._take(self._handle(event))

    def receive(self, *messages: Message, sender: int | None = None) -> list[Effect]:
        """Deliver messages; the sender is the signer, or bank 2 (3) for what proves itself."""
        collected: list[Effect] = []
        other = BankIndex(3 if self.bank == 2 else 2)
        for message in messages:
            source = message.bank if isinstance(message, SignedStatement) else other
            if sender is not None:
                source = BankIndex(sender)
            collected += self._handle(MessageReceived(source, message))
        return self._take(collected)

    def fire(self, kind: TimerKind) -> list[Effect]:
        return self.do(TimerFired(kind, self.timers[kind].generation))

    def judge(self, verdict: Verdict | None = None) -> list[Effect]:
        """Answer the last `Validate`."""
        (question,) = self.all(Validate)
        return self.do(Validated(question.ticket, verdict or Approved()))

    def build(self, block: Block | None) -> list[Effect]:
        """Answer the last `BuildBlock`."""
        (order,) = self.all(BuildBlock)
        return self.do(BlockBuilt(order.height, order.view, block))

    def apply(
        self, order: Apply | None = None, *, transactions_available: int = 0
    ) -> list[Effect]:
        """Answer an `Apply`, by default the one of the last step."""
        if order is None:
            (order,) = self.all(Apply)
        return self.do(
            BlockApplied(
                order.block.height,
                order.block.header,
                self.consortium.active_set,
                transactions_available,
            )
        )

    # What the core did in the last step.

    def all(self, kind: type[E]) -> list[E]:
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def sent(self, to: int | None = None) -> list[Message]:
        """Messages sent to one bank, or to anybody by name."""
        return [e.message for e in self.all(Send) if to is None or e.to == to]

    def broadcast(self) -> list[Message]:
        return [effect.message for effect in self.all(Broadcast)]

    def said(self) -> list[SignedStatement]:
        """Statements of this bank that left in the last step."""
        messages = self.sent() + self.broadcast()
        return [m for m in messages if isinstance(m, SignedStatement) and m.bank == self.bank]

    def persisted(self) -> list[DurableRecord]:
        return [DurableRecord.decode(effect.record) for effect in self.all(Persist)]

    def verify(self, question: VerifyBallots) -> list[Effect]:
        """Answer a `VerifyBallots` as an honest host does."""
        verdicts = self.consortium.ballot_judge.verify(
            question.ballots,
            height=question.height,
            view=question.view,
            active_set=question.active_set,
        )
        valid = tuple([isinstance(verdict, VerifiedBallot) for verdict in verdicts])
        return self.do(BallotsVerified(question.ticket, valid))

    def _handle(self, event: Event) -> list[Effect]:
        effects = self.core.handle(event)
        if self.verifies_ballots:
            for question in [e for e in effects if isinstance(e, VerifyBallots)]:
                effects = effects + self.verify(question)
        return effects

    def _take(self, effects: list[Effect]) -> list[Effect]:
        self.effects = effects
        for effect in effects:
            if isinstance(effect, SetTimer):
                self.timers[effect.kind] = effect
        return effects
