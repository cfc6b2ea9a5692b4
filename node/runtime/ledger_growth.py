"""A ledger with a long past, for measurements: what a bank holds that joined by a snapshot.

A past of a million notes takes hours to prove and to agree on, and a bank that joined by a
snapshot (BFT-12 section 11) has none of its proofs anyway: it has headers, notes, nullifiers,
closed bins and treasury rows, certified by the sealed state of one height. That state is made
here, by executing a made-up history with the ledger's own rules, block by block; what is left out
are the proofs of its transactions and the consensus about them. So every count, running hash,
digest, fee, balance and root is what the rules give, and a bank verifies the whole as any other
snapshot (`snapshot_verification`).

The history: the banks issue notes; then, in full blocks, every transfer spends the four oldest
unspent notes, pays the fee and makes four new ones. Money is conserved: what was issued is what the
unspent notes and the fees come to. One-time keys, nullifiers and commitments are points of the
group, not derived from anybody's keys: nobody can spend these notes. The blocks of the history had
no ballots, so they are in no tally.

Notes and nullifiers follow from a seed. The workload file holds the seed, the headers, the rows of
fees and the sealed state of the tip.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, islice
from typing import TypeVar

from crypto.curve import encode_point, hash_to_curve
from crypto.errors import Rejected
from crypto.layout import layout_of
from crypto.merkle import EMPTY_ROOT
from crypto.ring import RING_BASES, close_bin, ring_size
from crypto.transaction import NO_ACCOUNT, Kind, Mint, Output, Transfer, TransferInput
from crypto.validation import check_uniqueness
from node.consensus.certificates import Seal
from node.ledger.block_validity import check_links
from node.ledger.blocks import HEADER_BYTES, MAX_TRANSACTIONS, Header
from node.ledger.effects import TreasuryEntry, TreasuryKind
from node.ledger.encoding import MalformedEncoding, Reader, Writer
from node.ledger.facts import BlockFacts
from node.ledger.genesis import Genesis
from node.ledger.invariants import check_conservation
from node.ledger.rejection import Rejection
from node.ledger.rules import check_expiry
from node.ledger.state import LedgerState, genesis_header, genesis_state
from node.ledger.transition import Execution
from node.ledger.types import HASH_BYTES, Amount, BankIndex, FiscalYear, Height, TimeMs, View
from node.wire.records import SealedState, TreasuryMovement
from node.wire.snapshot_codec import (
    BINS_PER_PART,
    HEADERS_PER_PART,
    NOTES_PER_PART,
    NULLIFIERS_PER_PART,
    TREASURY_ROWS_PER_PART,
)
from node.wire.snapshot_records import (
    BinPart,
    HeaderPart,
    NotePart,
    NullifierPart,
    SnapshotBin,
    SnapshotNote,
    SnapshotPart,
    SnapshotStart,
    TreasuryPart,
)

DOMAIN = "consortium/grown-ledger/1"
MAX_GROWN_NOTES = 10_000_000
NOTES_A_TRANSACTION = 4
"""That one makes, and that a transfer spends: the most there may be (IDX1 5.2, 5.3)."""
UNSPENT_NOTES = 768
"""At least so many are unspent at any time: what a block spends is in closed bins of any size."""
FEES_AHEAD = 2
"""The banks issue this many times what all fees come to."""
COMMITMENTS = 4_096
"""Different ones; nothing looks them up, so that they may repeat."""
MAX_STATE_BYTES = 1 << 24
MAX_SEAL_BYTES = 1 << 20
MAX_REASON_BYTES = 256

T = TypeVar("T")

Progress = Callable[[str, int, int], None]
"""To be told which step the work is at, and how far."""


@dataclass(frozen=True, slots=True)
class Growth:
    """How far a ledger has grown, and the seed of its notes and nullifiers."""

    seed: bytes = field(repr=False)
    notes_wanted: int
    ring_base: int

    @property
    def transfers(self) -> int:
        return -(-self.notes_wanted // NOTES_A_TRANSACTION)

    @property
    def nullifiers(self) -> int:
        """As many as were asked for, and at most three more."""
        return self.transfers * NOTES_A_TRANSACTION

    @property
    def issued_notes(self) -> int:
        """So many that the last bin is full."""
        made = self.transfers * NOTES_A_TRANSACTION
        return UNSPENT_NOTES + -(UNSPENT_NOTES + made) % ring_size(self.ring_base)

    @property
    def issues(self) -> int:
        return self.issued_notes // NOTES_A_TRANSACTION

    @property
    def notes(self) -> int:
        """All that were ever made, spent or not."""
        return self.issued_notes + self.transfers * NOTES_A_TRANSACTION

    @property
    def issue_blocks(self) -> int:
        """Heights from 1 on at which there are issues alone."""
        return -(-self.issues // MAX_TRANSACTIONS)

    @property
    def blocks(self) -> int:
        """Height of the tip."""
        return self.issue_blocks + -(-self.transfers // MAX_TRANSACTIONS)

    def make_outputs(self) -> Iterator[Output]:
        """Yield all notes in ledger order; some 13 us of CPU time each."""
        commitments = list(islice(self._points(b"commitments"), COMMITMENTS))
        keys = islice(self._points(b"one-time-keys"), self.notes)
        for number, one_time_key in enumerate(keys):
            sealed = hashlib.shake_128(self._tag(b"sealed", number)).digest(89)
            yield Output(
                one_time_key,
                commitments[number % COMMITMENTS],
                ephemeral_key=sealed[:32],
                view_tag=sealed[32],
                ciphertext=sealed[33:],
            )

    def make_nullifiers(self) -> Iterator[bytes]:
        """Yield all nullifiers in ledger order, that of the oldest note first."""
        return islice(self._points(b"nullifiers"), self.nullifiers)

    def _points(self, label: bytes) -> Iterator[bytes]:
        """Yield points that differ: P, P + G, P + 2 G and so on."""
        point = hash_to_curve(self._tag(label, 0))
        step = hash_to_curve(self._tag(label, 1))
        while True:
            yield encode_point(point)
            point = point + step

    def transaction_id(self, number: int) -> bytes:
        """Return the id of a transaction of the history, which is nowhere."""
        return hashlib.sha256(self._tag(b"transaction", number)).digest()

    def transactions_root(self, height: int) -> bytes:
        """Return what a header of the history says of its transactions, which are nowhere."""
        return hashlib.sha256(self._tag(b"transactions", height)).digest()

    def _tag(self, label: bytes, number: int) -> bytes:
        return self.seed + label + number.to_bytes(8, "big")


@dataclass(frozen=True, slots=True)
class FeeRow:
    """A treasury row of the history: the approvers' part of one block's fees."""

    height: Height
    year: FiscalYear
    amount: Amount
    reason: str

    @staticmethod
    def of(height: Height, entry: TreasuryEntry) -> FeeRow:
        """Take over what the rules recorded."""
        assert entry.kind is TreasuryKind.FEE and entry.bank is None, "nothing else happens"
        return FeeRow(height, entry.fiscal_year, Amount(entry.amount), entry.reason)

    def write(self, writer: Writer) -> Writer:
        """Append the canonical encoding."""
        return writer.u64(self.height).u64(self.year).u64(self.amount).text(self.reason)

    @staticmethod
    def read(reader: Reader) -> FeeRow:
        """Read what `write` gave; raises `MalformedEncoding`."""
        return FeeRow(
            Height(reader.u64()),
            FiscalYear(reader.u64()),
            Amount(reader.u64()),
            reader.text(MAX_REASON_BYTES),
        )


@dataclass(frozen=True, slots=True)
class History:
    """What the execution of a history leaves behind."""

    growth: Growth
    headers: tuple[Header, ...]
    """From height 1 to the tip."""
    state: LedgerState
    """After the tip."""
    fees: tuple[FeeRow, ...]

    @property
    def tip(self) -> Header:
        """The last header."""
        return self.headers[-1]


@dataclass(frozen=True)
class GrownLedger:
    """A history with the seal of its tip, as a workload file carries it."""

    growth: Growth
    headers: tuple[bytes, ...]
    """Canonical, from height 1 to the tip."""
    seal: bytes
    """Canonical, of the tip."""
    state: bytes
    """Canonical, after the tip."""
    fees: tuple[FeeRow, ...]

    @staticmethod
    def of(history: History, seal: Seal) -> GrownLedger:
        """Put a history and the seal of its tip together."""
        return GrownLedger(
            history.growth,
            tuple([header.encode() for header in history.headers]),
            seal.encode(),
            history.state.encode(),
            history.fees,
        )

    @cached_property
    def tip(self) -> Header:
        """The last header."""
        return Header.decode(self.headers[-1])

    def encode(self) -> bytes:
        """Return the canonical bytes: domain, seed, notes wanted, ring base, headers, seal, state,
        rows of fees."""
        growth = self.growth
        writer = Writer().text(DOMAIN).fixed(growth.seed, HASH_BYTES).u64(growth.notes_wanted)
        writer.u8(growth.ring_base)
        writer.many(self.headers, lambda out, header: out.fixed(header, HEADER_BYTES))
        writer.blob(self.seal).blob(self.state)
        return writer.many(self.fees, lambda out, row: row.write(out)).finish()

    @staticmethod
    def decode(data: bytes) -> GrownLedger:
        """Read what `encode` gave; raises `MalformedEncoding`.

        What it says of the ledger is for `snapshot_verification` to judge.
        """
        reader = Reader(data)
        if reader.text(len(DOMAIN)) != DOMAIN:
            raise MalformedEncoding("not a grown ledger")
        growth = Growth(reader.fixed(HASH_BYTES), reader.u64(), reader.u8())
        if growth.ring_base not in RING_BASES:
            raise MalformedEncoding(f"ring base {growth.ring_base} is none of {RING_BASES}")
        if not 1 <= growth.notes_wanted <= MAX_GROWN_NOTES:
            raise MalformedEncoding(f"a ledger grown to {growth.notes_wanted} notes")
        ledger = GrownLedger(
            growth,
            headers=reader.many(MAX_GROWN_NOTES, lambda r: r.fixed(HEADER_BYTES)),
            seal=reader.blob(MAX_SEAL_BYTES),
            state=reader.blob(MAX_STATE_BYTES),
            fees=reader.many(MAX_GROWN_NOTES, FeeRow.read),
        )
        reader.finish()
        if not ledger.headers:
            raise MalformedEncoding("a grown ledger without a header")
        Header.decode(ledger.headers[-1])
        return ledger

    async def parts(self, genesis: Genesis) -> AsyncGenerator[SnapshotPart, None]:
        """Yield the snapshot that a bank with this ledger would serve."""
        growth = self.growth
        yield SnapshotStart(SealedState(self.headers[-1], self.seal, self.state), len(self.fees))
        for headers in _pages(iter(self.headers), HEADERS_PER_PART):
            yield HeaderPart(tuple(headers))
        bins: list[SnapshotBin] = []
        for notes in _pages(self._notes(genesis, bins), NOTES_PER_PART):
            yield NotePart(tuple(notes))
        for nullifiers in _pages(growth.make_nullifiers(), NULLIFIERS_PER_PART):
            yield NullifierPart(tuple(nullifiers))
        for closed in _pages(iter(bins), BINS_PER_PART):
            yield BinPart(tuple(closed))
        for rows in _pages(self._treasury_rows(genesis), TREASURY_ROWS_PER_PART):
            yield TreasuryPart(tuple(rows))

    def _notes(self, genesis: Genesis, bins: list[SnapshotBin]) -> Iterator[SnapshotNote]:
        """Yield the notes, and add each bin that they fill to `bins`: all of them are full."""
        growth, asset = self.growth, genesis.base_asset.asset_id
        size = ring_size(growth.ring_base)
        filling: list[tuple[bytes, bytes]] = []
        for number, output in enumerate(growth.make_outputs()):
            bin_id, position = divmod(number, size)
            filling.append((output.one_time_key, output.commitment))
            yield SnapshotNote(
                asset, bin_id, position, number % NOTES_A_TRANSACTION, output.encode()
            )
            if len(filling) == size:
                digest = close_bin(bin_id, asset, filling, growth.ring_base).digest
                bins.append(SnapshotBin(bin_id, size, digest))
                filling.clear()

    def _treasury_rows(self, genesis: Genesis) -> Iterator[TreasuryMovement]:
        for sequence, row in enumerate(self.fees, len(genesis.banks)):
            yield TreasuryMovement(
                sequence=sequence,
                height=row.height,
                bank=None,
                fiscal_year=row.year,
                amount=row.amount,
                kind=TreasuryKind.FEE,
                reason=row.reason,
            )


def grow(genesis: Genesis, growth: Growth, block_interval_ms: int, progress: Progress) -> History:
    """Execute the history on the genesis state, `block_interval_ms` of header time a block.

    Takes some 40 us of CPU time a note. The interval must be shorter than a bin's age, so that
    bins close only when full.
    """
    header, state = genesis_header(genesis), genesis_state(genesis)
    headers: list[Header] = []
    fees: list[FeeRow] = []
    transactions = _make_transactions(genesis, growth)
    issues = islice(transactions, growth.issues)
    blocks = chain(_pages(issues, MAX_TRANSACTIONS), _pages(transactions, MAX_TRANSACTIONS))
    for block in blocks:
        height = Height(header.height + 1)
        time_ms = TimeMs(genesis.time_ms + height * block_interval_ms)
        proposer = state.active_set(genesis).leader(height, View(0))
        execution = _UnprovenExecution(
            genesis, state, height=height, time_ms=time_ms, facts=BlockFacts()
        )
        for transaction in block:
            execution.apply_unproven(transaction)
        transition = execution.finish(proposer)
        following = _header_after(header, transition.state, growth, genesis, proposer, len(block))
        check_links(genesis, state, header, following)
        fees += [FeeRow.of(height, entry) for entry in transition.treasury_entries]
        header, state = following, transition.state
        headers.append(header)
        progress("growing", state.notes.count, growth.notes)
    check_conservation(genesis, state)
    assert all(asset.open_bin is None for asset in state.assets), "every bin is full and closed"
    assert (state.notes.count, state.height) == (growth.notes, growth.blocks), "as planned"
    return History(growth, tuple(headers), state, tuple(fees))


def _header_after(
    parent: Header,
    state: LedgerState,
    growth: Growth,
    genesis: Genesis,
    proposer: BankIndex,
    transaction_count: int,
) -> Header:
    """Return the header of a block that leads to `state`, without ballots and evidence."""
    return Header(
        chain_id=genesis.chain_id,
        height=state.height,
        parent_id=parent.block_id,
        original_view=View(0),
        proposer=proposer,
        time_ms=state.time_ms,
        transactions_root=growth.transactions_root(state.height),
        evidence_root=EMPTY_ROOT,
        ballots_root=EMPTY_ROOT,
        transaction_count=transaction_count,
        post_state_root=state.root(),
        next_set_hash=state.active_set(genesis).set_hash,
    )


def _make_transactions(genesis: Genesis, growth: Growth) -> Iterator[Transfer | Mint]:
    """Yield the issues, then the transfers."""
    asset, parameters = genesis.base_asset.asset_id, genesis.parameters
    outputs, nullifiers = growth.make_outputs(), growth.make_nullifiers()
    base = growth.ring_base
    issue_layout = layout_of(Kind.ISSUE, 0, NOTES_A_TRANSACTION, base)
    transfer_layout = layout_of(Kind.TRANSFER, NOTES_A_TRANSACTION, NOTES_A_TRANSACTION, base)
    fees = FEES_AHEAD * growth.transfers * parameters.transfer_fee
    for number in range(growth.issues):
        yield Mint(
            raw=b"",
            transaction_id=growth.transaction_id(number),
            kind=Kind.ISSUE,
            chain_id=genesis.chain_id,
            asset=asset,
            amount=NOTES_A_TRANSACTION + fees // growth.issues,
            issuer=genesis.banks[number % len(genesis.banks)].issuer_key,
            expiry=parameters.max_expiry_heights,
            outputs=tuple(islice(outputs, NOTES_A_TRANSACTION)),
            signature=b"",
            layout=issue_layout,
        )
    for number in range(growth.transfers):
        first = number * NOTES_A_TRANSACTION
        yield Transfer(
            raw=b"",
            transaction_id=growth.transaction_id(growth.issues + number),
            chain_id=genesis.chain_id,
            asset=asset,
            fee=parameters.transfer_fee,
            redeem=0,
            account=NO_ACCOUNT,
            expiry=parameters.max_expiry_heights,
            inputs=tuple(
                [
                    TransferInput((first + place) // ring_size(base), nullifier, None)
                    for place, nullifier in enumerate(islice(nullifiers, NOTES_A_TRANSACTION))
                ]
            ),
            outputs=tuple(islice(outputs, NOTES_A_TRANSACTION)),
            layout=transfer_layout,
        )


class _UnprovenExecution(Execution):
    """Takes transactions that nobody proved: only their proofs and rings are not looked at."""

    def apply_unproven(self, transaction: Transfer | Mint) -> None:
        """Append one transaction; raises `Rejection` if no block may hold it there."""
        self._check(transaction)
        check_expiry(transaction, self._height)
        try:
            check_uniqueness(transaction, self._occupied)
        except Rejected as rejected:
            raise Rejection.of(rejected) from rejected
        self._append(transaction)


def _pages(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while page := list(islice(items, size)):
        yield page
