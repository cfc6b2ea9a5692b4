"""Framed hashing: IDX1 1."""

from __future__ import annotations

from hashlib import blake2b

from hypothesis import given
from hypothesis import strategies as st

from crypto.scalar import ORDER, encode_scalar
from crypto.transcript import expand, frame, h2s, hash32, hash64
from tests.crypto.universe import vectors

parts = st.lists(st.binary(max_size=40), max_size=5)
tags = st.text(st.characters(codec="ascii"), min_size=1, max_size=20)


def test_frame_is_pinned_1_1() -> None:
    assert frame("IDX1/x", b"ab", b"") == (
        b"\x06IDX1/x" + b"\x02\x00\x00\x00ab" + b"\x00\x00\x00\x00"
    )


@given(tags, parts, tags, parts)
def test_frames_of_different_inputs_differ_1_1(
    tag: str, some: list[bytes], other_tag: str, others: list[bytes]
) -> None:
    same = (tag, some) == (other_tag, others)
    assert (frame(tag, *some) == frame(other_tag, *others)) is same


@given(parts)
def test_the_three_hashes_are_one_1_2(some: list[bytes]) -> None:
    digest = blake2b(frame("IDX1/t", *some)).digest()
    assert hash64("IDX1/t", *some) == digest
    assert hash32("IDX1/t", *some) == digest[:32]
    assert h2s("IDX1/t", *some) == int.from_bytes(digest, "little") % ORDER


@given(st.binary(max_size=100), st.integers(0, 300))
def test_expansion_is_counter_mode_1_3(seed: bytes, size_bytes: int) -> None:
    blocks = [hash64("IDX1/t", seed, counter.to_bytes(4, "little")) for counter in range(5)]
    assert expand("IDX1/t", seed, size_bytes) == b"".join(blocks)[:size_bytes]


def test_known_answers() -> None:
    for case in vectors()["hash"]:
        some = [bytes.fromhex(part) for part in case["parts"]]
        assert hash64(case["tag"], *some).hex() == case["hash64"]
        assert hash32(case["tag"], *some).hex() == case["hash32"]
        assert encode_scalar(h2s(case["tag"], *some)).hex() == case["h2s"]
    for case in vectors()["expand"]:
        assert expand(case["tag"], bytes.fromhex(case["seed"]), case["n"]).hex() == case["out"]
