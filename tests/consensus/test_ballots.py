"""BFT-12 section 17: what is kept of a height's ballots, and which of them a seal takes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from node.consensus.ballots import HeightBallots, SuspectPair, count_tags, select_ballots
from node.ledger.ballots import ballot_tag
from node.ledger.types import BankIndex, Height, View
from tests.consensus.consortium import Consortium
from tests.consensus.toy_ledger import CHAIN_ID

C = Consortium(12)
BLOCK, OTHER = C.block(ids=[1]), C.block(ids=[2])
V0, V1 = View(0), View(1)
CAST = [C.ballot(bank, BLOCK) for bank in C.banks]


def empty() -> HeightBallots:
    return HeightBallots(CHAIN_ID, Height(1), C.active_set)


def altered(raw: bytes) -> bytes:
    """The same head and tag with another proof."""
    return raw[:-1] + bytes([raw[-1] ^ 1])


def test_section_17_a_signer_has_one_ballot_of_each_kind_in_a_view() -> None:
    ballots = empty()
    bank = BankIndex(3)
    assert ballots.add_approval(bank, V0, BLOCK.block_id, CAST[3])
    assert ballots.add_approval(bank, V0, BLOCK.block_id, CAST[4])
    assert ballots.add_approval(bank, V1, BLOCK.block_id, C.ballot(3, BLOCK, 1))
    assert ballots.add_rejection(bank, V0, OTHER.block_id, C.ballot(5, OTHER, approve=False))
    assert ballots.approvals_of(V0, BLOCK.block_id) == {CAST[3]: 3}
    assert ballots.approvals_of(V1, BLOCK.block_id) == {C.ballot(3, BLOCK, 1): 3}
    assert ballots.approvals_of(V0, OTHER.block_id) == {}
    assert ballots.rejections_of(V0, OTHER.block_id) == {C.ballot(5, OTHER, approve=False): 3}
    assert ballots.rejections_of(V0, BLOCK.block_id) == {}


def test_section_17_a_ballot_of_another_place_is_none() -> None:
    ballots = empty()
    bank, block_id = BankIndex(3), BLOCK.block_id
    others = Consortium(12, height=2)
    for raw in (
        C.ballot(3, BLOCK, 1),
        C.ballot(3, OTHER),
        C.ballot(3, BLOCK, approve=False),
        others.ballot(3, BLOCK),
        Consortium(11).ballot(3, BLOCK),
        CAST[3][:-1],
        b"",
    ):
        assert not ballots.add_approval(bank, V0, block_id, raw)
    assert not ballots.add_rejection(bank, V0, block_id, CAST[3])
    assert ballots == empty()


def test_section_12_only_what_is_unknown_and_not_under_way_is_verified() -> None:
    ballots = empty()
    ballots.asked[7] = (CAST[0], CAST[1])
    ballots.add_approval(BankIndex(0), V0, BLOCK.block_id, CAST[0])
    ballots.add_approval(BankIndex(9), V0, BLOCK.block_id, CAST[1])
    assert ballots.lacking([CAST[0], CAST[2], CAST[2]]) == (CAST[2],)
    assert ballots.answer(8, (True,)) == []
    assert ballots.verdicts == {}
    assert ballots.answer(7, (True, False)) == [9], "who brought it, not whose tag it has"
    assert ballots.verdicts == {CAST[0]: True, CAST[1]: False}
    assert ballots.lacking(CAST[:3]) == (CAST[2],)


def test_section_17_two_messages_under_one_tag_are_suspect_and_two_proofs_are_not() -> None:
    ballots = empty()
    against, about_other = C.ballot(3, BLOCK, approve=False), C.ballot(3, OTHER)
    for raw in (CAST[3], CAST[4], altered(CAST[3]), C.ballot(3, OTHER, 1)):
        ballots.note(View(1) if raw == C.ballot(3, OTHER, 1) else V0, raw)
    assert ballots.suspects == []
    ballots.note(V0, against)
    ballots.note(V0, against)
    assert ballots.suspects == [
        SuspectPair(V0, min(raw, against), max(raw, against)) for raw in (CAST[3], altered(CAST[3]))
    ]
    ballots.note(V0, about_other)
    assert len(ballots.suspects) == 5
    assert {pair.tag for pair in ballots.suspects} == {ballot_tag(CAST[3])}


@given(st.lists(st.integers(0, 11), max_size=20), st.integers(1, 12))
def test_section_17_a_seal_takes_distinct_tags_in_their_order(banks: list[int], q: int) -> None:
    chosen = select_ballots([CAST[bank] for bank in banks], q)
    assert count_tags([CAST[bank] for bank in banks]) == len(set(banks))
    if len(set(banks)) < q:
        assert chosen == ()
    else:
        tags = [ballot_tag(raw) for raw in chosen]
        assert len(tags) == q
        assert tags == sorted({ballot_tag(CAST[bank]) for bank in banks})[:q]


def test_section_17_the_choice_does_not_tell_whose_ballots_came_first() -> None:
    assert select_ballots(CAST, 10) == select_ballots(CAST[::-1], 10)
    assert select_ballots([CAST[1], altered(CAST[1]), CAST[0]], 2) == select_ballots(CAST[:2], 2)
