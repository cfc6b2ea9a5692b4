"""Evidence of a real offence in a served consortium."""

from __future__ import annotations

import hashlib

from node.consensus.evidence_items import DoubleVote, SignedAnswer, encode_item, in_order
from node.consensus.signing import Decision, SigningContext
from node.ledger.types import BankIndex, BlockId, Height, View
from node.wire.records import EvidenceItem, EvidenceStatus
from tests.cli.served_consortium import ServedConsortium
from tests.client.small_bank import signer

ACCUSED = BankIndex(2)
HEIGHT = Height(1)


def double_vote(consortium: ServedConsortium) -> EvidenceItem:
    """Two approvals of cedarholm for height 1, view 0, signed with its own key."""
    chain = consortium.ledger.chain
    active_set = chain.state.active_set(chain.genesis)
    context = SigningContext.of(chain.genesis.chain_id, active_set, HEIGHT)
    halves = []
    for mark in (b"first", b"second"):
        block_id = BlockId(hashlib.sha256(mark).digest())
        signature = signer(ACCUSED).sign(context.approval(View(0), ACCUSED, block_id))
        halves.append(SignedAnswer(block_id, Decision.APPROVE, "", None, signature))
    raw = encode_item(DoubleVote(ACCUSED, HEIGHT, View(0), *in_order(*halves)))
    return EvidenceItem(
        sequence=0,
        evidence_id=hashlib.sha256(raw).digest(),
        offence="E1",
        bank=ACCUSED,
        offence_height=HEIGHT,
        status=EvidenceStatus.RECORDED,
        item=raw,
        recorded_height=Height(2),
        penalty=2_250,
    )
