"""Openings: the opener names the signer of a ballot and proves it (IDX1 9.7).

Two forms, one type. An opener who holds the whole key gives the 64 bytes of IDX1 9.7. Where the key
is split among officers, t of them decrypt the ballot together (`crypto.opener_shares`), and their
partial decryptions are the proof; the statement under them names the ballot and its ring.

Judging an opening draws nothing: the weights of the ballot's equations are a hash of the ballot and
its ring, so every bank comes to the same verdict (BFT-12 17).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from crypto.ballot_keys import PROOF_BYTES, BallotKey, BallotRing, vote_key_base
from crypto.ballot_proof import BallotContext, CollectedBallot, verify_ballot
from crypto.curve import POINT_BYTES, Point, encode_point, msm, multiply
from crypto.errors import (
    DecryptionInvalid,
    IdentityPoint,
    OpeningInvalid,
    ProvingError,
    Rejected,
)
from crypto.generators import vote_key_generator
from crypto.opener_shares import (
    MAX_PARTIALS_BYTES,
    OpenerShare,
    PartialDecryption,
    combine_partials,
    decode_partials,
    decrypt_partially,
    encode_partials,
)
from crypto.randomness import Coins, RandomBytes, hedge
from crypto.scalar import SCALAR_BYTES, decode_scalar, encode_scalar
from crypto.transcript import h2s, hash64

MAX_OPENING_BYTES = 1 + MAX_PARTIALS_BYTES
"""Of an encoded opening."""


@dataclass(frozen=True, slots=True)
class BallotOpening:
    """The signer's position in the ring and the proof."""

    index: int
    proof: bytes | tuple[PartialDecryption, ...]
    """c || z, 64 bytes, of the whole key; or the officers' partial decryptions."""

    def encode(self) -> bytes:
        """Index byte, then the 64 bytes or the encoded partials, which never have that length."""
        proof = self.proof if isinstance(self.proof, bytes) else encode_partials(self.proof)
        return bytes((self.index,)) + proof

    @staticmethod
    def decode(data: bytes) -> BallotOpening:
        """Decode what `encode` gave; raises OpeningInvalid. Nothing is verified."""
        if len(data) == 1 + PROOF_BYTES:
            return BallotOpening(data[0], data[1:])
        try:
            return BallotOpening(data[0] if data else 0, decode_partials(data[1:]))
        except DecryptionInvalid as error:
            raise OpeningInvalid(str(error)) from error


def open_ballot(
    ballot: CollectedBallot, opener: BallotKey, random_bytes: RandomBytes = os.urandom
) -> BallotOpening:
    """Name the signer of a ballot that was verified (IDX1 9.7).

    Raises ProvingError for a key that is not the ring's opener and for a ballot that names no key
    of the ring, which no verified ballot does.
    """
    if opener.public != ballot.ring.opener:
        raise ProvingError("the key is not the opener of the ballot's ring")
    blinded_base = ballot.points[1]
    index = _signer(ballot, multiply(blinded_base, opener.secret))
    claim = ballot.ring.digest + bytes((index,)) + ballot.data
    nonce = hedge(random_bytes, opener.to_bytes(), b"IDX1/open" + claim).scalar()
    announced = (vote_key_base().multiply(nonce), multiply(blinded_base, nonce))
    challenge = _challenge(ballot, index, announced)
    response = nonce + challenge * opener.secret
    return BallotOpening(index, encode_scalar(challenge) + encode_scalar(response))


def open_partially(
    ballot: CollectedBallot, share: OpenerShare, random_bytes: RandomBytes = os.urandom
) -> PartialDecryption:
    """One officer's part in the opening of a ballot that was verified."""
    return decrypt_partially(_blinded_base(ballot), share, _statement(ballot), random_bytes)


def join_opening(
    ballot: CollectedBallot, partials: Sequence[PartialDecryption]
) -> BallotOpening:
    """Name the signer of a verified ballot from t officers' parts, given in any order.

    Raises ProvingError for parts that do not hold or are too few.
    """
    in_order = tuple(sorted(partials, key=lambda partial: partial.index))
    try:
        decryption = _combine(ballot, in_order)
    except DecryptionInvalid as error:
        raise ProvingError(str(error)) from error
    return BallotOpening(_signer(ballot, decryption), in_order)


def _signer(ballot: CollectedBallot, decryption: Point) -> int:
    try:
        signer = encode_point(ballot.points[2] + multiply(decryption, -1))
        return ballot.ring.keys.index(signer)
    except (IdentityPoint, ValueError):
        raise ProvingError("the ballot names no key of the ring; was it verified?") from None


def _combine(ballot: CollectedBallot, partials: Sequence[PartialDecryption]) -> Point:
    return combine_partials(
        partials, ballot.ring.opener, _blinded_base(ballot), _statement(ballot)
    )


def _blinded_base(ballot: CollectedBallot) -> bytes:
    return ballot.ciphertext[:POINT_BYTES]


def _statement(ballot: CollectedBallot) -> bytes:
    return hash64("IDX1/open-partially", ballot.ring.digest, hash64("IDX1/ballot", ballot.data))


def verify_ballot_opening(
    data: bytes, opening: BallotOpening, ring: BallotRing, context: BallotContext
) -> None:
    """Judge the opening of a ballot: the ballot, then the proof (IDX1 9.7).

    Ring and context come from certified state. Raises OpeningInvalid.
    """
    if isinstance(opening.proof, bytes) and len(opening.proof) != PROOF_BYTES:
        raise OpeningInvalid(f"{len(opening.proof)} bytes instead of {PROOF_BYTES}")
    if not 0 <= opening.index < ring.size:
        raise OpeningInvalid(f"index {opening.index} is outside a ring of {ring.size} keys")
    weights = Coins(hash64("IDX1/opened-ballot", ring.digest, data))
    try:
        ballot = verify_ballot(data, ring, context, weights.take)
        if isinstance(opening.proof, bytes):
            _verify_whole(ballot, opening.index, opening.proof)
        elif _signer(ballot, _combine(ballot, opening.proof)) != opening.index:
            raise OpeningInvalid("the decryption names another signer")
    except (Rejected, IdentityPoint, DecryptionInvalid, ProvingError) as error:
        raise OpeningInvalid(str(error)) from error


def _verify_whole(ballot: CollectedBallot, index: int, proof: bytes) -> None:
    challenge = decode_scalar(proof[:SCALAR_BYTES])
    response = decode_scalar(proof[SCALAR_BYTES:])
    announced = _recompute_announced(ballot, index, challenge, response)
    if challenge != _challenge(ballot, index, announced):
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
