"""The parent's voting record in a block, on real ballots (BFT-12 17, 18)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.ballot import BallotContext, BallotKey, sign_ballot
from crypto.ballot_proof import HEAD_BYTES
from crypto.curve import POINT_BYTES, Point, decode_curve, identity, multiply
from crypto.merkle import EMPTY_ROOT, merkle_root
from node.ledger.active_set import ActiveSet
from node.ledger.ballots import Decision, VerifiedBallot, ballot_tag, ballot_view
from node.ledger.blocks import MAX_BALLOT_BYTES, Block
from node.ledger.effects import RecordedVote
from node.ledger.offences import Offence
from node.ledger.rejection import Reason, Rejection
from node.ledger.state import Tally
from node.ledger.types import FiscalYear, Height, View
from node.ledger.voting_record import add_to_tallies, recorded_votes, select_votes
from tests.ledger import booth
from tests.ledger.chain import Chain, make_genesis, refusal

REJECT = Decision.REJECT
OPENER = BallotKey(1999)
YEAR_MS = 365 * 86_400_000


@pytest.fixture(scope="module")
def tip() -> Chain:
    """Six banks, a quorum of five, and one block that was sealed; do not change, fork."""
    chain = Chain(make_genesis(banks=6))
    chain.seal()
    return chain


@pytest.fixture
def six(tip: Chain) -> Chain:
    return tip.fork()


def in_order(raws: Sequence[bytes]) -> list[bytes]:
    return sorted(raws, key=ballot_tag)


def approvals(chain: Chain, banks: Sequence[int] = range(5), view: int = 0) -> list[bytes]:
    return [booth.cast(chain.parent_set, chain.header, bank, view) for bank in banks]


def signed(
    chain: Chain,
    bank: int,
    *,
    chain_id: bytes | None = None,
    height: int | None = None,
    view: int = 0,
    block_id: bytes | None = None,
    active_set: ActiveSet | None = None,
) -> bytes:
    """An approval with a valid proof, but for whatever is said."""
    context = BallotContext(
        chain_id or chain.genesis.chain_id, chain.height if height is None else height, view
    )
    return sign_ballot(
        booth.ballot_key(bank),
        (active_set or chain.parent_set).ballot_ring,
        context,
        block_id or chain.header.block_id,
        Decision.APPROVE,
    )


def with_ballots(block: Block, raws: Sequence[bytes]) -> Block:
    """A block whose header commits to these ballots."""
    header = replace(block.header, ballots_root=merkle_root(list(raws)))
    return replace(block, header=header, parent_ballots=tuple(raws))


def refused(chain: Chain, raws: Sequence[bytes]) -> tuple[Reason, str]:
    """Why no bank votes for a block with these ballots; the state stays as it is."""
    before = chain.state.encode()
    built = chain.build()
    with pytest.raises(Rejection) as error:
        chain.validate(with_ballots(built.block, raws), built.transactions)
    assert chain.state.encode() == before
    reason, message, index = refusal(error.value)
    assert index is None
    assert reason.is_deterministic
    return reason, message


def accepted(chain: Chain, raws: Sequence[bytes]) -> tuple[RecordedVote, ...]:
    """The record of a block with exactly these ballots, as a leader and a voter agree on it."""
    parsed = booth.verdicts(raws, chain.header, chain.parent_set)
    built = chain.build(ballots=[item for item in parsed if isinstance(item, VerifiedBallot)])
    assert built.block.parent_ballots == tuple(raws)
    transition = chain.validate(built.block, built.transactions)
    assert transition == built.transition
    return transition.votes


def test_section_17_the_first_block_carries_no_ballots() -> None:
    chain = Chain(make_genesis(banks=6))
    built = chain.build()
    assert (built.block.parent_ballots, built.block.header.ballots_root) == ((), EMPTY_ROOT)
    assert (built.transition.votes, built.transition.state.tallies) == ((), ())
    ballot = booth.cast(chain.parent_set, chain.header, 0)
    assert refused(chain, [ballot]) == (
        Reason.BALLOTS,
        "1 ballots about the genesis, which has no seal",
    )
    other_root = replace(built.block, header=replace(built.block.header, ballots_root=bytes(32)))
    with pytest.raises(Rejection) as error:
        chain.validate(other_root, ())
    assert refusal(error.value) == (
        Reason.BALLOTS,
        f"the header says {'00' * 32}, there are none",
        None,
    )


def test_section_17_exactly_a_quorum_of_approvals_sorted_by_tag(six: Chain) -> None:
    raws = in_order(approvals(six))
    assert accepted(six, raws) == tuple(RecordedVote(ballot_tag(raw), True, raw) for raw in raws)
    assert refused(six, raws[:-1]) == (
        Reason.BALLOTS,
        "4 approvals of the parent, exactly 5 are required",
    )
    assert refused(six, in_order(approvals(six, range(6)))) == (
        Reason.BALLOTS,
        "6 approvals of the parent, exactly 5 are required",
    )
    assert refused(six, []) == (
        Reason.BALLOTS,
        "0 approvals of the parent, exactly 5 are required",
    )


def test_section_17_the_block_id_commits_to_the_ballots(six: Chain) -> None:
    """Another quorum of the same banks is another block."""
    first = six.build(ballots=six.votes(approving=range(5))).block
    second = six.build(ballots=six.votes(approving=range(1, 6))).block
    assert first.block_id != second.block_id
    swapped = replace(first, parent_ballots=second.parent_ballots)
    with pytest.raises(Rejection) as error:
        six.validate(swapped, ())
    roots = [block.header.ballots_root.hex() for block in (first, second)]
    assert refusal(error.value) == (
        Reason.BALLOTS,
        "the header says {}, computed {}".format(*roots),
        None,
    )


def test_section_17_rejections_are_recorded_beside_the_quorum(six: Chain) -> None:
    reject = booth.cast(six.parent_set, six.header, 5, decision=REJECT)
    raws = in_order([*approvals(six), reject])
    votes = accepted(six, raws)
    assert {vote.ballot: vote.approve for vote in votes} == {raw: raw != reject for raw in raws}
    assert [vote.tag for vote in votes] == sorted(vote.tag for vote in votes)


def test_section_17_more_rejections_than_banks_are_left(six: Chain) -> None:
    """More than n - q distinct tags cannot be had; the list is refused before a proof is read."""
    reject = booth.cast(six.parent_set, six.header, 5, decision=REJECT)
    forged = reject[:HEAD_BYTES] + b"\x01" * POINT_BYTES + reject[HEAD_BYTES + POINT_BYTES :]
    assert refused(six, in_order([*approvals(six), reject, forged])) == (
        Reason.BALLOTS,
        "2 rejections of the parent, at most 1 are allowed",
    )


UNORDERED = (Reason.BALLOTS, "the tags are not in strictly increasing order")


def test_section_17_unsorted_and_repeated_tags(six: Chain) -> None:
    """Eleven ballots of ten banks: a second ballot of a bank has the tag of its first."""
    raws = in_order(approvals(six))
    assert refused(six, raws[::-1]) == UNORDERED
    assert refused(six, [raws[1], raws[0], *raws[2:]]) == UNORDERED
    assert refused(six, in_order([*raws, raws[2]])) == UNORDERED
    assert refused(six, in_order([*raws[:4], raws[2]])) == UNORDERED
    also_rejects = booth.cast(six.parent_set, six.header, 2, decision=REJECT)
    assert refused(six, in_order([*raws, also_rejects])) == UNORDERED


def test_section_17_ballots_of_two_views_are_not_counted_together(six: Chain) -> None:
    raws = approvals(six, range(4)) + approvals(six, [4], view=1)
    assert refused(six, in_order(raws)) == (
        Reason.BALLOTS,
        "ballots of views [0, 1], one view is required",
    )
    one_bank_twice = approvals(six, range(4)) + approvals(six, [3], view=1)
    assert refused(six, in_order(one_bank_twice))[0] is Reason.BALLOTS


def test_section_17_the_view_is_that_of_the_seal_not_of_the_creation(six: Chain) -> None:
    """A block of view 0 may be sealed in a later view, one of view 2 in no earlier one."""
    later = in_order(approvals(six, view=7))
    assert {ballot_view(raw) for raw in later} == {7}
    assert len(accepted(six, later)) == 5
    built = six.build(view=2)
    six.apply(built.block, built.transition)
    assert refused(six, in_order(approvals(six, view=1))) == (
        Reason.BALLOTS,
        "ballots of view 1, the parent was created in view 2",
    )
    assert len(accepted(six, in_order(approvals(six, view=2)))) == 5


REPLAYS: list[tuple[Callable[[Chain], bytes], tuple[Reason, str]]] = [
    (
        lambda chain: signed(chain, 4, chain_id=b"c" * 32),
        (Reason.CHAIN, "ballot of another ledger"),
    ),
    (
        lambda chain: signed(chain, 4, height=chain.height + 1),
        (Reason.BALLOTS, "ballots of heights [1, 2]"),
    ),
    (
        lambda chain: signed(chain, 4, block_id=b"b" * 32),
        (Reason.BALLOTS, "a ballot is not about the parent"),
    ),
    (
        lambda chain: signed(chain, 4, active_set=founders(chain, without=5)),
        (Reason.LENGTH, "1167 bytes instead of 1199"),
    ),
    (
        lambda chain: signed(chain, 4, active_set=other_opener(chain)),
        (Reason.BALLOT, "an equation does not hold"),
    ),
]


def founders(chain: Chain, without: int) -> ActiveSet:
    return chain.genesis.active_set(booth.without(chain.parent_set, [without]))


def other_opener(chain: Chain) -> ActiveSet:
    return replace(chain.parent_set, opener_key=BallotKey(7).public)


@pytest.mark.parametrize(("make", "expected"), REPLAYS, ids=lambda item: "")
def test_section_17_a_ballot_of_another_context_or_ring(
    six: Chain, make: Callable[[Chain], bytes], expected: tuple[Reason, str]
) -> None:
    """Its proof holds where it was cast: another chain, height, block, ring, or opener's key."""
    assert refused(six, in_order([*approvals(six, range(4)), make(six)])) == expected


def test_section_17_a_ballot_for_the_other_decision(six: Chain) -> None:
    """A rejection passed off as an approval: the message is part of the challenge."""
    reject = booth.cast(six.parent_set, six.header, 4, decision=REJECT)
    flipped = reject[: HEAD_BYTES - 1] + b"A" + reject[HEAD_BYTES:]
    assert refused(six, in_order([*approvals(six, range(4)), flipped])) == (
        Reason.BALLOT,
        "an equation does not hold",
    )
    neither = reject[: HEAD_BYTES - 1] + b"X" + reject[HEAD_BYTES:]
    assert refused(six, in_order([*approvals(six, range(4)), neither])) == (
        Reason.BALLOTS,
        "a ballot is not about the parent",
    )


def test_section_17_a_false_proof_is_refused_with_the_reason_of_idx1(six: Chain) -> None:
    *good, last = in_order(approvals(six))
    broken = [
        (last[:-1] + bytes([last[-1] ^ 1]), Reason.BALLOT),
        (last[:-32] + b"\xff" * 32, Reason.SCALAR),
        (last[: HEAD_BYTES + 96] + bytes(96) + last[HEAD_BYTES + 192 :], Reason.IDENTITY),
        (last[: HEAD_BYTES + 96] + b"\x01" * 96 + last[HEAD_BYTES + 192 :], Reason.POINT),
        (b"\x02" + last[1:], Reason.VERSION),
        (last[:1] + b"\x01" + last[2:], Reason.KIND),
        (last[:-1], Reason.LENGTH),
        (last + b"\x00", Reason.TRAILING),
        (last[:100], Reason.LENGTH),
        (b"", Reason.LENGTH),
    ]
    for raw, reason in broken:
        assert refused(six, [*good, raw])[0] is reason


def test_section_17_another_banks_ballot_under_an_own_tag(six: Chain) -> None:
    """Nobody votes twice by dressing a copied ballot in another tag."""
    raws = approvals(six, range(5))
    first, second = raws[0], raws[1]
    dressed = first[:HEAD_BYTES] + ballot_tag(second) + first[HEAD_BYTES + POINT_BYTES :]
    assert refused(six, in_order([first, dressed, *raws[2:]])) == (
        Reason.BALLOT,
        "an equation does not hold",
    )


def test_section_17_a_removed_bank_has_no_ballot(removed: Chain) -> None:
    """The ring of a height has the banks that were active at it, and they alone."""
    assert 5 not in removed.parent_set
    everybody = removed.genesis.active_set([bank.index for bank in removed.genesis.banks])
    late = signed(removed, 5, active_set=everybody)
    assert refused(removed, in_order([*approvals(removed, range(4)), late])) == (
        Reason.TRAILING,
        "1199 bytes instead of 1167",
    )
    assert len(accepted(removed, in_order(approvals(removed)))) == 5


def test_section_17_the_ring_is_that_of_the_parents_height(six: Chain) -> None:
    """The block that removes a bank was still decided with it."""
    offences = (Offence.DOUBLE_VOTE, *(*Offence,)[1:5], Offence.APPROVED_INVALID)
    six.seal(evidence=[*[six.evidence(5, 1, item) for item in offences], six.evidence(5, 2)])
    assert (5 in six.parent_set, 5 in six.state.active_set(six.genesis)) == (True, False)
    assert len(accepted(six, in_order(approvals(six, range(1, 6))))) == 5
    six.seal()
    assert 5 not in six.parent_set


def test_section_17_a_leader_may_not_leave_approvals_out(six: Chain) -> None:
    """What its own block lacks, it cannot build; what others would see lacking, they refuse."""
    with pytest.raises(Rejection) as error:
        six.build(ballots=six.votes(approving=range(4)))
    assert refusal(error.value) == (
        Reason.BALLOTS,
        "4 approvals of the parent are at hand, 5 are required",
        None,
    )
    assert refused(six, in_order(approvals(six, range(4))))[0] is Reason.BALLOTS


def test_section_17_a_builder_takes_one_quorum_of_one_view(six: Chain) -> None:
    """The lowest view with a quorum, the lowest tags of it, and no bank twice."""
    view_0 = list(six.votes(approving=range(4), view=0))
    view_1 = list(six.votes(approving=range(6), rejecting=[0, 5], view=1))
    view_2 = list(six.votes(approving=range(5), view=2))
    taken = select_votes([*view_2, *view_1, *view_0], parent=six.header, active_set=six.parent_set)
    expected = sorted([item for item in view_1 if item.decision is Decision.APPROVE],
                      key=lambda item: item.tag)[:5]  # fmt: skip
    left_out = {item.tag for item in view_1} - {item.tag for item in expected}
    expected += [item for item in view_1 if item.tag in left_out and item.decision is REJECT]
    assert taken == tuple(sorted(expected, key=lambda item: item.tag))
    assert {item.view for item in taken} == {1}


def test_section_17_a_builder_ignores_ballots_about_anything_else(six: Chain) -> None:
    other_block = replace(six.header, time_ms=six.header.time_ms + 1)
    about_other = booth.votes(six.parent_set, other_block)
    of_other_ring = booth.votes(other_opener(six), six.header)
    with pytest.raises(Rejection) as error:
        select_votes([*about_other, *of_other_ring], parent=six.header, active_set=six.parent_set)
    assert error.value.message == "0 approvals of the parent are at hand, 5 are required"


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_section_17_whatever_is_at_hand_a_built_block_is_valid(
    tip: Chain, data: st.DataObject
) -> None:
    """Or there is no quorum, and nothing is built."""
    pool = [
        *tip.votes(approving=range(6), rejecting=range(6), view=0),
        *tip.votes(approving=range(6), rejecting=range(6), view=1),
    ]
    at_hand = data.draw(st.lists(st.sampled_from(pool), max_size=16))
    of_view = {
        view: {item.tag for item in at_hand if item.view == view and item.decision is not REJECT}
        for view in (0, 1)
    }
    possible = any(len(tags) >= 5 for tags in of_view.values())
    try:
        built = tip.build(ballots=at_hand)
    except Rejection as rejection:
        assert rejection.reason is Reason.BALLOTS
        assert not possible
        return
    assert possible
    assert tip.validate(built.block, ()) == built.transition
    assert sum(vote.approve for vote in built.transition.votes) == 5


def decrypted(total: bytes) -> Point:
    """What the opener reads out of a sum of ballots: D = E2 - y E1 (IDX1 9.7)."""
    first, second = decode_curve(total[:POINT_BYTES]), decode_curve(total[POINT_BYTES:])
    return second + multiply(first, -OPENER.secret)


def keys_of(chain: Chain, counts: Sequence[int]) -> Point:
    total = identity()
    for bank, count in enumerate(counts):
        total = total + multiply(decode_curve(chain.genesis.banks[bank].ballot_key), count)
    return total


def test_section_18_a_years_tally_decrypts_to_the_votes_of_its_blocks(six: Chain) -> None:
    """Approvals alone are counted, without any ballot being opened."""
    for approving, rejecting in (([0, 1, 2, 3, 4], [5]), ([1, 2, 3, 4, 5], []), (range(5), [])):
        ballots = six.votes(approving=approving, rejecting=rejecting)
        built = six.build(ballots=ballots)
        six.apply(built.block, six.validate(built.block, ()))
    (tally,) = six.state.tallies
    assert replace(tally, ciphertext_sum=b"") == Tally(
        FiscalYear(2026), six.genesis.opener_key, b"", 15, 3
    )
    assert decrypted(tally.ciphertext_sum) == keys_of(six, [2, 3, 3, 3, 3, 1])


def test_section_18_votes_count_in_the_year_of_the_block_they_approve(six: Chain) -> None:
    """The first block of a year carries the last votes of the year before."""
    six.seal(after_ms=YEAR_MS)
    assert [(tally.year, tally.ballots, tally.blocks) for tally in six.state.tallies] == [
        (2026, 5, 1)
    ]
    six.seal()
    six.seal()
    assert [(tally.year, tally.ballots, tally.blocks) for tally in six.state.tallies] == [
        (2026, 5, 1),
        (2027, 10, 2),
    ]
    assert decrypted(six.state.tallies[1].ciphertext_sum) == keys_of(six, [2] * 5)


@settings(max_examples=25, deadline=None)
@given(
    record=st.lists(st.tuples(st.sets(st.integers(0, 5), min_size=1), st.booleans()), max_size=6),
    data=st.data(),
)
def test_section_18_tallies_add_up_in_any_order(
    tip: Chain, record: list[tuple[set[int], bool]], data: st.DataObject
) -> None:
    """Of banks and of blocks; rejections and other years change nothing."""

    def tallied(blocks: Sequence[tuple[set[int], bool]]) -> tuple[Tally, ...]:
        tallies: tuple[Tally, ...] = ()
        for banks, is_later in blocks:
            rejecting = sorted(set(range(6)) - banks)
            ballots = tip.votes(approving=sorted(banks), rejecting=rejecting)
            tallies = add_to_tallies(
                tallies,
                data.draw(st.permutations(ballots)),
                year=FiscalYear(2027 if is_later else 2026),
                opener_key=tip.genesis.opener_key,
            )
        return tallies

    tallies = tallied(record)
    assert tallied(data.draw(st.permutations(record))) == tallies
    for tally in tallies:
        of_year = [banks for banks, is_later in record if is_later == (tally.year == 2027)]
        counts = [sum(bank in banks for banks in of_year) for bank in range(6)]
        assert (tally.blocks, tally.ballots) == (len(of_year), sum(counts))
        assert decrypted(tally.ciphertext_sum) == keys_of(tip, counts)
    assert {tally.year for tally in tallies} == {2027 if later else 2026 for _, later in record}


def test_section_18_rejections_alone_make_no_tally(six: Chain) -> None:
    ballots = [item for item in six.votes(rejecting=[5]) if item.decision is REJECT]
    year, key = FiscalYear(2026), six.genesis.opener_key
    assert add_to_tallies((), ballots, year=year, opener_key=key) == ()
    assert [vote.approve for vote in recorded_votes(ballots)] == [False]


def test_a_tally_of_another_opener_is_left_alone(six: Chain) -> None:
    other = Tally(FiscalYear(2026), b"Z" * 96, bytes(192), 3, 1)
    tallies = add_to_tallies(
        (other,), six.votes(), year=FiscalYear(2026), opener_key=six.genesis.opener_key
    )
    assert [(tally.opener_key, tally.ballots) for tally in tallies] == [
        (six.genesis.opener_key, 5),
        (b"Z" * 96, 3),
    ]


def test_ballots_fit_into_a_block() -> None:
    """IDX1 9.2: a ring has at most sixteen banks."""
    chain = Chain(make_genesis(banks=16))
    raw = booth.cast(chain.parent_set, replace(chain.header, height=Height(1)), 0, View(0))
    assert len(raw) == MAX_BALLOT_BYTES
