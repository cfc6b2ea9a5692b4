"""The genesis: everything twelve banks must agree on before the first block.

`chain_id` is the hash of its canonical encoding, so that every signature and every proof belongs
to one ledger alone. The proofs of possession of the ballot keys are bound to the chain id (IDX1
9.1) and therefore stand beside the encoding, not in it; `verify_genesis_keys` checks them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from crypto.ballot import verify_possession
from crypto.curve import decode_strict
from crypto.errors import ProofOfPossessionInvalid, Rejected
from node.ledger.active_set import MINIMUM_BANKS, ActiveSet, Member
from node.ledger.definitions import (
    MAX_BANKS,
    MAX_NAME_BYTES,
    AssetDefinition,
    BankDefinition,
    Sector,
)
from node.ledger.encoding import Writer
from node.ledger.genesis_fields import (
    GenesisInvalid,
    JsonFields,
    require_distinct,
    require_length,
    require_name,
    require_range,
)
from node.ledger.parameters import Parameters
from node.ledger.types import HASH_BYTES, POINT_BYTES, BankIndex, TimeMs

__all__ = [
    "AssetDefinition",
    "BankDefinition",
    "Genesis",
    "GenesisInvalid",
    "Parameters",
    "Sector",
    "verify_genesis_keys",
]

GENESIS_DOMAIN = b"consortium/genesis/2"
ACCOUNT_DOMAIN = b"consortium/bank-account"

MAX_ASSETS = 64
KEPT_SETS = 64
"""Active sets whose derived values are remembered."""


@dataclass(frozen=True)
class Genesis:
    """What all banks start from. Raises `GenesisInvalid` naming the field that breaks a rule."""

    name: str
    time_ms: TimeMs
    """Header time of block 0."""
    parameters: Parameters
    banks: tuple[BankDefinition, ...]
    """In increasing index, without gaps, from 0."""
    assets: tuple[AssetDefinition, ...]
    opener_key: bytes
    """Y of IDX1 9.1, 96 bytes: the regulator's, who alone can open ballots."""
    draw_commitment: bytes
    """End of the hash chain of the regulator's draw seeds, 32 bytes: every settlement reveals one
    earlier link, so the blocks it examines could not be chosen by anybody (BFT-12 18)."""
    epoch: int = 0
    """Counts recoveries of the whole consortium from backups (BFT-12 D4)."""

    def __post_init__(self) -> None:
        require_name(self.name, MAX_NAME_BYTES, "name")
        require_range(self.time_ms, 0, (1 << 63) - 1, "time_ms")
        require_range(self.epoch, 0, (1 << 32) - 1, "epoch")
        require_length(self.opener_key, POINT_BYTES, "opener_key")
        require_length(self.draw_commitment, HASH_BYTES, "draw_commitment")
        self._check_banks()
        self._check_assets()

    def _check_banks(self) -> None:
        require_range(len(self.banks), MINIMUM_BANKS, MAX_BANKS, "banks")
        for position, bank in enumerate(self.banks):
            if bank.index != position:
                raise GenesisInvalid(f"banks[{position}].index", f"is {bank.index}")
        require_distinct([bank.name for bank in self.banks], "banks", "name")
        require_distinct([bank.ballot_key for bank in self.banks], "banks", "ballot_key")
        signing = [key for bank in self.banks for key in (bank.consensus_key, bank.issuer_key)]
        if len(set(signing)) != len(signing):
            raise GenesisInvalid("banks", "a consensus or issuer key is used twice")

    def _check_assets(self) -> None:
        require_range(len(self.assets), 1, MAX_ASSETS, "assets")
        require_distinct([asset.asset_id for asset in self.assets], "assets", "asset_id")
        require_distinct([asset.code for asset in self.assets], "assets", "code")
        if sum(asset.is_base for asset in self.assets) != 1:
            raise GenesisInvalid("assets", "exactly one asset is the base asset")
        for asset in self.assets:
            for bank in asset.issuance_limits:
                if not 0 <= bank < len(self.banks):
                    raise GenesisInvalid(
                        f"assets[{asset.code}].issuance_limits[{bank}]", "is no bank"
                    )

    def encode(self) -> bytes:
        """Return the canonical bytes that the chain id hashes."""
        return (
            self.parameters.write(
                Writer().blob(GENESIS_DOMAIN).u32(self.epoch).text(self.name).u64(self.time_ms)
            )
            .many(self.banks, lambda out, bank: bank.write(out))
            .many(self.assets, lambda out, asset: asset.write(out))
            .fixed(self.opener_key, POINT_BYTES)
            .fixed(self.draw_commitment, HASH_BYTES)
            .finish()
        )

    @cached_property
    def chain_id(self) -> bytes:
        """SHA-256 of the canonical encoding, 32 bytes."""
        return hashlib.sha256(self.encode()).digest()

    @cached_property
    def base_asset(self) -> AssetDefinition:
        """The asset of stakes, fees, redemption and payout."""
        return next(asset for asset in self.assets if asset.is_base)

    def asset(self, asset_id: bytes) -> AssetDefinition | None:
        """Return the asset of this id, None if there is none."""
        return self._assets_by_id.get(asset_id)

    def account_of(self, bank: BankIndex) -> bytes:
        """Return the 32-byte id of a bank's public account (BFT-12 18)."""
        return self._accounts[bank]

    def bank_of_account(self, account: bytes) -> BankIndex | None:
        """Return the bank whose public account this is, None if it is nobody's."""
        return self._banks_by_account.get(account)

    def bank_of_issuer(self, issuer_key: bytes) -> BankIndex | None:
        """Return the bank whose issuer key this is, None if it is nobody's."""
        return self._banks_by_issuer.get(issuer_key)

    def active_set(self, banks: Sequence[BankIndex]) -> ActiveSet:
        """Return the active set of these banks, given in increasing index: one object a set, for
        it keeps what it computes."""
        key = tuple(banks)
        known = self._active_sets.get(key)
        if known is not None:
            return known
        members = (self.banks[bank] for bank in key)
        made = ActiveSet(
            tuple(
                Member(member.index, member.consensus_key, member.ballot_key) for member in members
            ),
            self.opener_key,
        )
        if len(self._active_sets) == KEPT_SETS:
            self._active_sets.clear()
        self._active_sets[key] = made
        return made

    def with_possessions(self, proofs: Sequence[bytes]) -> Genesis:
        """Return the same genesis with the banks' proofs of possession, in bank order."""
        assert len(proofs) == len(self.banks), "one proof per bank"
        pairs = zip(self.banks, proofs, strict=True)
        return replace(
            self, banks=tuple(replace(bank, ballot_possession=proof) for bank, proof in pairs)
        )

    @cached_property
    def _active_sets(self) -> dict[tuple[BankIndex, ...], ActiveSet]:
        return {}

    @cached_property
    def _assets_by_id(self) -> dict[bytes, AssetDefinition]:
        return {asset.asset_id: asset for asset in self.assets}

    @cached_property
    def _accounts(self) -> tuple[bytes, ...]:
        return tuple(
            hashlib.sha256(ACCOUNT_DOMAIN + self.chain_id + bank.index.to_bytes(2, "big")).digest()
            for bank in self.banks
        )

    @cached_property
    def _banks_by_account(self) -> dict[bytes, BankIndex]:
        return {account: BankIndex(index) for index, account in enumerate(self._accounts)}

    @cached_property
    def _banks_by_issuer(self) -> dict[bytes, BankIndex]:
        return {bank.issuer_key: bank.index for bank in self.banks}

    def to_json_object(self) -> dict[str, object]:
        """Return the genesis as JSON carries it, the chain id included as a check of the rest."""
        return {
            "chain_id": self.chain_id.hex(),
            "epoch": self.epoch,
            "name": self.name,
            "time_ms": self.time_ms,
            "parameters": self.parameters.to_json_object(),
            "banks": [bank.to_json_object() for bank in self.banks],
            "assets": [asset.to_json_object() for asset in self.assets],
            "opener_key": self.opener_key.hex(),
            "draw_commitment": self.draw_commitment.hex(),
        }

    @staticmethod
    def from_json_object(value: object) -> Genesis:
        """Read what `to_json_object` gave; raises `GenesisInvalid` naming the field."""
        fields = JsonFields(value, "")
        chain_id = fields.hex_bytes("chain_id")
        genesis = Genesis(
            epoch=fields.integer("epoch"),
            name=fields.text("name"),
            time_ms=TimeMs(fields.integer("time_ms")),
            parameters=Parameters.from_json_fields(fields.object("parameters")),
            banks=tuple(map(BankDefinition.from_json_fields, fields.objects("banks"))),
            assets=tuple(map(AssetDefinition.from_json_fields, fields.objects("assets"))),
            opener_key=fields.hex_bytes("opener_key"),
            draw_commitment=fields.hex_bytes("draw_commitment"),
        )
        fields.finish()
        if genesis.chain_id != chain_id:
            raise GenesisInvalid("chain_id", "is not the hash of this genesis")
        return genesis


def verify_genesis_keys(genesis: Genesis) -> None:
    """Check what needs curve arithmetic: opener key and ballot keys with their proofs (IDX1 9.1).

    Raises `GenesisInvalid`. About 1 ms per bank; a node does it once, when it loads its genesis.
    """
    try:
        decode_strict(genesis.opener_key)
    except Rejected as error:
        raise GenesisInvalid("opener_key", str(error)) from error
    for bank in genesis.banks:
        try:
            verify_possession(bank.ballot_key, genesis.chain_id, bank.index, bank.ballot_possession)
        except ProofOfPossessionInvalid as error:
            raise GenesisInvalid(f"banks[{bank.index}].ballot_possession", str(error)) from error
