"""The parent's voting record in a block: which ballots it must hold, and what they add up to.

A block at height h carries ballots about its parent (BFT-12 17): exactly q approvals and at most
n - q rejections of the parent's active set, all cast in one view, sorted by tag. They are the
agreed record, for the seals that banks hold differ. The first block carries none, for genesis has
no seal.

The list is judged by its bytes first and by the proofs last, so the verdict does not depend on
whether a host verified the ballots one by one, in a batch, or long ago.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

from crypto.ballot import Decision
from crypto.ballot_tally import add_ciphertexts
from crypto.merkle import EMPTY_ROOT, merkle_root_of_hashes
from node.ledger.active_set import ActiveSet
from node.ledger.ballots import (
    VerifiedBallot,
    ballot_chain,
    ballot_height,
    ballot_message,
    ballot_tag,
    ballot_view,
)
from node.ledger.blocks import Header
from node.ledger.effects import RecordedVote
from node.ledger.rejection import Reason, Rejection
from node.ledger.state_records import TALLY_BYTES, Tally
from node.ledger.types import BlockId, FiscalYear, Height, View

__all__ = [
    "add_to_tallies",
    "ballots_root",
    "check_ballot_list",
    "check_voting_record",
    "recorded_votes",
    "select_votes",
]

GENESIS_HEIGHT = Height(0)


def ballots_root(ballots: Iterable[VerifiedBallot]) -> bytes:
    """Return what `Header.ballots_root` must be, 32 bytes (IDX1 11.1)."""
    return merkle_root_of_hashes([item.leaf_hash for item in ballots])


def check_voting_record(
    raws: Sequence[bytes],
    verdicts: Sequence[VerifiedBallot | Rejection],
    *,
    root: bytes,
    parent: Header,
    active_set: ActiveSet,
) -> tuple[VerifiedBallot, ...]:
    """Check that these ballots may stand in a block on `parent`, and return them (BFT-12 17).

    `active_set` is that of the parent's height, `root` the block's `ballots_root`, `verdicts` what
    `verify_parent_ballots` said of each ballot. Raises `Rejection`: BALLOTS for the list, LENGTH
    for a ballot that is none, and the reason of IDX1 9.6 for one that does not verify.
    """
    assert len(verdicts) == len(raws), "one verdict per ballot"
    check_ballot_list(raws, parent.chain_id, parent.height, parent.block_id)
    if parent.height == GENESIS_HEIGHT:
        _require(root == EMPTY_ROOT, f"the header says {root.hex()}, there are none")
        return ()
    _check_counts(raws, parent, active_set)
    for verdict in verdicts:
        if isinstance(verdict, Rejection):
            raise verdict
    verified = tuple([item for item in verdicts if isinstance(item, VerifiedBallot)])
    assert [item.raw for item in verified] == list(raws), "the verdicts are the block's"
    assert all(item.set_hash == active_set.set_hash for item in verified), "of the parent's set"
    computed = ballots_root(verified)
    _require(root == computed, f"the header says {root.hex()}, computed {computed.hex()}")
    return verified


def check_ballot_list(
    raws: Sequence[bytes], chain_id: bytes, parent_height: Height, parent_id: BlockId
) -> None:
    """Check what the bytes of a block's ballots say by themselves; no state, no proof.

    Raises `Rejection`: BALLOTS, CHAIN for another ledger's, LENGTH for a ballot that is none.
    """
    if parent_height == GENESIS_HEIGHT:
        _require(not raws, f"{len(raws)} ballots about the genesis, which has no seal")
        return
    tags = [ballot_tag(raw) for raw in raws]
    _require(
        all(left < right for left, right in pairwise(tags)),
        "the tags are not in strictly increasing order",
    )
    messages = {parent_id + decision.value for decision in Decision}
    _require(
        all(ballot_message(raw) in messages for raw in raws), "a ballot is not about the parent"
    )
    if any(ballot_chain(raw) != chain_id for raw in raws):
        raise Rejection(Reason.CHAIN, "ballot of another ledger")
    heights = {ballot_height(raw) for raw in raws}
    _require(heights <= {parent_height}, f"ballots of heights {sorted(heights)}")
    views = {ballot_view(raw) for raw in raws}
    _require(len(views) <= 1, f"ballots of views {sorted(views)}, one view is required")


def _check_counts(raws: Sequence[bytes], parent: Header, active_set: ActiveSet) -> None:
    approvals = sum(ballot_message(raw)[-1:] == Decision.APPROVE.value for raw in raws)
    rejections = len(raws) - approvals
    quorum, most = active_set.quorum, active_set.size - active_set.quorum
    _require(
        approvals == quorum, f"{approvals} approvals of the parent, exactly {quorum} are required"
    )
    _require(
        rejections <= most, f"{rejections} rejections of the parent, at most {most} are allowed"
    )
    view = ballot_view(raws[0])
    _require(
        view >= parent.original_view,
        f"ballots of view {view}, the parent was created in view {parent.original_view}",
    )


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise Rejection(Reason.BALLOTS, message)


def select_votes(
    ballots: Sequence[VerifiedBallot], *, parent: Header, active_set: ActiveSet
) -> tuple[VerifiedBallot, ...]:
    """Choose from verified ballots those that a block on `parent` carries, sorted by tag.

    Of the lowest view with a quorum: q approvals, and rejections whose tag is not among them. Where
    there are more, the lowest tags are taken. Raises `Rejection` (BALLOTS) if no view has q
    approvals of the parent.
    """
    if parent.height == GENESIS_HEIGHT:
        return ()
    about = [item for item in ballots if _may_count(item, parent, active_set)]
    approvals: dict[View, dict[bytes, VerifiedBallot]] = {}
    for item in about:
        if item.decision is Decision.APPROVE:
            approvals.setdefault(item.view, {}).setdefault(item.tag, item)
    complete = [view for view, found in approvals.items() if len(found) >= active_set.quorum]
    if not complete:
        most = max((len(found) for found in approvals.values()), default=0)
        raise Rejection(
            Reason.BALLOTS,
            f"{most} approvals of the parent are at hand, {active_set.quorum} are required",
        )
    view = min(complete)
    chosen = _lowest(approvals[view], active_set.quorum)
    rejections = {
        item.tag: item
        for item in about
        if item.view == view and item.decision is Decision.REJECT and item.tag not in chosen
    }
    chosen |= _lowest(rejections, active_set.size - active_set.quorum)
    return tuple([chosen[tag] for tag in sorted(chosen)])


def _may_count(item: VerifiedBallot, parent: Header, active_set: ActiveSet) -> bool:
    return (
        item.height == parent.height
        and item.block_id == parent.block_id
        and item.view >= parent.original_view
        and item.set_hash == active_set.set_hash
    )


def _lowest(by_tag: dict[bytes, VerifiedBallot], count: int) -> dict[bytes, VerifiedBallot]:
    return {tag: by_tag[tag] for tag in sorted(by_tag)[:count]}


def recorded_votes(ballots: Iterable[VerifiedBallot]) -> tuple[RecordedVote, ...]:
    """Return the rows of the voting record, in the order of the ballots."""
    return tuple(
        [RecordedVote(item.tag, item.decision is Decision.APPROVE, item.raw) for item in ballots]
    )


def add_to_tallies(
    tallies: tuple[Tally, ...],
    ballots: Sequence[VerifiedBallot],
    *,
    year: FiscalYear,
    opener_key: bytes,
) -> tuple[Tally, ...]:
    """Return the tallies with one more block's approvals added (BFT-12 18).

    `year` is that of the block which the ballots approve. Rejections are recorded and not counted.
    """
    approvals = tuple([item.ciphertext for item in ballots if item.decision is Decision.APPROVE])
    if not approvals:
        return tallies
    by_key = {(tally.year, tally.opener_key): tally for tally in tallies}
    empty = Tally(year, opener_key, bytes(TALLY_BYTES), 0, 0)
    tally = by_key.get((year, opener_key), empty)
    by_key[year, opener_key] = replace(
        tally,
        ciphertext_sum=_sum(tally.ciphertext_sum, approvals),
        ballots=tally.ballots + len(approvals),
        blocks=tally.blocks + 1,
    )
    return tuple([by_key[key] for key in sorted(by_key)])


@lru_cache(maxsize=16)
def _sum(total: bytes, ciphertexts: tuple[bytes, ...]) -> bytes:
    """Every bank of a process, and building and validating, ask for the same sums."""
    return add_ciphertexts(total, ciphertexts)
