"""What the engine needs of a ledger, so that the consensus can be played over any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from node.consensus.events import BodyUnusable, Rejected
from node.ledger.active_set import ActiveSet
from node.ledger.blocks import Block, Header
from node.ledger.state_records import PunishedOffence
from node.ledger.types import BankIndex, TransactionId, View
from node.simulation.ballot_oracle import BallotOracle


class Point(Protocol):
    """The ledger right after one block: immutable, and the same value for every bank there."""

    @property
    def header(self) -> Header:
        """Of the last block."""
        ...

    @property
    def active_set(self) -> ActiveSet:
        """Of the next height."""
        ...


@dataclass(frozen=True, slots=True)
class Built:
    """A block that its builder may propose."""

    block: Block
    dropped: tuple[TransactionId, ...] = ()
    """Candidates that will never fit."""


@dataclass(frozen=True, slots=True)
class Valid:
    """The block may follow; `after` is the ledger then."""

    after: Point
    punished: tuple[PunishedOffence, ...] = ()


@dataclass(frozen=True, slots=True)
class Examined:
    """What an evidence item proves; `key` is None if it proves nothing that can be punished."""

    key: PunishedOffence | None
    detail: str = ""


class Ledger(Protocol):
    """Pure functions of a ledger; every bank calls the same object, none is told about others.

    A `point` is always one of this ledger's own.
    """

    @property
    def genesis(self) -> Point:
        """Where every chain begins."""
        ...

    @property
    def ballot_oracle(self) -> BallotOracle:
        """Judges every bank's ballots."""
        ...

    def build(
        self,
        point: Any,
        *,
        view: View,
        proposer: BankIndex,
        clock_ms: int,
        candidates: Sequence[TransactionId],
        evidence: Sequence[bytes],
        ballots: Sequence[bytes],
    ) -> Built:
        """Build a valid block after `point`; what does not fit is left out.

        `ballots` are those of the seal of the last block, and rejections of its view.
        """
        ...

    def poison(self, block: Block, invalid: Sequence[TransactionId]) -> Block:
        """Return the block with invalid transactions at its end: what no correct bank proposes."""
        ...

    def judge(
        self, point: Any, block: Block, *, clock_ms: int | None
    ) -> Valid | Rejected | BodyUnusable:
        """Judge a block whose transactions are at hand; `clock_ms` None does not judge the clock.

        Clocks are milliseconds of the header's scale.
        """
        ...

    def admit(self, point: Any, transaction_id: TransactionId) -> bool | None:
        """Return whether the transaction is proposable; None if perhaps after a later block."""
        ...

    def bin_due_ms(self, point: Any) -> int | None:
        """Return the header time from which a block closes a bin; None if no bin is open."""
        ...

    def examine(self, point: Any, item: bytes) -> Examined:
        """Check an evidence item against the ledger at `point`."""
        ...

    def transaction(self, *, invalid: bool) -> TransactionId:
        """Make a new transaction that some client might submit, or one that no bank may seal."""
        ...
