"""What a bank shows of a block, held to the header that was followed."""

from __future__ import annotations

from crypto.merkle import merkle_root
from crypto.transaction import transaction_id
from node.client.errors import RecordsInvalid
from node.ledger.blocks import Block
from node.ledger.encoding import MalformedEncoding
from node.storage.regulator.records import FollowedBlock
from node.wire.records import PublishedBlock


def require_sealed(followed: FollowedBlock, stored: PublishedBlock) -> Block:
    """Return the block, whose every byte the sealed header commits to; raises `RecordsInvalid`.

    `stored` holds the transactions. Its certificate is not looked at.
    """
    if stored.header != followed.header:
        raise RecordsInvalid("the header is another one")
    try:
        block = Block.decode(stored.block)
    except MalformedEncoding as error:
        raise RecordsInvalid(f"the block does not decode: {error}") from error
    header = block.header
    if header.encode() != followed.header:
        raise RecordsInvalid("the block has another header")
    if tuple([transaction_id(raw) for raw in stored.transactions]) != block.transaction_ids:
        raise RecordsInvalid("the transactions are not those that the block names")
    for name, root, leaves in (
        ("transactions", header.transactions_root, stored.transactions),
        ("evidence", header.evidence_root, block.evidence),
        ("voting record", header.ballots_root, block.parent_ballots),
    ):
        if merkle_root(leaves) != root:
            raise RecordsInvalid(f"the {name} does not have the Merkle root of the header")
    return block
