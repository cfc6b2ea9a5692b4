"""The regulator's draw seeds (BFT-12 18): each is the hash of the next, the last is committed."""

from __future__ import annotations

import hashlib
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from node.ledger.fiscal_year import fiscal_year
from node.ledger.genesis import Genesis, Parameters
from node.ledger.types import FiscalYear
from node.runtime.config import ConfigurationError
from node.runtime.draw_seeds import DRAW_LINKS, DrawSeeds, NoSeedLeft
from tests.ledger.chain import make_genesis

ROOT = hashlib.sha256(b"root").digest()
LINKS = 3_000


def genesis_of(seeds: DrawSeeds) -> tuple[Genesis, FiscalYear]:
    genesis = make_genesis(banks=4, parameters=Parameters(fiscal_year_seconds=20))
    genesis = replace(genesis, draw_commitment=seeds.commitment)
    return genesis, fiscal_year(genesis.parameters, genesis.time_ms, genesis.time_ms)


def test_section_18_each_seed_hashes_to_the_one_before_and_the_first_to_the_commitment() -> None:
    seeds = DrawSeeds(ROOT, LINKS)
    genesis, first = genesis_of(seeds)
    years = [FiscalYear(first + offset) for offset in (0, 1, 2, 975, 976, 977, LINKS - 1)]
    expected = genesis.draw_commitment
    revealed = {year: seeds.seed(genesis, year) for year in years}
    for year in (first, FiscalYear(first + 1), FiscalYear(first + 2)):
        assert hashlib.sha256(revealed[year]).digest() == expected
        expected = revealed[year]
    # 976 = 3000 - 2 * 1024 is where a kept link is met.
    assert hashlib.sha256(revealed[years[4]]).digest() == revealed[years[3]]
    assert hashlib.sha256(revealed[years[5]]).digest() == revealed[years[4]]
    assert revealed[years[-1]] == ROOT


@pytest.mark.parametrize("offset", [-1, LINKS])
def test_a_year_outside_the_chain_has_no_seed(offset: int) -> None:
    seeds = DrawSeeds(ROOT, LINKS)
    genesis, first = genesis_of(seeds)
    with pytest.raises(NoSeedLeft, match=f"year {offset + 1} of {LINKS}"):
        seeds.seed(genesis, FiscalYear(first + offset))


def test_the_whole_chain_ends_where_hashing_it_ends() -> None:
    link = ROOT
    for _ in range(DRAW_LINKS):
        link = hashlib.sha256(link).digest()
    assert DrawSeeds(ROOT).commitment == link


def test_the_secret_is_kept_for_its_owner_and_compared_with_the_genesis(tmp_path: Path) -> None:
    seeds = DrawSeeds.generate()
    genesis, _ = genesis_of(seeds)
    seeds.save(tmp_path)
    assert stat.S_IMODE((tmp_path / "draw.root").stat().st_mode) == 0o600
    loaded = DrawSeeds.load(tmp_path)
    loaded.require_committed(genesis)
    with pytest.raises(ConfigurationError, match="not the draw secret"):
        loaded.require_committed(replace(genesis, draw_commitment=bytes(32)))
    assert (tmp_path / "draw.root").read_text().strip() not in repr(seeds)


def test_a_secret_has_32_bytes() -> None:
    with pytest.raises(ValueError, match="has 32 bytes, not 31"):
        DrawSeeds(bytes(31))
