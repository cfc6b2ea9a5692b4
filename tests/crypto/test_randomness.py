"""Prover coins: IDX1 12.5 and 13."""

from __future__ import annotations

from hashlib import blake2b

from crypto.randomness import Coins, hedge
from crypto.scalar import ORDER


def _block(seed: bytes, index: int) -> bytes:
    return blake2b(seed + index.to_bytes(8, "little")).digest()


def test_draws_take_whole_blocks_13() -> None:
    coins = Coins(b"seed")
    assert coins.take(65) == _block(b"seed", 0) + _block(b"seed", 1)[:1]
    assert coins.take(1) == _block(b"seed", 2)[:1]
    assert coins.scalar() == int.from_bytes(_block(b"seed", 3), "little") % ORDER
    assert coins.scalars(2) == [
        int.from_bytes(_block(b"seed", index), "little") % ORDER for index in (4, 5)
    ]


def _broken(size_bytes: int) -> bytes:
    return bytes(size_bytes)


def test_a_broken_source_repeats_coins_for_the_same_secret_and_statement_only_12_5() -> None:
    first = hedge(_broken, b"secret", b"statement").take(32)
    assert hedge(_broken, b"secret", b"statement").take(32) == first
    assert hedge(_broken, b"secret", b"other statement").take(32) != first
    assert hedge(_broken, b"other secret", b"statement").take(32) != first
    assert hedge(_broken, b"secretstate", b"ment").take(32) != first


def test_the_source_enters_the_coins_12_5() -> None:
    drawn: list[int] = []

    def source(size_bytes: int) -> bytes:
        drawn.append(size_bytes)
        return b"\x01" * size_bytes

    assert hedge(source, b"s", b"t").take(32) != hedge(_broken, b"s", b"t").take(32)
    assert drawn == [64]
