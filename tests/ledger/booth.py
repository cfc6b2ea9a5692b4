"""Where the banks of a test ledger cast their ballots: real ones, signed and verified once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import cache

from crypto.ballot import BallotContext, BallotKey, ballot_bytes, sign_ballot
from crypto.curve import POINT_BYTES
from node.ledger import ballots
from node.ledger.active_set import ActiveSet
from node.ledger.ballots import Decision, VerifiedBallot, verify_parent_ballots
from node.ledger.blocks import Header
from node.ledger.rejection import Rejection
from node.ledger.types import BankIndex, BlockId


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


_KNOWN: dict[tuple[bytes, BlockId, bytes], VerifiedBallot | Rejection] = {}


def verdicts(
    raws: Iterable[bytes], parent: Header, active_set: ActiveSet
) -> tuple[VerifiedBallot | Rejection, ...]:
    keys = [(raw, parent.block_id, active_set.set_hash) for raw in raws]
    unknown = [key for key in keys if key not in _KNOWN]
    judged = verify_parent_ballots([key[0] for key in unknown], parent, active_set)
    _KNOWN.update(zip(unknown, judged, strict=True))
    return tuple([_KNOWN[key] for key in keys])


def vouched(active_set: ActiveSet, parent: Header) -> tuple[VerifiedBallot, ...]:
    """A quorum's approvals with a filler in place of proofs, for long runs about other rules.

    Layout, tags and ciphertexts are sound, and this booth vouches for them to whoever validates.
    """
    found = []
    for bank in active_set.banks[: active_set.quorum]:
        context = BallotContext(parent.chain_id, parent.height, parent.original_view).encode()
        tag = hashlib.shake_256(b"tag of %d " % bank + context).digest(POINT_BYTES)
        ciphertext = ballot_key(999).public + ballot_key(bank).public
        body = context + parent.block_id + Decision.APPROVE.value + tag + ciphertext
        raw = body.ljust(ballot_bytes(active_set.size), b".")
        item = VerifiedBallot(raw, active_set.set_hash, ballots._VERIFIED)
        _KNOWN[raw, parent.block_id, active_set.set_hash] = item
        found.append(item)
    return tuple(found)


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
