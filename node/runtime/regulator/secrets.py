"""The regulator's secrets: the key that opens ballots, and the root of the draw seeds."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from crypto.ballot import BallotKey
from node.ledger.genesis import Genesis
from node.runtime.config import ConfigurationError
from node.runtime.draw_seeds import DrawSeeds
from node.runtime.secrets_directory import read_secret

OPENER_FILE = "opener.key"


@dataclass(frozen=True, slots=True)
class RegulatorSecrets:
    """What the regulator's directory holds; never part of a repr."""

    opener: BallotKey | None = field(repr=False)
    """None where the key is split among officers."""
    draw_seeds: DrawSeeds = field(repr=False)

    @staticmethod
    def load(directory: Path, genesis: Genesis) -> RegulatorSecrets:
        """Load and hold them to the genesis; raises `ConfigurationError`."""
        seeds = DrawSeeds.load(directory)
        seeds.require_committed(genesis)
        return RegulatorSecrets(load_opener(directory, genesis), seeds)


def load_opener(directory: Path, genesis: Genesis) -> BallotKey | None:
    """Return the whole opener's key, None where it was split; raises `ConfigurationError`."""
    path = directory / OPENER_FILE
    if not path.exists():
        return None
    try:
        opener = BallotKey.from_bytes(read_secret(path))
    except ValueError:
        raise ConfigurationError(f"{path} is not a ballot key") from None
    if opener.public != genesis.opener_key:
        raise ConfigurationError(f"{path} is not the opener's key of the genesis")
    return opener
