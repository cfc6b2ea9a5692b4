"""Range proofs against equation (R) written out term by term: IDX1 6."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto import range_proof
from crypto.accumulator import Accumulator, EquationsFail, pack
from crypto.curve import decode_curve, msm, vanishes
from crypto.errors import ProvingError
from crypto.generators import blinding_generator, range_generators, value_generator
from crypto.pedersen import commit, encode_commitment
from crypto.randomness import Coins
from crypto.range_proof import RangeEquation, collect_range_proof, prove_range
from crypto.scalar import ORDER, decode_scalars, encode_scalar
from crypto.transcript import expand, h2s, hash64
from tests.crypto.universe import EURO, GOLD

CORE = hash64("IDX1/core", b"a statement of the tests")
LARGEST = 2**64 - 1
values = st.one_of(st.sampled_from([0, 1, LARGEST, 2**63]), st.integers(0, LARGEST))


def _prove(some_values: list[int], coins: bytes = b"coins") -> tuple[bytes, list[int], list[bytes]]:
    blindings = Coins(b"blindings").scalars(len(some_values))
    commitments = [
        encode_commitment(EURO, value, blinding)
        for value, blinding in zip(some_values, blindings, strict=True)
    ]
    proof = prove_range(
        core=CORE,
        asset=EURO,
        values=some_values,
        blindings=blindings,
        commitments=commitments,
        random_bytes=Coins(coins).take,
    )
    return proof, blindings, commitments


def _collect(proof: bytes, commitments: list[bytes], core: bytes = CORE) -> RangeEquation:
    a, s, t = (decode_curve(proof[start : start + 96]) for start in (0, 96, 192))
    return collect_range_proof(core, commitments, (a, s, t), proof, decode_scalars(proof[288:]))


def _check(equation: RangeEquation, commitments: list[bytes], asset: bytes = EURO) -> None:
    accumulator = Accumulator(Coins(b"weights").take)
    coefficients = equation.accumulate(accumulator, asset, accumulator.draw_weight())
    accumulator.add_left([decode_curve(item) for item in commitments], coefficients)
    accumulator.check()


def _check_term_by_term(proof: bytes, commitments: list[bytes]) -> bool:
    """(R) as IDX1 6.3 prints it, with no packing and no accumulator."""
    m = len(commitments)
    n = 64 * m
    a, s, t = (proof[start : start + 96] for start in (0, 96, 192))
    *f, mu = (
        int.from_bytes(proof[start : start + 32], "little") for start in range(288, len(proof), 32)
    )
    h1 = hash64("IDX1/range-1", CORE, bytes([m]), *commitments, a)
    drawn = expand("IDX1/range-yz", h1, 16 * (n + m))
    challenges = [
        int.from_bytes(drawn[start : start + 16], "little") for start in range(0, len(drawn), 16)
    ]
    y, z = challenges[:n], challenges[n:]
    x = h2s("IDX1/range-2", h1, s, t)
    q = sum(y[i] * f[i] * (1 - f[i]) + z[i // 64] * 2 ** (i % 64) * f[i] for i in range(n))
    points = [decode_curve(item) for item in (a, *commitments, s, t)]
    points += [*range_generators()[:n], value_generator(EURO), blinding_generator()]
    scalars = [1, *z, x, x * x, *(-value for value in f), -q, -mu]
    return vanishes(msm(points, scalars))


@given(st.lists(values, min_size=1, max_size=4))
@settings(max_examples=6, deadline=None)
def test_every_value_in_range_is_proven_6_6(some_values: list[int]) -> None:
    proof, _, commitments = _prove(some_values)
    assert len(proof) == 288 + 32 * (64 * len(some_values) + 1)
    _check(_collect(proof, commitments), commitments)
    assert _check_term_by_term(proof, commitments)


@pytest.mark.parametrize("value", [-1, 2**64])
def test_the_prover_checks_the_range_first_6_2(value: int) -> None:
    with pytest.raises(ProvingError, match=r"a value lies outside 0 \.\. 2\^64 - 1"):
        _prove([1, value])


def _mutations(proof: bytes) -> dict[str, bytes]:
    def plus_one(at: int) -> bytes:
        value = int.from_bytes(proof[at : at + 32], "little")
        return proof[:at] + encode_scalar(value + 1) + proof[at + 32 :]

    return {
        "first response": plus_one(288),
        "last response": plus_one(len(proof) - 64),
        "mu": plus_one(len(proof) - 32),
        "S and T swapped": proof[:96] + proof[192:288] + proof[96:192] + proof[288:],
    }


@pytest.mark.parametrize("name", ["first response", "last response", "mu", "S and T swapped"])
def test_a_changed_proof_fails_6_3(name: str) -> None:
    proof, _, commitments = _prove([5, 6])
    changed = _mutations(proof)[name]
    with pytest.raises(EquationsFail):
        _check(_collect(changed, commitments), commitments)
    assert not _check_term_by_term(changed, commitments)


def test_a_proof_is_bound_to_its_statement_6_1() -> None:
    proof, blindings, commitments = _prove([5, 6])
    other = encode_commitment(EURO, 7, blindings[1])
    with pytest.raises(EquationsFail):
        _check(_collect(proof, commitments, bytes(64)), commitments)
    with pytest.raises(EquationsFail):
        _check(_collect(proof, [commitments[0], other]), [commitments[0], other])
    with pytest.raises(EquationsFail):
        _check(_collect(proof, commitments), commitments, GOLD)


@pytest.mark.parametrize("value", [2**64, 2**64 + 5, -1])
def test_bits_of_another_value_do_not_fit_the_commitment_6_8(value: int) -> None:
    proof, blindings, _ = _prove([value % 2**64])
    outside = [encode_commitment(EURO, value % ORDER, blindings[0])]
    assert commit(EURO, value % 2**64, blindings[0]) != commit(EURO, value, blindings[0])
    with pytest.raises(EquationsFail):
        _check(_collect(proof, outside), outside)


def test_a_challenge_of_zero_is_refused_6_2() -> None:
    proof, _, commitments = _prove([5])
    equation = replace(_collect(proof, commitments), challenge=0)
    with pytest.raises(EquationsFail, match="a challenge is zero"):
        _check(equation, commitments)


def test_a_broken_source_never_repeats_coins_across_statements_12_5() -> None:
    first, _, _ = _prove([5], b"same")
    again, _, _ = _prove([5], b"same")
    other, _, _ = _prove([6], b"same")
    assert first == again
    assert first[:96] != other[:96]
    assert first[96:192] != other[96:192]


@given(st.lists(st.integers(0, 2**385 - 1), min_size=64, max_size=64))
@settings(max_examples=30, deadline=None)
def test_slots_are_summed_with_doublings_6_5(values: list[int]) -> None:
    for slots in (values, [2**385 - 1] * 64, [0] * 63 + values[:1]):
        expected = sum(value << index for index, value in enumerate(slots))
        assert range_proof._sum_of_doublings(pack(slots)) == expected
