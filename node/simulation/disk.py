"""What a bank keeps over a crash: its database, and beside it the guard file (BFT-12 D1-D4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from node.consensus.effects import KeepBallots, Persist
from node.consensus.messages import SealedBlock
from node.consensus.record import DurableRecord
from node.ledger.blocks import Block
from node.ledger.state_records import PunishedOffence
from node.ledger.types import BlockId, Height, TransactionId, View
from node.simulation.ledger import Point, Valid


class SignaturePoint(NamedTuple):
    """Where a bank stood when it last signed something; only ever grows."""

    height: Height
    view: View
    step: int


@dataclass
class Disk:
    """The database of one bank; `guard` alone lies outside it."""

    point: Point
    """The ledger after the last applied block."""
    chain: list[SealedBlock] = field(default_factory=list)
    record: bytes | None = None
    """What `Persist` wrote last at this height."""
    recorded: SignaturePoint | None = None
    """Where that record stands."""
    blocks: dict[BlockId, Block] = field(default_factory=dict)
    """Blocks of this height that statements rest on."""
    bodies: set[TransactionId] = field(default_factory=set)
    """Transactions whose bytes are stored: those of `blocks` and of `chain`."""
    evidence: dict[PunishedOffence, bytes] = field(default_factory=dict)
    """Accepted evidence that is not punished yet, by its key."""
    ballot_conflicts: dict[tuple[bytes, bytes], KeepBallots] = field(default_factory=dict)
    """Pairs of ballots with one tag, for the regulator to open (BFT-12 E8)."""
    guard: SignaturePoint | None = None
    """The guard file, which a restored backup does not bring back."""

    @property
    def height(self) -> Height:
        """Of the last applied block."""
        return Height(len(self.chain))

    def persist(self, effect: Persist, held: set[TransactionId]) -> None:
        """Commit the record and the blocks, with the bytes of transactions that are held."""
        self.record = effect.record
        self.recorded = SignaturePoint(effect.height, effect.view, effect.step)
        for block in effect.bodies:
            self.blocks[block.block_id] = block
            self.bodies.update(held.intersection(block.transaction_ids))

    def write_guard(self, effect: Persist) -> None:
        """Fsync the guard file, after the database and before anything is sent (D4)."""
        self.guard = SignaturePoint(effect.height, effect.view, effect.step)

    def keep(self, effect: KeepBallots) -> None:
        """Store two ballots with one tag and different messages."""
        self.ballot_conflicts.setdefault((effect.first, effect.second), effect)

    def apply(self, item: SealedBlock, outcome: Valid) -> None:
        """Store a sealed block with its outcome and drop the height's record, in one go (P7)."""
        self.chain.append(item)
        self.point = outcome.after
        for key in outcome.punished:
            self.evidence.pop(key, None)
        self.bodies.update(item.block.transaction_ids)
        self.record = None
        self.recorded = None
        self.blocks = {}

    def backup(self) -> Disk:
        """Return a copy of the database as it stands."""
        return Disk(
            point=self.point,
            chain=list(self.chain),
            record=self.record,
            recorded=self.recorded,
            blocks=dict(self.blocks),
            bodies=set(self.bodies),
            evidence=dict(self.evidence),
            ballot_conflicts=dict(self.ballot_conflicts),
        )

    def restored(self, backup: Disk) -> Disk:
        """Return the disk after the database was put back to a backup; the guard stays."""
        disk = backup.backup()
        disk.guard = self.guard
        return disk

    def silent_through(self) -> Height | None:
        """Return the height up to which nothing may be signed, None if the guard is not ahead.

        The same rule as the node's (BFT-12 D4): the guard is written after the database, so if it
        is ahead, the database has lost its end.
        """
        guard = self.guard
        if guard is None or guard.height <= self.height:
            return None
        if self.recorded is not None and guard <= self.recorded:
            return None
        return guard.height

    def decoded_record(self) -> DurableRecord | None:
        """Return the record by its fields."""
        return None if self.record is None else DurableRecord.decode(self.record)
