"""What the core remembers between events. One value, changed only by the rules of this package.

The rules are functions over this state in the modules `intake`, `proposing`, `voting`,
`certifying`, `view_change`, `sealing`, `catch_up` and `pacemaker`; none of them calls another's
rule. A rule that signs goes through `journal`, and what this bank says to itself goes through
`inbox`, so that it is counted only after it was ordered to disk.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from node.consensus.ballots import HeightBallots
from node.consensus.blocks import KnownBlocks
from node.consensus.certificates import QuorumCertificate, Seal, TimeoutCertificate
from node.consensus.effects import Alarm, AlarmKind, Broadcast, Effect, Send
from node.consensus.events import TimerKind, WorkKind
from node.consensus.evidence import StatementLog
from node.consensus.evidence_items import InvalidBlock
from node.consensus.evidence_pool import EvidencePool
from node.consensus.messages import Message, SealedBlock
from node.consensus.parameters import ConsensusParameters
from node.consensus.signatures import BallotSigner, Signer, Verifier
from node.consensus.signing import SigningContext
from node.consensus.statements import Commit, Proposal, SignedStatement, Timeout, Vote
from node.consensus.tables import CommitTable, TimeoutTable, VoteTable
from node.consensus.timers import Timers
from node.ledger.active_set import ActiveSet
from node.ledger.blocks import Header
from node.ledger.state_records import PunishedOffence
from node.ledger.types import NO_VIEW, BankIndex, BlockId, Height, View

PATIENCE = 2
"""For how many RETRY the end of a view waits for the verdict on its proposal (R2, V2)."""


@dataclass(slots=True)
class Work:
    """Why a block is wanted at this height; without any reason everything is silent (section 7)."""

    transactions: int = 0
    """Proposable transactions that wait."""
    due: dict[WorkKind, bool] = field(default_factory=dict)
    activity: bool = False
    """A valid Proposal, Vote, Timeout or certificate of this height was seen."""

    @property
    def waiting(self) -> bool:
        return self.transactions > 0 or bool(self.due) or self.activity


@dataclass(slots=True)
class CatchUp:
    """Who claims to be ahead, whom I asked, and what they sent (BFT-12 section 11)."""

    claims: dict[BankIndex, Height] = field(default_factory=dict)
    """The height each peer last spoke of; a claim, never believed."""
    asked: BankIndex | None = None
    asked_at: Height | None = None
    queue: deque[tuple[SealedBlock, BankIndex]] = field(default_factory=deque)
    """Sealed blocks waiting to be checked in order, with who sent them."""
    buffer: dict[tuple[BankIndex, type[Message]], list[Message]] = field(default_factory=dict)
    """Messages for exactly the next height, the first and the latest of each sender and type."""
    served: dict[BankIndex, list[Height]] = field(default_factory=dict)
    """From where each peer was served since the SERVE timer was set, in rising order."""
    answered: dict[tuple[BankIndex, BlockId], bool] = field(default_factory=dict)
    """Single blocks given to peers since the SERVE timer was set."""
    late: dict[BankIndex, bool] = field(default_factory=dict)
    """Peers of which one late message about the last height was let pass."""


@dataclass(slots=True)
class Fetch:
    """The block that is being asked for, and how often signers were asked."""

    block_id: BlockId | None = None
    round: int = 0


@dataclass(slots=True)
class Presence:
    """Who was heard lately, counted in STATUS periods because the core has no clock."""

    tick: int = 0
    heard_at: dict[BankIndex, int] = field(default_factory=dict)
    refused: dict[BankIndex, int] = field(default_factory=dict)
    """Messages of each peer that failed a check."""
    last_refusal: str = ""
    distrusted: dict[BankIndex, Height] = field(default_factory=dict)
    """Up to which height, for ballots that did not hold (`balloting`)."""
    absent: dict[BankIndex, bool] = field(default_factory=dict)
    """Banks of which nothing came since all were asked (`waiting`)."""
    suspected: dict[BankIndex, bool] = field(default_factory=dict)
    """Banks whose last view ended without a proposal, and from which nothing came since."""


@dataclass(slots=True)
class Stall:
    """What was found out about a view that does not get on (`waiting`)."""

    asked: bool = False
    """Whether all were asked who is there, or were told that the view is given up."""
    heard: dict[BankIndex, bool] = field(default_factory=dict)
    """Who was heard since."""
    place: tuple[int, int, str] | None = None
    """Height, view and what was awaited when RETRY fired last."""
    overdue: tuple[BankIndex, ...] = ()
    """Whose statement was missing then."""


@dataclass(slots=True)
class Prosecution:
    """What was found out about the last heights, as long as their statements are kept."""

    proofs: dict[BlockId, tuple[Header, bytes]] = field(default_factory=dict)
    """Invalid blocks that my host can show to be so (E5)."""
    invalid: dict[BlockId, InvalidBlock] = field(default_factory=dict)
    submitted: dict[PunishedOffence, bool] = field(default_factory=dict)
    """Keys of which this bank made an item itself."""

    forks: dict[BlockId, Height] = field(default_factory=dict)
    """Sealed blocks other than the one applied here, as far as they were reported."""

    def forget_below(self, height: Height) -> None:
        """Drop what is about lower heights."""
        self.proofs = {k: v for k, v in self.proofs.items() if v[0].height >= height}
        self.invalid = {k: v for k, v in self.invalid.items() if v.height >= height}
        self.submitted = {k: v for k, v in self.submitted.items() if k.height >= height}
        self.forks = {k: v for k, v in self.forks.items() if v >= height}


@dataclass(frozen=True, slots=True)
class PastHeight:
    """What late messages about a sealed height are checked against (BFT-12 section 9)."""

    active_set: ActiveSet
    view: View
    """In which this bank was when the height was sealed."""
    block_id: BlockId
    """Of the block that this bank applied."""


class State:
    """The state of one bank. Constructed once; `begin_height` resets what belongs to a height."""

    def __init__(
        self,
        bank: BankIndex,
        banks: tuple[BankIndex, ...],
        chain_id: bytes,
        parameters: ConsensusParameters,
        signer: Signer,
        verifier: Verifier,
        ballot_signer: BallotSigner,
    ) -> None:
        self.bank = bank
        self.peers: tuple[BankIndex, ...] = tuple(peer for peer in banks if peer != bank)
        self.chain_id = chain_id
        self.parameters = parameters
        self.signer = signer
        self.verifier = verifier
        self.ballot_signer = ballot_signer

        self.effects: list[Effect] = []
        self.inbox: deque[SignedStatement] = deque()
        self.timers = Timers(self.emit)
        self.log = StatementLog()
        self.catch_up = CatchUp()
        self.presence = Presence()
        self.evidence = EvidencePool()
        self.prosecution = Prosecution()
        self.past: dict[Height, PastHeight] = {}
        self.alarms: deque[Alarm] = deque(maxlen=16)
        self.halted: str | None = None
        self.silent_through: Height | None = None
        """Rollback guard: nothing is signed at heights up to this one (D4)."""
        self.blocks = KnownBlocks()
        self.proposal: Proposal | None = None
        """The first justified proposal of this view."""
        self.tip_ballots: HeightBallots | None = None
        """Of the height just sealed, as this process saw them."""
        self.next_ballots: HeightBallots | None = None
        """Of the next height, if they are verified ahead of it."""

    def begin_height(self, tip: Header, tip_seal: Seal | None, active_set: ActiveSet) -> None:
        """Reset everything that belongs to a height (BFT-12 P1)."""
        self.tip = tip
        self.tip_seal = tip_seal
        self.active_set = active_set
        self.height = Height(tip.height + 1)
        self.context = SigningContext.of(self.chain_id, active_set, self.height)

        self.work = Work()
        self.ballots = self._ballots_of_height()
        self.next_ballots = None
        self.votes = VoteTable()
        self.commits = CommitTable()
        self.timeouts = TimeoutTable()
        self.blocks.clear()
        self.proposal = None
        self.fetch = Fetch()
        self.highest: QuorumCertificate | None = None
        self.committed: Commit | None = None
        self.timeout: Timeout | None = None
        self.step = 0
        self.durable_blocks: dict[BlockId, bool] = {}
        self.certified_invalid: dict[BlockId, bool] = {}
        self.seal: Seal | None = None
        self.seal_source = self.bank
        self.applying: int | None = None
        self.catch_up.late.clear()
        self.timers.cancel(TimerKind.RETRY)
        self.timers.cancel(TimerKind.FETCH)
        self.timers.set(TimerKind.HEARTBEAT, self.parameters.heartbeat_ms)
        self._takes_part = self.bank in active_set and not self._silenced
        self.enter_view(View(0), None)

    def enter_view(self, view: View, entry: TimeoutCertificate | None) -> None:
        """Reset everything that belongs to a view (BFT-12 P1)."""
        self.blocks.keep_only(self._blocks_of_lasting_interest())
        self.view = view
        self.leader = self.active_set.leader(self.height, view)
        self.leading = self.leader == self.bank
        self.entry = entry
        self.voted: Vote | None = None
        self.proposed: Proposal | None = None
        self.proposal = None
        self.building = False
        self.nothing_to_build = False
        self.batch_elapsed = False
        self.rejected_by_many = False
        """A reject certificate of this view is here and was forwarded."""
        self.patience = PATIENCE
        self.stall = Stall()
        if view > 0 and self.timers.running(TimerKind.RETRY):
            self.timers.set(TimerKind.RETRY, self.parameters.retry_ms)
        self.timers.cancel(TimerKind.VIEW)
        self.timers.cancel(TimerKind.BATCH)

    @property
    def may_sign(self) -> bool:
        """Whether this bank takes part: active, not silenced, not halted."""
        return self._takes_part and self.halted is None

    @property
    def _silenced(self) -> bool:
        return self.silent_through is not None and self.height <= self.silent_through

    @property
    def deciding(self) -> bool:
        """Whether this bank still has something to decide at this height."""
        return self.seal is None and self._takes_part and self.halted is None

    @property
    def timed_out_view(self) -> View:
        return NO_VIEW if self.timeout is None else self.timeout.view

    @property
    def timed_out(self) -> bool:
        """Whether this bank gave up its view; it then signs no Vote or Commit in it (V1)."""
        return self.timed_out_view >= self.view

    @property
    def highest_view(self) -> View:
        """The hqv of this bank: view of its highest quorum certificate, -1 for none."""
        return NO_VIEW if self.highest is None else self.highest.view

    @property
    def has_work(self) -> bool:
        return self.view > 0 or self.work.waiting

    def set_of(self, height: Height) -> ActiveSet | None:
        """Return the active set of this height or of one just sealed, None of any other."""
        if height == self.height:
            return self.active_set
        past = self.past.get(height)
        return None if past is None else past.active_set

    def emit(self, effect: Effect) -> None:
        self.effects.append(effect)

    def send(self, to: BankIndex, message: Message) -> None:
        """Send to a peer; what a bank says to itself goes through `inbox`."""
        if to != self.bank:
            self.effects.append(Send(to, message))

    def broadcast(self, message: Message) -> None:
        self.effects.append(Broadcast(message))

    def alarm(
        self,
        kind: AlarmKind,
        text: str,
        block_id: BlockId | None = None,
        bank: BankIndex | None = None,
    ) -> None:
        alarm = Alarm(kind, text, block_id, bank)
        self.alarms.append(alarm)
        self.effects.append(alarm)

    def refuse(self, sender: BankIndex, why: str) -> None:
        """Count a message that failed a check against the peer that sent it."""
        refused = self.presence.refused
        refused[sender] = refused.get(sender, 0) + 1
        self.presence.last_refusal = f"bank {sender}: {why}"

    def _ballots_of_height(self) -> HeightBallots:
        """Return what was verified ahead, if the active set is the one it was verified for."""
        ahead, place = self.next_ballots, (self.height, self.active_set.set_hash)
        if ahead is not None and (ahead.height, ahead.active_set.set_hash) == place:
            return ahead
        return HeightBallots(self.chain_id, self.height, self.active_set)

    def _blocks_of_lasting_interest(self) -> list[BlockId]:
        """Blocks that peers may ask for or that may come again: what I signed for, what is
        certified, and the last proposal."""
        kept = list(self.durable_blocks)
        if self.proposal is not None:
            kept.append(self.proposal.block.block_id)
        if self.highest is not None:
            kept.append(self.highest.block_id)
        if self.seal is not None:
            kept.append(self.seal.block_id)
        return kept + [seal.block_id for seal in self.ballots.pending.values()]
