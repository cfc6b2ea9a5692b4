"""What the genesis says of one bank and of one asset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from node.ledger.encoding import Writer
from node.ledger.genesis_fields import (
    GenesisInvalid,
    JsonFields,
    require_length,
    require_name,
    require_range,
)
from node.ledger.types import (
    ASSET_BYTES,
    KEY_BYTES,
    POINT_BYTES,
    Amount,
    AssetId,
    BankIndex,
)

MAX_NAME_BYTES = 64
MAX_CODE_BYTES = 12
MAX_DECIMALS = 18
POSSESSION_BYTES = 64
MAX_BANKS = 16
"""A ballot ring holds at most 16 keys (IDX1 9.2)."""
AMOUNT_LIMIT = 1 << 64
"""Stakes and issuance limits stay below it."""


class Sector(StrEnum):
    """Who owns a bank."""

    PUBLIC = "public"
    """A public-sector bank."""
    PRIVATE = "private"
    """A private-sector bank."""


@dataclass(frozen=True, slots=True)
class BankDefinition:
    """One founding bank. Raises `GenesisInvalid` for a field of a wrong size or range."""

    index: BankIndex
    name: str
    sector: Sector
    consensus_key: bytes
    """Ed25519 public key of its consensus statements, 32 bytes."""
    ballot_key: bytes
    """P of IDX1 9.1, 96 bytes."""
    ballot_possession: bytes
    """Proof of possession of the ballot key, 64 bytes; zero bytes until the chain id is known."""
    issuer_key: bytes
    """Ed25519 public key of its ISSUE and PAYOUT transactions and of the movements of its stake,
    32 bytes; serves nothing else."""
    initial_stake: Amount
    """Minor units of the base asset, at least 1."""

    def __post_init__(self) -> None:
        path = f"banks[{self.index}]"
        require_name(self.name, MAX_NAME_BYTES, f"{path}.name")
        require_range(self.index, 0, MAX_BANKS - 1, f"{path}.index")
        require_length(self.consensus_key, KEY_BYTES, f"{path}.consensus_key")
        require_length(self.ballot_key, POINT_BYTES, f"{path}.ballot_key")
        require_length(self.ballot_possession, POSSESSION_BYTES, f"{path}.ballot_possession")
        require_length(self.issuer_key, KEY_BYTES, f"{path}.issuer_key")
        require_range(self.initial_stake, 1, AMOUNT_LIMIT - 1, f"{path}.initial_stake")

    def write(self, writer: Writer) -> Writer:
        """Append the canonical encoding: every field but the proof of possession."""
        return (
            writer.u16(self.index)
            .text(self.name)
            .text(self.sector.value)
            .fixed(self.consensus_key, KEY_BYTES)
            .fixed(self.ballot_key, POINT_BYTES)
            .fixed(self.issuer_key, KEY_BYTES)
            .u64(self.initial_stake)
        )

    def to_json_object(self) -> dict[str, object]:
        """Return every field by name; keys in hexadecimal."""
        return {
            "index": self.index,
            "name": self.name,
            "sector": self.sector.value,
            "consensus_key": self.consensus_key.hex(),
            "ballot_key": self.ballot_key.hex(),
            "ballot_possession": self.ballot_possession.hex(),
            "issuer_key": self.issuer_key.hex(),
            "initial_stake": self.initial_stake,
        }

    @staticmethod
    def from_json_fields(fields: JsonFields) -> BankDefinition:
        """Read what `to_json_object` gave; raises `GenesisInvalid` naming the field."""
        sector = fields.text("sector")
        if sector not in tuple(Sector):
            raise GenesisInvalid(
                fields.path_of("sector"), f"{sector!r} is neither public nor private"
            )
        bank = BankDefinition(
            index=BankIndex(fields.integer("index")),
            name=fields.text("name"),
            sector=Sector(sector),
            consensus_key=fields.hex_bytes("consensus_key"),
            ballot_key=fields.hex_bytes("ballot_key"),
            ballot_possession=fields.hex_bytes("ballot_possession"),
            issuer_key=fields.hex_bytes("issuer_key"),
            initial_stake=Amount(fields.integer("initial_stake")),
        )
        fields.finish()
        return bank


@dataclass(frozen=True, slots=True)
class AssetDefinition:
    """One asset. Raises `GenesisInvalid` for a field of a wrong size or range."""

    asset_id: AssetId
    """16 bytes; fixes the asset's value generator (IDX1 2.4)."""
    code: str
    """What people call it, for example `INR`: upper-case letters and digits."""
    decimals: int
    """Minor units per unit, as a power of ten."""
    is_base: bool
    """The one asset of stakes, fees, redemption and payout (BFT-12 18)."""
    issuance_limits: Mapping[BankIndex, Amount] = field(default_factory=dict)
    """Most minor units each bank may issue in all. Naming a bank registers its issuer key for the
    asset; a limit of 0 in the base asset allows payouts and no issue.
    Kept in increasing bank index."""

    def __post_init__(self) -> None:
        path = f"assets[{self.code}]"
        require_name(self.code, MAX_CODE_BYTES, f"{path}.code")
        if not (self.code.isascii() and self.code.isalnum() and self.code == self.code.upper()):
            raise GenesisInvalid(f"{path}.code", "is not upper-case letters and digits")
        require_length(self.asset_id, ASSET_BYTES, f"{path}.asset_id")
        require_range(self.decimals, 0, MAX_DECIMALS, f"{path}.decimals")
        object.__setattr__(self, "issuance_limits", dict(sorted(self.issuance_limits.items())))
        for bank, limit in self.issuance_limits.items():
            require_range(limit, 0, AMOUNT_LIMIT - 1, f"{path}.issuance_limits[{bank}]")

    def write(self, writer: Writer) -> Writer:
        """Append the canonical encoding: the fields in order, limits in increasing bank index."""
        return (
            writer.fixed(self.asset_id, ASSET_BYTES)
            .text(self.code)
            .u8(self.decimals)
            .flag(self.is_base)
            .many(self.issuance_limits.items(), lambda out, item: out.u16(item[0]).u64(item[1]))
        )

    def to_json_object(self) -> dict[str, object]:
        """Return every field by name; limits by bank index, written as JSON names are."""
        return {
            "asset_id": self.asset_id.hex(),
            "code": self.code,
            "decimals": self.decimals,
            "is_base": self.is_base,
            "issuance_limits": {str(bank): limit for bank, limit in self.issuance_limits.items()},
        }

    @staticmethod
    def from_json_fields(fields: JsonFields) -> AssetDefinition:
        """Read what `to_json_object` gave; raises `GenesisInvalid` naming the field."""
        limits = fields.object("issuance_limits")
        asset = AssetDefinition(
            asset_id=AssetId(fields.hex_bytes("asset_id")),
            code=fields.text("code"),
            decimals=fields.integer("decimals"),
            is_base=fields.flag("is_base"),
            issuance_limits={
                _bank_index(name, limits.path_of(name)): Amount(limits.integer(name))
                for name in limits.names()
            },
        )
        fields.finish()
        return asset


def _bank_index(name: str, path: str) -> BankIndex:
    if name not in map(str, range(MAX_BANKS)):
        raise GenesisInvalid(path, "is not named by a bank index")
    return BankIndex(int(name))
