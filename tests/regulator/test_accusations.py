"""From an invalid block that a quorum sealed to the slash of who created it (BFT-12 9, E5).

The banks share a defect while they seal one block. Banks without it convict, the creator alone.
"""

from __future__ import annotations

import functools
import json
from dataclasses import replace
from pathlib import Path

import pytest

from node.client.connection import ClientCredentials
from node.client.errors import LedgerError
from node.client.regulator_client import SupervisionClient
from node.consensus.evidence_items import SealedInvalid, decode_item, encode_item
from node.consensus.evidence_verification import verify_evidence
from node.consensus.signatures import Ed25519Verifier
from node.ledger.ballots import BallotCertificate
from node.ledger.blocks import Header
from node.ledger.invalidity import disprove
from node.ledger.offences import VerifiedEvidence
from node.ledger.rejection import Reason, Rejection
from node.ledger.slashing import check_offence
from node.ledger.types import BankIndex, Height
from node.storage.regulator.records import TAKEN, ReverificationResult
from tests.ledger.chain import Chain
from tests.regulator.conftest import MakeWorld, World
from tests.regulator.defective import (
    DEFECTS,
    Defect,
    seal_false_proof,
    seal_false_spend,
    seal_spend_of_open_bin,
    seal_wrong_state,
)


def judged(chain: Chain, raw: bytes) -> VerifiedEvidence:
    """As every bank judges: `node.runtime.evidence_examiner` on its own chain."""
    verified = verify_evidence(
        raw,
        chain_id=chain.genesis.chain_id,
        active_set_at=functools.partial(chain.state.active_set_at, chain.genesis),
        verifier=Ed25519Verifier(),
        disprove=functools.partial(disprove, chain.genesis),
    )
    check_offence(chain.genesis, chain.state, verified)
    return verified


async def accused(world: World, defect: Defect = seal_false_proof) -> bytes:
    """Seal blocks 1 to 3, the second by a defect; return the item that the regulator keeps."""
    world.seal()
    defect(world.ledger)
    world.seal()
    await world.follow()
    look = await world.reverifier.verify_again(Height(2))
    assert look.result is ReverificationResult.INVALID
    (waiting,) = await world.database.waiting_accusations()
    return waiting.item


@pytest.mark.parametrize("name", DEFECTS)
async def test_section_9_banks_without_the_defect_slash_whoever_created_the_block(
    world: World, name: str
) -> None:
    item = await accused(world, DEFECTS[name])
    creator = Header.decode(world.ledger.blocks[2].header).proposer
    await world.accusations.hand_in()

    chain = world.ledger.chain
    assert world.supervision[0].taken == [item]
    verified = judged(chain, item)
    stakes = [bank.stake for bank in chain.state.banks]
    built = chain.seal(evidence=[verified])
    (slash,) = built.transition.punishments
    assert (slash.bank, slash.height, slash.offence) == (creator, 2, "E5")
    assert slash.amount == stakes[creator] * 5 // 100
    after = [bank.stake for bank in chain.state.banks]
    assert [was - now for was, now in zip(stakes, after, strict=True)] == [
        slash.amount if bank == creator else 0 for bank in range(4)
    ]


@pytest.mark.parametrize(
    ("defect", "reason"),
    [(seal_false_spend, None), (seal_spend_of_open_bin, Reason.BIN_UNKNOWN)],
    ids=["a false spend", "of an open bin"],
)
async def test_section_9_a_spend_that_is_false_over_certified_rings_accuses_too(
    world: World, defect: Defect, reason: Reason | None
) -> None:
    """The rings hang on the running hash of all closed bins in the state before the block."""
    defect(world.ledger)
    await world.follow()
    look = await world.reverifier.verify_again(Height(3))
    assert look.result is ReverificationResult.INVALID, look.detail
    (waiting,) = await world.database.waiting_accusations()
    item = decode_item(waiting.item)
    assert isinstance(item, SealedInvalid)
    assert item.header.encode() == world.ledger.blocks[3].header
    chain = world.ledger.chain
    shown = disprove(chain.genesis, item.header, item.proof)
    assert reason is None or shown is reason
    slashed = chain.seal(evidence=[judged(chain, waiting.item)]).transition.punishments
    assert [slash.bank for slash in slashed] == [item.header.proposer]


async def test_section_9_one_block_is_punished_once_whichever_quorum_shows_it(
    world: World,
) -> None:
    raw = await accused(world)
    chain = world.ledger.chain
    chain.seal(evidence=[judged(chain, raw)])
    with pytest.raises(Rejection) as caught:
        judged(chain, raw)
    assert caught.value.reason is Reason.EVIDENCE_PUNISHED

    item = decode_item(raw)
    assert isinstance(item, SealedInvalid)
    again = await world.accusations.accuse(
        item.header, world.ledger.blocks[2].certificate, item.proof
    )
    assert again is not None
    assert await world.database.accusation_counts() == (1, 1)


async def test_section_9_too_old_is_too_old(world: World) -> None:
    raw = await accused(world)
    chain = world.ledger.chain
    verified = judged(chain, raw)
    last = 2 + chain.genesis.parameters.evidence_window
    check_offence(chain.genesis, replace(chain.state, height=Height(last - 1)), verified)
    with pytest.raises(Rejection) as caught:
        check_offence(chain.genesis, replace(chain.state, height=Height(last)), verified)
    assert caught.value.reason is Reason.EVIDENCE_WINDOW


async def test_section_9_a_disproof_of_a_valid_block_accuses_nobody(world: World) -> None:
    """A certificate that holds, over a block that is valid: at the regulator and at every bank."""
    false = decode_item(await accused(world))
    assert isinstance(false, SealedInvalid)
    valid = world.ledger.blocks[3]
    header = Header.decode(valid.header)
    assert await world.accusations.accuse(header, valid.certificate, false.proof) is None
    assert await world.database.accusation_counts() == (1, 1)

    moved = SealedInvalid.of(header, BallotCertificate.decode(valid.certificate), false.proof)
    assert moved is not None
    with pytest.raises(Rejection) as caught:
        judged(world.ledger.chain, encode_item(moved))
    assert caught.value.reason is Reason.EVIDENCE
    assert str(caught.value).startswith("evidence: proof of an invalid block: ")


async def test_the_audit_log_names_the_accusation_and_what_became_of_it(world: World) -> None:
    raw = await accused(world)
    verified = judged(world.ledger.chain, raw)
    await world.accusations.hand_in()
    await world.accusations.hand_in()

    rows = await world.database.audit_rows(("accusation", "evidence-handed-in"))
    made, handed_in = [json.loads(row.event_data) for row in rows]
    assert (made["evidence"], made["offence"]) == (verified.evidence_id.hex(), "E5")
    assert (made["height"], made["bank"]) == (2, verified.bank)
    assert handed_in == {
        "evidence": verified.evidence_id.hex(),
        "outcome": TAKEN,
        "banks": [0],
    }
    assert await world.database.accusation_counts() == (1, 0)
    assert await world.database.check_audit_log() > 0
    assert len(world.supervision[0].taken) == 1


async def test_a_bank_with_the_defect_refuses_and_the_accusation_waits_for_another(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = await accused(world)

    async def refuse(item: bytes) -> bytes:
        raise Rejection(Reason.EVIDENCE, "nothing is wrong with what the proof shows")

    monkeypatch.setattr(world.supervision[0], "submit_evidence", refuse)
    monkeypatch.setattr(world.supervision[1], "submit_evidence", refuse)
    await world.accusations.hand_in()
    assert await world.database.accusation_counts() == (1, 1)
    monkeypatch.undo()
    monkeypatch.setattr(world.supervision[0], "submit_evidence", refuse)
    await world.accusations.hand_in()
    assert world.supervision[1].taken == [raw]
    assert await world.database.accusation_counts() == (1, 0)


async def test_one_bank_of_twelve_that_takes_it_may_be_one_that_tells_nobody(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three answers of twelve banks are needed, and of these two both."""
    world = await make_world(banks=12)
    raw = await accused(world)

    async def refuse(item: bytes) -> bytes:
        raise Rejection(Reason.EVIDENCE, "nothing is wrong with what the proof shows")

    monkeypatch.setattr(world.supervision[1], "submit_evidence", refuse)
    await world.accusations.hand_in()
    assert world.supervision[0].taken == [raw]
    assert await world.database.accusation_counts() == (1, 1)
    monkeypatch.undo()
    await world.accusations.hand_in()
    (row,) = await world.database.audit_rows(("evidence-handed-in",))
    assert json.loads(row.event_data)["banks"] == [0, 1]
    assert await world.database.accusation_counts() == (1, 0)


@pytest.mark.parametrize("reason", [Reason.EVIDENCE_WINDOW, Reason.EVIDENCE_PUNISHED])
async def test_an_accusation_that_no_bank_can_take_any_more_ends(
    world: World, monkeypatch: pytest.MonkeyPatch, reason: Reason
) -> None:
    await accused(world)

    async def refuse(item: bytes) -> bytes:
        raise Rejection(reason, "no")

    monkeypatch.setattr(world.supervision[0], "submit_evidence", refuse)
    await world.accusations.hand_in()
    (row,) = await world.database.audit_rows(("evidence-handed-in",))
    assert json.loads(row.event_data)["outcome"] == reason.value
    assert await world.database.accusation_counts() == (1, 0)


@pytest.mark.parametrize("role", ["client", "operator", "bank-1"])
async def test_nobody_but_the_regulator_may_hand_it_in(world: World, tls: Path, role: str) -> None:
    raw = await accused(world)
    bank = SupervisionClient(world.endpoints[0], ClientCredentials.load(tls / role))
    try:
        with pytest.raises(LedgerError) as caught:
            await bank.submit_evidence(raw)
    finally:
        await bank.close()
    assert caught.value.status == "PERMISSION_DENIED"
    assert world.supervision[0].taken == []


async def test_what_an_item_holds_convicts_no_other_bank(world: World) -> None:
    raw = await accused(world, seal_wrong_state)
    item = decode_item(raw)
    assert isinstance(item, SealedInvalid)
    chain = world.ledger.chain
    for bank in range(4):
        if bank != item.bank:
            other = replace(item, header=replace(item.header, proposer=BankIndex(bank)))
            with pytest.raises(Rejection, match="not an approval of this block"):
                judged(chain, encode_item(other))
