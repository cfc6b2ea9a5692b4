"""What verifying a batch of a workload costs: the bound that no ledger on this machine can pass.

If every bank verifies every proof and does nothing else, `cores / (banks x seconds a transaction)`
transactions a second are verified.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from crypto.curve import POINT_BYTES
from crypto.ring import ClosedBin
from node.cli.failure import CommandFailed
from node.cli.proof_check import BINS_AT_ONCE, bins_read
from node.client.ledger_client import LedgerClient
from node.ledger.genesis import Genesis
from node.ledger.proofs import SealedView, verify_sealed

BATCH = 100
"""Of a full block; under load banks verify up to `node.runtime.admission.BATCH_LIMIT` together."""
REPETITIONS = 7


@dataclass(frozen=True, slots=True)
class VerificationCost:
    """CPU milliseconds of one core for one transaction, verified in batches."""

    batch: int
    bins: int
    """That the batch touches."""
    repetitions: int
    minimum_ms: float
    median_ms: float


async def measure_verification(
    ledger: LedgerClient, genesis: Genesis, raws: Sequence[bytes]
) -> VerificationCost:
    """Verify the transactions in one batch, several times, here; raises `CommandFailed`.

    The rings come from a bank that is believed: nothing depends on them but this measurement.
    """
    wanted = sorted(bins_read(raws, genesis))
    bins = await _bins(ledger, wanted, genesis.parameters.ring_base)
    height = (await ledger.node_status()).height + 1
    view = SealedView(genesis, height, bins)
    seconds = []
    for _ in range(REPETITIONS + 1):
        begun_s = time.process_time()
        verdicts = verify_sealed(raws, view, os.urandom)
        seconds.append(time.process_time() - begun_s)
        refused = next((item for item in verdicts if item is not None), None)
        if refused is not None:
            raise CommandFailed(
                f"the workload does not verify on this ledger: {refused}",
                "use the consortium that the workload was made with: `consortium up --genesis`",
            )
    # The first one decodes the rings, which a bank does once.
    costs_ms = [1e3 * item / len(raws) for item in seconds[1:]]
    return VerificationCost(len(raws), len(bins), REPETITIONS, min(costs_ms), median(costs_ms))


async def _bins(
    ledger: LedgerClient, wanted: Sequence[int], ring_base: int
) -> dict[int, ClosedBin]:
    found: dict[int, ClosedBin] = {}
    for start in range(0, len(wanted), BINS_AT_ONCE):
        for record in await ledger.bins(wanted[start : start + BINS_AT_ONCE]):
            points = [
                record.notes[offset : offset + POINT_BYTES]
                for offset in range(0, len(record.notes), POINT_BYTES)
            ]
            notes = tuple(zip(points[::2], points[1::2], strict=True))
            found[record.bin_id] = ClosedBin(
                record.bin_id, record.asset, notes, record.count, ring_base
            )
    return found
