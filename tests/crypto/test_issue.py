"""Issue proofs and the issuer's signature: IDX1 7.6, 8.6."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crypto.accumulator import Accumulator, EquationsFail
from crypto.curve import decode_curve
from crypto.errors import Reason, Rejected
from crypto.issue import (
    IssueEquation,
    collect_issue_proof,
    prove_issue,
    verify_issuer_signature,
)
from crypto.pedersen import commit
from crypto.randomness import Coins
from crypto.scalar import decode_scalar
from crypto.signature import public_key_of
from crypto.transcript import hash64
from tests.crypto.universe import EURO, GOLD, ISSUER_SECRET

DIGEST = hash64("IDX1/digest", b"a mint of the tests")
BLINDINGS = [111, 222]
VALUES = [70, 30]
PROOF = prove_issue(
    digest=DIGEST,
    blindings=BLINDINGS,
    issuer_secret=ISSUER_SECRET,
    random_bytes=Coins(b"coins").take,
)


def _collect(amount: int = 100, digest: bytes = DIGEST, proof: bytes = PROOF) -> IssueEquation:
    response = decode_scalar(proof[96:128])
    return collect_issue_proof(digest, decode_curve(proof[:96]), proof[:128], response, amount)


def _check(equation: IssueEquation, asset: bytes = EURO) -> None:
    accumulator = Accumulator(Coins(b"weights").take)
    coefficient = equation.accumulate(accumulator, asset, accumulator.draw_weight())
    outputs = [commit(EURO, value, b) for value, b in zip(VALUES, BLINDINGS, strict=True)]
    accumulator.add_left(outputs, [coefficient] * 2)
    accumulator.check()


def test_outputs_that_sum_to_the_amount_7_6() -> None:
    assert len(PROOF) == 96 + 32 + 64
    _check(_collect())


@pytest.mark.parametrize("amount", [99, 101])
def test_another_amount_fails_7_6(amount: int) -> None:
    with pytest.raises(EquationsFail):
        _check(_collect(amount))


def test_the_proof_is_bound_to_digest_asset_and_response_7_6() -> None:
    with pytest.raises(EquationsFail):
        _check(_collect(digest=bytes(64)))
    with pytest.raises(EquationsFail):
        _check(_collect(), GOLD)
    with pytest.raises(EquationsFail):
        _check(replace(_collect(), response=1))


def test_a_challenge_of_zero_is_refused_7_6() -> None:
    with pytest.raises(EquationsFail, match="a challenge is zero"):
        _check(replace(_collect(), challenge=0))


def test_the_issuer_signs_digest_and_proof_8_6() -> None:
    issuer = public_key_of(ISSUER_SECRET)
    verify_issuer_signature(issuer, PROOF[128:], DIGEST, PROOF[:128])
    for digest, proof in ((bytes(64), PROOF[:128]), (DIGEST, PROOF[:127] + b"\0")):
        with pytest.raises(Rejected, match="signature: the signature does not verify") as caught:
            verify_issuer_signature(issuer, PROOF[128:], digest, proof)
        assert caught.value.reason is Reason.SIGNATURE
