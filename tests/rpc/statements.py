"""Well-formed consensus messages of any bank; their signatures are empty shells."""

from __future__ import annotations

from node.consensus.certificates import QuorumCertificate
from node.consensus.messages import Commit, Decision, Message, Proposal, Timeout, Vote
from node.ledger.types import BankIndex, BlockId, Height, View
from tests.rpc.doubles import block_at

SIGNATURE = bytes(64)
BLOCK_ID = BlockId(bytes([5]) * 32)
HEIGHT, VIEW = Height(6), View(0)


def signed_statements(bank: int) -> tuple[Message, ...]:
    """One of each kind that must come from its signer (BFT-12 12)."""
    signer = BankIndex(bank)
    return (
        Proposal(signer, HEIGHT, VIEW, block_at(6), None, None, None, SIGNATURE),
        Vote(signer, HEIGHT, VIEW, BLOCK_ID, Decision.APPROVE, "", None, SIGNATURE),
        Commit(signer, HEIGHT, VIEW, BLOCK_ID, SIGNATURE),
        Timeout(signer, HEIGHT, VIEW, View(-1), None, None, SIGNATURE),
    )


def certificate() -> QuorumCertificate:
    """Proves itself, so that any bank may pass it on."""
    return QuorumCertificate(HEIGHT, VIEW, BLOCK_ID, ())
