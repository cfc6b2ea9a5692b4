"""What the services need from the node behind them: implemented by `node.runtime`.

Arguments are checked for form and size before they arrive here; values are those of
`node.wire.records` and `node.wire.operator_records`, never stubs. A backend answers with a value
or raises:

* `node.ledger.rejection.Rejection`: a transaction was refused;
* one of the errors below;
* anything else is a defect of ours, answered INTERNAL with a correlation id and logged once.

Streams are asynchronous generators; a service closes them (`aclose`) when the caller goes away,
so a `finally` inside is the place to let go of a subscription.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from node.consensus.messages import Message
from node.ledger.types import BankIndex, BlockId, Height, TransactionId
from node.wire.identity import Identity
from node.wire.operator_records import (
    AuditExtent,
    AuditReport,
    ByzantineFault,
    FaultReport,
    LedgerDigests,
    LinkFault,
    NodeReport,
    RoundReport,
    TransactionTrace,
)
from node.wire.records import (
    BallotConflict,
    BinRecord,
    BlockRange,
    BlockVotes,
    ClosedBinDigest,
    EvidenceItem,
    Hello,
    InclusionProof,
    LedgerParameters,
    NodeStatus,
    NoteRecord,
    NullifierRecord,
    PublishedBlock,
    PublishedState,
    Receipt,
    SettledYear,
    TransactionStatus,
    TreasuryMovement,
)
from node.wire.snapshot_records import SnapshotPart


class BackendError(Exception):
    """Base of what a backend raises on purpose, apart from `Rejection`."""


class NotFound(BackendError):
    """There is no such thing at this bank; the message says which."""


class NotAllowed(BackendError):
    """This bank's configuration forbids the act; the message says how to allow it."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        """Reason code, for example "faults-off"."""


class BeforeSnapshot(BackendError):
    """It is older than the snapshot with which this bank's ledger begins; other banks have it."""

    def __init__(self, message: str, first_height: Height) -> None:
        super().__init__(message)
        self.first_height = first_height
        """The lowest height above genesis at which this bank holds whole blocks."""


class NotReady(BackendError):
    """The bank is starting, stopping or halted; others may answer."""

    def __init__(self, message: str, retry_delay_ms: int = 1_000) -> None:
        super().__init__(message)
        self.retry_delay_ms = retry_delay_ms


class Overloaded(BackendError):
    """There is no room for this now: a full mempool, a used-up quota. Never a silent drop."""

    def __init__(self, reason: str, message: str, retry_delay_ms: int = 500) -> None:
        super().__init__(message)
        self.reason = reason
        """Reason code, for example "mempool-full"."""
        self.retry_delay_ms = retry_delay_ms


class NotYet(BackendError):
    """What is asked for is on its way: an open bin, an unsealed transaction."""

    def __init__(self, reason: str, message: str, retry_delay_ms: int = 500) -> None:
        super().__init__(message)
        self.reason = reason
        """Reason code, for example "bin-open" or "not-sealed"."""
        self.retry_delay_ms = retry_delay_ms


@dataclass(frozen=True, slots=True)
class FoundTransaction:
    """A transaction's status and its canonical bytes, if this bank still has them."""

    status: TransactionStatus
    transaction: bytes | None


class LedgerBackend(Protocol):
    """Behind `consortium.v1.Ledger`."""

    async def submit(self, transaction: bytes, source: Identity) -> Receipt:
        """Verify and admit canonical bytes; raises `Rejection`, `Overloaded`, `NotReady`.

        Called concurrently, so that whatever arrives together is verified in one batch.
        Idempotent: bytes known already give the receipt with their present state.
        """
        ...

    async def transaction(self, transaction_id: TransactionId) -> FoundTransaction:
        """Return where a transaction stands; raises `NotFound`."""
        ...

    def transaction_states(
        self, transaction_id: TransactionId
    ) -> AsyncGenerator[TransactionStatus, None]:
        """Yield the state now (UNKNOWN if never seen), then each change, the last one final."""
        ...

    async def block_at(self, height: Height, include_transactions: bool) -> PublishedBlock:
        """Return the sealed block at a height (0: the genesis header); raises `NotFound`."""
        ...

    async def block_by_id(self, block_id: BlockId, include_transactions: bool) -> PublishedBlock:
        """Return a sealed block; raises `NotFound`."""
        ...

    def blocks(
        self, from_height: Height, follow: bool, include_transactions: bool
    ) -> AsyncGenerator[PublishedBlock, None]:
        """Yield sealed blocks in order, ending at the tip unless `follow`."""
        ...

    async def inclusion_proof(self, transaction_id: TransactionId) -> InclusionProof:
        """Return the offline proof; raises `NotFound`, `NotYet` ("not-sealed")."""
        ...

    def notes(
        self, from_sequence: int, limit: int | None
    ) -> AsyncGenerator[Sequence[NoteRecord], None]:
        """Yield notes in ledger order up to the tip, in pages of any size."""
        ...

    def nullifiers(
        self, from_sequence: int, limit: int | None
    ) -> AsyncGenerator[Sequence[NullifierRecord], None]:
        """Yield nullifiers in ledger order up to the tip, in pages of any size."""
        ...

    def closed_bins(
        self, from_sequence: int, limit: int | None
    ) -> AsyncGenerator[Sequence[ClosedBinDigest], None]:
        """Yield closed bins in the accumulator's order up to the tip, in pages of any size."""
        ...

    async def bins(self, bin_ids: Sequence[int]) -> Sequence[BinRecord]:
        """Return closed bins in the order asked for; raises `NotFound`, `NotYet` ("bin-open")."""
        ...

    async def sealed_state(self) -> PublishedState:
        """Return the tip with its state."""
        ...

    def evidence(
        self, from_sequence: int, limit: int | None
    ) -> AsyncGenerator[Sequence[EvidenceItem], None]:
        """Yield the evidence that this bank holds, oldest first, in pages of any size."""
        ...

    def treasury(
        self, from_sequence: int, limit: int | None, fiscal_year: int | None
    ) -> AsyncGenerator[Sequence[TreasuryMovement], None]:
        """Yield treasury rows in ledger order up to the tip, in pages of any size.

        Only those of one fiscal year if one is given.
        """
        ...

    async def votes(self, height: Height, include_ballots: bool) -> BlockVotes:
        """Return the voting record of a block above genesis; raises `NotFound`."""
        ...

    def votes_from(
        self, from_height: Height, include_ballots: bool
    ) -> AsyncGenerator[BlockVotes, None]:
        """Yield the voting records of consecutive blocks up to the tip."""
        ...

    def settlements(
        self, from_year: int, limit: int | None
    ) -> AsyncGenerator[Sequence[SettledYear], None]:
        """Yield settlements in the order of the years, in pages of any size."""
        ...

    def ballot_conflicts(
        self, from_sequence: int, limit: int | None
    ) -> AsyncGenerator[Sequence[BallotConflict], None]:
        """Yield the conflicting ballots that this bank found, oldest first."""
        ...

    async def parameters(self) -> LedgerParameters:
        """Return what all banks agree on."""
        ...

    async def node_status(self) -> NodeStatus:
        """Return who this bank is and how far."""
        ...


class PeerBackend(Protocol):
    """Behind `consortium.v1.Peer`."""

    def hello(self) -> Hello:
        """Return this bank's introduction, with its present height."""
        ...

    def linked(self, bank: BankIndex, hello: Hello) -> None:
        """Take note that a bank's incoming stream is up; its genesis and identity are checked."""
        ...

    def unlinked(self, bank: BankIndex) -> None:
        """Take note that a bank's incoming stream ended."""
        ...

    async def receive(
        self,
        sender: BankIndex,
        transactions: Sequence[bytes],
        messages: Sequence[Message],
        unverified: Sequence[bytes] = (),
    ) -> None:
        """Take one frame. Returning late slows the sender: that is the backpressure.

        The sender has admitted `transactions`, and is only now verifying those `unverified`.
        Messages are decoded and directly signed ones come from their signer; signatures and
        certificates inside are not verified yet. Transactions are raw and at most
        `MAX_TRANSACTION_BYTES` each.
        """
        ...

    def misbehaved(self, sender: BankIndex, reason: str, message: str) -> None:
        """Take note that a bank sent what no correct bank sends; its stream is being closed."""
        ...

    async def transactions(self, transaction_ids: Sequence[TransactionId]) -> Sequence[bytes]:
        """Return canonical bytes of those that this bank has, in the order asked for."""
        ...

    async def sealed_blocks(self, from_height: Height) -> BlockRange:
        """Return sealed blocks, at most `MAX_SYNC_BLOCKS` and `MAX_SYNC_BYTES`."""
        ...

    async def block(self, block_id: BlockId) -> bytes:
        """Return a canonical block, sealed or held for its vote; raises `NotFound`."""
        ...

    def snapshot(self, minimum_height: Height) -> AsyncGenerator[SnapshotPart, None]:
        """Yield the ledger as it stands at the tip; raises `NotReady` below `minimum_height`."""
        ...


class OperatorBackend(Protocol):
    """Behind `consortium.v1.Operator`."""

    async def report(self) -> NodeReport:
        """Return everything about the node's health."""
        ...

    async def shutdown(self, reason: str, requested_by: Identity) -> None:
        """Begin a clean stop and return at once."""
        ...

    async def digests(self, from_height: Height, at_height: Height | None) -> LedgerDigests:
        """Return digests up to a height (None: the tip); raises `NotFound` above the tip."""
        ...

    def stored_blocks(
        self, from_height: Height, to_height: Height | None
    ) -> AsyncGenerator[PublishedBlock, None]:
        """Yield stored blocks with transaction bodies, up to a height (None: the tip)."""
        ...

    def audit(self, extent: AuditExtent) -> AsyncGenerator[AuditReport, None]:
        """Re-verify stored transactions from bytes; yield progress, the last one `done`."""
        ...

    async def set_log_level(self, level: str) -> str:
        """Set the log level and return the previous one."""
        ...

    async def inject_fault(self, fault: LinkFault | ByzantineFault) -> Sequence[FaultReport]:
        """Break something on purpose and return all faults; raises `NotAllowed`."""
        ...

    async def heal_faults(self) -> Sequence[FaultReport]:
        """End every injected fault and return those that are left; raises `NotAllowed`."""
        ...

    async def round(self, height: Height) -> RoundReport:
        """Return how this bank saw the decision of a height; raises `NotFound`."""
        ...

    async def transaction_trace(self, transaction_id: TransactionId) -> TransactionTrace:
        """Return what this bank did with a transaction; raises `NotFound`."""
        ...
