"""Issue proof: the outputs of an ISSUE or PAYOUT sum to its public amount, and its issuer says so
(IDX1 7.6)."""

from collections.abc import Sequence
from dataclasses import dataclass

from crypto.accumulator import Accumulator, blinding_row, value_row
from crypto.curve import POINT_BYTES, Point, encode_point, multiply
from crypto.errors import ProvingError, Reason, Rejected, SignatureInvalid
from crypto.generators import blinding_generator
from crypto.randomness import RandomBytes, hedge
from crypto.scalar import ORDER, encode_scalar
from crypto.signature import sign, verify_signature
from crypto.transcript import h2s, hash64


def _signed_message(digest: bytes, proof: bytes) -> bytes:
    return hash64("IDX1/issue-sig", digest, proof)


@dataclass(frozen=True, slots=True)
class IssueEquation:
    """Equation (I) of one mint, its challenge drawn."""

    point: Point
    """R."""
    challenge: int
    """c; zero is refused."""
    response: int
    """z."""
    amount: int

    def accumulate(self, accumulator: Accumulator, asset: bytes, weight: int) -> int:
        """Add the equation under `weight`; return what every C_out,j still has to get."""
        if self.challenge == 0:
            accumulator.refuse()
        weighted_challenge = weight * self.challenge % ORDER
        accumulator.add_left((self.point,), (weight,))
        accumulator.add_right(value_row(asset), weighted_challenge * self.amount)
        accumulator.add_right(blinding_row(), weight * self.response)
        return weighted_challenge


def verify_issuer_signature(issuer: bytes, signature: bytes, digest: bytes, proof: bytes) -> None:
    """Raise Rejected(signature) unless `issuer` signed digest and proof bytes R || z (IDX1 8.6)."""
    try:
        verify_signature(issuer, signature, _signed_message(digest, proof))
    except SignatureInvalid as error:
        raise Rejected(Reason.SIGNATURE, str(error)) from None


def collect_issue_proof(
    digest: bytes, point: Point, proof: bytes, response: int, amount: int
) -> IssueEquation:
    """Draw the challenge and prepare equation (I); `point` is the decoded R of the bytes `proof`.
    """
    challenge = h2s("IDX1/issue-c", digest, proof[:POINT_BYTES])
    return IssueEquation(point, challenge, response, amount)


def prove_issue(
    *, digest: bytes, blindings: Sequence[int], issuer_secret: bytes, random_bytes: RandomBytes
) -> bytes:
    """R || z || signature for outputs with these blindings (IDX1 7.6).

    The caller checked that the outputs' values sum to the amount. `issuer_secret` is an Ed25519
    seed. Raises ProvingError for a challenge of zero.
    """
    total_blinding = sum(blindings) % ORDER
    secret = encode_scalar(total_blinding) + issuer_secret
    k = hedge(random_bytes, secret, digest).scalar()
    encoded_r = encode_point(multiply(blinding_generator(), k))
    challenge = h2s("IDX1/issue-c", digest, encoded_r)
    if challenge == 0:
        raise ProvingError("the challenge is zero; prove again with fresh coins")
    proof = encoded_r + encode_scalar(k + challenge * total_blinding)
    return proof + sign(issuer_secret, _signed_message(digest, proof))
