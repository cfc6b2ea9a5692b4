"""BFT-12 section 2: what every signature covers."""

from __future__ import annotations

import struct

from node.consensus.signing import Decision, SigningContext
from node.ledger.types import NO_VIEW, BankIndex, BlockId, Height, View

CHAIN_ID, SET_HASH, BLOCK_ID = b"c" * 32, b"s" * 32, BlockId(b"b" * 32)
CONTEXT = SigningContext(CHAIN_ID, SET_HASH, Height(9))
VIEW, BANK = View(4), BankIndex(7)


def common(kind: int) -> bytes:
    """The layout written out by hand: domain, chain, type, set, height, view, signer."""
    domain = struct.pack(">I", 7) + b"bft12/1"
    return domain + CHAIN_ID + bytes([kind]) + SET_HASH + struct.pack(">QIH", 9, 4, 7)


def test_proposal() -> None:
    assert CONTEXT.proposal(VIEW, BANK, BLOCK_ID) == common(1) + BLOCK_ID


def test_votes() -> None:
    empty_reason, no_index = bytes(4), b"\0"
    assert CONTEXT.approval(VIEW, BANK, BLOCK_ID) == (
        common(2) + BLOCK_ID + b"\x01" + empty_reason + no_index
    )
    rejection = CONTEXT.vote(VIEW, BANK, BLOCK_ID, Decision.REJECT, "fee", 3)
    assert rejection == (
        common(2) + BLOCK_ID + b"\x02" + b"\0\0\0\x03fee" + b"\x01" + struct.pack(">I", 3)
    )


def test_commit_and_timeout() -> None:
    assert CONTEXT.commit(VIEW, BANK, BLOCK_ID) == common(3) + BLOCK_ID
    assert CONTEXT.timeout(VIEW, BANK, NO_VIEW) == common(4) + b"\xff\xff\xff\xff"
