"""The regulator's draw: one block in ten, by a rule that nobody can bend (BFT-12 18).

The seeds of the years are a hash chain whose end stands in the genesis: the seed of a year hashes,
once per year of distance, to what was revealed last. A settlement reveals its year's seed, so from
then on anybody can tell which blocks of the year were drawn, and that the regulator could neither
choose them nor, the seeds being fixed before the first block, adapt to them. Until then the banks
cannot foresee a draw.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from node.ledger.fiscal_year import fiscal_year
from node.ledger.genesis import Genesis
from node.ledger.rejection import Reason, Rejection
from node.ledger.types import BlockId, FiscalYear

DRAW_DOMAIN = b"consortium/draw"
DRAW_ONE_IN = 10
MAX_DRAW_STEPS = 1 << 20
"""A seed further from the last one is refused unhashed: this many take 0.4 s."""


def is_drawn(draw_seed: bytes, block_id: BlockId) -> bool:
    """Whether the block is examined, under the seed (32 bytes) of its header time's year."""
    digest = hashlib.sha256(DRAW_DOMAIN + draw_seed + block_id).digest()
    return int.from_bytes(digest, "big") % DRAW_ONE_IN == 0


def draw_steps(genesis: Genesis, settled_through: FiscalYear, year: FiscalYear) -> int:
    """Return how often the seed of `year` is hashed to give the present commitment.

    `settled_through` is the state's; before the first settlement the genesis year is one step.
    """
    first = fiscal_year(genesis.parameters, genesis.time_ms, genesis.time_ms)
    return year - (settled_through or FiscalYear(first - 1))


def check_draw_seed(draw_seed: bytes, commitment: bytes, steps: int) -> None:
    """Check that hashing the seed `steps` times gives the commitment; `Rejection` (DRAW_SEED)."""
    if not 1 <= steps <= MAX_DRAW_STEPS:
        raise Rejection(
            Reason.DRAW_SEED, f"{steps} steps from the last seed, at most {MAX_DRAW_STEPS}"
        )
    if _hashed(draw_seed, steps) != commitment:
        raise Rejection(Reason.DRAW_SEED, f"hashed {steps} times it is not {commitment.hex()}")


@lru_cache(maxsize=256)
def _hashed(link: bytes, steps: int) -> bytes:
    for _ in range(steps):
        link = hashlib.sha256(link).digest()
    return link
