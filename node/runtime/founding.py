"""The keys of a new consortium, and the genesis made from them.

Nothing here touches the disk: `initialise` writes what is made here, a workload file carries it
(`funded_archive`). With a seed in place of the system's randomness everything is repeatable, which
is right for measurements and for nothing that anybody's money depends on.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from crypto.ballot import BallotKey, prove_possession
from crypto.randomness import RandomBytes
from crypto.scalar import SCALAR_BYTES
from node.ledger.definitions import (
    MAX_BANKS,
    POSSESSION_BYTES,
    AssetDefinition,
    BankDefinition,
    Sector,
)
from node.ledger.encoding import MalformedEncoding, Reader, Writer
from node.ledger.genesis import Genesis
from node.ledger.parameters import Parameters
from node.ledger.types import ASSET_BYTES, HASH_BYTES, Amount, AssetId, BankIndex, TimeMs
from node.runtime.consortium_directory import BANK_NAMES, PUBLIC_SHARE
from node.runtime.secrets_directory import SECRET_BYTES

DEFAULT_NAME = "Interbank Ledger"
BASE_ASSET_CODE = "INR"

PUBLIC_STAKE = Amount(100_000_000_000)
"""Minor units: one billion rupees."""
PRIVATE_STAKE = Amount(50_000_000_000)

INR_ISSUANCE_LIMIT = Amount(100_000_000_000_000)
"""Minor units: a trillion rupees a bank."""
USD_ISSUANCE_LIMIT = Amount(1_000_000_000_000)


@dataclass(frozen=True, slots=True)
class BankKeys:
    """One bank's secrets; they never appear in a repr."""

    consensus: bytes = field(repr=False)
    """Ed25519 seed, as `issuer`."""
    ballot: BallotKey = field(repr=False)
    issuer: bytes = field(repr=False)

    @staticmethod
    def generate(random_bytes: RandomBytes = os.urandom) -> BankKeys:
        """Draw fresh keys."""
        return BankKeys(
            consensus=random_bytes(SECRET_BYTES),
            ballot=BallotKey.generate(random_bytes),
            issuer=random_bytes(SECRET_BYTES),
        )


@dataclass(frozen=True, slots=True)
class ConsortiumKeys:
    """The secrets of all banks and of the regulator, in one hand while a consortium is made."""

    banks: tuple[BankKeys, ...]
    opener: BallotKey | None = field(repr=False)
    """None if officers made the opener's key together."""
    draw_root: bytes = field(repr=False)
    """The secret behind `DrawSeeds`."""

    @staticmethod
    def generate(
        bank_count: int, random_bytes: RandomBytes = os.urandom, *, with_opener: bool = True
    ) -> ConsortiumKeys:
        """Draw fresh keys for so many banks."""
        return ConsortiumKeys(
            banks=tuple([BankKeys.generate(random_bytes) for _ in range(bank_count)]),
            opener=BallotKey.generate(random_bytes) if with_opener else None,
            draw_root=random_bytes(HASH_BYTES),
        )

    def write(self, writer: Writer) -> Writer:
        """Append the canonical encoding."""
        writer.many(self.banks, _write_bank)
        writer.optional(self.opener, _write_ballot_key)
        return writer.fixed(self.draw_root, HASH_BYTES)

    @staticmethod
    def read(reader: Reader) -> ConsortiumKeys:
        """Read what `write` gave; raises `MalformedEncoding`."""
        return ConsortiumKeys(
            banks=reader.many(MAX_BANKS, _read_bank),
            opener=reader.optional(_read_ballot_key),
            draw_root=reader.fixed(HASH_BYTES),
        )


def make_genesis(
    keys: ConsortiumKeys,
    *,
    name: str,
    time_ms: TimeMs,
    parameters: Parameters,
    opener_key: bytes,
    draw_commitment: bytes,
    random_bytes: RandomBytes = os.urandom,
) -> Genesis:
    """Return the genesis of banks with these keys; raises `GenesisInvalid`.

    The chain id does not cover the proofs of possession of the ballot keys, which are bound to it
    (IDX1 9.1).
    """
    count = len(keys.banks)
    public_banks = count * PUBLIC_SHARE[0] // PUBLIC_SHARE[1]
    genesis = Genesis(
        name=name,
        time_ms=time_ms,
        parameters=parameters,
        banks=tuple(
            BankDefinition(
                index=BankIndex(index),
                name=BANK_NAMES[index],
                sector=Sector.PUBLIC if index < public_banks else Sector.PRIVATE,
                consensus_key=_ed25519_public(bank.consensus),
                ballot_key=bank.ballot.public,
                ballot_possession=bytes(POSSESSION_BYTES),
                issuer_key=_ed25519_public(bank.issuer),
                initial_stake=PUBLIC_STAKE if index < public_banks else PRIVATE_STAKE,
            )
            for index, bank in enumerate(keys.banks)
        ),
        assets=_assets(count),
        opener_key=opener_key,
        draw_commitment=draw_commitment,
    )
    return genesis.with_possessions(
        [
            prove_possession(bank.ballot, genesis.chain_id, index, random_bytes)
            for index, bank in enumerate(keys.banks)
        ]
    )


def _assets(bank_count: int) -> tuple[AssetDefinition, ...]:
    return (
        _asset(BASE_ASSET_CODE, INR_ISSUANCE_LIMIT, bank_count, is_base=True),
        _asset("USD", USD_ISSUANCE_LIMIT, bank_count, is_base=False),
    )


def _asset(code: str, limit: Amount, bank_count: int, *, is_base: bool) -> AssetDefinition:
    digest = hashlib.sha256(b"consortium/asset/" + code.encode("ascii")).digest()
    return AssetDefinition(
        asset_id=AssetId(digest[:ASSET_BYTES]),
        code=code,
        decimals=2,
        is_base=is_base,
        issuance_limits={BankIndex(bank): limit for bank in range(bank_count)},
    )


def _ed25519_public(seed: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def _write_bank(writer: Writer, keys: BankKeys) -> None:
    writer.fixed(keys.consensus, SECRET_BYTES)
    _write_ballot_key(writer, keys.ballot)
    writer.fixed(keys.issuer, SECRET_BYTES)


def _read_bank(reader: Reader) -> BankKeys:
    return BankKeys(
        reader.fixed(SECRET_BYTES), _read_ballot_key(reader), reader.fixed(SECRET_BYTES)
    )


def _write_ballot_key(writer: Writer, key: BallotKey) -> None:
    writer.fixed(key.to_bytes(), SCALAR_BYTES)


def _read_ballot_key(reader: Reader) -> BallotKey:
    try:
        return BallotKey.from_bytes(reader.fixed(SCALAR_BYTES))
    except ValueError as error:
        raise MalformedEncoding("a ballot key is out of range") from error
