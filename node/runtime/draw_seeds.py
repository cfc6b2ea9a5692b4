"""The regulator's draw seeds: one secret, and a hash chain whose end stands in the genesis.

The seed of a fiscal year is the link as many steps before the committed end as the year is years
from the first, so that each settlement reveals one earlier link. Who saw a seed can check it
against the commitment and cannot compute the next: nobody chooses which blocks the regulator
examines, the regulator included (BFT-12 18).
"""

from __future__ import annotations

import hashlib
import secrets
from functools import cached_property
from pathlib import Path

from node.ledger.fiscal_year import fiscal_year
from node.ledger.genesis import Genesis
from node.ledger.types import HASH_BYTES, FiscalYear
from node.runtime.config import ConfigurationError
from node.runtime.secrets_directory import read_secret, write_private

DRAW_LINKS = 1 << 20
"""Seeds of one secret: one a year for ever, or eight months of years of 20 seconds."""
ROOT_FILE = "draw.root"
_STRIDE = 1 << 10
"""Links between two that are kept: the whole chain takes 0.4 s, from a kept one a millisecond."""


class NoSeedLeft(Exception):
    """The chain has no link for this year: it lies before the first, or too far after it."""


class DrawSeeds:
    """All seeds of one consortium. Its representation shows none."""

    def __init__(self, root: bytes, links: int = DRAW_LINKS) -> None:
        if len(root) != HASH_BYTES:
            raise ValueError(f"a draw secret has {HASH_BYTES} bytes, not {len(root)}")
        self._root = root
        self._links = links

    @staticmethod
    def generate() -> DrawSeeds:
        """Draw a fresh secret."""
        return DrawSeeds(secrets.token_bytes(HASH_BYTES))

    @staticmethod
    def load(directory: Path) -> DrawSeeds:
        """Read the secret from the regulator's directory; raises `ConfigurationError`."""
        return DrawSeeds(read_secret(directory / ROOT_FILE))

    def save(self, directory: Path) -> None:
        """Write the secret for its owner's eyes only."""
        write_private(directory / ROOT_FILE, self._root.hex().encode("ascii") + b"\n")

    @property
    def commitment(self) -> bytes:
        """`Genesis.draw_commitment`, 32 bytes. The first use of a chain takes 0.4 s."""
        return self._link(self._links)

    def seed(self, genesis: Genesis, year: FiscalYear) -> bytes:
        """Return the seed that the settlement of this year reveals, 32 bytes; `NoSeedLeft`."""
        first = fiscal_year(genesis.parameters, genesis.time_ms, genesis.time_ms)
        steps = year - first + 1
        if not 1 <= steps <= self._links:
            raise NoSeedLeft(f"FY{year} is year {steps} of {self._links} that this secret serves")
        return self._link(self._links - steps)

    def require_committed(self, genesis: Genesis) -> None:
        """Raise `ConfigurationError` unless this is the chain that the genesis commits to."""
        if self.commitment != genesis.draw_commitment:
            raise ConfigurationError(
                f"{ROOT_FILE} is not the draw secret that the genesis commits to"
            )

    def _link(self, index: int) -> bytes:
        kept, steps = divmod(index, _STRIDE)
        return _hashed(self._kept_links[kept], steps)

    @cached_property
    def _kept_links(self) -> tuple[bytes, ...]:
        kept = [self._root]
        for _ in range(self._links // _STRIDE):
            kept.append(_hashed(kept[-1], _STRIDE))
        return tuple(kept)


def _hashed(link: bytes, times: int) -> bytes:
    for _ in range(times):
        link = hashlib.sha256(link).digest()
    return link
