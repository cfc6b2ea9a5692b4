"""Openings: the opener names the signer of a ballot and proves it (IDX1 9.7)."""

from __future__ import annotations

import os
from dataclasses import dataclass

from crypto.ballot_keys import PROOF_BYTES, BallotKey, BallotRing, vote_key_base
from crypto.ballot_proof import BallotContext, CollectedBallot, verify_ballot
from crypto.curve import Point, encode_point, msm, multiply
from crypto.errors import IdentityPoint, OpeningInvalid, ProvingError, Rejected
from crypto.generators import vote_key_generator
from crypto.randomness import RandomBytes, hedge
from crypto.scalar import SCALAR_BYTES, decode_scalar, encode_scalar
from crypto.transcript import h2s, hash64


@dataclass(frozen=True, slots=True)
class Opening:
    """The signer's position in the ring and the proof c || z, 64 bytes."""

    index: int
    proof: bytes


def open_ballot(
    ballot: CollectedBallot, opener: BallotKey, random_bytes: RandomBytes = os.urandom
) -> Opening:
    """Name the signer of a ballot that was verified (IDX1 9.7).

    Raises ProvingError for a key that is not the ring's opener and for a ballot that names no key
    of the ring, which no verified ballot does.
    """
    if opener.public != ballot.ring.opener:
        raise ProvingError("the key is not the opener of the ballot's ring")
    _, blinded_base, blinded_key, *_ = ballot.points
    signer = encode_point(blinded_key + multiply(blinded_base, -opener.secret))
    if signer not in ballot.ring.keys:
        raise ProvingError("the ballot names no key of the ring; was it verified?")
    index = ballot.ring.keys.index(signer)
    claim = ballot.ring.digest + bytes((index,)) + ballot.data
    nonce = hedge(random_bytes, opener.to_bytes(), b"IDX1/open" + claim).scalar()
    announced = (vote_key_base().multiply(nonce), multiply(blinded_base, nonce))
    challenge = _challenge(ballot, index, announced)
    response = nonce + challenge * opener.secret
    return Opening(index, encode_scalar(challenge) + encode_scalar(response))


def verify_opening(
    data: bytes,
    opening: Opening,
    ring: BallotRing,
    context: BallotContext,
    random_bytes: RandomBytes = os.urandom,
) -> None:
    """Judge the opening of a ballot: the ballot first, then the proof (IDX1 9.7).

    Ring and context come from certified state. Raises OpeningInvalid.
    """
    if len(opening.proof) != PROOF_BYTES:
        raise OpeningInvalid(f"{len(opening.proof)} bytes instead of {PROOF_BYTES}")
    if not 0 <= opening.index < ring.size:
        raise OpeningInvalid(f"index {opening.index} is outside a ring of {ring.size} keys")
    try:
        ballot = verify_ballot(data, ring, context, random_bytes)
        challenge = decode_scalar(opening.proof[:SCALAR_BYTES])
        response = decode_scalar(opening.proof[SCALAR_BYTES:])
        announced = _recompute_announced(ballot, opening.index, challenge, response)
        expected = _challenge(ballot, opening.index, announced)
    except (Rejected, IdentityPoint) as error:
        raise OpeningInvalid(str(error)) from error
    if challenge != expected:
        raise OpeningInvalid("the challenge is another one")


def _recompute_announced(
    ballot: CollectedBallot, index: int, challenge: int, response: int
) -> tuple[Point, Point]:
    _, blinded_base, blinded_key, *_ = ballot.points
    ring = ballot.ring
    return (
        msm((vote_key_generator(), ring.opener_point), (response, -challenge)),
        msm(
            (blinded_base, blinded_key, ring.key_points[index]),
            (response, -challenge, challenge),
        ),
    )


def _challenge(ballot: CollectedBallot, index: int, announced: tuple[Point, Point]) -> int:
    return h2s(
        "IDX1/open",
        ballot.ring.digest,
        bytes((index,)),
        hash64("IDX1/ballot", ballot.data),
        *(encode_point(point) for point in announced),
    )
