"""Replaying the ledger's lists against its certified accumulators, and scanning them for payments.

A wallet reads three lists from whatever bank answers: notes, nullifiers, closed bins. Each is
hashed item by item as the ledger does (`node.ledger.accumulators`) and must end in exactly the
count and value that a sealed state certifies. So no bank can leave out, add, reorder or alter an
entry unnoticed, and the bin digests that proofs are built on come from certified state, as IDX1
4.4 demands.

Not certified are the heights and transaction ids that a bank adds: they are for people to read,
and nothing is decided by them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crypto.errors import NotMine, Rejected
from crypto.layout import MAX_OUTPUTS
from crypto.note import ReceivedNote, SessionKeys, scan_output
from crypto.transaction import Kind, Output
from node.client.errors import LedgerBehind, RecordsInvalid
from node.client.wallet_data import KnownBin, OwnedNote, Spent
from node.ledger import accumulators
from node.ledger.state import Accumulated
from node.ledger.types import Amount
from node.wire.records import ClosedBinDigest, NoteRecord, NullifierRecord

U16_MAX = (1 << 16) - 1


@dataclass(frozen=True, slots=True)
class WalletReader:
    """What of the ledger is ours: the chain, and the keys of every session."""

    chain_id: bytes
    sessions: tuple[SessionKeys, ...]

    def scan(self, record: NoteRecord, output: Output) -> OwnedNote | None:
        """Return the note if one of the sessions can spend it (IDX1 3.3), otherwise None."""
        for session, keys in enumerate(self.sessions):
            try:
                received = scan_output(
                    output, record.output_index, record.asset, self.chain_id, keys
                )
            except NotMine:
                continue
            return _owned(record, output, session, received)
        return None


def replay_notes(
    accumulated: Accumulated, records: Sequence[NoteRecord], reader: WalletReader
) -> tuple[Accumulated, tuple[OwnedNote, ...]]:
    """Absorb notes in ledger order and pick out ours; raises `RecordsInvalid`."""
    found: list[OwnedNote] = []
    count, value = accumulated.count, accumulated.accumulator
    for record in records:
        _require_next("note", record.sequence, count)
        _require_range("output index", record.output_index, MAX_OUTPUTS - 1)
        _require_range("position", record.position, U16_MAX)
        try:
            output = Output.decode(record.output)
        except Rejected as error:
            raise RecordsInvalid(f"note {record.sequence}: {error}") from error
        value = accumulators.add_note(
            value,
            asset=record.asset,
            bin_id=record.bin_id,
            position=record.position,
            output_index=record.output_index,
            output=record.output,
        )
        count += 1
        note = reader.scan(record, output)
        if note is not None:
            found.append(note)
    return Accumulated(count, value), tuple(found)


def replay_nullifiers(
    accumulated: Accumulated, records: Sequence[NullifierRecord], ours: Mapping[bytes, int]
) -> tuple[Accumulated, dict[int, Spent]]:
    """Absorb nullifiers in ledger order and pick out those of our notes.

    `ours` maps nullifier to note sequence; the result maps note sequence to what spent it. Raises
    `RecordsInvalid`.
    """
    spent: dict[int, Spent] = {}
    count, value = accumulated.count, accumulated.accumulator
    for record in records:
        _require_next("nullifier", record.sequence, count)
        value = accumulators.add_nullifier(value, record.nullifier)
        count += 1
        sequence = ours.get(record.nullifier)
        if sequence is not None:
            spent[sequence] = Spent(record.transaction_id, record.height)
    return Accumulated(count, value), spent


def replay_closed_bins(
    accumulated: Accumulated, records: Sequence[ClosedBinDigest], wanted: frozenset[int]
) -> tuple[Accumulated, tuple[KnownBin, ...]]:
    """Absorb closed bins in closing order and keep the wanted ones; raises `RecordsInvalid`."""
    kept: list[KnownBin] = []
    count, value = accumulated.count, accumulated.accumulator
    for record in records:
        _require_next("closed bin", record.sequence, count)
        _require_range("count", record.count, U16_MAX)
        value = accumulators.add_closed_bin(
            value, bin_id=record.bin_id, count=record.count, digest=record.digest
        )
        count += 1
        if record.bin_id in wanted:
            kept.append(KnownBin(record.bin_id, record.digest, record.count))
    return Accumulated(count, value), tuple(kept)


def require_certified(name: str, replayed: Accumulated, certified: Accumulated) -> None:
    """Raise unless a replayed list is exactly the certified one.

    `LedgerBehind` if it is too short, `RecordsInvalid` if it is another one.
    """
    if replayed.count < certified.count:
        raise LedgerBehind(
            f"the bank listed {replayed.count} {name}, the sealed state has {certified.count}"
        )
    if replayed != certified:
        raise RecordsInvalid(f"the bank's {name} are not those that the sealed state certifies")


def _require_next(name: str, sequence: int, expected: int) -> None:
    if sequence != expected:
        raise RecordsInvalid(f"{name} {sequence} was listed where {expected} comes next")


def _require_range(name: str, value: int, highest: int) -> None:
    if value > highest:
        raise RecordsInvalid(f"{name} {value} is out of range")


def _owned(record: NoteRecord, output: Output, session: int, received: ReceivedNote) -> OwnedNote:
    return OwnedNote(
        sequence=record.sequence,
        transaction_id=record.transaction_id,
        output_index=record.output_index,
        height=record.height,
        asset=record.asset,
        bin_id=record.bin_id,
        position=record.position,
        session=session,
        value=Amount(received.value),
        memo=received.memo,
        one_time_key=output.one_time_key,
        commitment=output.commitment,
        nullifier=received.nullifier,
        minted=record.transaction_kind != Kind.TRANSFER,
        spend_key=received.spend_key,
        blinding=received.blinding,
    )
