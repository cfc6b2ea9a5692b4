"""What a client waits for when it asks, and how fast a wallet scans: after the windows, at rest.

A small sample over one connection to one bank, one question after another, drawn by a fixed seed:
bins from the whole ledger, everything else from what the windows added to it, so that two ledgers
are asked alike whatever their past. (Of a past that came with a snapshot a bank lists no notes.)
The scan is the wallet's own code over notes that the bank lists, none of which are its own: the
price of every note that is somebody else's.
"""

from __future__ import annotations

import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

from crypto.note import SessionKeys
from node.cli.throughput_report import LedgerSize, Queries, QueryTime, ScanRate
from node.client.ledger_client import LedgerClient
from node.client.ledger_replay import WalletReader, replay_notes
from node.client.verification import SealVerifier
from node.ledger.genesis import Genesis
from node.ledger.state import Accumulated, LedgerState
from node.ledger.types import Height, TransactionId
from node.wire.operator_records import NodeReport
from node.wire.records import NoteRecord

SAMPLES = 50
"""Of each question; one more before them is not counted."""
PAGE_RECORDS = 100
SCANNED_NOTES = 2_000
SCANS = 3
"""The fastest counts."""
WALLET_SEED = b"the wallet of a measurement"
US = 1e6

Question = Callable[[], Awaitable[object]]


def ledger_size(state: LedgerState, reports: Sequence[NodeReport]) -> LedgerSize:
    """Return how large the ledger is, and the mean of the banks' databases."""
    sizes = [report.database.size_bytes for report in reports]
    return LedgerSize(
        height=state.height,
        notes=state.notes.count,
        nullifiers=state.nullifiers.count,
        closed_bins=state.closed_bins.count,
        database_bytes=round(sum(sizes) / len(sizes)),
    )


async def read_state(ledger: LedgerClient, genesis: Genesis) -> LedgerState:
    """Return the state of the bank's tip, verified; raises `VerificationError`, `LedgerError`."""
    _, state = SealVerifier(genesis).verify_state(await ledger.sealed_state())
    return state


async def measure_queries(
    ledger: LedgerClient,
    genesis: Genesis,
    sealed: Sequence[TransactionId],
    heights: Sequence[Height],
    before: LedgerSize,
) -> Queries:
    """Ask for some of these sealed transactions and blocks, and for what else they added.

    There is at least one of each; `before` is the ledger's size before them. Raises `LedgerError`.
    """
    state = await read_state(ledger, genesis)
    chance = random.Random(0)
    opened = {asset.open_bin.bin_id for asset in state.assets if asset.open_bin is not None}
    closed = [bin_id for bin_id in range(state.next_bin_id) if bin_id not in opened]

    def place(first: int, end: int) -> int:
        return chance.randrange(first, max(first + 1, end - PAGE_RECORDS))

    questions: dict[str, Question] = {
        "block": lambda: ledger.block(chance.choice(heights)),
        "transaction": lambda: ledger.transaction(chance.choice(sealed), include_transaction=True),
        "inclusion proof": lambda: ledger.inclusion_proof(chance.choice(sealed)),
        "bin": lambda: ledger.bins([chance.choice(closed)]),
        "sealed state": ledger.sealed_state,
        "notes page": lambda: _first(
            ledger.notes(place(before.notes, state.notes.count), PAGE_RECORDS)
        ),
        "nullifiers page": lambda: _first(
            ledger.nullifiers(place(before.nullifiers, state.nullifiers.count), PAGE_RECORDS)
        ),
    }
    times = {name: await _time(question) for name, question in questions.items()}
    return Queries(SAMPLES, PAGE_RECORDS, times, await _scan(ledger, genesis, state, before))


async def _first(pages: AsyncGenerator[Sequence[object], None]) -> object:
    try:
        return await anext(pages, ())
    finally:
        await pages.aclose()


async def _time(question: Question) -> QueryTime:
    await question()
    times_ms = []
    for _ in range(SAMPLES):
        begun_s = time.perf_counter()
        await question()
        times_ms.append(1e3 * (time.perf_counter() - begun_s))
    return QueryTime.of(times_ms)


async def _scan(
    ledger: LedgerClient, genesis: Genesis, state: LedgerState, before: LedgerSize
) -> ScanRate:
    """Scan the newest notes with a wallet that owns none of them."""
    reader = WalletReader(genesis.chain_id, (SessionKeys.derive(WALLET_SEED, 0),))
    first = max(before.notes, state.notes.count - SCANNED_NOTES)
    # Only whoever reads a list from its beginning can compare its running hash.
    start = Accumulated(first)
    begun_s = time.perf_counter()
    records: list[NoteRecord] = []
    async for page in ledger.notes(first, state.notes.count - first):
        records.extend(page)
    read_s = time.perf_counter() - begun_s
    costs_s = []
    for _ in range(SCANS):
        begun_s = time.process_time()
        replay_notes(start, records, reader)
        costs_s.append(time.process_time() - begun_s)
    scan_s = min(costs_s)
    return ScanRate(
        outputs=len(records),
        cpu_us=round(US * scan_s / len(records), 2),
        outputs_per_s=round(len(records) / scan_s),
        with_reading_per_s=round(len(records) / (read_s + scan_s)),
    )
