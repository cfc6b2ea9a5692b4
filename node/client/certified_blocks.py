"""Fetching a block whole and checking all of it: ballots, contents, every transaction's bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crypto.merkle import merkle_root
from crypto.transaction import transaction_id
from node.client.errors import HeaderInvalid, RecordsInvalid
from node.client.ledger_client import LedgerClient
from node.client.verification import SealVerifier
from node.ledger.active_set import ActiveSet
from node.ledger.ballots import BallotCertificate
from node.ledger.blocks import Block, Header
from node.ledger.encoding import MalformedEncoding
from node.ledger.types import BlockId, Height, TransactionId
from node.wire.records import PublishedBlock, PublishedSetChange


@dataclass(frozen=True, slots=True)
class CertifiedBlock:
    """A block as a quorum sealed it."""

    header: Header
    certificate: BallotCertificate | None
    """None at height 0."""
    block: Block | None
    """None at height 0."""
    active_set: ActiveSet
    """That decided its height; of the genesis at height 0."""
    transactions: tuple[bytes, ...]
    """Canonical bytes, in block order."""


async def certified_block(
    ledger: LedgerClient, verifier: SealVerifier, which: Height | BlockId
) -> CertifiedBlock:
    """Fetch a block by height or id and verify it from the genesis alone.

    Raises `RecordNotFound`, what `SealVerifier.verify_header` raises, `HeaderInvalid` for another
    block than the one asked for, `RecordsInvalid` for contents that the header does not commit to.
    """
    stored = await ledger.block(which, include_transactions=True)
    changes = (await ledger.sealed_state()).set_changes
    block = verify_stored_block(verifier, stored, changes)
    found: Height | BlockId = (
        block.header.block_id if isinstance(which, bytes) else block.header.height
    )
    if found != which:
        raise HeaderInvalid("the bank showed another block than the one that was asked for")
    return block


def verify_stored_block(
    verifier: SealVerifier, stored: PublishedBlock, set_changes: Sequence[PublishedSetChange]
) -> CertifiedBlock:
    """Check a stored block with its transactions; changes above its height are left out.

    Raises as `certified_block`.
    """
    height = _decode_header(stored.header).height
    changes = [item for item in set_changes if _decode_header(item.header).height < height]
    header = verifier.verify_header(stored.header, stored.certificate, changes)
    active_set = verifier.active_set_at(height, changes)
    if merkle_root(stored.transactions) != header.transactions_root:
        raise RecordsInvalid("the transactions are not those that the header commits to")
    if header.height == 0:
        return CertifiedBlock(header, None, None, active_set, stored.transactions)
    try:
        block = Block.decode(stored.block)
    except MalformedEncoding as error:
        raise RecordsInvalid(f"the block does not decode: {error}") from error
    if block.header != header:
        raise RecordsInvalid("the block has another header than the sealed one")
    named = tuple(TransactionId(transaction_id(raw)) for raw in stored.transactions)
    if block.transaction_ids != named:
        raise RecordsInvalid("the block names other transactions than it has")
    certificate = BallotCertificate.decode(stored.certificate)
    return CertifiedBlock(header, certificate, block, active_set, stored.transactions)


def _decode_header(data: bytes) -> Header:
    try:
        return Header.decode(data)
    except MalformedEncoding as error:
        raise HeaderInvalid(f"a header does not decode: {error}") from error
