"""Everything that banks say to each other, and its one canonical encoding (BFT-12 section 3).

`encode_message` is used for sending and storing alike; signatures cover the bytes of
`node.consensus.signing`. A message is one type byte and the fields; its size is checked against
the limit of its type before anything is parsed. No message carries the chain id: signatures and
headers do, and links refuse a peer of another genesis before the first message.

Transaction bodies are not consensus messages: a block names them by id and the host fetches them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from node.consensus.certificates import (
    QUORUM_CERTIFICATE_MAX_BYTES,
    REJECT_CERTIFICATE_MAX_BYTES,
    SEAL_MAX_BYTES,
    TIMEOUT_CERTIFICATE_MAX_BYTES,
    QuorumCertificate,
    RejectCertificate,
    Seal,
    TimeoutCertificate,
    read_place,
    write_place,
)
from node.consensus.signing import Decision
from node.consensus.statements import (
    COMMIT_MAX_BYTES,
    PROPOSAL_MAX_BYTES,
    TIMEOUT_MAX_BYTES,
    VOTE_MAX_BYTES,
    Commit,
    Proposal,
    SignedStatement,
    Timeout,
    Vote,
)
from node.ledger.blocks import MAX_BLOCK_BYTES, MAX_EVIDENCE_BYTES, Block
from node.ledger.encoding import MalformedEncoding, Reader, Writer
from node.ledger.types import HASH_BYTES, BlockId, Height, View

__all__ = [
    "MAX_MESSAGE_BYTES",
    "MAX_SYNC_BLOCKS",
    "MAX_SYNC_BYTES",
    "BlockRequest",
    "BlockResponse",
    "Commit",
    "Decision",
    "Evidence",
    "Message",
    "Proposal",
    "QuorumCertificate",
    "RejectCertificate",
    "Seal",
    "SealedBlock",
    "SignedStatement",
    "Status",
    "SyncRequest",
    "SyncResponse",
    "Timeout",
    "TimeoutCertificate",
    "Vote",
    "decode_message",
    "encode_message",
]

MAX_SYNC_BLOCKS = 20
"""Blocks in one SyncResponse (BFT-12 section 11)."""
MAX_SYNC_BYTES = 2 << 20
"""Bytes of blocks and seals in one SyncResponse, unless its only block is larger."""


@dataclass(frozen=True, slots=True)
class Status:
    """Where a bank stands, with what lets a laggard reach its view (BFT-12 section 11)."""

    height: Height
    view: View
    timeout_certificate: TimeoutCertificate | None
    """Of view-1, if that is how the sender entered its view."""
    quorum_certificate: QuorumCertificate | None
    """The highest that the sender holds; without it the timeout certificate could not be used."""
    asks: bool = False
    """Whether the sender, whose view stalls, asks everybody in it to say that he is there."""

    def write(self, writer: Writer) -> Writer:
        write_place(writer, self.height, self.view)
        writer.optional(self.timeout_certificate, lambda out, item: item.write(out))
        writer.optional(self.quorum_certificate, lambda out, item: item.write(out))
        return writer.flag(self.asks)

    @staticmethod
    def read(reader: Reader) -> Status:
        height, view = read_place(reader)
        return Status(
            height=height,
            view=view,
            timeout_certificate=reader.optional(TimeoutCertificate.read),
            quorum_certificate=reader.optional(QuorumCertificate.read),
            asks=reader.flag(),
        )


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """Asks for sealed blocks from this height on."""

    from_height: Height

    def write(self, writer: Writer) -> Writer:
        return writer.u64(self.from_height)

    @staticmethod
    def read(reader: Reader) -> SyncRequest:
        return SyncRequest(Height(reader.u64()))


@dataclass(frozen=True, slots=True)
class SealedBlock:
    """A block and a seal of it."""

    block: Block
    seal: Seal

    def write(self, writer: Writer) -> Writer:
        return self.seal.write(self.block.write(writer))

    @staticmethod
    def read(reader: Reader) -> SealedBlock:
        return SealedBlock(Block.read(reader), Seal.read(reader))


@dataclass(frozen=True, slots=True)
class SyncResponse:
    """Consecutive sealed blocks, and the height up to which the sender has more."""

    blocks: tuple[SealedBlock, ...]
    top: Height
    """Height of the sender's last sealed block: a claim, never a reason to trust anything."""

    def write(self, writer: Writer) -> Writer:
        writer.many(self.blocks, lambda out, item: item.write(out))
        return writer.u64(self.top)

    @staticmethod
    def read(reader: Reader) -> SyncResponse:
        blocks = reader.many(MAX_SYNC_BLOCKS, SealedBlock.read)
        return SyncResponse(blocks, Height(reader.u64()))


@dataclass(frozen=True, slots=True)
class BlockRequest:
    """Asks a signer of a certificate for the block that it certifies."""

    height: Height
    block_id: BlockId

    def write(self, writer: Writer) -> Writer:
        return writer.u64(self.height).fixed(self.block_id, HASH_BYTES)

    @staticmethod
    def read(reader: Reader) -> BlockRequest:
        return BlockRequest(Height(reader.u64()), BlockId(reader.fixed(HASH_BYTES)))


@dataclass(frozen=True, slots=True)
class BlockResponse:
    """The block that was asked for."""

    block: Block

    def write(self, writer: Writer) -> Writer:
        return self.block.write(writer)

    @staticmethod
    def read(reader: Reader) -> BlockResponse:
        return BlockResponse(Block.read(reader))


@dataclass(frozen=True, slots=True)
class Evidence:
    """An evidence item, which proves itself and may come from any bank (BFT-12 section 9)."""

    item: bytes
    """Canonical bytes (`node.consensus.evidence_items`), not looked into here."""

    def write(self, writer: Writer) -> Writer:
        return writer.blob(self.item)

    @staticmethod
    def read(reader: Reader) -> Evidence:
        return Evidence(reader.blob(MAX_EVIDENCE_BYTES))


Message = (
    Proposal
    | Vote
    | QuorumCertificate
    | Commit
    | Seal
    | Timeout
    | RejectCertificate
    | Status
    | SyncRequest
    | SyncResponse
    | BlockRequest
    | BlockResponse
    | Evidence
)
"""A timeout certificate never travels alone: a Proposal, Timeout or Status carries it together
with the quorum certificate that it obliges to."""


@dataclass(frozen=True, slots=True)
class _Format:
    """How one message type is recognised, bounded and parsed."""

    tag: int
    max_bytes: int
    """Of the fields, without the type byte."""
    read: Callable[[Reader], Message]


_PLACE_BYTES = 8 + 4
_FORMATS: dict[type[Any], _Format] = {
    Proposal: _Format(1, PROPOSAL_MAX_BYTES, Proposal.read),
    Vote: _Format(2, VOTE_MAX_BYTES, Vote.read),
    Commit: _Format(3, COMMIT_MAX_BYTES, Commit.read),
    Timeout: _Format(4, TIMEOUT_MAX_BYTES, Timeout.read),
    QuorumCertificate: _Format(5, QUORUM_CERTIFICATE_MAX_BYTES, QuorumCertificate.read),
    Seal: _Format(6, SEAL_MAX_BYTES, Seal.read),
    RejectCertificate: _Format(7, REJECT_CERTIFICATE_MAX_BYTES, RejectCertificate.read),
    Status: _Format(
        8,
        _PLACE_BYTES + 1 + TIMEOUT_CERTIFICATE_MAX_BYTES + 1 + QUORUM_CERTIFICATE_MAX_BYTES + 1,
        Status.read,
    ),
    SyncRequest: _Format(9, 8, SyncRequest.read),
    SyncResponse: _Format(
        10, 4 + max(MAX_SYNC_BYTES, MAX_BLOCK_BYTES + SEAL_MAX_BYTES) + 8, SyncResponse.read
    ),
    BlockRequest: _Format(11, 8 + HASH_BYTES, BlockRequest.read),
    BlockResponse: _Format(12, MAX_BLOCK_BYTES, BlockResponse.read),
    Evidence: _Format(13, 4 + MAX_EVIDENCE_BYTES, Evidence.read),
}
_BY_TAG = {message_format.tag: message_format for message_format in _FORMATS.values()}

MAX_MESSAGE_BYTES = 1 + max(message_format.max_bytes for message_format in _FORMATS.values())
"""No consensus message is longer; below the 4 MiB that a link carries."""


def encode_message(message: Message) -> bytes:
    """Return the canonical bytes: a type byte and the fields."""
    writer = Writer().u8(_FORMATS[type(message)].tag)
    return message.write(writer).finish()


def decode_message(data: bytes) -> Message:
    """Decode canonical bytes; raises `MalformedEncoding`. Signatures are not checked here."""
    if not data:
        raise MalformedEncoding("empty message")
    message_format = _BY_TAG.get(data[0])
    if message_format is None:
        raise MalformedEncoding(f"unknown message type {data[0]}")
    if len(data) - 1 > message_format.max_bytes:
        raise MalformedEncoding(
            f"message type {data[0]} of {len(data)} bytes exceeds {message_format.max_bytes + 1}"
        )
    reader = Reader(data)
    reader.u8()
    message = message_format.read(reader)
    reader.finish()
    return message
