"""The ledger's state: small, flat, immutable; its root stands in every header.

What grows with the ledger (notes, nullifiers, transactions) is kept by the host behind an index
and enters here as counts and running hashes, so a block costs the same at height 10 and 10 million.

`encode()` is the concatenation of, integers big-endian, `list` = u32 count and the items:

    field                      type
    domain                     blob "consortium/state/3"
    height                     u64, of the block that led here
    time_ms                    u64, header time of that block
    banks                      list in increasing index of: index u16, initial stake u64, stake u64,
                               offences u32, active u8, account balance u128, blocks created u64,
                               creator fees u128, topped up u128, withdrawn u128, penalties u128,
                               stake nonce u64, rewards u128                   (BFT-12 18)
    assets                     list in genesis order of: asset id 16, issued u128, redeemed u128,
                               paid out u128, fees u128, issuance, open bin
      issuance                 list in increasing bank of: bank u16, limit u64, issued u64
      open bin                 u8 presence, then: bin id u64, opened at u64 ms, list of P 96 || C 96
    next bin id                u64
    transaction count          u64, all sealed ones
    notes                      count u64, running hash 32            (`accumulators.add_note`)
    nullifiers                 count u64, running hash 32            (`accumulators.add_nullifier`)
    closed bins                count u64, running hash 32            (`accumulators.add_closed_bin`)
    pots                       list in increasing year of: fiscal year u64, approver fees u128,
                               penalties u128, carried u128, slashed: list of bank u16
                                                                                  (BFT-12 18)
    tallies                    list in increasing (year, opener key) of: fiscal year u64, opener key
                               96, sum 192, ballots u64, blocks u64               (BFT-12 18)
    punished                   list in increasing (height, bank, class) of: height u64, bank u16,
                               class u8                           (BFT-12 9, evidence window)
    set records                list in increasing height of: from height u64, set hash 32, list of
                               bank u16                               (BFT-12 9, evidence window)
    governance nonce           u64, of the next governance transaction that q banks approve
    settled through            u64, last settled fiscal year, 0 before the first  (BFT-12 18)
    draw commitment            32, what the next revealed draw seed hashes to     (BFT-12 18)

`root()` = SHA-256 of that. The id of the block that led here is not part of it, because that
block's header contains the root; the header chain fixes it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

from crypto.merkle import EMPTY_ROOT
from node.ledger.active_set import ActiveSet
from node.ledger.blocks import Header
from node.ledger.definitions import MAX_BANKS
from node.ledger.encoding import MalformedEncoding, Reader, Writer
from node.ledger.genesis import MAX_ASSETS, Genesis
from node.ledger.state_records import (
    Accumulated,
    AssetState,
    BankState,
    FillingBin,
    Issuance,
    Pot,
    PunishedOffence,
    SetRecord,
    Tally,
    require_increasing,
)
from node.ledger.types import (
    HASH_BYTES,
    Amount,
    BankIndex,
    BlockId,
    FiscalYear,
    Height,
    TimeMs,
    View,
)

__all__ = [
    "Accumulated",
    "AssetState",
    "BankState",
    "FillingBin",
    "Issuance",
    "NEVER_SETTLED",
    "LedgerState",
    "Pot",
    "PunishedOffence",
    "SetRecord",
    "Tally",
    "genesis_header",
    "genesis_state",
]

STATE_DOMAIN = b"consortium/state/3"
NEVER_SETTLED = FiscalYear(0)
"""`settled_through` before the first settlement: no header time lies in that year."""
MAX_YEARS = 1 << 16
MAX_PUNISHED = 1 << 20
MAX_SET_RECORDS = 1 << 16


@dataclass(frozen=True)
class LedgerState:
    """The state after the block at `height`."""

    height: Height
    time_ms: TimeMs
    banks: tuple[BankState, ...]
    assets: tuple[AssetState, ...]
    next_bin_id: int
    transaction_count: int
    notes: Accumulated
    nullifiers: Accumulated
    closed_bins: Accumulated
    pots: tuple[Pot, ...]
    tallies: tuple[Tally, ...]
    punished: tuple[PunishedOffence, ...]
    set_records: tuple[SetRecord, ...]
    governance_nonce: int
    settled_through: FiscalYear
    """The last fiscal year that was settled; `NEVER_SETTLED` before the first."""
    draw_commitment: bytes
    """What the next revealed draw seed hashes to, 32 bytes."""

    def encode(self) -> bytes:
        """Return the canonical bytes, as the module's table lists them; computed once."""
        return self._encoded

    def root(self) -> bytes:
        """Return `post_state_root`, 32 bytes; computed once."""
        return self._root

    @cached_property
    def _encoded(self) -> bytes:
        writer = Writer().blob(STATE_DOMAIN).u64(self.height).u64(self.time_ms)
        writer.many(self.banks, lambda out, bank: bank.write(out))
        writer.many(self.assets, lambda out, asset: asset.write(out))
        writer.u64(self.next_bin_id).u64(self.transaction_count)
        for accumulated in (self.notes, self.nullifiers, self.closed_bins):
            accumulated.write(writer)
        writer.many(self.pots, lambda out, pot: pot.write(out))
        writer.many(self.tallies, lambda out, tally: tally.write(out))
        writer.many(self.punished, lambda out, offence: offence.write(out))
        writer.many(self.set_records, lambda out, record: record.write(out))
        writer.u64(self.governance_nonce).u64(self.settled_through)
        writer.fixed(self.draw_commitment, HASH_BYTES)
        return writer.finish()

    @cached_property
    def _root(self) -> bytes:
        return hashlib.sha256(self._encoded).digest()

    @staticmethod
    def decode(data: bytes) -> LedgerState:
        """Decode canonical bytes; raises `MalformedEncoding`."""
        reader = Reader(data)
        if reader.blob(len(STATE_DOMAIN)) != STATE_DOMAIN:
            raise MalformedEncoding("not a ledger state")
        state = LedgerState(
            height=Height(reader.u64()),
            time_ms=TimeMs(reader.u64()),
            banks=reader.many(MAX_BANKS, BankState.read),
            assets=reader.many(MAX_ASSETS, AssetState.read),
            next_bin_id=reader.u64(),
            transaction_count=reader.u64(),
            notes=Accumulated.read(reader),
            nullifiers=Accumulated.read(reader),
            closed_bins=Accumulated.read(reader),
            pots=reader.many(MAX_YEARS, Pot.read),
            tallies=reader.many(MAX_YEARS, Tally.read),
            punished=reader.many(MAX_PUNISHED, PunishedOffence.read),
            set_records=reader.many(MAX_SET_RECORDS, SetRecord.read),
            governance_nonce=reader.u64(),
            settled_through=FiscalYear(reader.u64()),
            draw_commitment=reader.fixed(HASH_BYTES),
        )
        reader.finish()
        require_increasing([bank.index for bank in state.banks], "banks")
        require_increasing([pot.year for pot in state.pots], "pots")
        require_increasing([(tally.year, tally.opener_key) for tally in state.tallies], "tallies")
        require_increasing(state.punished, "punished offences")
        require_increasing([record.from_height for record in state.set_records], "set records")
        return state

    def active_set(self, genesis: Genesis) -> ActiveSet:
        """Return the banks that decide the next height (BFT-12 10)."""
        return genesis.active_set([bank.index for bank in self.banks if bank.active])

    def asset(self, asset_id: bytes) -> AssetState | None:
        """Return the asset's state, None if there is no such asset."""
        return next((asset for asset in self.assets if asset.asset_id == asset_id), None)

    def set_record_at(self, height: Height) -> SetRecord | None:
        """Return the active set's record of a height up to the next, None if it is not kept."""
        covering = [record for record in self.set_records if record.from_height <= height]
        return covering[-1] if covering and height <= self.height + 1 else None

    def oldest_punishable(self, genesis: Genesis) -> Height:
        """Return the lowest height whose offences the next block may punish (BFT-12 9)."""
        return Height(max(1, self.height + 1 - genesis.parameters.evidence_window))

    def active_set_at(self, genesis: Genesis, height: Height) -> ActiveSet | None:
        """Return the banks that decided a height, or decide the next one.

        None outside the evidence window of the next block: above it, or too far below.
        """
        record = self.set_record_at(height)
        if record is None or height < self.oldest_punishable(genesis):
            return None
        return genesis.active_set(record.banks)


def genesis_state(genesis: Genesis) -> LedgerState:
    """Return the state after block 0: initial stakes, empty accounts, no notes."""
    active = genesis.active_set([bank.index for bank in genesis.banks])
    return LedgerState(
        height=Height(0),
        time_ms=genesis.time_ms,
        banks=tuple(
            BankState(
                index=bank.index,
                initial_stake=bank.initial_stake,
                stake=bank.initial_stake,
                offences=0,
                active=True,
                balance=Amount(0),
                blocks_created=0,
                creator_fees=Amount(0),
            )
            for bank in genesis.banks
        ),
        assets=tuple(
            AssetState(
                asset_id=asset.asset_id,
                issued=Amount(0),
                redeemed=Amount(0),
                paid_out=Amount(0),
                fees=Amount(0),
                issuance=tuple(
                    Issuance(bank, limit, Amount(0))
                    for bank, limit in asset.issuance_limits.items()
                ),
                open_bin=None,
            )
            for asset in genesis.assets
        ),
        next_bin_id=0,
        transaction_count=0,
        notes=Accumulated(),
        nullifiers=Accumulated(),
        closed_bins=Accumulated(),
        pots=(),
        tallies=(),
        punished=(),
        set_records=(SetRecord(Height(1), active.set_hash, active.banks),),
        governance_nonce=0,
        settled_through=NEVER_SETTLED,
        draw_commitment=genesis.draw_commitment,
    )


def genesis_header(genesis: Genesis) -> Header:
    """Return the header of block 0, which has no parent, no proposer and no seal (BFT-12 3)."""
    state = genesis_state(genesis)
    return Header(
        chain_id=genesis.chain_id,
        height=Height(0),
        parent_id=BlockId(bytes(HASH_BYTES)),
        original_view=View(0),
        proposer=BankIndex(0),
        time_ms=genesis.time_ms,
        transactions_root=EMPTY_ROOT,
        evidence_root=EMPTY_ROOT,
        ballots_root=EMPTY_ROOT,
        transaction_count=0,
        post_state_root=state.root(),
        next_set_hash=state.active_set(genesis).set_hash,
    )
