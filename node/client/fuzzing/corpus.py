"""What hostile messages are made from: what a ledger shows to a bank, and nothing secret."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc

from crypto.transaction import transaction_id
from node.client.connection import ClientCredentials, Endpoint
from node.client.ledger_client import LedgerClient
from node.client.status import error_of_call
from node.consensus.certificates import QuorumCertificate, RejectionEntry, Seal, TimeoutEntry
from node.consensus.evidence_items import (
    DoubleCommit,
    DoubleVote,
    EvidenceItem,
    InvalidProposal,
    LockViolation,
    SealedInvalid,
    SignedAnswer,
    SignedBlockId,
    SignedHeader,
    decode_item,
    encode_item,
    in_order,
)
from node.consensus.messages import (
    BlockRequest,
    BlockResponse,
    Evidence,
    Message,
    RejectCertificate,
    SealedBlock,
    Status,
    SyncRequest,
    SyncResponse,
    TimeoutCertificate,
)
from node.consensus.signing import Decision
from node.consensus.statements import Commit, Proposal, Timeout, Vote
from node.ledger.blocks import Block
from node.ledger.types import NO_VIEW, BankIndex, BlockId, Height, View
from node.wire import peer_pb2, peer_pb2_grpc
from node.wire.peer_codec import block_range_from_stub

MAX_HEIGHTS = 24
"""Blocks from the beginning of the ledger: they are the same for ever, and so are the messages."""
MAX_EVIDENCE = 16
FETCH_S = 10.0


@dataclass(frozen=True, slots=True)
class Corpus:
    """Valid pieces of one ledger."""

    chain_id: bytes
    bank_count: int
    sealed: tuple[SealedBlock, ...]
    transactions: tuple[bytes, ...]
    evidence: tuple[bytes, ...]
    tip_height: Height
    """When it was collected; statements about the present are made for it."""

    @property
    def fingerprint(self) -> str:
        """Tells whether two runs made their messages from the same pieces."""
        digest = hashlib.sha256(self.chain_id)
        for item in self.sealed:
            digest.update(item.block.block_id)
        for raw in (*self.transactions, *self.evidence):
            digest.update(hashlib.sha256(raw).digest())
        return digest.hexdigest()[:16]

    @property
    def identifiers(self) -> tuple[bytes, ...]:
        """Byte strings that fields of requests may hold."""
        blocks = [bytes(item.block.block_id) for item in self.sealed]
        identities = [bytes(transaction_id(raw)) for raw in self.transactions]
        return (self.chain_id, *blocks, *identities, *self.transactions[:8])

    def consensus_messages(self, sender: int) -> tuple[Message, ...]:
        """At least one well-formed message of every type, as this bank might send it.

        Signatures are those that seals show: genuine as commits of the past, and of no worth for
        anything else.
        """
        return tuple(self._consensus_messages(BankIndex(sender)))

    def _consensus_messages(self, sender: BankIndex) -> Iterator[Message]:
        for item in self.sealed:
            block, seal = item.block, item.seal
            yield from (seal, Evidence(encode_item(_double_commit(seal))))
            yield SyncResponse((item,), self.tip_height)
            yield BlockResponse(block)
            for height in (seal.height, self.tip_height, Height(self.tip_height + 1)):
                yield from self._statements(sender, height, block, seal)
                yield from (SyncRequest(height), BlockRequest(height, seal.block_id))
            for entry in seal.signatures:
                if entry.bank == sender:
                    place = (seal.height, seal.view, seal.block_id, entry.signature)
                    yield Commit(sender, *place)
                    yield from (Commit(sender, *place, ballot) for ballot in seal.ballots[:2])
            for invented in _evidence(block, seal):
                yield Evidence(encode_item(invented))
        yield from (Evidence(raw) for raw in self.evidence)

    def _statements(
        self, sender: BankIndex, height: Height, block: Block, seal: Seal
    ) -> Iterator[Message]:
        signature = seal.signatures[0].signature
        view, block_id = View(0), seal.block_id
        certificate = QuorumCertificate(height, view, block_id, seal.signatures)
        timeouts = TimeoutCertificate(
            height,
            view,
            tuple([TimeoutEntry(e.bank, NO_VIEW, e.signature) for e in seal.signatures]),
        )
        rejections = tuple(
            [RejectionEntry(e.bank, "spend", 0, e.signature) for e in seal.signatures[:3]]
        )
        yield Proposal(sender, height, view, block, None, None, seal, signature)
        yield Proposal(sender, height, View(1), block, timeouts, certificate, None, signature)
        yield Vote(sender, height, view, block_id, Decision.APPROVE, "", None, signature)
        yield Vote(sender, height, view, block_id, Decision.REJECT, "spend", 0, signature)
        for ballot in seal.ballots[:1]:
            rejection = (Decision.REJECT, "spend", 0, signature, ballot)
            yield Vote(sender, height, view, block_id, *rejection)
        yield Commit(sender, height, view, block_id, signature)
        yield Timeout(sender, height, view, NO_VIEW, None, None, signature)
        yield Timeout(sender, height, View(1), view, certificate, timeouts, signature)
        yield certificate
        yield RejectCertificate(height, view, block_id, rejections)
        yield Status(height, view, None, None)
        yield Status(height, View(1), timeouts, certificate)

    @property
    def evidence_items(self) -> tuple[EvidenceItem, ...]:
        """Decoded items: found ones, and invented ones that prove nothing."""
        found = [decode_item(raw) for raw in self.evidence]
        invented = [item for sealed in self.sealed for item in _evidence(sealed.block, sealed.seal)]
        return (*found, *invented)


def _double_commit(seal: Seal) -> DoubleCommit:
    first, second = in_order(
        SignedBlockId(seal.block_id, seal.signatures[0].signature),
        SignedBlockId(BlockId(bytes(32)), seal.signatures[1].signature),
    )
    return DoubleCommit(seal.signatures[0].bank, seal.height, seal.view, first, second)


def _evidence(block: Block, seal: Seal) -> Iterator[EvidenceItem]:
    """False accusations of the bank that signed the seal first."""
    bank, signature = seal.signatures[0].bank, seal.signatures[0].signature
    answers = in_order(
        SignedAnswer(seal.block_id, Decision.APPROVE, "", None, signature),
        SignedAnswer(BlockId(bytes(32)), Decision.REJECT, "spend", 0, signature),
    )
    yield DoubleVote(bank, seal.height, seal.view, *answers)
    yield _double_commit(seal)
    yield LockViolation(
        bank,
        seal.height,
        seal.view,
        SignedBlockId(seal.block_id, signature),
        View(seal.view + 1),
        NO_VIEW,
        signature,
    )
    yield InvalidProposal(SignedHeader(block.header, signature), b"\x00" * 40)
    yield SealedInvalid(block.header, seal.view, seal.ballots, b"\x00" * 40)


async def collect(
    client: LedgerClient, bank_credentials: ClientCredentials, chain_id: bytes, bank_count: int
) -> Corpus:
    """Read the first blocks of a ledger, with their transactions, and the evidence there is.

    Seals name their signers and are shown to banks alone: they are fetched under a bank's
    credentials, which a hostile bank has. Raises `LedgerError` if nobody answers, and ValueError
    for a ledger without blocks.
    """
    top = (await client.node_status()).height
    if top < 1:
        raise ValueError("the ledger has no block yet")
    sealed = await _sealed_blocks(client.preferred_endpoint, bank_credentials, top)
    transactions: list[bytes] = []
    for item in sealed:
        stored = await client.block(item.block.height, include_transactions=True)
        transactions += stored.transactions
    items = [item.item async for page in client.evidence() for item in page]
    return Corpus(
        chain_id=chain_id,
        bank_count=bank_count,
        sealed=tuple(sealed),
        transactions=tuple(transactions),
        evidence=tuple(items[:MAX_EVIDENCE]),
        tip_height=top,
    )


async def _sealed_blocks(
    endpoint: Endpoint, bank_credentials: ClientCredentials, top: Height
) -> list[SealedBlock]:
    """Fetch the first blocks as one bank hands them to another."""
    sealed: list[SealedBlock] = []
    channel = bank_credentials.open_channel(endpoint)
    stub: Any = peer_pb2_grpc.PeerStub(channel)
    try:
        while len(sealed) < min(top, MAX_HEIGHTS):
            request = peer_pb2.FetchBlocksRequest(from_height=len(sealed) + 1)
            answer = await stub.FetchBlocks(request, timeout=FETCH_S)
            page = block_range_from_stub(answer).blocks
            if not page:
                break
            sealed += [SealedBlock(Block.decode(b.block), Seal.decode(b.seal)) for b in page]
    except grpc.aio.AioRpcError as error:
        raise error_of_call(error, str(endpoint)) from error
    finally:
        await channel.close()
    return sealed[:MAX_HEIGHTS]
