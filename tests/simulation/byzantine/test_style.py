"""The wrapper around a core: it changes what the style changes, and accuses nobody it protects."""

from __future__ import annotations

from random import Random

import pytest

from node.consensus.effects import Broadcast, BuildBlock, Effect
from node.consensus.events import BlockBuilt, WorkDue, WorkKind
from node.consensus.evidence_items import DoubleCommit, SignedBlockId, encode_item, in_order
from node.consensus.messages import Evidence, Proposal
from node.consensus.signing import Decision
from node.ledger.types import BankIndex, BlockId, Height, View
from node.simulation.ballot_oracle import ballot_signer_of
from node.simulation.byzantine import STYLES, make_byzantine
from node.simulation.byzantine.style import ByzantineConsensus, Style, discreet
from node.simulation.oracle import OracleSigner, OracleVerifier, public_key
from tests.consensus.consortium import Consortium, Desk
from tests.consensus.toy_ledger import CHAIN_ID

BANK = BankIndex(1)
SIGNER = OracleSigner(public_key(BANK))
BALLOT_SIGNER = ballot_signer_of(BANK, CHAIN_ID)


def wrapped(style: str) -> ByzantineConsensus:
    """Bank 1, which leads height 1, taken over while its core runs."""
    consortium = Consortium(12)
    desk = Desk(consortium, BANK)
    liar = make_byzantine(style, desk.core, SIGNER, BALLOT_SIGNER, Random(0))
    liar.take_over(consortium.genesis, consortium.active_set)
    return liar


def accusation(bank: int) -> bytes:
    halves = [SignedBlockId(BlockId(bytes([number]) * 32), bytes(64)) for number in (1, 2)]
    return encode_item(DoubleCommit(BankIndex(bank), Height(1), View(0), *in_order(*halves)))


def test_an_unknown_style_is_named() -> None:
    with pytest.raises(KeyError, match="unheard-of"):
        wrapped("unheard-of")


def test_a_style_that_is_taken_away_leaves_the_core_as_it_was() -> None:
    consortium = Consortium(12)
    desk = Desk(consortium, BANK)
    liar = make_byzantine("silent", desk.core, SIGNER, BALLOT_SIGNER, Random(0))
    liar.take_over(consortium.genesis, consortium.active_set)
    assert BuildBlock(Height(1), View(0)) in liar.handle(WorkDue(WorkKind.BIN))
    effects = desk.do(BlockBuilt(Height(1), View(0), consortium.block()))
    assert [type(message) for message in desk.broadcast()] == [Proposal], effects


def test_events_before_a_start_are_a_fault_of_the_host() -> None:
    consortium = Consortium(12)
    desk = Desk(consortium, BANK)
    liar = ByzantineConsensus(Style, desk.core, SIGNER, BALLOT_SIGNER, Random(0))
    with pytest.raises(AssertionError, match="comes first"):
        liar.handle(WorkDue(WorkKind.BIN))


def test_section_9_a_byzantine_bank_does_not_accuse_itself() -> None:
    mine, theirs, noise = accusation(BANK), accusation(2), b"noise"
    effects: list[Effect] = [Broadcast(Evidence(item)) for item in (mine, theirs, noise)]
    effects.append(BuildBlock(Height(1), View(0), (mine, theirs)))
    assert discreet(effects, (BANK,)) == [
        Broadcast(Evidence(theirs)),
        Broadcast(Evidence(noise)),
        BuildBlock(Height(1), View(0), (theirs,)),
    ]


def test_what_a_situation_signs_verifies_under_the_banks_key() -> None:
    consortium = Consortium(12)
    desk = Desk(consortium, BANK)
    liar = make_byzantine("silent", desk.core, SIGNER, BALLOT_SIGNER, Random(0))
    situation = liar.take_over(consortium.genesis, consortium.active_set).situation
    block = consortium.block()
    proposal = situation.propose_instead(consortium.proposal(block), consortium.block(ids=[1]))
    statements = [
        proposal,
        situation.vote(View(0), block.block_id, Decision.REJECT, "state-root"),
        situation.commit(View(2), block.block_id),
        situation.timeout(View(3), None),
        situation.timeout(View(3), consortium.quorum_certificate(block, 1)),
    ]
    for statement in statements:
        signed = statement.signed_bytes(consortium.context)
        OracleVerifier().verify(public_key(BANK), signed, statement.signature)


@pytest.mark.parametrize("style", STYLES)
def test_every_style_can_take_over_a_running_core(style: str) -> None:
    effects = wrapped(style).handle(WorkDue(WorkKind.BIN))
    assert BuildBlock(Height(1), View(0)) in effects
