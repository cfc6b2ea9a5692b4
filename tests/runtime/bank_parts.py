"""The parts of one bank's node below the network, put together over a real database.

`Chain` of tests/ledger makes the transactions and the blocks; the parts under test are those of
the node. Time is a number, peers are written down.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from crypto.signature import sign
from crypto.transaction import transaction_id
from node.consensus.certificates import Seal, SignatureEntry
from node.consensus.signing import SigningContext
from node.ledger.active_set import ActiveSet
from node.ledger.ballots import ballot_tag
from node.ledger.block_validity import BuiltBlock
from node.ledger.blocks import Header
from node.ledger.rejection import Rejection
from node.ledger.types import BankIndex, TimeMs, TransactionId
from node.runtime.admission import Admission
from node.runtime.chain import Chain as NodeChain
from node.runtime.mempool import Mempool, MempoolLimits
from node.runtime.observation import Observation
from node.runtime.transaction_pool import TransactionPool
from node.runtime.transaction_tracker import TransactionTracker
from node.runtime.verification_workers import ThreadVerification, Verification
from node.storage.configuration import DatabaseConfig
from node.storage.database import Database
from node.storage.migrations import migrate_async
from tests.ledger import booth
from tests.ledger.chain import Chain, consensus_secret

BANK = BankIndex(0)


def identity(raw: bytes) -> TransactionId:
    return TransactionId(transaction_id(raw))


@dataclass
class StoppedClock:
    """Moves when a test moves it."""

    now_s: float = 1_000.0

    def wall_ms(self) -> TimeMs:
        return TimeMs(1_774_981_800_000 + int(self.now_s * 1_000))

    def monotonic_s(self) -> float:
        return self.now_s


@dataclass
class OtherBanks:
    """What was gossiped to the other banks, what they serve, and whom they were asked."""

    gossiped: list[bytes] = field(default_factory=list)
    unverified: list[bytes] = field(default_factory=list)
    """Of these, what was gossiped before it was verified."""
    served: dict[BankIndex, list[bytes]] = field(default_factory=dict)
    asked: list[tuple[BankIndex, tuple[TransactionId, ...]]] = field(default_factory=list)

    def gossip(self, raw: bytes, *, verified: bool = True) -> None:
        self.gossiped.append(raw)
        if not verified:
            self.unverified.append(raw)

    async def fetch_transactions(
        self, source: BankIndex, transaction_ids: Sequence[TransactionId]
    ) -> Sequence[bytes]:
        self.asked.append((source, tuple(transaction_ids)))
        return self.served.get(source, [])

    def fetch_order(self, first: BankIndex) -> Sequence[BankIndex]:
        return sorted(self.served, key=lambda bank: (bank != first, bank))


@dataclass
class Bank:
    """One bank's ledger side, and the reference ledger that says what blocks come next."""

    ledger: Chain
    database: Database
    chain: NodeChain
    admission: Admission
    mempool: Mempool
    tracker: TransactionTracker
    others: OtherBanks
    clock: StoppedClock
    pool: TransactionPool
    available: list[int]
    """Every report of work to the consensus."""
    blamed: list[tuple[str, str]]
    """Sources whose proofs failed, with the reason."""
    url: str
    """Of the database."""
    observation: Observation

    async def seal(self, *raws: bytes, after_ms: int = 1_000) -> BuiltBlock:
        """Seal a block of these transactions and bring this bank up to date."""
        return await self.apply(self.ledger.seal(*raws, after_ms=after_ms))

    def ballots(self) -> tuple[bytes, ...]:
        """Those of a seal of the tip, sorted by tag."""
        return self._ballots_about(self.ledger.header, self.ledger.parent_set)

    def seal_of(self, built: BuiltBlock) -> bytes:
        """A seal of a block on this bank's tip, signed by a quorum of its banks."""
        header, active_set = built.block.header, self.chain.active_set
        view, block_id = header.original_view, header.block_id
        context = SigningContext.of(header.chain_id, active_set, header.height)
        signatures = tuple(
            SignatureEntry(bank, sign(consensus_secret(bank), context.commit(view, bank, block_id)))
            for bank in active_set.banks[: active_set.quorum]
        )
        ballots = self._ballots_about(header, active_set)
        return Seal(header.height, view, block_id, signatures, ballots).encode()

    def _ballots_about(self, header: Header, active_set: ActiveSet) -> tuple[bytes, ...]:
        cast = [item.raw for item in booth.votes(active_set, header)]
        return tuple(sorted(cast, key=ballot_tag))

    async def apply(self, built: BuiltBlock) -> BuiltBlock:
        seal = self.seal_of(built)
        transition = await self.chain.apply(built.block, seal, built.transactions)
        self.pool.applied(built.block, built.transactions, transition)
        return built


@asynccontextmanager
async def open_bank(
    ledger: Chain,
    make_database_url: Callable[[], str],
    limits: MempoolLimits | None = None,
    verification: Verification | None = None,
) -> AsyncIterator[Bank]:
    """A bank at height 0 with its own database; `ledger` must be at height 0 too."""
    url = make_database_url()
    await migrate_async(url)
    database = await Database.open(
        DatabaseConfig(url, pool_size=2, max_overflow=1), genesis=ledger.genesis, bank=BANK
    )
    tip = await database.load_tip()
    chain = NodeChain(ledger.genesis, database, tip.header, tip.state, tip.seal)
    blamed: list[tuple[str, str]] = []

    def on_blame(source: str, rejection: Rejection) -> None:
        blamed.append((source, rejection.reason.value))

    others, clock, available = OtherBanks(), StoppedClock(), list[int]()
    verification = verification or ThreadVerification(ThreadPoolExecutor(2, "verify"), os.urandom)
    observation = Observation(BANK)
    admission = Admission(
        chain, verification, clock, on_blame, lambda: pool.fills_blocks, observation
    )
    mempool, tracker = Mempool(limits or MempoolLimits()), TransactionTracker()
    pool = TransactionPool(
        chain, admission, mempool, tracker, others, database, clock, available.append, observation
    )
    running = asyncio.create_task(admission.run())
    try:
        yield Bank(
            ledger,
            database,
            chain,
            admission,
            mempool,
            tracker,
            others,
            clock,
            pool,
            available,
            blamed,
            url,
            observation,
        )
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await database.close()


async def funded(bank: Bank) -> None:
    """Give the wallet two base notes of 5000 in a closed bin."""
    await bank.seal(bank.ledger.mint([5_000, 5_000]))
    await bank.seal(after_ms=bank.ledger.genesis.parameters.bin_age_ms)


def forged(raw: bytes) -> bytes:
    """The same transaction with a wrong last scalar of its last proof."""
    return raw[:-32] + bytes([raw[-32] ^ 1]) + raw[-31:]
