"""Settling a fiscal year: who gets what of its pot, and the transactions that say so (BFT-12 18).

A SETTLEMENT is the regulator's. It states how many of the year's recorded approvals each bank cast,
proves it by one decryption of the year's ciphertext sum, and reveals the year's draw seed. Nobody
signs it: the proof takes the opener's key and covers every byte before itself, so nothing of it can
be changed or used twice. A POT_CARRY is the banks': where the regulator has not settled a year
until the end of the next, q banks may move its pot on, undivided. Canonical bytes, integers
big-endian:

    field          SETTLEMENT 0x13                              POT_CARRY 0x14
    version        u8, 0x01                                     the same
    kind           u8                                           u8
    chain id       32                                           32
    fiscal year    u64                                          u64
    content        list (u32 count), one for every bank of      set hash 32, of the approvers' set
                   the genesis in increasing index, of:         nonce u64, that of governance
                   bank u16, count u64
                   draw seed 32
    expiry         u64, last height at which it is valid        u64
    authority      blob, tally proof (`crypto.ballot_tally`)    list (u32 count) of: approver u16,
                                                                consensus signature 64

The proof is over blob "consortium/settlement/1" and all bytes before it, an approval over blob
"consortium/pot-carry/1" and all bytes before the list.

The pot of a year is its penalties, the approvers' part of its fees, and what was carried into it.
Banks share it in proportion to their counts, by largest remainder, ties to the lower index. A bank
that was punished in the year gets nothing, whatever its count. If nobody is left, the pot is
carried into that of the year of the block.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from crypto.ballot import BallotKey
from crypto.ballot_tally import assemble_tally_proof, prove_tally, prove_tally_partially
from crypto.opener_shares import MAX_PARTIALS_BYTES, OpenerShare, PartialDecryption
from crypto.randomness import RandomBytes
from crypto.transaction import Output, TransferInput, transaction_id
from node.ledger.definitions import MAX_BANKS
from node.ledger.encoding import Reader, Writer
from node.ledger.genesis import Genesis
from node.ledger.governance_form import (
    COUNT_BYTES,
    PREFIX_BYTES,
    VERSION,
    ApprovedTerms,
    ApprovedTransaction,
    GovernanceKind,
    read_count,
    require_kind,
    require_length,
)
from node.ledger.state_records import Pot
from node.ledger.types import (
    HASH_BYTES,
    Amount,
    BankIndex,
    FiscalYear,
    Height,
)

__all__ = [
    "BankCount",
    "PotCarry",
    "PotCarryTerms",
    "Settlement",
    "SettlementClaim",
    "SettlementOutcome",
    "SettlementRow",
    "assemble_settlement",
    "decode_pot_carry",
    "decode_settlement",
    "prove_settlement",
    "prove_settlement_partially",
    "share_pot",
]

SETTLEMENT_DOMAIN = b"consortium/settlement/1"
POT_CARRY_DOMAIN = b"consortium/pot-carry/1"

_YEAR_END = PREFIX_BYTES + HASH_BYTES + 8
_COUNT_ITEM_BYTES = 2 + 8


@dataclass(frozen=True, slots=True)
class BankCount:
    """How many of a year's recorded approvals a bank cast."""

    bank: BankIndex
    count: int


@dataclass(frozen=True, slots=True)
class SettlementClaim:
    """What the regulator claims about a year, before the proof."""

    chain_id: bytes
    year: FiscalYear
    counts: tuple[BankCount, ...]
    """One for every bank of the genesis, in increasing index."""
    draw_seed: bytes
    """32 bytes: the seed of the year's draw, secret until now."""
    expiry: Height
    """Last height at which the settlement is valid."""

    def encode(self) -> bytes:
        """Return the bytes before the proof; also how the request for parts of it travels."""
        return (
            Writer()
            .u8(VERSION)
            .u8(GovernanceKind.SETTLEMENT)
            .fixed(self.chain_id, HASH_BYTES)
            .u64(self.year)
            .many(self.counts, lambda out, item: out.u16(item.bank).u64(item.count))
            .fixed(self.draw_seed, HASH_BYTES)
            .u64(self.expiry)
            .finish()
        )

    @staticmethod
    def decode(data: bytes) -> SettlementClaim:
        """Decode what `encode` gave; raises `Rejection`."""
        require_kind(data, (GovernanceKind.SETTLEMENT,))
        require_length(data, _claim_bytes(data))
        return _read_claim(data)

    @property
    def statement(self) -> bytes:
        """The bytes that the tally proof binds."""
        return Writer().blob(SETTLEMENT_DOMAIN).finish() + self.encode()

    def key_counts(self, genesis: Genesis) -> tuple[tuple[bytes, int], ...]:
        """The counts by ballot key, as the tally proof takes them."""
        return tuple([(genesis.banks[item.bank].ballot_key, item.count) for item in self.counts])


@dataclass(frozen=True, slots=True)
class Settlement:
    """A decoded SETTLEMENT."""

    raw: bytes
    transaction_id: bytes
    """Hash of all bytes, by the rule of IDX1 5.5."""
    claim: SettlementClaim
    proof: bytes
    """Of the counts: encoded partial decryptions of the year's sum."""

    @property
    def kind(self) -> GovernanceKind:
        """SETTLEMENT."""
        return GovernanceKind.SETTLEMENT

    @property
    def chain_id(self) -> bytes:
        """The ledger's id, 32 bytes."""
        return self.claim.chain_id

    @property
    def year(self) -> FiscalYear:
        """The year to be settled."""
        return self.claim.year

    @property
    def expiry(self) -> int:
        """Last height at which it is valid."""
        return self.claim.expiry

    @property
    def inputs(self) -> tuple[TransferInput, ...]:
        """Spends no note."""
        return ()

    @property
    def outputs(self) -> tuple[Output, ...]:
        """Creates no note."""
        return ()


@dataclass(frozen=True, slots=True)
class PotCarryTerms(ApprovedTerms[FiscalYear]):
    """What the banks approve: that this year's pot moves on, under this set, once."""

    KIND = GovernanceKind.POT_CARRY
    DOMAIN = POT_CARRY_DOMAIN
    SUBJECT_BYTES = 8

    @property
    def year(self) -> FiscalYear:
        """The year whose pot moves on."""
        return self.subject


@dataclass(frozen=True, slots=True)
class PotCarry(ApprovedTransaction[PotCarryTerms]):
    """A decoded POT_CARRY."""

    @property
    def year(self) -> FiscalYear:
        """The year whose pot moves on."""
        return self.terms.year


def decode_settlement(raw: bytes) -> Settlement:
    """Decode canonical bytes; raises `Rejection`: LENGTH, TRAILING, VERSION, KIND, COUNT.

    Nothing is verified.
    """
    require_kind(raw, (GovernanceKind.SETTLEMENT,))
    claim_bytes = _claim_bytes(raw)
    proof_bytes = read_count(raw, claim_bytes, MAX_PARTIALS_BYTES, "bytes of the proof")
    require_length(raw, claim_bytes + COUNT_BYTES + proof_bytes)
    return Settlement(
        raw=raw,
        transaction_id=transaction_id(raw),
        claim=_read_claim(raw[:claim_bytes]),
        proof=raw[claim_bytes + COUNT_BYTES :],
    )


def decode_pot_carry(raw: bytes) -> PotCarry:
    """Decode canonical bytes; raises `Rejection` as `decode_settlement`."""
    return PotCarry.of_terms(raw, PotCarryTerms)


def _claim_bytes(raw: bytes) -> int:
    count = read_count(raw, _YEAR_END, MAX_BANKS, "counts")
    return _YEAR_END + COUNT_BYTES + count * _COUNT_ITEM_BYTES + HASH_BYTES + 8


def _read_claim(data: bytes) -> SettlementClaim:
    reader = Reader(data[PREFIX_BYTES:])
    return SettlementClaim(
        chain_id=reader.fixed(HASH_BYTES),
        year=FiscalYear(reader.u64()),
        counts=reader.many(MAX_BANKS, lambda r: BankCount(BankIndex(r.u16()), r.u64())),
        draw_seed=reader.fixed(HASH_BYTES),
        expiry=Height(reader.u64()),
    )


def prove_settlement(
    claim: SettlementClaim,
    genesis: Genesis,
    ciphertext_sum: bytes,
    opener: BallotKey,
    random_bytes: RandomBytes = os.urandom,
) -> bytes:
    """Return the bytes of a SETTLEMENT, proven with the whole opener's key.

    `ciphertext_sum` is the tally's, all zero for a year without one. Raises
    `crypto.errors.ProvingError` if the sum does not hold these counts.
    """
    counts = claim.key_counts(genesis)
    return _with_proof(
        claim, prove_tally(ciphertext_sum, counts, opener, claim.statement, random_bytes)
    )


def prove_settlement_partially(
    claim: SettlementClaim,
    genesis: Genesis,
    ciphertext_sum: bytes,
    share: OpenerShare,
    random_bytes: RandomBytes = os.urandom,
) -> PartialDecryption:
    """Return one officer's part of the proof; he agrees to the whole claim by it."""
    return prove_tally_partially(
        ciphertext_sum, claim.key_counts(genesis), share, claim.statement, random_bytes
    )


def assemble_settlement(
    claim: SettlementClaim,
    genesis: Genesis,
    ciphertext_sum: bytes,
    partials: Sequence[PartialDecryption],
) -> bytes:
    """Return the bytes of a SETTLEMENT from t officers' parts, in any order.

    Raises `crypto.errors.ProvingError` if they do not prove it.
    """
    counts = claim.key_counts(genesis)
    return _with_proof(
        claim,
        assemble_tally_proof(ciphertext_sum, counts, genesis.opener_key, claim.statement, partials),
    )


def _with_proof(claim: SettlementClaim, proof: bytes) -> bytes:
    return claim.encode() + Writer().blob(proof).finish()


@dataclass(frozen=True, slots=True)
class SettlementRow:
    """What a settlement means for one bank; minor units of the base asset."""

    bank: BankIndex
    count: int
    """Its recorded approvals of the year."""
    is_slashed: bool
    """It was punished in the year and gets nothing."""
    reward: Amount


@dataclass(frozen=True, slots=True)
class SettlementOutcome:
    """How a year ended: the rewards and what was carried add up to the pot exactly."""

    year: FiscalYear
    pot: Pot
    """As it was; empty for a year without one."""
    rows: tuple[SettlementRow, ...]
    """One for every bank, in increasing index; none for a POT_CARRY."""
    carried: Amount
    carried_to: FiscalYear | None
    """None if nothing was carried."""
    draw_seed: bytes | None
    """32 bytes; None for a POT_CARRY, which reveals none."""
    transaction_id: bytes

    @property
    def paid(self) -> Amount:
        """The sum of the rewards."""
        return Amount(sum(row.reward for row in self.rows))


def share_pot(
    pot: Amount, counts: Mapping[BankIndex, int], slashed: Iterable[BankIndex]
) -> tuple[SettlementRow, ...]:
    """Share a pot in proportion to the counts, by largest remainder, ties to the lower index.

    Slashed banks get nothing. The rewards add up to the pot, unless no other bank has a count above
    zero: then all are zero.
    """
    without = frozenset(slashed)
    eligible = {bank: count for bank, count in counts.items() if count and bank not in without}
    total = sum(eligible.values())
    rewards = {bank: pot * count // total for bank, count in eligible.items()}
    left = pot - sum(rewards.values()) if eligible else 0
    by_remainder = sorted(eligible, key=lambda bank: (-(pot * eligible[bank] % total), bank))
    for bank in by_remainder[:left]:
        rewards[bank] += 1
    return tuple(
        [
            SettlementRow(bank, counts[bank], bank in without, Amount(rewards.get(bank, 0)))
            for bank in sorted(counts)
        ]
    )
