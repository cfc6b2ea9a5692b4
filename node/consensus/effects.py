"""What the core tells the host to do. The list is ordered, and the order is part of its meaning.

The host executes the effects of one event strictly in order. `Persist` completes (database
commit, then the fsynced guard file) before any later effect runs; every other effect may be
started and left running. A crash between two effects is harmless anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from node.consensus.events import TimerKind
from node.consensus.messages import Message, Seal
from node.ledger.active_set import ActiveSet
from node.ledger.blocks import Block
from node.ledger.types import BankIndex, BlockId, Height, View


class AlarmKind(StrEnum):
    """What an operator must look at."""

    CERTIFIED_INVALID = "certified-invalid"
    """q banks approved a block that I find invalid (BFT-12 P5)."""
    SEALED_INVALID = "sealed-invalid"
    """A sealed block is invalid here: this bank has halted (BFT-12 P7)."""
    CONFLICTING_SEAL = "conflicting-seal"
    """A height is sealed twice: more banks are Byzantine than agreement bears (BFT-12 1)."""
    CONFLICTING_STATEMENTS = "conflicting-statements"
    """A bank signed two statements that no correct bank signs (BFT-12 E1-E4)."""
    FALSE_BALLOT = "false-ballot"
    """A bank brought a ballot whose proof does not hold (BFT-12 section 12)."""
    CONFLICTING_BALLOTS = "conflicting-ballots"
    """An unknown bank cast two ballots in one view (BFT-12 E8)."""
    SILENCED = "silenced"
    """The rollback guard is ahead of the database: this bank signs nothing yet (BFT-12 D4)."""


@dataclass(frozen=True, slots=True)
class Persist:
    """Make this record and these blocks durable BEFORE any later effect (BFT-12 D1, D2)."""

    record: bytes
    """Encoded `DurableRecord`; replaces the previous one."""
    height: Height
    view: View
    step: int
    """Counts the statements signed at this height: (height, view, step) only ever grows, which
    is what the rollback guard file stores (BFT-12 D4)."""
    bodies: tuple[Block, ...]
    """Blocks that the statement commits me to; kept, with the transactions they name, until the
    height is applied."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send to one bank; loss is repaired by the core."""

    to: BankIndex
    message: Message


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Send to every other bank of the consortium, active or not; serialise once."""

    message: Message


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Start this timer, replacing a running one of its kind."""

    kind: TimerKind
    generation: int
    delay_ms: int


@dataclass(frozen=True, slots=True)
class CancelTimer:
    """Stop this timer; a firing already under way is ignored by its generation."""

    kind: TimerKind


@dataclass(frozen=True, slots=True)
class BuildBlock:
    """Build a block on the tip with this original view; answer with `BlockBuilt`.

    For a view above 0 the answer is a block, possibly an empty one.
    """

    height: Height
    view: View
    evidence: tuple[bytes, ...] = ()
    """Examined evidence that waits to be recorded; what may not stand in the block is left out."""
    ballots: tuple[bytes, ...] = ()
    """The ballots of my seal of the tip, and REJECT ballots of its view; none at height 1.

    They are the block's `parent_ballots`, sorted by tag (BFT-12 section 17)."""


@dataclass(frozen=True, slots=True)
class Validate:
    """Judge the block on the tip; answer with `Validated` and the same ticket.

    The host first obtains transactions that it lacks, from `source` and then from others, and
    answers `BodyUnusable` when they cannot be had within its own deadline.
    """

    ticket: int
    block: Block
    check_clock: bool
    """Whether a header time ahead of my clock is a reason to reject (BFT-12 section 8)."""
    source: BankIndex


@dataclass(frozen=True, slots=True)
class Apply:
    """Validate again without the clock, execute and store in one database transaction.

    Answer with `BlockApplied`, or `ApplyFailed` with the same ticket. The per-height consensus
    record is deleted in that same transaction (BFT-12 P7).
    """

    ticket: int
    block: Block
    seal: Seal
    source: BankIndex


@dataclass(frozen=True, slots=True)
class ExamineEvidence:
    """Check an evidence item against the ledger and store it; answer with `EvidenceExamined`.

    An accepted item is durable BEFORE the answer, so that a restart does not lose what convicts
    (BFT-12 section 9).
    """

    item: bytes
    source: BankIndex
    """Who sent it; this bank itself for a conflict that it found."""


@dataclass(frozen=True, slots=True)
class VerifyBallots:
    """Check the proofs of ballots; answer with `BallotsVerified` and the same ticket (section 17).

    All ballots are of one context. The host verifies them in one batch, outside the core because
    it takes milliseconds, and may remember verdicts by the ballots' bytes.
    """

    ticket: int
    height: Height
    view: View
    active_set: ActiveSet
    """Of that height: its ring is the one the ballots must be of."""
    ballots: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class KeepBallots:
    """Store two verified ballots with one tag and different messages (BFT-12 E8).

    Who cast them is for the regulator to open; nothing is answered.
    """

    height: Height
    view: View
    first: bytes
    second: bytes


@dataclass(frozen=True, slots=True)
class ServeBlocks:
    """Load sealed blocks from this height on; answer with `BlocksLoaded`.

    At most `MAX_SYNC_BLOCKS` are of use; the core cuts to the byte limit.
    """

    to: BankIndex
    from_height: Height


@dataclass(frozen=True, slots=True)
class Alarm:
    """Tell the operators."""

    kind: AlarmKind
    text: str
    block_id: BlockId | None = None
    bank: BankIndex | None = None


Effect = (
    Persist
    | Send
    | Broadcast
    | SetTimer
    | CancelTimer
    | BuildBlock
    | Validate
    | Apply
    | ExamineEvidence
    | VerifyBallots
    | KeepBallots
    | ServeBlocks
    | Alarm
)
