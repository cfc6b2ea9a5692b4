"""One simulated bank, and what the engine drives inside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from node.consensus.core import Consensus
from node.consensus.effects import Alarm, Effect
from node.consensus.events import Event, TimerKind
from node.consensus.evidence import Conflict
from node.consensus.messages import Seal
from node.consensus.status import ConsensusStatus
from node.ledger.active_set import ActiveSet
from node.ledger.blocks import Block, Header
from node.ledger.types import BankIndex, Height, TransactionId
from node.simulation.disk import Disk


class Core(Protocol):
    """What the engine drives: a production `Consensus`, or a Byzantine bank around one."""

    def restart(
        self,
        record: bytes | None,
        *,
        tip: Header,
        tip_seal: Seal | None,
        active_set: ActiveSet,
        blocks: Sequence[Block] = (),
        transactions_available: int = 0,
        silent_through: Height | None = None,
        evidence: Sequence[bytes] = (),
    ) -> list[Effect]:
        """Start from what is on disk."""
        ...

    def handle(self, event: Event) -> list[Effect]:
        """Take one event and return the effects, to be executed in order."""
        ...

    def status(self) -> ConsensusStatus:
        """Return what an operator needs to see."""
        ...

    def conflicts(self) -> tuple[Conflict, ...]:
        """Return the pairs of statements that convict somebody."""
        ...


CoreFactory = Callable[[BankIndex, Consensus], Core]
"""Called at every start of a bank with a new core; may wrap it."""


def honest(bank: BankIndex, consensus: Consensus) -> Core:
    """Return the core as it is."""
    return consensus


class Bank:
    """One bank: a disk, and while it is up a core with its timers and its mempool."""

    def __init__(self, index: BankIndex, disk: Disk) -> None:
        self.index = index
        self.disk = disk
        self.core: Core | None = None
        self.life = 0
        """Counts restarts: what an earlier life started is not delivered to a later one."""
        self.pool: list[TransactionId] = []
        """Proposable transactions, in order of arrival."""
        self.deferred: list[TransactionId] = []
        """Transactions that may become proposable with a later block."""
        self.poison: list[TransactionId] = []
        """Invalid transactions that this bank, against the rules, puts into its next block."""
        self.held: set[TransactionId] = set()
        """Transactions whose bytes are in memory."""
        self.timers: dict[TimerKind, int] = {}
        """Generation of each running timer."""
        self.clock_offset_ms = 0
        self.alarms: list[Alarm] = []

    @property
    def height(self) -> Height:
        """Of the last applied block."""
        return self.disk.height

    @property
    def up(self) -> bool:
        """Whether the bank's process runs."""
        return self.core is not None

    def holds(self, transaction_id: TransactionId) -> bool:
        """Whether the bytes of a transaction are here."""
        return transaction_id in self.held or transaction_id in self.disk.bodies
