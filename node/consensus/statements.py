"""The four signed statements: Proposal, Vote, Commit and Timeout (BFT-12 section 3).

Each knows its canonical encoding and the bytes under its signature. What is attached and not
signed (certificates, a ballot) is named so.
"""

from __future__ import annotations

from dataclasses import dataclass

from node.consensus.certificates import (
    QUORUM_CERTIFICATE_MAX_BYTES,
    SEAL_MAX_BYTES,
    TIMEOUT_CERTIFICATE_MAX_BYTES,
    QuorumCertificate,
    Seal,
    TimeoutCertificate,
    read_highest_view,
    read_place,
    read_reason,
    write_place,
)
from node.consensus.signing import Decision, SigningContext
from node.ledger.blocks import MAX_BALLOT_BYTES, MAX_BLOCK_BYTES, Block
from node.ledger.encoding import MalformedEncoding, Reader, Writer
from node.ledger.types import HASH_BYTES, SIGNATURE_BYTES, BankIndex, BlockId, Height, View

_PLACE_BYTES = 2 + 8 + 4
PROPOSAL_MAX_BYTES = (
    _PLACE_BYTES
    + MAX_BLOCK_BYTES
    + (1 + TIMEOUT_CERTIFICATE_MAX_BYTES)
    + (1 + QUORUM_CERTIFICATE_MAX_BYTES)
    + (1 + SEAL_MAX_BYTES)
    + SIGNATURE_BYTES
)
VOTE_MAX_BYTES = (
    _PLACE_BYTES + HASH_BYTES + 1 + (4 + 48) + 5 + (1 + 4 + MAX_BALLOT_BYTES) + SIGNATURE_BYTES
)
COMMIT_MAX_BYTES = _PLACE_BYTES + HASH_BYTES + (1 + 4 + MAX_BALLOT_BYTES) + SIGNATURE_BYTES
TIMEOUT_MAX_BYTES = (
    _PLACE_BYTES
    + 4
    + (1 + QUORUM_CERTIFICATE_MAX_BYTES)
    + (1 + TIMEOUT_CERTIFICATE_MAX_BYTES)
    + SIGNATURE_BYTES
)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A leader's block for one view, with what justifies proposing it (BFT-12 P2)."""

    bank: BankIndex
    height: Height
    view: View
    block: Block
    timeout_certificate: TimeoutCertificate | None
    """Attached: of view-1, present exactly when view > 0."""
    quorum_certificate: QuorumCertificate | None
    """Attached: present exactly when the block is re-proposed."""
    parent_seal: Seal | None
    """Attached: lets a bank that missed the parent's seal follow at once; absent at height 1."""
    signature: bytes

    def signed_bytes(self, context: SigningContext) -> bytes:
        return context.proposal(self.view, self.bank, self.block.block_id)

    def write(self, writer: Writer) -> Writer:
        _write_signer(writer, self.bank, self.height, self.view)
        self.block.write(writer)
        writer.optional(self.timeout_certificate, lambda out, item: item.write(out))
        writer.optional(self.quorum_certificate, lambda out, item: item.write(out))
        writer.optional(self.parent_seal, lambda out, item: item.write(out))
        return writer.fixed(self.signature, SIGNATURE_BYTES)

    @staticmethod
    def read(reader: Reader) -> Proposal:
        bank, height, view = _read_signer(reader)
        return Proposal(
            bank=bank,
            height=height,
            view=view,
            block=Block.read(reader),
            timeout_certificate=reader.optional(TimeoutCertificate.read),
            quorum_certificate=reader.optional(QuorumCertificate.read),
            parent_seal=reader.optional(Seal.read),
            signature=reader.fixed(SIGNATURE_BYTES),
        )


@dataclass(frozen=True, slots=True)
class Vote:
    """One bank's answer to a proposal: APPROVE to the leader, REJECT to all (BFT-12 P3)."""

    bank: BankIndex
    height: Height
    view: View
    block_id: BlockId
    decision: Decision
    reason: str
    """Reason code of a rejection (`node.ledger.rejection.Reason`); empty for an approval."""
    transaction_index: int | None
    """Position of the offending transaction, if the reason is about one."""
    signature: bytes
    ballot: bytes | None = None
    """Attached to a REJECT: the anonymous REJECT ballot of this bank, height, view and block
    (BFT-12 section 17). A vote counts without it."""

    def signed_bytes(self, context: SigningContext) -> bytes:
        return context.vote(
            self.view, self.bank, self.block_id, self.decision, self.reason, self.transaction_index
        )

    def write(self, writer: Writer) -> Writer:
        _write_signer(writer, self.bank, self.height, self.view)
        writer.fixed(self.block_id, HASH_BYTES).u8(self.decision)
        if self.decision is Decision.REJECT:
            writer.text(self.reason).optional(self.transaction_index, Writer.u32)
            writer.optional(self.ballot, Writer.blob)
        return writer.fixed(self.signature, SIGNATURE_BYTES)

    @staticmethod
    def read(reader: Reader) -> Vote:
        bank, height, view = _read_signer(reader)
        block_id = BlockId(reader.fixed(HASH_BYTES))
        code = reader.u8()
        if code not in (Decision.APPROVE, Decision.REJECT):
            raise MalformedEncoding(f"a decision is 1 or 2, not {code}")
        rejects = code == Decision.REJECT
        return Vote(
            bank=bank,
            height=height,
            view=view,
            block_id=block_id,
            decision=Decision(code),
            reason=read_reason(reader) if rejects else "",
            transaction_index=reader.optional(Reader.u32) if rejects else None,
            ballot=reader.optional(_read_ballot) if rejects else None,
            signature=reader.fixed(SIGNATURE_BYTES),
        )


@dataclass(frozen=True, slots=True)
class Commit:
    """One bank's promise that this block is the only one it will help to seal (BFT-12 P5)."""

    bank: BankIndex
    height: Height
    view: View
    block_id: BlockId
    signature: bytes
    ballot: bytes | None = None
    """Attached: the anonymous APPROVE ballot of this bank, height, view and block (BFT-12
    section 17). A commit counts without it."""

    def signed_bytes(self, context: SigningContext) -> bytes:
        return context.commit(self.view, self.bank, self.block_id)

    def write(self, writer: Writer) -> Writer:
        _write_signer(writer, self.bank, self.height, self.view).fixed(self.block_id, HASH_BYTES)
        writer.optional(self.ballot, Writer.blob)
        return writer.fixed(self.signature, SIGNATURE_BYTES)

    @staticmethod
    def read(reader: Reader) -> Commit:
        bank, height, view = _read_signer(reader)
        return Commit(
            bank=bank,
            height=height,
            view=view,
            block_id=BlockId(reader.fixed(HASH_BYTES)),
            ballot=reader.optional(_read_ballot),
            signature=reader.fixed(SIGNATURE_BYTES),
        )


@dataclass(frozen=True, slots=True)
class Timeout:
    """One bank gives up a view and says what it knows (BFT-12 V1)."""

    bank: BankIndex
    height: Height
    view: View
    highest_view: View
    """hqv: view of the highest quorum certificate it holds, -1 for none."""
    quorum_certificate: QuorumCertificate | None
    """Attached: that certificate."""
    timeout_certificate: TimeoutCertificate | None
    """Attached: of view-1, absent for view 0 or if a quorum certificate led into the view."""
    signature: bytes

    def signed_bytes(self, context: SigningContext) -> bytes:
        return context.timeout(self.view, self.bank, self.highest_view)

    def write(self, writer: Writer) -> Writer:
        _write_signer(writer, self.bank, self.height, self.view).i32(self.highest_view)
        writer.optional(self.quorum_certificate, lambda out, item: item.write(out))
        writer.optional(self.timeout_certificate, lambda out, item: item.write(out))
        return writer.fixed(self.signature, SIGNATURE_BYTES)

    @staticmethod
    def read(reader: Reader) -> Timeout:
        bank, height, view = _read_signer(reader)
        return Timeout(
            bank=bank,
            height=height,
            view=view,
            highest_view=read_highest_view(reader),
            quorum_certificate=reader.optional(QuorumCertificate.read),
            timeout_certificate=reader.optional(TimeoutCertificate.read),
            signature=reader.fixed(SIGNATURE_BYTES),
        )


SignedStatement = Proposal | Vote | Commit | Timeout
"""What a bank answers for: its transport identity must equal `bank` (BFT-12 section 12)."""


def _write_signer(writer: Writer, bank: BankIndex, height: Height, view: View) -> Writer:
    return write_place(writer.u16(bank), height, view)


def _read_signer(reader: Reader) -> tuple[BankIndex, Height, View]:
    bank = BankIndex(reader.u16())
    return bank, *read_place(reader)


def _read_ballot(reader: Reader) -> bytes:
    return reader.blob(MAX_BALLOT_BYTES)
