"""Named generators: IDX1 2.4."""

from __future__ import annotations

import subprocess
import sys

from crypto.curve import encode_point, require_subgroup
from crypto.generators import (
    blinding_generator,
    dummy_note,
    index_generators,
    key_generator,
    nullifier_generator,
    range_generators,
    value_generator,
    vote_blinding_generator,
    vote_context_generator,
    vote_index_generators,
    vote_key_generator,
)
from tests.crypto.universe import EURO, vectors


def _by_name() -> dict[bytes, str]:
    return {bytes.fromhex(entry["name"]): entry["point"] for entry in vectors()["generators"]}


def test_families_carry_the_names_of_the_specification_2_4() -> None:
    ma, mb = index_generators(8)
    va, vb = vote_index_generators()
    context = (bytes.fromhex(vectors()["chain_id"]), 5, 2)
    asset = bytes.fromhex(vectors()["assets"][0])
    expected = {
        b"G/blind": blinding_generator(),
        b"K/key": key_generator(),
        b"U/tag": nullifier_generator(),
        b"H/value/" + asset: value_generator(asset),
        b"M/a/0/0": ma[0],
        b"M/a/1/7": ma[15],
        b"M/b/0/0": mb[0],
        b"M/b/1/7": mb[15],
        b"range/0": range_generators()[0],
        b"range/127": range_generators()[127],
        b"range/255": range_generators()[255],
        b"vote/key": vote_key_generator(),
        b"vote/F": vote_blinding_generator(),
        b"vote/a/0": va[0],
        b"vote/b/15": vb[15],
        b"vote/ctx/" + context[0] + bytes([5, *bytes(7), 2, 0, 0, 0]): vote_context_generator(
            *context
        ),
    }
    known = _by_name()
    assert {name: encode_point(point).hex() for name, point in expected.items()} == {
        name: known[name] for name in expected
    }
    for index in (0, 62):
        assert dummy_note(index) == (
            bytes.fromhex(known[b"dummy/P/%d" % index]),
            bytes.fromhex(known[b"dummy/C/%d" % index]),
        )


def test_every_generator_is_another_point_of_the_subgroup() -> None:
    points = [
        blinding_generator(),
        key_generator(),
        nullifier_generator(),
        value_generator(EURO),
        *range_generators(),
        *(point for row in index_generators(16) for point in row),
        vote_key_generator(),
        vote_blinding_generator(),
        *(point for row in vote_index_generators() for point in row),
    ]
    for point in points:
        require_subgroup(point)
    assert len({encode_point(point) for point in points}) == len(points)


def test_a_larger_ring_base_extends_the_rows_of_a_smaller_one_4_5() -> None:
    small, large = index_generators(4), index_generators(16)
    for small_row, large_row in zip(small, large, strict=True):
        assert small_row[:4] == large_row[:4]
        assert small_row[4:] == large_row[16:20]


def test_importing_computes_no_generator() -> None:
    program = (
        "import crypto.batch, crypto.build, crypto.generators as g;"
        "print(sum(f.cache_info().currsize for f in vars(g).values() if hasattr(f, 'cache_info')))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout == "0\n"
