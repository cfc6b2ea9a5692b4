"""A run as a script to read: who said what to whom, and when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from node.consensus.effects import (
    Alarm,
    Apply,
    BuildBlock,
    Effect,
    ExamineEvidence,
    KeepBallots,
    Persist,
    ServeBlocks,
    Validate,
    VerifyBallots,
)
from node.consensus.events import (
    ApplyFailed,
    Approved,
    BallotsVerified,
    BlockApplied,
    BlockBuilt,
    Event,
    EvidenceExamined,
    MessageReceived,
    Rejected,
    TimerFired,
    TransactionsAvailable,
    Validated,
    WorkDue,
)
from node.consensus.evidence_items import decode_item
from node.consensus.messages import (
    BlockRequest,
    BlockResponse,
    Commit,
    Evidence,
    Message,
    Proposal,
    QuorumCertificate,
    RejectCertificate,
    Seal,
    Status,
    SyncRequest,
    SyncResponse,
    Timeout,
    Vote,
)
from node.consensus.record import DurableRecord
from node.ledger.ballots import ballot_tag
from node.ledger.blocks import Block
from node.ledger.encoding import MalformedEncoding
from node.ledger.types import BankIndex, TransactionId
from node.simulation.checker import Checker
from node.simulation.engine import Bank

SHORT_ID = 8


@dataclass(frozen=True, slots=True)
class TraceLine:
    """One thing that happened."""

    at_ms: int
    bank: BankIndex | None
    """None for what happens to all."""
    kind: str
    """`says`, `hears`, `writes`, `host`, `timer`, `power`, `client`, `alarm` or `world`."""
    text: str

    def __str__(self) -> str:
        if self.bank is None:
            return f"{self.at_ms:>7} ------- {self.text}"
        return f"{self.at_ms:>7} bank {self.bank:<2} {self.kind:<6} {self.text}"


class Tracer(Checker):
    """Tells `write` of everything that happens, in order; it never objects to anything."""

    name = "trace"

    def __init__(self, write: Callable[[TraceLine], None]) -> None:
        self._write = write

    def _line(self, bank: Bank, kind: str, text: str) -> None:
        self._write(TraceLine(self.cluster.now_ms, bank.index, kind, text))

    def disturbed(self, text: str) -> None:
        """The world changes."""
        self._write(TraceLine(self.cluster.now_ms, None, "world", text))

    def restarted(self, bank: Bank) -> None:
        """Starts from disk."""
        silent = bank.disk.silent_through()
        guard = "" if silent is None else f", silent through height {silent} (D4)"
        self._line(bank, "power", f"starts from disk at height {bank.height}{guard}")

    def crashed(self, bank: Bank) -> None:
        """Loses power in the midst of what it does."""
        self._line(bank, "power", "loses power between two effects")

    def sent(self, bank: Bank, message: Message, targets: Sequence[BankIndex]) -> None:
        """Speaks."""
        to = f"bank {targets[0]}" if len(targets) == 1 else "all"
        self._line(bank, "says", f"to {to}: {describe(message)}")

    def delivered(self, bank: Bank, event: Event) -> None:
        """Hears, or is told by its host."""
        match event:
            case MessageReceived():
                text = f"from bank {event.sender}: {describe(event.message)}"
                self._line(bank, "hears", text)
            case TimerFired():
                self._line(bank, "timer", f"{event.kind} timer runs out")
            case Validated():
                self._line(bank, "host", f"verdict: {_verdict(event)}")
            case BlockBuilt():
                block = event.block
                what = "nothing" if block is None else describe_block(block)
                self._line(bank, "host", f"built {what}")
            case BlockApplied():
                banks = len(event.active_set.members)
                self._line(
                    bank, "host", f"height {event.height} is on disk; {banks} banks are active"
                )
            case ApplyFailed():
                self._line(bank, "host", f"cannot apply: {event.failure}")
            case EvidenceExamined():
                what = _describe_evidence(event.item)
                verdict = f"refused: {event.detail}" if event.key is None else "accepted and stored"
                self._line(bank, "host", f"evidence {what} {verdict}")
            case BallotsVerified():
                good = sum(event.valid)
                self._line(bank, "host", f"{good} of {len(event.valid)} ballots are good")
            case TransactionsAvailable():
                self._line(bank, "host", f"{event.count} transactions wait")
            case WorkDue():
                self._line(bank, "host", f"a block is due: {event.kind}")
            case _:
                pass

    def performed(self, bank: Bank, effect: Effect) -> None:
        """Has its host do something."""
        match effect:
            case BuildBlock():
                self._line(bank, "host", f"build a block for view {effect.view}")
            case Validate():
                self._line(bank, "host", f"judge {describe_block(effect.block)}")
            case Apply():
                self._line(bank, "host", f"apply {describe_block(effect.block)}")
            case ServeBlocks():
                self._line(bank, "host", f"serve bank {effect.to} from height {effect.from_height}")
            case ExamineEvidence():
                what = _describe_evidence(effect.item)
                self._line(bank, "host", f"examine evidence {what}, from bank {effect.source}")
            case VerifyBallots():
                place = f"h{effect.height} v{effect.view}"
                self._line(bank, "host", f"verify {len(effect.ballots)} ballots of {place}")
            case KeepBallots():
                tag = short(ballot_tag(effect.first))
                self._line(bank, "host", f"keep two ballots with the tag {tag}")
            case Alarm():
                self._line(bank, "alarm", f"{effect.kind}: {effect.text}")
            case _:
                pass

    def persisted(self, bank: Bank, effect: Persist) -> None:
        """Writes before it speaks."""
        record = DurableRecord.decode(effect.record)
        signed = [
            type(item).__name__.lower()
            for item in (record.proposed, record.voted, record.committed, record.timeout)
            if item is not None
        ]
        place = f"height {effect.height} view {effect.view} step {effect.step}"
        self._line(bank, "writes", f"{place}: {', '.join(signed)}, {len(effect.bodies)} blocks")

    def acknowledged(self, bank: Bank, transaction_id: TransactionId) -> None:
        """Tells a client that its transaction is sealed."""
        self._line(bank, "client", f"transaction {short(transaction_id)} is sealed")


def short(identifier: bytes) -> str:
    """Return the first digits of an id."""
    return identifier.hex()[:SHORT_ID]


def describe_block(block: Block) -> str:
    """Return a block in a few words."""
    evidence = f", {len(block.evidence)} evidence" if block.evidence else ""
    ballots = f", {len(block.parent_ballots)} ballots" if block.parent_ballots else ""
    count = len(block.transaction_ids)
    return (
        f"block {short(block.block_id)} of height {block.height} ({count} tx{evidence}{ballots})"
    )


def describe(message: Message) -> str:
    """Return a message in a few words."""
    match message:
        case Proposal():
            again = "" if message.quorum_certificate is None else " again"
            return f"PROPOSAL{again} {_place(message)} {describe_block(message.block)}"
        case Vote():
            reason = f" ({message.reason})" if message.reason else ""
            block = short(message.block_id)
            return f"{message.decision.name} {_place(message)} block {block}{reason}"
        case Commit():
            bare = "" if message.ballot is not None else " without a ballot"
            return f"COMMIT {_place(message)} block {short(message.block_id)}{bare}"
        case Timeout():
            return f"TIMEOUT {_place(message)} claims view {message.highest_view}"
        case QuorumCertificate() | Seal():
            signers = ",".join(str(entry.bank) for entry in message.signatures)
            name = "SEAL" if isinstance(message, Seal) else "CERTIFICATE"
            return f"{name} {_place(message)} block {short(message.block_id)} by {signers}"
        case RejectCertificate():
            return f"REJECTIONS {_place(message)} block {short(message.block_id)}"
        case Status():
            return f"STATUS {_place(message)}"
        case SyncRequest():
            return f"SYNC from height {message.from_height}?"
        case SyncResponse():
            return f"SYNC {len(message.blocks)} blocks, top {message.top}"
        case BlockRequest():
            return f"BLOCK {short(message.block_id)}?"
        case BlockResponse():
            return f"BLOCK {describe_block(message.block)}"
        case Evidence():
            return f"EVIDENCE {_describe_evidence(message.item)}"


def _describe_evidence(raw: bytes) -> str:
    try:
        item = decode_item(raw)
    except MalformedEncoding:
        return f"of {len(raw)} bytes that mean nothing"
    return f"{item.offence.value} of bank {item.bank} at height {item.height}"


def _place(
    message: Proposal
    | Vote
    | Commit
    | Timeout
    | QuorumCertificate
    | Seal
    | RejectCertificate
    | Status,
) -> str:
    return f"h{message.height} v{message.view}"


def _verdict(event: Validated) -> str:
    match event.verdict:
        case Approved():
            return "valid"
        case Rejected(reason=reason):
            return f"invalid ({reason})"
        case unusable:
            return f"unusable ({unusable.detail})"
