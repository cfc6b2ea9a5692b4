"""Evidence items E1 to E8: what convicts a bank, in one canonical encoding (BFT-12 section 9).

An item is one kind byte and the fields below. It names the accused and holds every signature that
its proof needs, and nothing that was attached to a statement without being signed. A pair stands
in increasing order of its encoded halves and a list in increasing bank index, so that one misdeed
found twice in the same way is the same bytes. The two ballots of an E8 name nobody: the regulator
opens one, and the item carries the opening with its proof. An E5 has two forms: its header is
signed by the accused, or sealed by a quorum.

Decoding checks the form alone. What an item proves is for `node.consensus.evidence_verification`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Generic, TypeVar

from crypto.ballot import BallotOpening
from crypto.ballot_opening import MAX_OPENING_BYTES
from crypto.errors import OpeningInvalid
from node.consensus.certificates import (
    MAX_BANKS,
    RejectionEntry,
    read_highest_view,
    read_place,
    read_reason,
    read_view,
    write_place,
)
from node.consensus.signing import Decision
from node.ledger.ballots import BallotCertificate
from node.ledger.blocks import (
    HEADER_BYTES,
    MAX_BALLOT_BYTES,
    MAX_EVIDENCE_BYTES,
    MAX_PARENT_BALLOTS,
    Header,
)
from node.ledger.encoding import MalformedEncoding, Reader, Writer
from node.ledger.offences import Offence
from node.ledger.state_records import PunishedOffence
from node.ledger.types import HASH_BYTES, SIGNATURE_BYTES, BankIndex, BlockId, Height, View

MAX_PROOF_BYTES = MAX_EVIDENCE_BYTES - 1024
"""Largest proof in an E5: an E7 around it stays within `MAX_EVIDENCE_BYTES`."""
MAX_SEALED_PROOF_BYTES = MAX_PROOF_BYTES - MAX_PARENT_BALLOTS * (4 + MAX_BALLOT_BYTES)
"""The same where the ballots of a seal stand beside it."""


@dataclass(frozen=True, slots=True)
class SignedAnswer:
    """A vote without its signer and place."""

    block_id: BlockId
    decision: Decision
    reason: str
    """Of a rejection; empty for an approval."""
    transaction_index: int | None
    signature: bytes

    def write(self, writer: Writer) -> Writer:
        writer.fixed(self.block_id, HASH_BYTES).u8(self.decision)
        if self.decision is Decision.REJECT:
            writer.text(self.reason).optional(self.transaction_index, Writer.u32)
        return writer.fixed(self.signature, SIGNATURE_BYTES)

    @staticmethod
    def read(reader: Reader) -> SignedAnswer:
        block_id = BlockId(reader.fixed(HASH_BYTES))
        code = reader.u8()
        if code not in (Decision.APPROVE, Decision.REJECT):
            raise MalformedEncoding(f"a decision is 1 or 2, not {code}")
        rejects = code == Decision.REJECT
        return SignedAnswer(
            block_id=block_id,
            decision=Decision(code),
            reason=read_reason(reader) if rejects else "",
            transaction_index=reader.optional(Reader.u32) if rejects else None,
            signature=reader.fixed(SIGNATURE_BYTES),
        )


@dataclass(frozen=True, slots=True)
class SignedHeader:
    """A proposal without its signer, its place and its attachments."""

    header: Header
    signature: bytes

    def write(self, writer: Writer) -> Writer:
        writer.fixed(self.header.encode(), HEADER_BYTES)
        return writer.fixed(self.signature, SIGNATURE_BYTES)

    @staticmethod
    def read(reader: Reader) -> SignedHeader:
        return SignedHeader(Header.read(reader), reader.fixed(SIGNATURE_BYTES))


@dataclass(frozen=True, slots=True)
class SignedBlockId:
    """A commit without its signer and place."""

    block_id: BlockId
    signature: bytes

    def write(self, writer: Writer) -> Writer:
        return writer.fixed(self.block_id, HASH_BYTES).fixed(self.signature, SIGNATURE_BYTES)

    @staticmethod
    def read(reader: Reader) -> SignedBlockId:
        return SignedBlockId(BlockId(reader.fixed(HASH_BYTES)), reader.fixed(SIGNATURE_BYTES))


Half = TypeVar("Half", SignedAnswer, SignedHeader, SignedBlockId)


@dataclass(frozen=True)
class StatementPair(Generic[Half]):
    """Two statements of one kind that one bank signed in one view, in canonical order."""

    bank: BankIndex
    height: Height
    view: View
    first: Half
    second: Half

    def write(self, writer: Writer) -> Writer:
        write_place(writer.u16(self.bank), self.height, self.view)
        return self.second.write(self.first.write(writer))


class DoubleVote(StatementPair[SignedAnswer]):
    """E1: two votes of one bank in one view."""

    offence: ClassVar[Offence] = Offence.DOUBLE_VOTE

    @staticmethod
    def read(reader: Reader) -> DoubleVote:
        return DoubleVote(*_read_pair(reader, SignedAnswer.read))


class DoubleProposal(StatementPair[SignedHeader]):
    """E2: two proposals of one bank in one view."""

    offence: ClassVar[Offence] = Offence.DOUBLE_PROPOSAL

    @staticmethod
    def read(reader: Reader) -> DoubleProposal:
        return DoubleProposal(*_read_pair(reader, SignedHeader.read))


class DoubleCommit(StatementPair[SignedBlockId]):
    """E3: two commits of one bank in one view."""

    offence: ClassVar[Offence] = Offence.DOUBLE_COMMIT

    @staticmethod
    def read(reader: Reader) -> DoubleCommit:
        return DoubleCommit(*_read_pair(reader, SignedBlockId.read))


@dataclass(frozen=True, slots=True)
class LockViolation:
    """E4: a bank committed in a view, and gave up that view or a later one without its lock."""

    bank: BankIndex
    height: Height
    commit_view: View
    commit: SignedBlockId
    timeout_view: View
    highest_view: View
    """What the timeout claimed."""
    timeout_signature: bytes

    @property
    def offence(self) -> Offence:
        return Offence.LOCK_VIOLATION

    def write(self, writer: Writer) -> Writer:
        write_place(writer.u16(self.bank), self.height, self.commit_view)
        self.commit.write(writer)
        return (
            writer.u32(self.timeout_view)
            .i32(self.highest_view)
            .fixed(self.timeout_signature, SIGNATURE_BYTES)
        )

    @staticmethod
    def read(reader: Reader) -> LockViolation:
        bank = BankIndex(reader.u16())
        height, commit_view = read_place(reader)
        return LockViolation(
            bank=bank,
            height=height,
            commit_view=commit_view,
            commit=SignedBlockId.read(reader),
            timeout_view=View(reader.u32()),
            highest_view=read_highest_view(reader),
            timeout_signature=reader.fixed(SIGNATURE_BYTES),
        )


@dataclass(frozen=True, slots=True)
class InvalidProposal:
    """E5: a block that its own bytes and the genesis show to be invalid.

    The accused is the header's creator, for the view in which it created it: whoever proposes the
    block again later is bound by a quorum certificate.
    """

    proposal: SignedHeader
    proof: bytes
    """`node.ledger.invalidity`."""

    @property
    def offence(self) -> Offence:
        return Offence.INVALID_PROPOSAL

    @property
    def bank(self) -> BankIndex:
        return self.proposal.header.proposer

    @property
    def height(self) -> Height:
        return self.proposal.header.height

    @property
    def block_id(self) -> BlockId:
        return self.proposal.header.block_id

    def write(self, writer: Writer) -> Writer:
        return self.proposal.write(writer).blob(self.proof)

    @staticmethod
    def read(reader: Reader) -> InvalidProposal:
        return InvalidProposal(SignedHeader.read(reader), reader.blob(MAX_PROOF_BYTES))


@dataclass(frozen=True, slots=True)
class RejectedProposal:
    """E6: a block that a quorum rejected in the view of its creation, for reasons of class D."""

    proposal: SignedHeader
    rejections: tuple[RejectionEntry, ...]
    """Exactly a quorum, in increasing bank index."""

    @property
    def offence(self) -> Offence:
        return Offence.REJECTED_PROPOSAL

    @property
    def bank(self) -> BankIndex:
        return self.proposal.header.proposer

    @property
    def height(self) -> Height:
        return self.proposal.header.height

    @property
    def block_id(self) -> BlockId:
        return self.proposal.header.block_id

    def write(self, writer: Writer) -> Writer:
        self.proposal.write(writer)
        return writer.many(self.rejections, lambda out, entry: entry.write(out))

    @staticmethod
    def read(reader: Reader) -> RejectedProposal:
        proposal = SignedHeader.read(reader)
        rejections = reader.many(MAX_BANKS, RejectionEntry.read)
        if any(left.bank >= right.bank for left, right in pairwise(rejections)):
            raise MalformedEncoding("rejections are not in increasing bank index")
        return RejectedProposal(proposal, rejections)


@dataclass(frozen=True, slots=True)
class SealedInvalid:
    """E5 after the fact: a block that its own bytes show to be invalid, and that a quorum sealed.

    The creator's signature on its proposal is kept nowhere past its height. In its place stands
    what everybody has of a sealed block: its ballots (`evidence_verification` says why that
    convicts the creator and nobody else).
    """

    header: Header
    view: View
    """In which it was sealed."""
    ballots: tuple[bytes, ...]
    """Exactly a quorum of approvals, sorted by tag."""
    proof: bytes
    """`node.ledger.invalidity`."""

    @property
    def offence(self) -> Offence:
        return Offence.INVALID_PROPOSAL

    @property
    def bank(self) -> BankIndex:
        return self.header.proposer

    @property
    def height(self) -> Height:
        return self.header.height

    @property
    def block_id(self) -> BlockId:
        return self.header.block_id

    @staticmethod
    def of(header: Header, certificate: BallotCertificate, proof: bytes) -> SealedInvalid | None:
        """Return the item; None if the proof is too long to be carried."""
        if len(proof) > MAX_SEALED_PROOF_BYTES:
            return None
        return SealedInvalid(header, certificate.view, certificate.ballots, proof)

    def write(self, writer: Writer) -> Writer:
        writer.fixed(self.header.encode(), HEADER_BYTES).u32(self.view)
        return writer.many(self.ballots, Writer.blob).blob(self.proof)

    @staticmethod
    def read(reader: Reader) -> SealedInvalid:
        header, view = Header.read(reader), read_view(reader)
        ballots = reader.many(MAX_BANKS, lambda r: r.blob(MAX_BALLOT_BYTES))
        return SealedInvalid(header, view, ballots, reader.blob(MAX_SEALED_PROOF_BYTES))


InvalidBlock = InvalidProposal | RejectedProposal | SealedInvalid
"""The ways to show that a block is invalid."""


@dataclass(frozen=True, slots=True)
class ApprovedInvalid:
    """E7: an approval, in whatever view, of a block that an E5 or E6 shows to be invalid."""

    bank: BankIndex
    view: View
    signature: bytes
    invalid: InvalidBlock

    @property
    def offence(self) -> Offence:
        return Offence.APPROVED_INVALID

    @property
    def height(self) -> Height:
        return self.invalid.height

    def write(self, writer: Writer) -> Writer:
        writer.u16(self.bank).u32(self.view).fixed(self.signature, SIGNATURE_BYTES)
        return writer.blob(encode_item(self.invalid))

    @staticmethod
    def read(reader: Reader) -> ApprovedInvalid:
        bank, view = BankIndex(reader.u16()), View(reader.u32())
        signature = reader.fixed(SIGNATURE_BYTES)
        # Looked at before it is read: approvals of approvals would nest without end.
        inner = Reader(reader.blob(MAX_EVIDENCE_BYTES))
        kind = inner.u8()
        read_invalid = _INVALID_BLOCK_READERS.get(kind)
        if read_invalid is None:
            raise MalformedEncoding(f"evidence of kind {kind} does not show an invalid block")
        invalid = read_invalid(inner)
        inner.finish()
        return ApprovedInvalid(bank, view, signature, invalid)


@dataclass(frozen=True, slots=True)
class DoubleBallot:
    """E8: two ballots under one tag, and whose they are by the regulator's word, proven."""

    bank: BankIndex
    height: Height
    view: View
    first: bytes
    second: bytes
    """After `first` in the order of bytes."""
    opening: BallotOpening
    """Of the first; it names the position of `bank` in the ring."""

    @property
    def offence(self) -> Offence:
        return Offence.DOUBLE_BALLOT

    def write(self, writer: Writer) -> Writer:
        write_place(writer.u16(self.bank), self.height, self.view)
        return writer.blob(self.first).blob(self.second).blob(self.opening.encode())

    @staticmethod
    def read(reader: Reader) -> DoubleBallot:
        bank = BankIndex(reader.u16())
        height, view = read_place(reader)
        first, second = reader.blob(MAX_BALLOT_BYTES), reader.blob(MAX_BALLOT_BYTES)
        _require_order(first, second)
        try:
            opening = BallotOpening.decode(reader.blob(MAX_OPENING_BYTES))
        except OpeningInvalid as error:
            raise MalformedEncoding(f"opening: {error}") from error
        return DoubleBallot(bank, height, view, first, second, opening)


EvidenceItem = (
    DoubleVote
    | DoubleProposal
    | DoubleCommit
    | LockViolation
    | InvalidProposal
    | RejectedProposal
    | ApprovedInvalid
    | DoubleBallot
    | SealedInvalid
)

_INVALID_BLOCK_READERS: dict[int, Callable[[Reader], InvalidBlock]] = {
    5: InvalidProposal.read,
    6: RejectedProposal.read,
    9: SealedInvalid.read,
}
_READERS: dict[int, Callable[[Reader], EvidenceItem]] = {
    1: DoubleVote.read,
    2: DoubleProposal.read,
    3: DoubleCommit.read,
    4: LockViolation.read,
    **_INVALID_BLOCK_READERS,
    7: ApprovedInvalid.read,
    8: DoubleBallot.read,
}
_KINDS: dict[type[EvidenceItem], int] = {
    DoubleVote: 1,
    DoubleProposal: 2,
    DoubleCommit: 3,
    LockViolation: 4,
    InvalidProposal: 5,
    RejectedProposal: 6,
    ApprovedInvalid: 7,
    DoubleBallot: 8,
    SealedInvalid: 9,
}


def encode_item(item: EvidenceItem) -> bytes:
    """Return the canonical bytes: a kind byte and the fields."""
    return item.write(Writer().u8(_KINDS[type(item)])).finish()


def decode_item(raw: bytes) -> EvidenceItem:
    """Decode canonical bytes; raises `MalformedEncoding`. No signature is checked here."""
    if len(raw) > MAX_EVIDENCE_BYTES:
        raise MalformedEncoding(f"evidence of {len(raw)} bytes exceeds {MAX_EVIDENCE_BYTES}")
    reader = Reader(raw)
    kind = reader.u8()
    read = _READERS.get(kind)
    if read is None:
        raise MalformedEncoding(f"unknown kind of evidence {kind}")
    item = read(reader)
    reader.finish()
    return item


def key_of(item: EvidenceItem) -> PunishedOffence:
    """Return what the item would have punished: (height, bank, class)."""
    return PunishedOffence(item.height, item.bank, item.offence.offence_class)


def in_order(left: Half, right: Half) -> tuple[Half, Half]:
    """Return the two halves of a pair in canonical order."""
    return (left, right) if _bytes_of(left) < _bytes_of(right) else (right, left)


def _read_pair(
    reader: Reader, read_half: Callable[[Reader], Half]
) -> tuple[BankIndex, Height, View, Half, Half]:
    bank = BankIndex(reader.u16())
    height, view = read_place(reader)
    first, second = read_half(reader), read_half(reader)
    _require_order(_bytes_of(first), _bytes_of(second))
    return bank, height, view, first, second


def _bytes_of(half: SignedAnswer | SignedHeader | SignedBlockId) -> bytes:
    return half.write(Writer()).finish()


def _require_order(first: bytes, second: bytes) -> None:
    if first >= second:
        raise MalformedEncoding("the two statements are not in increasing order")
