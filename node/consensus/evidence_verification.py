"""Whether an evidence item proves what it says, by its own bytes and the keys of its height.

BFT-12 section 9. Pure: every bank that knows the active set of the height comes to the same
verdict. No correct bank can be convicted: each case below is a pair of statements, or a block,
that no bank signs that follows the protocol and keeps what it signed (D1 to D4). These are no
offences: a timeout repeated with a higher claim, a vote for another block in a later view, a
rejection of a block that is sealed later, any rejection because of the clock, a timeout of a view
before that of a commit.

Whom an E5 by the seal convicts, and when that is sound
--------------------------------------------------------
Such an item (`SealedInvalid`) holds a header that its own bytes show to be invalid, and q ballots
about it with distinct tags: q banks of that height committed to it. It accuses the creator whom the
header names, without that bank's signature, so the ballots must stand for it.

* Ballots cannot be made for another bank, and one bank has one tag in a view: q tags are q banks.
  A ballot that approves is cast with a Commit alone, and a correct bank commits to nothing that it
  did not find valid (P5). So as long as b <= q-1 banks are Byzantine there is no such item at all:
  9 of 12, and thus for the 7 up to which agreement holds. Up to there no correct bank can be
  convicted. It is safe exactly as far as the validity of sealed blocks is.
* What exists in practice is a defect that banks share: they validate wrongly and do everything else
  as they should. Then the creator did propose the block, however many share the defect. Of the
  first view in which q banks approved the block each correct one had a proposal for it signed by
  that view's leader (P3), and since no earlier certificate of it exists, it was a new block, whose
  header names that leader and that view (`justification`). So one bank among q that keeps the rules
  of voting, be its validation right or wrong, is enough for the name to be true.
* With q or more banks that vote against the rules a correct creator could be named falsely. Those
  banks can seal whatever they like, and own the ledger already.

The same ballots stand for the parent that the header names and thereby for its state, which no
single bank's signature does: proofs that carry a state (`node.ledger.execution_proof`,
`node.ledger.ring_proof`) are heard of a sealed header alone.

Every bank judges the item by its bytes and the ring of that height, also one that sealed the block
itself: the verdict is the same for all whose validation is right. A bank that still has the defect
finds nothing wrong, rejects a block with the item in it and refuses the item. While more than n-q
banks do that the item is not recorded; so first the software is put right everywhere, then the item
is handed in, and the evidence window is the time there is for it.

An E7 needs none of this: whoever signed an approval of a block that is shown to be invalid is
convicted by his own signature, whoever created the block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from crypto.ballot import BallotContext, BallotOpening, verify_ballot_opening
from crypto.errors import OpeningInvalid
from node.consensus.certificates import required_ballots
from node.consensus.evidence_items import (
    ApprovedInvalid,
    DoubleBallot,
    DoubleCommit,
    DoubleProposal,
    DoubleVote,
    EvidenceItem,
    InvalidBlock,
    InvalidProposal,
    LockViolation,
    RejectedProposal,
    SealedInvalid,
    SignedHeader,
    decode_item,
)
from node.consensus.signatures import SignatureInvalid, Verifier
from node.consensus.signing import Decision, SigningContext
from node.ledger.active_set import ActiveSet
from node.ledger.ballots import (
    VerifiedBallot,
    ballot_height,
    ballot_message,
    ballot_tag,
    ballot_view,
    check_approvals,
    verify_ballots,
)
from node.ledger.blocks import Header
from node.ledger.encoding import MalformedEncoding
from node.ledger.invalidity import needs_sealed_header
from node.ledger.offences import VerifiedEvidence
from node.ledger.rejection import Reason, Rejection
from node.ledger.types import BankIndex, Height, View

Disprove = Callable[[Header, bytes], Reason]
"""`node.ledger.invalidity.disprove` of a genesis: returns why the block is invalid; raises
`Rejection` if the proof shows nothing."""


class BallotJudge(Protocol):
    """Judges the ballots of one chain; a simulator's oracle may stand for their proofs."""

    def verify(
        self, raws: Sequence[bytes], *, height: Height, view: View, active_set: ActiveSet
    ) -> tuple[VerifiedBallot | Rejection, ...]:
        """Return one verdict per ballot, in order (IDX1 9.6)."""
        ...

    def verify_opening(self, raw: bytes, opening: BallotOpening, active_set: ActiveSet) -> None:
        """Raise `OpeningInvalid` unless a verified ballot is of the bank at `opening.index`."""
        ...


class RingBallotJudge:
    """Judges by the proofs (IDX1 9.6, 9.7)."""

    def __init__(self, chain_id: bytes) -> None:
        self._chain_id = chain_id

    def verify(
        self, raws: Sequence[bytes], *, height: Height, view: View, active_set: ActiveSet
    ) -> tuple[VerifiedBallot | Rejection, ...]:
        return verify_ballots(
            raws, chain_id=self._chain_id, height=height, view=view, active_set=active_set
        )

    def verify_opening(self, raw: bytes, opening: BallotOpening, active_set: ActiveSet) -> None:
        context = BallotContext(self._chain_id, ballot_height(raw), ballot_view(raw))
        verify_ballot_opening(raw, opening, active_set.ballot_ring, context)


def verify_evidence(
    raw: bytes,
    *,
    chain_id: bytes,
    active_set_at: Callable[[Height], ActiveSet | None],
    verifier: Verifier,
    disprove: Disprove,
    ballot_judge: BallotJudge | None = None,
) -> VerifiedEvidence:
    """Check everything about an item that does not read the ledger's state.

    `active_set_at` returns the active set of a height, None for one that is unknown or too old.
    Without a `ballot_judge` ballots are judged by their proofs.
    Raises `Rejection` with `EVIDENCE` if the item is malformed or proves nothing,
    `EVIDENCE_WINDOW` if its height has no known set, `EVIDENCE_INACTIVE` if the accused was not
    active then.
    """
    try:
        item = decode_item(raw)
    except MalformedEncoding as error:
        raise Rejection(Reason.EVIDENCE, str(error)) from error
    active_set = active_set_at(item.height)
    if active_set is None:
        raise Rejection(Reason.EVIDENCE_WINDOW, f"no active set is known of height {item.height}")
    if item.bank not in active_set:
        raise Rejection(
            Reason.EVIDENCE_INACTIVE, f"bank {item.bank} was not active at height {item.height}"
        )
    context = SigningContext.of(chain_id, active_set, item.height)
    judge = ballot_judge or RingBallotJudge(chain_id)
    _Court(context, active_set, verifier, disprove, judge).hear(item)
    return VerifiedEvidence(raw, item.offence, item.bank, item.height, active_set.set_hash)


def is_class_d(reason: str) -> bool:
    """Whether this is a reason code on which all correct banks agree (BFT-12 section 8)."""
    try:
        return Reason(reason).is_deterministic
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class _Court:
    """What the items of one height are judged by."""

    context: SigningContext
    active_set: ActiveSet
    verifier: Verifier
    disprove: Disprove
    ballot_judge: BallotJudge

    def hear(self, item: EvidenceItem) -> None:
        """Raise `Rejection` unless the item proves its offence."""
        match item:
            case DoubleVote():
                self._double_vote(item)
            case DoubleProposal():
                self._double_proposal(item)
            case DoubleCommit():
                self._double_commit(item)
            case LockViolation():
                self._lock_violation(item)
            case InvalidProposal() | RejectedProposal() | SealedInvalid():
                self._invalid_block(item)
            case ApprovedInvalid():
                self._approval(item)
            case DoubleBallot():
                self._double_ballot(item)

    def _double_vote(self, item: DoubleVote) -> None:
        first, second = item.first, item.second
        if (first.block_id, first.decision) == (second.block_id, second.decision):
            raise _proves_nothing("the two votes say the same")
        for answer in (first, second):
            statement = self.context.vote(
                item.view,
                item.bank,
                answer.block_id,
                answer.decision,
                answer.reason,
                answer.transaction_index,
            )
            self._signed(item.bank, statement, answer.signature)

    def _double_proposal(self, item: DoubleProposal) -> None:
        if item.first.header.block_id == item.second.header.block_id:
            raise _proves_nothing("the two proposals are of one block")
        for proposal in (item.first, item.second):
            if proposal.header.height != item.height:
                raise _proves_nothing("a header is of another height")
            self._proposed(item.bank, item.view, proposal)

    def _double_commit(self, item: DoubleCommit) -> None:
        if item.first.block_id == item.second.block_id:
            raise _proves_nothing("the two commits are to one block")
        for commit in (item.first, item.second):
            statement = self.context.commit(item.view, item.bank, commit.block_id)
            self._signed(item.bank, statement, commit.signature)

    def _lock_violation(self, item: LockViolation) -> None:
        if item.timeout_view < item.commit_view:
            raise _proves_nothing("the timeout is of a view before that of the commit")
        if item.highest_view >= item.commit_view:
            raise _proves_nothing("the timeout claims the lock of the commit")
        commit = self.context.commit(item.commit_view, item.bank, item.commit.block_id)
        self._signed(item.bank, commit, item.commit.signature)
        timeout = self.context.timeout(item.timeout_view, item.bank, item.highest_view)
        self._signed(item.bank, timeout, item.timeout_signature)

    def _invalid_block(self, item: InvalidBlock) -> None:
        header = item.header if isinstance(item, SealedInvalid) else item.proposal.header
        if header.proposer not in self.active_set:
            raise _proves_nothing(f"the block's creator, bank {header.proposer}, was not active")
        if isinstance(item, SealedInvalid):
            self._sealed(item)
        else:
            self._proposed(header.proposer, header.original_view, item.proposal)
        if isinstance(item, RejectedProposal):
            self._rejected(item)
            return
        if isinstance(item, InvalidProposal) and needs_sealed_header(item.proof):
            raise _proves_nothing("this shows something of a sealed block alone")
        reason = self.disprove(header, item.proof)
        if not reason.is_deterministic:
            raise _proves_nothing(f"{reason.value} is not a reason that all banks share")

    def _sealed(self, item: SealedInvalid) -> None:
        """A quorum of the ring of this height approved the header, in one view (BFT-12 17)."""
        header = item.header
        if header.chain_id != self.context.chain_id:
            raise _proves_nothing("a header is of another chain")
        if item.view < header.original_view:
            raise _proves_nothing("the block was sealed before the view of its creation")
        try:
            check_approvals(item.ballots, header.block_id, required_ballots(self.active_set))
        except Rejection as rejection:
            raise _proves_nothing(f"the seal does not hold: {rejection.message}") from rejection
        self._ballots_hold(item.ballots, item.view)

    def _ballots_hold(self, raws: Sequence[bytes], view: View) -> None:
        height, active_set = self.context.height, self.active_set
        verdicts = self.ballot_judge.verify(raws, height=height, view=view, active_set=active_set)
        for verdict in verdicts:
            if isinstance(verdict, Rejection):
                raise _proves_nothing(f"a ballot does not verify: {verdict}")

    def _rejected(self, item: RejectedProposal) -> None:
        if len(item.rejections) != self.active_set.quorum:
            raise _proves_nothing(
                f"{len(item.rejections)} rejections where {self.active_set.quorum} are required"
            )
        header = item.proposal.header
        for entry in item.rejections:
            if entry.bank not in self.active_set:
                raise _proves_nothing(f"bank {entry.bank} was not active at this height")
            if not is_class_d(entry.reason):
                raise _proves_nothing(f"{entry.reason} is not a reason that all banks share")
            statement = self.context.vote(
                header.original_view,
                entry.bank,
                header.block_id,
                Decision.REJECT,
                entry.reason,
                entry.transaction_index,
            )
            self._signed(entry.bank, statement, entry.signature)

    def _approval(self, item: ApprovedInvalid) -> None:
        statement = self.context.approval(item.view, item.bank, item.invalid.block_id)
        self._signed(item.bank, statement, item.signature)
        self._invalid_block(item.invalid)

    def _double_ballot(self, item: DoubleBallot) -> None:
        """The proofs tell that one bank cast both, the opening which bank it was."""
        self._ballots_hold((item.first, item.second), item.view)
        if ballot_tag(item.first) != ballot_tag(item.second):
            raise _proves_nothing("the two ballots have different tags")
        if ballot_message(item.first) == ballot_message(item.second):
            raise _proves_nothing("the two ballots say the same")
        try:
            self.ballot_judge.verify_opening(item.first, item.opening, self.active_set)
        except OpeningInvalid as error:
            raise _proves_nothing(f"the opening does not hold: {error}") from error
        opened = self.active_set.banks[item.opening.index]
        if opened != item.bank:
            raise _proves_nothing(f"the ballot is bank {opened}'s")

    def _proposed(self, bank: BankIndex, view: View, proposal: SignedHeader) -> None:
        if proposal.header.chain_id != self.context.chain_id:
            raise _proves_nothing("a header is of another chain")
        statement = self.context.proposal(view, bank, proposal.header.block_id)
        self._signed(bank, statement, proposal.signature)

    def _signed(self, bank: BankIndex, statement: bytes, signature: bytes) -> None:
        try:
            self.verifier.verify(self.active_set.keys[bank], statement, signature)
        except SignatureInvalid as error:
            raise _proves_nothing(f"a signature of bank {bank} does not verify") from error


def _proves_nothing(why: str) -> Rejection:
    return Rejection(Reason.EVIDENCE, why)
