"""Checking a snapshot of the ledger from the genesis alone, part by part, in constant memory.

What a bank that joins may rely on
----------------------------------
* *The tip.* The seal of header h holds q commit signatures of the active set of h, and q ballots of
  it with distinct tags, which the next block's proposer may have to record. The set of
  height 1 stands in the genesis; each later one is named by the `next_set_hash` of a header that q
  banks of the set before it sealed. So every set is certified by a quorum of its predecessor, and
  the header of h by the last of them (`node.client.verification`). A correct bank is in every
  quorum as long as fewer than q banks of each of those sets are Byzantine, and it commits to
  nothing that it did not execute.
* *The state.* The header commits to the canonical state by its hash.
* *The lists.* The state holds the number of notes, nullifiers and closed bins and a running hash
  over each, in ledger order. Replaying a list must end in exactly that pair: nothing can be left
  out, added, moved or altered.
* *The headers.* From the genesis header on, each names the one before it, and the last is the
  certified one: one chain, fixed by one hash. Every header that changes the active set must be
  among the certified changes, and the other way round: a change that was left out is noticed here.
* *The treasury's rows.* Not certified one by one: their sums are, by stakes, penalties, rewards and
  pots of the state (BFT-12 section 18). No rule of the ledger reads them.

What such a bank does not have: blocks up to the tip with their transactions, and so no ballots on
the blocks below it (their roots stand in the headers), no settlements of years before it (their
rewards and carries are treasury rows), and no account entries. The tip's own voting record is in
the block that comes next, and the tallies of the state go on from where they were; those of the
years up to the tip's own are certified by the state alone, and cannot be added up here.

Heights of closings and ids of sealed transactions are in no certified list, and a snapshot does
not contain them. The ledger needs neither: a transaction sealed before cannot be sealed again,
because a TRANSFER spends a nullifier, an ISSUE or PAYOUT publishes one-time keys that are known,
and a governance transaction uses up a nonce of the state. Its id would only have named the reason
earlier.

Nothing here trusts a length either: the certified state says how many items there are, so a
stream that does not end is cut off at the first item too many. A liar can only waste the time
between the first part and the first false one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

from crypto.ring import ring_size
from node.client.errors import ActiveSetInvalid, SealInvalid, StateInvalid, VerificationError
from node.client.verification import SealVerifier, decode_active_set
from node.consensus.certificates import CertificateInvalid, Seal, verify_commits
from node.consensus.signatures import Ed25519Verifier
from node.ledger import accumulators
from node.ledger.blocks import MAX_TRANSACTIONS, Header
from node.ledger.effects import TreasuryKind, genesis_transition
from node.ledger.encoding import MalformedEncoding
from node.ledger.fiscal_year import fiscal_year
from node.ledger.genesis import Genesis
from node.ledger.state import Accumulated, LedgerState, genesis_header
from node.ledger.types import Height
from node.runtime.stored_blocks import published_seal
from node.runtime.voting_record_check import pot_that_differs
from node.wire.records import (
    PublishedSetChange,
    PublishedState,
    SealedState,
    SetChange,
    TreasuryMovement,
)
from node.wire.snapshot_records import SnapshotBin, SnapshotNote, SnapshotStart


class SnapshotFault(StrEnum):
    """What is wrong with a snapshot."""

    SEAL = "seal"
    """The seal of the tip, or of a change of the active set, is not one: a signature or ballot."""
    ACTIVE_SET = "active-set"
    """The changes of the active set do not lead to the tip."""
    STATE = "state"
    """The state is not the one that the header commits to."""
    HEADERS = "headers"
    """The headers are no chain from the genesis to the tip."""
    NOTES = "notes"
    NULLIFIERS = "nullifiers"
    CLOSED_BINS = "closed-bins"
    TREASURY = "treasury"
    """The rows do not add up to stakes and pots."""
    EXCESS = "excess"
    """More items than the certified state counts."""
    ORDER = "order"
    """The parts do not come in their order, or a list begins before the one before it is whole."""
    TRUNCATED = "truncated"
    """The stream ended early."""
    REFUSED_BY_DATABASE = "refused-by-database"
    """Rows that the database has no place for, although the sums agree."""


class SnapshotInvalid(Exception):
    """The sender's snapshot is not the ledger: nothing of it is kept."""

    def __init__(self, fault: SnapshotFault, message: str) -> None:
        super().__init__(f"{fault.value}: {message}")
        self.fault = fault


class SnapshotTooOld(Exception):
    """The snapshot is sound and of no use: it is below the height that was asked for."""


class SnapshotVerifier:
    """Takes one snapshot in the order in which it is sent; raises `SnapshotInvalid`."""

    def __init__(self, genesis: Genesis, minimum_height: Height) -> None:
        self._genesis = genesis
        self._minimum_height = minimum_height
        self._ring_size = ring_size(genesis.parameters.ring_base)
        self._header = genesis_header(genesis)
        """The last one verified."""
        self._set_hash = self._header.next_set_hash
        self.set_changes: dict[Height, SetChange] = {}
        """Certified changes of the active set below the tip, by height."""
        self._notes = Accumulated()
        self._nullifiers = Accumulated()
        self._closed_bins = Accumulated()
        self._treasury = _TreasurySums(genesis)
        self._treasury_rows = 0

    def start(self, part: SnapshotStart) -> tuple[Header, LedgerState]:
        """Check the tip from the genesis; everything later is checked against it.

        Also raises `SnapshotTooOld`.
        """
        self.tip, self.state = self._certified(part.tip)
        if self.tip.height < max(self._minimum_height, 1):
            raise SnapshotTooOld(f"it is of height {self.tip.height}")
        self.set_changes = {
            Header.decode(change.header).height: change for change in part.tip.set_changes
        }
        self._announced_rows = part.treasury_rows
        return self.tip, self.state

    def _certified(self, tip: SealedState) -> tuple[Header, LedgerState]:
        try:
            published = _published(tip)
            header, state = SealVerifier(self._genesis).verify_state(published)
            self._check_signatures(tip)
        except (SealInvalid, CertificateInvalid, MalformedEncoding) as error:
            raise SnapshotInvalid(SnapshotFault.SEAL, str(error)) from error
        except ActiveSetInvalid as error:
            raise SnapshotInvalid(SnapshotFault.ACTIVE_SET, str(error)) from error
        except StateInvalid as error:
            raise SnapshotInvalid(SnapshotFault.STATE, str(error)) from error
        except VerificationError as error:
            raise SnapshotInvalid(SnapshotFault.HEADERS, str(error)) from error
        return header, state

    def _check_signatures(self, tip: SealedState) -> None:
        """Check what the banks signed in their own names; all else of the seals was verified."""
        chain_id = self._genesis.chain_id
        verifier = Ed25519Verifier()
        deciding = self._genesis.active_set([bank.index for bank in self._genesis.banks])
        for change in tip.set_changes:
            verify_commits(Seal.decode(change.seal), chain_id, deciding, verifier)
            named = Header.decode(change.header).next_set_hash
            deciding = decode_active_set(change.active_set, named)
        if tip.seal:
            verify_commits(Seal.decode(tip.seal), chain_id, deciding, verifier)

    def headers(self, encoded: Sequence[bytes]) -> tuple[Header, ...]:
        """Follow the chain upwards; the last header must be the certified one."""
        taken: list[Header] = []
        for data in encoded:
            if self._header.height == self.tip.height:
                raise SnapshotInvalid(SnapshotFault.EXCESS, f"headers above {self.tip.height}")
            try:
                header = Header.decode(data)
            except MalformedEncoding as error:
                raise SnapshotInvalid(SnapshotFault.HEADERS, str(error)) from error
            self._require_follows(header)
            self._follow_set(header, data)
            self._header = header
            taken.append(header)
        if self._header.height == self.tip.height and self._header != self.tip:
            raise SnapshotInvalid(
                SnapshotFault.HEADERS, "the chain of headers does not lead to the sealed one"
            )
        return tuple(taken)

    def _require_follows(self, header: Header) -> None:
        before = self._header
        follows = (
            header.chain_id == before.chain_id
            and header.height == before.height + 1
            and header.parent_id == before.block_id
            and before.time_ms < header.time_ms <= self.tip.time_ms
            and header.proposer < len(self._genesis.banks)
            and header.transaction_count <= MAX_TRANSACTIONS
        )
        if not follows:
            raise SnapshotInvalid(
                SnapshotFault.HEADERS, f"a header does not follow that of height {before.height}"
            )

    def _follow_set(self, header: Header, data: bytes) -> None:
        """A header changes the set exactly if it is among the certified changes.

        The tip's own change concerns the next height, which its seal does not need.
        """
        changes = header.next_set_hash != self._set_hash
        change = self.set_changes.get(header.height)
        certified = change is not None and change.header == data
        if changes != certified and header.height != self.tip.height:
            raise SnapshotInvalid(
                SnapshotFault.ACTIVE_SET,
                f"the active set changes at height {header.height}, and the proofs say otherwise",
            )
        self._set_hash = header.next_set_hash

    def notes(self, notes: Sequence[SnapshotNote]) -> int:
        """Take notes in; return the sequence number of the first."""
        self._require_headers()
        first = self._notes.count
        self._require_room(SnapshotFault.NOTES, first, len(notes), self.state.notes)
        value = self._notes.accumulator
        for note in notes:
            if note.bin_id >= self.state.next_bin_id or note.position >= self._ring_size:
                raise SnapshotInvalid(SnapshotFault.NOTES, "a note in a bin that does not exist")
            value = accumulators.add_note(
                value,
                asset=note.asset,
                bin_id=note.bin_id,
                position=note.position,
                output_index=note.output_index,
                output=note.output,
            )
        self._notes = Accumulated(first + len(notes), value)
        self._require_same(SnapshotFault.NOTES, self._notes, self.state.notes)
        return first

    def nullifiers(self, nullifiers: Sequence[bytes]) -> int:
        """Take nullifiers in; return the sequence number of the first."""
        self._require_whole(SnapshotFault.NOTES, self._notes, self.state.notes)
        first = self._nullifiers.count
        self._require_room(SnapshotFault.NULLIFIERS, first, len(nullifiers), self.state.nullifiers)
        value = self._nullifiers.accumulator
        for nullifier in nullifiers:
            value = accumulators.add_nullifier(value, nullifier)
        self._nullifiers = Accumulated(first + len(nullifiers), value)
        self._require_same(SnapshotFault.NULLIFIERS, self._nullifiers, self.state.nullifiers)
        return first

    def closed_bins(self, bins: Sequence[SnapshotBin]) -> int:
        """Take closed bins in; return the place of the first in the order of closing."""
        self._require_whole(SnapshotFault.NULLIFIERS, self._nullifiers, self.state.nullifiers)
        first = self._closed_bins.count
        self._require_room(SnapshotFault.CLOSED_BINS, first, len(bins), self.state.closed_bins)
        value = self._closed_bins.accumulator
        for item in bins:
            if item.bin_id >= self.state.next_bin_id or not 1 <= item.note_count <= self._ring_size:
                raise SnapshotInvalid(SnapshotFault.CLOSED_BINS, "a bin that does not exist")
            value = accumulators.add_closed_bin(
                value, bin_id=item.bin_id, count=item.note_count, digest=item.digest
            )
        self._closed_bins = Accumulated(first + len(bins), value)
        self._require_same(SnapshotFault.CLOSED_BINS, self._closed_bins, self.state.closed_bins)
        return first

    def treasury(self, rows: Sequence[TreasuryMovement]) -> None:
        """Take treasury rows in; their sums are compared at the end."""
        self._require_whole(SnapshotFault.CLOSED_BINS, self._closed_bins, self.state.closed_bins)
        self._treasury_rows += len(rows)
        if self._treasury_rows > self._announced_rows:
            raise SnapshotInvalid(SnapshotFault.EXCESS, "more treasury rows than announced")
        for row in rows:
            self._treasury.add(row, self.tip)

    def finish(self) -> None:
        """Check that nothing is missing."""
        self._require_headers()
        self._require_whole(SnapshotFault.NOTES, self._notes, self.state.notes)
        self._require_whole(SnapshotFault.NULLIFIERS, self._nullifiers, self.state.nullifiers)
        self._require_whole(SnapshotFault.CLOSED_BINS, self._closed_bins, self.state.closed_bins)
        if self._treasury_rows < self._announced_rows:
            raise SnapshotInvalid(SnapshotFault.TRUNCATED, "treasury rows are missing")
        self._treasury.require(self.state)

    def _require_headers(self) -> None:
        if self._header.height < self.tip.height:
            raise SnapshotInvalid(
                SnapshotFault.TRUNCATED,
                f"the headers end at height {self._header.height} of {self.tip.height}",
            )

    def _require_room(
        self, fault: SnapshotFault, taken: int, more: int, certified: Accumulated
    ) -> None:
        if taken + more > certified.count:
            raise SnapshotInvalid(
                SnapshotFault.EXCESS,
                f"{taken + more} {fault.value}, the certified state counts {certified.count}",
            )

    def _require_whole(
        self, fault: SnapshotFault, replayed: Accumulated, certified: Accumulated
    ) -> None:
        if replayed.count < certified.count:
            raise SnapshotInvalid(
                SnapshotFault.TRUNCATED,
                f"{replayed.count} {fault.value}, the certified state counts {certified.count}",
            )

    def _require_same(
        self, fault: SnapshotFault, replayed: Accumulated, certified: Accumulated
    ) -> None:
        """Compare as soon as a list is whole."""
        if replayed.count == certified.count and replayed != certified:
            raise SnapshotInvalid(fault, "the list is not the one that the certified state hashes")


def _published(tip: SealedState) -> PublishedState:
    """Return what anybody may see of it; raises `MalformedEncoding` for a seal that is none."""
    return PublishedState(
        tip.header,
        published_seal(tip.seal),
        tip.state,
        tuple(
            [
                PublishedSetChange(item.header, published_seal(item.seal), item.active_set)
                for item in tip.set_changes
            ]
        ),
    )


class _TreasurySums:
    """What the rows add up to, per bank and per fiscal year."""

    def __init__(self, genesis: Genesis) -> None:
        self._genesis = genesis
        self._stakes: Counter[int | None] = Counter()
        self._penalties: Counter[int | None] = Counter()
        self._rewards: Counter[int | None] = Counter()
        self._pots: Counter[tuple[int, str]] = Counter()
        """By year and kind."""
        self._next_height = 1
        for entry in genesis_transition(genesis).treasury_entries:
            self._stakes[entry.bank] += entry.amount

    def add(self, row: TreasuryMovement, tip: Header) -> None:
        genesis = self._genesis
        last_year = fiscal_year(genesis.parameters, genesis.time_ms, tip.time_ms)
        first_year = fiscal_year(genesis.parameters, genesis.time_ms, genesis.time_ms)
        if not self._next_height <= row.height <= tip.height:
            raise SnapshotInvalid(SnapshotFault.TREASURY, f"a row of height {row.height}")
        if not first_year <= row.fiscal_year <= last_year:
            raise SnapshotInvalid(SnapshotFault.TREASURY, f"a row of year {row.fiscal_year}")
        if row.bank is not None and row.bank >= len(genesis.banks):
            raise SnapshotInvalid(SnapshotFault.TREASURY, f"a row of bank {row.bank}")
        self._next_height = row.height
        match row.kind:
            case TreasuryKind.STAKE:
                self._stakes[row.bank] += row.amount
                return
            case TreasuryKind.PENALTY:
                self._stakes[row.bank] -= row.amount
                self._penalties[row.bank] += row.amount
            case TreasuryKind.REWARD:
                self._rewards[row.bank] += row.amount
            case TreasuryKind.FEE | TreasuryKind.CARRY:
                pass
            case _:
                raise SnapshotInvalid(SnapshotFault.TREASURY, f"a row of kind {row.kind!r}")
        self._pots[row.fiscal_year, row.kind] += row.amount

    def require(self, state: LedgerState) -> None:
        sums = (self._stakes, self._penalties, self._rewards)
        certified = (
            Counter({bank.index: bank.stake for bank in state.banks}),
            Counter({bank.index: bank.penalties for bank in state.banks}),
            Counter({bank.index: bank.rewards for bank in state.banks}),
        )
        pots = [(year, kind, amount) for (year, kind), amount in self._pots.items()]
        if sums != certified or pot_that_differs(state, pots) is not None:
            raise SnapshotInvalid(
                SnapshotFault.TREASURY,
                "the rows do not add up to the stakes, rewards and pots of the state",
            )
