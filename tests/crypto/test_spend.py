"""Spend proofs against (E1)-(E3) written out term by term: IDX1 7.1-7.5, 4.5."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crypto.accumulator import Accumulator, EquationsFail
from crypto.build import SpendableNote
from crypto.curve import Point, decode_curve, encode_point, msm, multiply, vanishes
from crypto.errors import ProvingError
from crypto.generators import (
    blinding_generator,
    dummy_note,
    index_generators,
    key_generator,
    nullifier_generator,
)
from crypto.pedersen import commit
from crypto.randomness import Coins
from crypto.ring import ClosedBin
from crypto.scalar import decode_scalars, encode_scalar
from crypto.spend import (
    SpendEquations,
    SpendWitness,
    collect_spend_proof,
    nullifier_point,
    prove_spend,
)
from crypto.transcript import h2s, hash64
from tests.crypto.universe import EURO, torsion_point, universe

DIGEST = hash64("IDX1/digest", b"a transaction of the tests")
PUBLISHED_BLINDING = 12345
RING_BASES = [4, 8, 16]


def _commitment(note: SpendableNote) -> Point:
    return commit(EURO, note.value, PUBLISHED_BLINDING)


def _prove(note: SpendableNote, *, index: int = 0, last: bool = False, **changes: int) -> bytes:
    witness = SpendWitness(
        note.closed_bin, note.position, note.spend_key, note.blinding - PUBLISHED_BLINDING
    )
    return prove_spend(
        digest=DIGEST,
        index=index,
        witness=replace(witness, **changes),
        nullifier=nullifier_point(note.spend_key),
        commitment=b"" if last else encode_point(_commitment(note)),
        random_bytes=Coins(b"coins").take,
    )


def _collect(
    proof: bytes,
    note: SpendableNote,
    *,
    ring: ClosedBin | None = None,
    nullifier: Point | None = None,
    index: int = 0,
    last: bool = False,
    digest: bytes = DIGEST,
) -> SpendEquations:
    nullifier = nullifier or nullifier_point(note.spend_key)
    return collect_spend_proof(
        digest=digest,
        index=index,
        ring=ring or note.closed_bin,
        nullifier=encode_point(nullifier),
        nullifier_decoded=nullifier,
        commitment=b"" if last else encode_point(_commitment(note)),
        points=tuple(decode_curve(proof[start : start + 96]) for start in range(0, 576, 96)),
        proof=proof,
        scalars=decode_scalars(proof[576:]),
    )


def _check(equations: SpendEquations, commitment: Point) -> None:
    accumulator = Accumulator(Coins(b"weights").take)
    accumulator.add_left((commitment,), (equations.accumulate(accumulator),))
    accumulator.check()


def _check_term_by_term(proof: bytes, note: SpendableNote) -> tuple[bool, bool, bool]:
    """(E1), (E2), (E3) as IDX1 7.4 prints them, each with a multiplication of its own."""
    ring, n = note.closed_bin, note.closed_bin.ring_base
    encoded = [proof[start : start + 96] for start in range(0, 576, 96)]
    a, b, x_0, x_1, y_0, y_1 = (decode_curve(item) for item in encoded)
    scalars = [
        int.from_bytes(proof[start : start + 32], "little") for start in range(576, len(proof), 32)
    ]
    *sent, z_a, z_k, z_g = scalars
    nullifier = nullifier_point(note.spend_key)
    c_prime = encode_point(_commitment(note))
    mu = h2s("IDX1/spend-mu", DIGEST, ring.digest, encode_point(nullifier), b"\0" + c_prime)
    xi = h2s("IDX1/spend-xi", encode_scalar(mu), DIGEST, *encoded)
    rows = [sent[: n - 1], sent[n - 1 :]]
    f = [[xi - sum(row), *row] for row in rows]
    ma, mb = index_generators(n)
    flat = [value for row in f for value in row]
    g, k = blinding_generator(), key_generator()
    e1 = msm(
        (a, b, *ma, *mb, g),
        (1, xi, *(-v for v in flat), *(-v * (xi - v) for v in flat), -z_a),
    )
    products = [f[0][position % n] * f[1][position // n] for position in range(n * n)]
    e2 = msm(
        (*ring.key_points, *ring.commitment_points, decode_curve(c_prime), x_0, x_1, k, g),
        (*products, *(mu * p for p in products), -mu * xi * xi, -1, -xi, -z_k, -z_g),
    )
    e3 = msm((nullifier_generator(), y_0, y_1, nullifier), (xi * xi, -1, -xi, -z_k))
    return vanishes(e1), vanishes(e2), vanishes(e3)


@pytest.mark.parametrize("ring_base", RING_BASES)
@pytest.mark.parametrize("position", [0, 4, 9])
def test_a_note_of_the_ring_is_spent_7_3(ring_base: int, position: int) -> None:
    note = universe(ring_base).notes[1][position]
    proof = _prove(note)
    assert len(proof) == 6 * 96 + 32 * (2 * (ring_base - 1) + 3)
    assert _check_term_by_term(proof, note) == (True, True, True)
    _check(_collect(proof, note), _commitment(note))
    last = _prove(note, index=3, last=True)
    _check(_collect(last, note, index=3, last=True), _commitment(note))


def _changed_scalars() -> dict[str, int]:
    return {"f_0,1": 576, "f_1,7": 576 + 13 * 32, "zA": 1024, "zK": 1056, "zG": 1088}


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("f_0,1", (False, False, True)),
        ("f_1,7", (False, False, True)),
        ("zA", (False, True, True)),
        ("zK", (True, False, False)),
        ("zG", (True, False, True)),
    ],
)
def test_each_scalar_stands_in_its_equations_7_4(name: str, broken: tuple[bool, ...]) -> None:
    note = universe().notes[1][2]
    proof = _prove(note)
    at = _changed_scalars()[name]
    value = int.from_bytes(proof[at : at + 32], "little")
    changed = proof[:at] + encode_scalar(value + 1) + proof[at + 32 :]
    assert _check_term_by_term(changed, note) == broken
    with pytest.raises(EquationsFail):
        _check(_collect(changed, note), _commitment(note))


def test_a_proof_is_bound_to_everything_it_is_about_7_3() -> None:
    note, other = universe().notes[1][2], universe().notes[1][3]
    proof = _prove(note)
    wrong = {
        "another transaction": _collect(proof, note, digest=bytes(64)),
        "another input": _collect(proof, note, index=1),
        "another ring": _collect(proof, note, ring=universe().notes[2][0].closed_bin),
        "another nullifier": _collect(proof, note, nullifier=nullifier_point(other.spend_key)),
        "the last input": _collect(proof, note, last=True),
    }
    for equations in wrong.values():
        with pytest.raises(EquationsFail):
            _check(equations, _commitment(note))
    with pytest.raises(EquationsFail):
        _check(_collect(proof, note), commit(EURO, note.value + 1, PUBLISHED_BLINDING))


@pytest.mark.parametrize("changes", [{"spend_key": 5}, {"opening": 5}, {"position": 1}])
def test_a_false_witness_proves_nothing_7_5(changes: dict[str, int]) -> None:
    note = universe().notes[1][2]
    proof = _prove(note, **changes)
    with pytest.raises(EquationsFail):
        _check(_collect(proof, note), _commitment(note))


def test_a_nullifier_shifted_along_the_blinding_base_fails_7_5() -> None:
    note = universe().notes[1][2]
    shifted = nullifier_point(note.spend_key) + multiply(blinding_generator(), 9)
    witness = SpendWitness(
        note.closed_bin, note.position, note.spend_key, note.blinding - PUBLISHED_BLINDING
    )
    proof = prove_spend(
        digest=DIGEST,
        index=0,
        witness=witness,
        nullifier=shifted,
        commitment=encode_point(_commitment(note)),
        random_bytes=Coins(b"coins").take,
    )
    with pytest.raises(EquationsFail):
        _check(_collect(proof, note, nullifier=shifted), _commitment(note))


@pytest.mark.parametrize("point", range(6))
def test_small_order_parts_of_proof_points_change_nothing_10_1(point: int) -> None:
    note = universe().notes[1][2]
    equations = _collect(_prove(note), note)
    points = list(equations.points)
    points[point] = points[point] + torsion_point(3)
    for _ in range(3):
        _check(replace(equations, points=tuple(points)), _commitment(note))


@pytest.mark.parametrize("position", [-1, 10, 63, 64])
def test_padding_is_not_spendable_4_3(position: int) -> None:
    note = universe().notes[1][2]
    with pytest.raises(ProvingError, match=f"position {position} holds no real note"):
        _prove(note, position=position)
    assert note.closed_bin.notes[10] == dummy_note(9)


@pytest.mark.parametrize("changes", [{"mix": 0}, {"challenge": 0}])
def test_challenges_of_zero_are_refused_7_3(changes: dict[str, int]) -> None:
    note = universe().notes[1][2]
    equations = replace(_collect(_prove(note), note), **changes)
    with pytest.raises(EquationsFail, match="a challenge is zero"):
        _check(equations, _commitment(note))


def test_one_note_has_one_nullifier_3_4() -> None:
    note = universe().notes[1][2]
    nullifier = nullifier_point(note.spend_key)
    assert multiply(nullifier, note.spend_key) == nullifier_generator()
