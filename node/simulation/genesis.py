"""The consortium that every simulated run starts from: production genesis, small rings."""

from __future__ import annotations

import hashlib
from functools import cache

from crypto.ballot import prove_possession
from crypto.signature import public_key_of
from node.ledger.definitions import AssetDefinition, BankDefinition, Sector
from node.ledger.genesis import Genesis, Parameters
from node.ledger.types import Amount, AssetId, BankIndex, TimeMs
from node.simulation.ballot_oracle import ballot_key, opener_key
from node.simulation.oracle import public_key

GENESIS_TIME_MS = TimeMs(1_774_981_800_000)
"""2026-04-01 00:00 at UTC+05:30, the first instant of FY2026."""
BASE_ASSET = AssetId(b"base-asset-00001")
TRANSFER_FEE = Amount(100)
INITIAL_STAKE = Amount(1_000)
"""Small, so that a removed bank can earn back what it lost within a run."""
ISSUANCE_LIMIT = Amount(1_000_000)

SHORT_FISCAL_YEARS_S = (4, 12)
"""Two runs of three cross from one fiscal year into the next, half of them several times."""

DRAW_YEARS = 256
"""Length of the regulator's chain of draw seeds: more years than any run lasts."""


@cache
def issuer_secret(bank: int) -> bytes:
    """Return the issuer key of a simulated bank as an Ed25519 seed, 32 bytes."""
    return hashlib.sha256(b"issuer %d" % bank).digest()


@cache
def make_genesis(
    bank_count: int = 12,
    *,
    slash_floor_percent: int = 30,
    evidence_window: int = 1_000,
    fiscal_year_seconds: int | None = None,
) -> Genesis:
    """Return the genesis of `bank_count` banks; its ballot keys and the opener's are real ones."""
    genesis = Genesis(
        name="simulated consortium",
        time_ms=GENESIS_TIME_MS,
        parameters=Parameters(
            ring_base=4,
            transfer_fee=TRANSFER_FEE,
            slash_floor_percent=slash_floor_percent,
            evidence_window=evidence_window,
            fiscal_year_seconds=fiscal_year_seconds,
        ),
        banks=tuple(_bank(BankIndex(bank)) for bank in range(bank_count)),
        assets=(
            AssetDefinition(
                BASE_ASSET,
                "INR",
                2,
                True,
                {BankIndex(bank): ISSUANCE_LIMIT for bank in range(bank_count)},
            ),
        ),
        opener_key=opener_key().public,
        draw_commitment=draw_seed(-1),
    )
    chain_id = genesis.chain_id
    return genesis.with_possessions(
        [prove_possession(ballot_key(bank), chain_id, bank, bytes) for bank in range(bank_count)]
    )


def draw_seed(year: int) -> bytes:
    """Return the seed that the settlement of a fiscal year reveals, 32 bytes.

    Years are counted from the genesis, from 0; -1 gives the commitment to all of them.
    """
    return _draw_seeds()[DRAW_YEARS - 1 - year]


@cache
def _draw_seeds() -> tuple[bytes, ...]:
    seeds = [hashlib.sha256(b"draw seeds").digest()]
    while len(seeds) <= DRAW_YEARS:
        seeds.append(hashlib.sha256(seeds[-1]).digest())
    return tuple(seeds)


def _bank(index: BankIndex) -> BankDefinition:
    return BankDefinition(
        index=index,
        name=f"Bank {index}",
        sector=Sector.PRIVATE if index % 3 else Sector.PUBLIC,
        consensus_key=public_key(index),
        ballot_key=ballot_key(index).public,
        ballot_possession=bytes(64),
        issuer_key=public_key_of(issuer_secret(index)),
        initial_stake=INITIAL_STAKE,
    )
