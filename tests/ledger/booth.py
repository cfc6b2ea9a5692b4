"""Where the banks of a test ledger cast their ballots: real ones, each signed and verified once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

from crypto.ballot import BallotContext, BallotKey, sign_ballot
from node.ledger.active_set import ActiveSet
from node.ledger.ballots import Decision, VerifiedBallot, verify_parent_ballots
from node.ledger.blocks import Header
from node.ledger.rejection import Rejection
from node.ledger.types import BankIndex


def ballot_key(bank: int) -> BallotKey:
    return BallotKey(1000 + bank)


@cache
def cast(
    active_set: ActiveSet,
    header: Header,
    bank: int,
    view: int | None = None,
    decision: Decision = Decision.APPROVE,
) -> bytes:
    """A bank's ballot about the block of this header, by default in the view of its creation."""
    context = BallotContext(
        header.chain_id, header.height, header.original_view if view is None else view
    )
    return sign_ballot(ballot_key(bank), active_set.ballot_ring, context, header.block_id, decision)


@cache
def _verdict(raw: bytes, parent: Header, active_set: ActiveSet) -> VerifiedBallot | Rejection:
    (verdict,) = verify_parent_ballots([raw], parent, active_set)
    return verdict


def verdicts(
    raws: Iterable[bytes], parent: Header, active_set: ActiveSet
) -> tuple[VerifiedBallot | Rejection, ...]:
    return tuple([_verdict(raw, parent, active_set) for raw in raws])


def votes(
    active_set: ActiveSet,
    parent: Header,
    *,
    approving: Sequence[int] | None = None,
    rejecting: Sequence[int] = (),
    view: int | None = None,
) -> tuple[VerifiedBallot, ...]:
    """Verified ballots of these banks about a block; by default of the first quorum of the set."""
    banks: Sequence[int] = active_set.banks[: active_set.quorum]
    raws = [cast(active_set, parent, bank, view) for bank in approving or banks]
    raws += [cast(active_set, parent, bank, view, Decision.REJECT) for bank in rejecting]
    found = [item for item in verdicts(raws, parent, active_set) if not isinstance(item, Rejection)]
    assert len(found) == len(raws)
    return tuple(found)


def without(active_set: ActiveSet, banks: Sequence[int]) -> list[BankIndex]:
    return [bank for bank in active_set.banks if bank not in banks]
