"""The regulator's draw: which blocks, and that nobody chose them (BFT-12 18)."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from node.ledger.draw import MAX_DRAW_STEPS, check_draw_seed, draw_steps, is_drawn
from node.ledger.rejection import Reason, Rejection
from node.ledger.state import NEVER_SETTLED
from node.ledger.types import BlockId, FiscalYear, TimeMs
from tests.ledger.chain import GENESIS_TIME_MS, make_genesis

SEED = bytes(range(32))


def block_id(number: int) -> BlockId:
    return BlockId(hashlib.sha256(b"block %d" % number).digest())


def test_section_18_the_rule() -> None:
    for number in range(50):
        digest = hashlib.sha256(b"consortium/draw" + SEED + block_id(number)).digest()
        assert is_drawn(SEED, block_id(number)) is (int.from_bytes(digest, "big") % 10 == 0)


def test_section_18_the_draw_is_pinned() -> None:
    drawn = [number for number in range(60) if is_drawn(SEED, block_id(number))]
    assert drawn == [5, 11, 31, 51]


def test_section_18_a_tenth_is_drawn_and_another_tenth_under_another_seed() -> None:
    first = {number for number in range(5_000) if is_drawn(SEED, block_id(number))}
    second = {number for number in range(5_000) if is_drawn(bytes(32), block_id(number))}
    assert 400 < len(first) < 600
    assert 400 < len(second) < 600
    assert 20 < len(first & second) < 90


def test_section_18_the_genesis_year_is_one_step_from_the_commitment() -> None:
    genesis = make_genesis()
    assert draw_steps(genesis, NEVER_SETTLED, FiscalYear(2026)) == 1
    assert draw_steps(genesis, NEVER_SETTLED, FiscalYear(2029)) == 4
    assert draw_steps(genesis, FiscalYear(2027), FiscalYear(2028)) == 1
    assert draw_steps(genesis, FiscalYear(2027), FiscalYear(2030)) == 3
    march = replace(genesis, time_ms=TimeMs(GENESIS_TIME_MS - 1))
    assert draw_steps(march, NEVER_SETTLED, FiscalYear(2026)) == 2


def refusal(seed: bytes, commitment: bytes, steps: int) -> tuple[Reason, str]:
    with pytest.raises(Rejection) as caught:
        check_draw_seed(seed, commitment, steps)
    return caught.value.reason, caught.value.message


def test_section_18_a_seed_leads_to_the_commitment_in_so_many_steps() -> None:
    links = [SEED]
    for _ in range(5):
        links.append(hashlib.sha256(links[-1]).digest())
    for steps in range(1, 6):
        check_draw_seed(SEED, links[steps], steps)
        for other in set(range(1, 6)) - {steps}:
            assert refusal(SEED, links[steps], other) == (
                Reason.DRAW_SEED,
                f"hashed {other} times it is not {links[steps].hex()}",
            )
    assert refusal(SEED, SEED, 0)[0] is Reason.DRAW_SEED
    assert refusal(SEED, SEED, -3)[0] is Reason.DRAW_SEED


def test_section_18_nobody_makes_a_bank_hash_for_long() -> None:
    assert refusal(SEED, SEED, MAX_DRAW_STEPS + 1) == (
        Reason.DRAW_SEED,
        "1048577 steps from the last seed, at most 1048576",
    )
