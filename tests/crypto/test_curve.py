"""The group and its backend, outside the subgroup too: IDX1 2.1, 2.2, 2.5, 10.1."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crypto
from crypto.curve import (
    COFACTOR_MULTIPLIER,
    clear_cofactor,
    decode_curve,
    decode_strict,
    encode_point,
    hash_to_curve,
    identity,
    msm,
    multiply,
    require_subgroup,
    vanishes,
)
from crypto.errors import IdentityPoint, Reason, Rejected
from crypto.scalar import ORDER
from tests.crypto.universe import FIELD_PRIME, curve_point, double_and_add, torsion_point

BASE = hash_to_curve(b"a point of the tests")
scalars = st.integers(0, int(ORDER) - 1)


def _reason(data: bytes, *, strict: bool) -> Reason:
    with pytest.raises(Rejected) as caught:
        decode_strict(data) if strict else decode_curve(data)
    return caught.value.reason


def test_encoding_is_x_then_y_big_endian_2_2() -> None:
    encoded = encode_point(BASE)
    x, y = int.from_bytes(encoded[:48], "big"), int.from_bytes(encoded[48:], "big")
    assert len(encoded) == 96
    assert (y * y - x**3 - 4) % FIELD_PRIME == 0
    assert decode_curve(encoded) == decode_strict(encoded) == BASE


@pytest.mark.parametrize("strict", [False, True])
def test_zero_bytes_are_refused_as_the_identity_2_2(strict: bool) -> None:
    assert _reason(bytes(96), strict=strict) is Reason.IDENTITY


def _malformed() -> dict[str, bytes]:
    encoded = encode_point(BASE)
    x, y = int.from_bytes(encoded[:48], "big"), int.from_bytes(encoded[48:], "big")
    flags = {
        f"flag {flag:#x} at byte {at}": bytes(
            byte | flag if index == at else byte for index, byte in enumerate(encoded)
        )
        for flag in (0x80, 0x40, 0x20)
        for at in (0, 48)
    }
    return {
        **flags,
        "x plus p": (x + FIELD_PRIME).to_bytes(48, "big") + encoded[48:],
        "y plus p": encoded[:48] + (y + FIELD_PRIME).to_bytes(48, "big"),
        "off the curve": encoded[:48] + (y ^ 1).to_bytes(48, "big"),
        "x zero, y zero but for a flag": b"\x40" + bytes(95),
        "short": encoded[:-1],
        "long": encoded + b"\0",
        "empty": b"",
        "x is p, y as for x = 0": FIELD_PRIME.to_bytes(48, "big") + (2).to_bytes(48, "big"),
    }


@pytest.mark.parametrize("name", sorted(_malformed()))
def test_only_canonical_encodings_of_curve_points_decode_2_2(name: str) -> None:
    assert _reason(_malformed()[name], strict=False) is Reason.POINT
    assert _reason(_malformed()[name], strict=True) is Reason.POINT


@pytest.mark.parametrize("order", [3, 11])
def test_strict_refuses_what_curve_accepts_outside_the_subgroup_2_2(order: int) -> None:
    shifted = encode_point(BASE + torsion_point(order))
    assert decode_curve(shifted) == BASE + torsion_point(order)
    assert _reason(shifted, strict=True) is Reason.SUBGROUP
    assert _reason(encode_point(torsion_point(order)), strict=True) is Reason.SUBGROUP


def test_the_identity_has_no_encoding_2_2() -> None:
    with pytest.raises(IdentityPoint, match="the identity has no encoding"):
        encode_point(BASE - BASE)


@given(scalars)
@settings(max_examples=20)
def test_multiplication_is_double_and_add_outside_the_subgroup_2_5(scalar: int) -> None:
    for point in (BASE, curve_point(1), BASE + torsion_point(3), torsion_point(11)):
        assert multiply(point, scalar) == double_and_add(point, scalar)


@pytest.mark.parametrize("size", [1, 2, 3, 16, 31, 32, 33, 130, 300])
def test_multi_scalar_multiplication_is_right_outside_the_subgroup_10_1(size: int) -> None:
    kinds = (BASE, curve_point(1), BASE + torsion_point(3), BASE + torsion_point(11))
    points = [kinds[index % 4] for index in range(size)]
    weights = [
        (index * 0x9E3779B97F4A7C15F39CC0605CEDC834 + 1) ** 3 % ORDER for index in range(size)
    ]
    expected = identity()
    for point, weight in zip(points, weights, strict=True):
        expected = expected + double_and_add(point, weight)
    assert msm(points, weights) == expected


def test_scalars_are_reduced_and_may_be_negative() -> None:
    assert msm([BASE, BASE], [-1, ORDER + 3]) == BASE + BASE
    assert multiply(BASE, -1) == -BASE


def test_lists_of_different_lengths_are_refused_10_6() -> None:
    with pytest.raises(ValueError, match="2 points but 1 scalars"):
        msm([BASE, BASE], [1])


@pytest.mark.parametrize("start", [1, 5, 100])
def test_the_cofactor_multiplier_leads_into_the_subgroup_2_1(start: int) -> None:
    point = curve_point(start)
    assert _reason(encode_point(point), strict=True) is Reason.SUBGROUP
    cleared = clear_cofactor(point)
    assert cleared == double_and_add(point, COFACTOR_MULTIPLIER)
    require_subgroup(cleared)


def test_the_zero_test_ignores_torsion_and_nothing_else_10_1() -> None:
    assert vanishes(identity())
    assert vanishes(torsion_point(3))
    assert vanishes(torsion_point(11) + torsion_point(3))
    assert not vanishes(BASE)
    assert not vanishes(BASE + torsion_point(3))


def test_one_module_alone_imports_the_backend() -> None:
    importers = set()
    for path in Path(crypto.__file__).parents[1].glob("[cn]*/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            if any(name.startswith("py_arkworks_bls12381") for name in names):
                importers.add(path.name)
    assert importers == {"curve.py"}
