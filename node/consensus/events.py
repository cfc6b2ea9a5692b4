"""What the host tells the core. Every event is a frozen value; the core never asks for anything.

The host delivers events one at a time, and the effects of one event completely before the next
event (BFT-12 section 4, D1).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from node.consensus.messages import Message, SealedBlock
from node.ledger.active_set import ActiveSet
from node.ledger.blocks import Block, Header
from node.ledger.state_records import PunishedOffence
from node.ledger.types import BankIndex, Height, View


class TimerKind(StrEnum):
    """The core's timers; at most one of each kind runs."""

    VIEW = "view"
    """The view has lasted too long (BFT-12 V1)."""
    RETRY = "retry"
    """Send again what may have been lost (BFT-12 section 7)."""
    BATCH = "batch"
    """The leader has waited long enough for more transactions."""
    HEARTBEAT = "heartbeat"
    """Nothing was sealed for so long that an empty block is due."""
    STATUS = "status"
    """Tell two peers where I stand."""
    SYNC = "sync"
    """Catch-up may ask again, or ask another peer."""
    SERVE = "serve"
    """Peers may be served sealed blocks again."""
    FETCH = "fetch"
    """A missing block did not come: ask other signers."""


class WorkKind(StrEnum):
    """Why a block is due although no transaction waits (BFT-12 section 7)."""

    BIN = "bin"
    """A bin is due for closing."""
    HEARTBEAT = "heartbeat"
    """The last sealed block is old."""
    EVIDENCE = "evidence"
    """Evidence waits to be recorded."""


@dataclass(frozen=True, slots=True)
class Approved:
    """The block is valid on its parent."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The block is invalid on its parent, or too far ahead of my clock."""

    reason: str
    """Code of `node.ledger.rejection.Reason`."""
    deterministic: bool
    """Class D: every correct bank says the same. False is class S, the clock (BFT-12 section 8)."""
    transaction_index: int | None = None
    proof: bytes | None = None
    """What convinces anybody without the state that the block is invalid (BFT-12 E5), if there is
    such a proof: `node.ledger.invalidity`."""


@dataclass(frozen=True, slots=True)
class BodyUnusable:
    """This copy of the block says nothing about the block itself.

    Its lists do not hash to the roots of its header, or the transactions it names could not be
    had from anybody in time. Treating such a copy as an invalid block would let whoever relays
    it frame the block's creator; so the copy is dropped and another one is fetched.
    """

    detail: str


Verdict = Approved | Rejected | BodyUnusable


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A message arrived on the authenticated link of `sender`."""

    sender: BankIndex
    message: Message


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer ran out; ignored unless `generation` is the one last set."""

    kind: TimerKind
    generation: int


@dataclass(frozen=True, slots=True)
class TransactionsAvailable:
    """The mempool now holds so many proposable transactions."""

    count: int


@dataclass(frozen=True, slots=True)
class WorkDue:
    """A block is due at the current height."""

    kind: WorkKind


@dataclass(frozen=True, slots=True)
class BlockBuilt:
    """Answer to `BuildBlock`; None if there is nothing to build from."""

    height: Height
    view: View
    block: Block | None


@dataclass(frozen=True, slots=True)
class Validated:
    """Answer to the `Validate` with this ticket."""

    ticket: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class BlockApplied:
    """The block of this height is durable with its seal and all its effects (BFT-12 P7)."""

    height: Height
    header: Header
    active_set: ActiveSet
    """Of the next height."""
    transactions_available: int = 0
    """Proposable transactions left; earlier announcements are void."""
    punished: tuple[PunishedOffence, ...] = ()
    """Evidence keys that this block punished (BFT-12 section 9)."""


@dataclass(frozen=True, slots=True)
class EvidenceExamined:
    """Answer to `ExamineEvidence`: accepted and stored under its key, or refused."""

    item: bytes
    key: PunishedOffence | None
    """None if the item proves nothing, is too old, or its key was punished already."""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class BallotsVerified:
    """Answer to the `VerifyBallots` with this ticket: for each ballot, whether its proof holds."""

    ticket: int
    valid: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class ApplyFailed:
    """The sealed block of the `Apply` with this ticket could not be applied; nothing changed."""

    ticket: int
    failure: Rejected | BodyUnusable


@dataclass(frozen=True, slots=True)
class BlocksLoaded:
    """Answer to `ServeBlocks`: consecutive sealed blocks from the height asked for."""

    to: BankIndex
    blocks: tuple[SealedBlock, ...]


Event = (
    MessageReceived
    | TimerFired
    | TransactionsAvailable
    | WorkDue
    | BlockBuilt
    | Validated
    | BlockApplied
    | ApplyFailed
    | BlocksLoaded
    | EvidenceExamined
    | BallotsVerified
)
