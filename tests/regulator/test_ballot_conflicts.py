"""Two ballots under one tag: opened, made into E8, handed in; not opened while E1 convicts."""

from __future__ import annotations

import functools
import json
from dataclasses import replace

import pytest

from crypto.ballot_opening import open_partially
from crypto.errors import ProvingError
from crypto.opener_shares import split_opener
from node.consensus.evidence_items import (
    DoubleBallot,
    DoubleVote,
    SignedAnswer,
    decode_item,
    encode_item,
    in_order,
)
from node.consensus.evidence_verification import verify_evidence
from node.consensus.signatures import Ed25519Verifier
from node.consensus.signing import Decision as Vote
from node.consensus.signing import SigningContext
from node.ledger.ballots import Decision, ballot_tag
from node.ledger.blocks import Block
from node.ledger.invalidity import disprove
from node.ledger.types import BankIndex, Height, View
from node.runtime.regulator.ballot_conflicts import (
    LOOKS_FROM_THE_START,
    MAX_CLAIMED,
    collect_first,
    find_conflict,
    is_proven,
    keep_evidence,
    make_evidence,
)
from node.wire.records import BallotConflict, EvidenceItem, EvidenceStatus
from tests.client.small_bank import signer
from tests.ledger import booth
from tests.ledger.settling import OPENER
from tests.regulator.conftest import MakeWorld, World


async def conflict_of(world: World, bank: int) -> BallotConflict:
    """What a bank that approved and rejected one block in one view leaves behind."""
    world.seal()
    world.seal()
    await world.follow()
    active = world.follower.active_set_at(Height(1))
    assert active is not None
    header = Block.decode(world.ledger.blocks[1].block).header
    pair = [booth.cast(active, header, bank, 0, decision) for decision in Decision]
    first, second = sorted(pair)
    return BallotConflict(0, Height(1), View(0), first, second)


async def test_section_9_e8_convicts_who_cast_two_ballots(world: World) -> None:
    conflict = await conflict_of(world, 2)
    world.banks[1].conflicts.append(conflict)
    await world.conflicts.look()

    (raw,) = world.supervision[0].taken
    item = decode_item(raw)
    assert isinstance(item, DoubleBallot)
    assert (item.bank, item.height, item.first, item.second) == (
        2,
        1,
        conflict.first,
        conflict.second,
    )
    genesis = world.ledger.chain.genesis
    verified = verify_evidence(
        raw,
        chain_id=genesis.chain_id,
        active_set_at=world.follower.active_set_at,
        verifier=Ed25519Verifier(),
        disprove=functools.partial(disprove, genesis),
    )
    assert (verified.bank, verified.height) == (2, 1)
    rows = await world.database.audit_rows()
    assert [row.action for row in rows] == ["opening", "evidence-handed-in"]
    assert json.loads(rows[0].event_data)["bank"] == 2


async def test_a_conflict_is_opened_once_however_many_banks_show_it(world: World) -> None:
    conflict = await conflict_of(world, 1)
    for bank in world.banks:
        bank.conflicts.append(conflict)
    await world.conflicts.look()
    await world.conflicts.look()

    assert [len(double.taken) for double in world.supervision] == [1, 0]
    assert len(await world.database.audit_rows(("opening",))) == 1


async def test_evidence_is_handed_in_elsewhere_or_later(world: World) -> None:
    world.banks[1].conflicts.append(await conflict_of(world, 1))
    await world.servers[0].stop(0)
    await world.conflicts.look()

    assert [len(double.taken) for double in world.supervision] == [0, 1]
    assert await world.database.conflicts_to_hand_in() == ()


def double_vote(world: World, signed_by: int) -> DoubleVote:
    """Bank 2's approval and rejection of block 1, or what somebody else signs in its name."""
    active = world.follower.active_set_at(Height(1))
    assert active is not None
    header = Block.decode(world.ledger.blocks[1].block).header
    context = SigningContext.of(header.chain_id, active, Height(1))
    answers = [
        SignedAnswer(
            header.block_id,
            said,
            reason,
            None,
            signer(signed_by).sign(
                context.vote(View(0), BankIndex(2), header.block_id, said, reason, None)
            ),
        )
        for said, reason in ((Vote.APPROVE, ""), (Vote.REJECT, "fee"))
    ]
    return DoubleVote(BankIndex(2), Height(1), View(0), *in_order(*answers))


@pytest.mark.parametrize(("signed_by", "opened"), [(2, 0), (1, 1)])
async def test_section_17_nothing_is_opened_while_identified_votes_convict(
    world: World, signed_by: int, opened: int
) -> None:
    """Two votes that the bank did not sign convict nobody, whatever a bank says of them."""
    conflict = await conflict_of(world, 2)
    item = double_vote(world, signed_by)
    for bank in world.banks:
        bank.conflicts.append(conflict)
        bank.held_evidence.append(
            EvidenceItem(
                sequence=0,
                evidence_id=bytes(32),
                offence="E1",
                bank=BankIndex(2),
                offence_height=Height(1),
                status=EvidenceStatus.PENDING,
                recorded_height=None,
                penalty=None,
                item=encode_item(item),
            )
        )
    await world.conflicts.look()

    assert len(world.supervision[0].taken) == opened
    assert len(await world.database.audit_rows(("opening",))) == opened


async def test_a_pair_that_proves_nothing_is_dropped_and_not_opened(world: World) -> None:
    conflict = await conflict_of(world, 2)
    active = world.follower.active_set_at(Height(1))
    assert active is not None
    header = Block.decode(world.ledger.blocks[1].block).header
    other = booth.cast(active, header, 1)
    spoilt = conflict.second[:-1] + bytes((conflict.second[-1] ^ 1,))
    world.banks[0].conflicts += [
        BallotConflict(0, Height(1), View(0), conflict.first, conflict.first),
        BallotConflict(1, Height(1), View(0), conflict.first, other),
        BallotConflict(2, Height(1), View(0), conflict.first, spoilt),
        BallotConflict(3, Height(1), View(1), conflict.first, conflict.second),
    ]
    await world.conflicts.look()

    assert world.supervision[0].taken == []
    assert await world.database.audit_rows() == ()


async def test_without_the_whole_key_a_conflict_waits_for_the_officers(
    make_world: MakeWorld,
) -> None:
    world = await make_world(None)
    world.banks[0].conflicts.append(await conflict_of(world, 2))
    await world.conflicts.look()

    assert world.supervision[0].taken == []
    assert await world.database.audit_rows() == ()


async def test_two_of_three_officers_convict_together(make_world: MakeWorld) -> None:
    world = await make_world(None)
    conflict = await conflict_of(world, 2)
    world.banks[1].conflicts.append(conflict)
    tag = ballot_tag(conflict.first)
    genesis = world.ledger.chain.genesis
    active = world.follower.active_set_at(Height(1))
    assert active is not None
    world.banks[0].conflicts.append(replace(conflict, second=conflict.first))
    find = functools.partial(
        find_conflict,
        world.endpoints,
        world.credentials,
        holds=lambda pair: is_proven(genesis, pair, active),
    )
    assert await find(tag) == conflict
    assert await find(bytes(96)) is None

    ballot = collect_first(genesis, conflict, active)
    parts = [open_partially(ballot, share) for share in split_opener(OPENER, 2, 3)]
    with pytest.raises(ProvingError):
        make_evidence(genesis, conflict, active, parts[:1])
    item = make_evidence(genesis, conflict, active, parts[1:])
    assert item.bank == 2
    await keep_evidence(world.database, item, "officer/olga")
    await world.conflicts.look()
    assert world.supervision[0].taken == [encode_item(item)]


def claim(sequence: int, height: int, conflict: BallotConflict) -> BallotConflict:
    """What a lying bank may show: a pair under a tag of its own making."""
    tag_begins = conflict.first.index(ballot_tag(conflict.first))
    raw = bytearray(conflict.first)
    raw[tag_begins : tag_begins + 8] = sequence.to_bytes(8, "big")
    return BallotConflict(sequence, Height(height), View(0), bytes(raw), conflict.second)


async def test_a_lying_bank_neither_hides_a_conflict_nor_stops_the_regulator(world: World) -> None:
    conflict = await conflict_of(world, 2)
    world.banks[0].conflicts += [
        # Too short to have a tag; then the true tag over ballots that do not hold.
        BallotConflict(0, Height(1), View(0), b"short", b"shorter"),
        BallotConflict(1, Height(1), View(0), conflict.first, conflict.first),
        *[claim(2 + number, 1 << 40, conflict) for number in range(2 * MAX_CLAIMED)],
    ]
    world.banks[1].conflicts.append(conflict)
    for _ in range(3):
        await world.conflicts.look()

    (raw,) = world.supervision[0].taken
    item = decode_item(raw)
    assert isinstance(item, DoubleBallot)
    assert (item.bank, item.height) == (2, 1)
    assert [len(claimed) for claimed in world.conflicts._claimed] == [MAX_CLAIMED, 0]


async def test_a_bank_that_numbers_its_conflicts_anew_is_read_from_the_start(world: World) -> None:
    """A bank that was rebuilt has lost what it had found before."""
    conflict = await conflict_of(world, 2)
    world.banks[1].conflicts += [replace(conflict, second=conflict.first)] * 3
    await world.conflicts.look()
    world.banks[1].conflicts[:] = [conflict]
    await world.conflicts.look()
    assert world.supervision[0].taken == []

    world.conflicts._looks = LOOKS_FROM_THE_START
    await world.conflicts.look()
    assert len(world.supervision[0].taken) == 1


async def test_section_9_what_nobody_can_be_punished_for_any_more_is_not_opened(
    world: World,
) -> None:
    conflict = await conflict_of(world, 2)
    world.banks[1].conflicts.append(conflict)
    genesis = world.ledger.chain.genesis
    short = replace(genesis, parameters=replace(genesis.parameters, evidence_window=1))
    world.conflicts._genesis = short
    await world.conflicts.look()

    assert world.supervision[0].taken == []
    assert await world.database.audit_rows() == ()
