"""What all banks agree on for the life of a ledger: the numbers of BFT-12 section 1 and the fees.

They stand in the genesis and are therefore part of the chain id.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import NamedTuple

from crypto.ring import DEFAULT_RING_BASE, RING_BASES
from node.ledger.blocks import MAX_TRANSACTIONS
from node.ledger.encoding import Writer
from node.ledger.genesis_fields import GenesisInvalid, JsonFields, require_range
from node.ledger.types import Amount

FEE_LIMIT = 1 << 63
"""Fees stay below it, so that fee + redeem is far from every limit of IDX1 7.1."""

DAY_S = 86_400


class Ratio(NamedTuple):
    """An exact fraction."""

    numerator: int
    denominator: int


DEFAULT_TIMEOUT_GROWTH = Ratio(3, 2)
DEFAULT_TRANSFER_FEE = Amount(100)
NO_FEE = Amount(0)


@dataclass(frozen=True, slots=True)
class Parameters:
    """Genesis parameters; raises `GenesisInvalid` for a value outside its range."""

    ring_base: int = DEFAULT_RING_BASE
    """n of IDX1 4.5: a bin holds n^2 notes; 4, 8 or 16."""
    bin_age_ms: int = 2_000
    """A bin whose first note is this old by header time closes with the next block."""
    batch_limit: int = MAX_TRANSACTIONS
    """BATCH: most transactions in a block."""
    batch_wait_ms: int = 50
    """BATCH_WAIT: longest wait for a fuller block."""
    view_timeout_ms: int = 2_000
    """T0."""
    view_timeout_growth: Ratio = DEFAULT_TIMEOUT_GROWTH
    """B: each further view of a height waits this much longer."""
    view_timeout_max_ms: int = 20_000
    """TMAX."""
    heartbeat_ms: int = 30_000
    """HB: an empty block is due after this much idle time."""
    max_clock_skew_ms: int = 5_000
    """MAX_SKEW: how far a header's time may lie ahead of a voter's clock."""
    transfer_fee: Amount = DEFAULT_TRANSFER_FEE
    """Flat fee of a TRANSFER of the base asset, in minor units; other assets carry fee 0."""
    issue_fee: Amount = NO_FEE
    """An ISSUE has no fee field (IDX1 5.3), so this is 0."""
    payout_fee: Amount = NO_FEE
    """A PAYOUT has no fee field (IDX1 5.3), so this is 0."""
    max_expiry_heights: int = 10_000
    """A transaction may not expire further ahead, so that no mempool keeps it for ever."""
    fiscal_year_offset_s: int = 19_800
    """UTC offset whose midnight begins a fiscal year (BFT-12 18); India's by default."""
    fiscal_year_seconds: int | None = None
    """Length of a fiscal year; None is the calendar's, from April 1."""
    slash_floor_percent: int = 30
    """SLASH_FLOOR: a bank below this share of its initial stake leaves the active set."""
    evidence_window: int = 1_000
    """EV_WINDOW: heights during which an offence can be punished."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "view_timeout_growth", Ratio(*self.view_timeout_growth))
        if self.ring_base not in RING_BASES:
            raise GenesisInvalid(
                "parameters.ring_base", f"{self.ring_base} is none of {RING_BASES}"
            )
        for name, lowest, highest in _RANGES:
            require_range(getattr(self, name), lowest, highest, f"parameters.{name}")
        self._check_timeouts()
        if self.fiscal_year_seconds is not None:
            require_range(self.fiscal_year_seconds, 1, _U32_MAX, "parameters.fiscal_year_seconds")

    def _check_timeouts(self) -> None:
        numerator, denominator = self.view_timeout_growth
        if not 1 <= denominator <= numerator <= 1_000:
            raise GenesisInvalid(
                "parameters.view_timeout_growth",
                f"{numerator}/{denominator} is below 1 or has terms above 1000",
            )
        if self.view_timeout_max_ms < self.view_timeout_ms:
            raise GenesisInvalid(
                "parameters.view_timeout_max_ms",
                f"{self.view_timeout_max_ms} is below view_timeout_ms {self.view_timeout_ms}",
            )

    def write(self, writer: Writer) -> Writer:
        """Append the canonical encoding: the fields in the order of this class."""
        return (
            writer.u8(self.ring_base)
            .u32(self.bin_age_ms)
            .u32(self.batch_limit)
            .u32(self.batch_wait_ms)
            .u32(self.view_timeout_ms)
            .u32(self.view_timeout_growth.numerator)
            .u32(self.view_timeout_growth.denominator)
            .u32(self.view_timeout_max_ms)
            .u32(self.heartbeat_ms)
            .u32(self.max_clock_skew_ms)
            .u64(self.transfer_fee)
            .u64(self.issue_fee)
            .u64(self.payout_fee)
            .u32(self.max_expiry_heights)
            .i32(self.fiscal_year_offset_s)
            .optional(self.fiscal_year_seconds, Writer.u32)
            .u8(self.slash_floor_percent)
            .u32(self.evidence_window)
        )

    def to_json_object(self) -> dict[str, object]:
        """Return every field by name; the growth of the view timeout as "3/2"."""
        fields: dict[str, object] = dataclasses.asdict(self)
        fields["view_timeout_growth"] = "{}/{}".format(*self.view_timeout_growth)
        return fields

    @staticmethod
    def from_json_fields(fields: JsonFields) -> Parameters:
        """Read what `to_json_object` gave; raises `GenesisInvalid` naming the field."""
        numbers = {
            field.name: fields.integer(field.name)
            for field in dataclasses.fields(Parameters)
            if field.name not in _NOT_PLAIN
        }
        growth = fields.text("view_timeout_growth").split("/")
        if len(growth) != 2 or not all(re.fullmatch("[0-9]{1,4}", term) for term in growth):
            raise GenesisInvalid(fields.path_of("view_timeout_growth"), "is not a ratio like 3/2")
        parameters = Parameters(
            **numbers,
            transfer_fee=Amount(fields.integer("transfer_fee")),
            issue_fee=Amount(fields.integer("issue_fee")),
            payout_fee=Amount(fields.integer("payout_fee")),
            view_timeout_growth=Ratio(int(growth[0]), int(growth[1])),
            fiscal_year_seconds=fields.optional_integer("fiscal_year_seconds"),
        )
        fields.finish()
        return parameters


_U32_MAX = (1 << 32) - 1

_NOT_PLAIN = (
    "view_timeout_growth",
    "transfer_fee",
    "issue_fee",
    "payout_fee",
    "fiscal_year_seconds",
)

_RANGES = (
    ("bin_age_ms", 0, _U32_MAX),
    ("batch_limit", 1, MAX_TRANSACTIONS),
    ("batch_wait_ms", 0, _U32_MAX),
    ("view_timeout_ms", 1, _U32_MAX),
    ("view_timeout_max_ms", 1, _U32_MAX),
    ("heartbeat_ms", 1, _U32_MAX),
    ("max_clock_skew_ms", 0, _U32_MAX),
    ("transfer_fee", 0, FEE_LIMIT - 1),
    ("issue_fee", 0, 0),
    ("payout_fee", 0, 0),
    ("max_expiry_heights", 1, _U32_MAX),
    ("fiscal_year_offset_s", -DAY_S + 1, DAY_S - 1),
    ("slash_floor_percent", 0, 100),
    ("evidence_window", 1, _U32_MAX),
)
"""Lowest and highest allowed value of each parameter that is a plain number."""
