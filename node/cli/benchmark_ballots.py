"""Measuring ballots: signing one, verifying a seal's, and what they add to a block (IDX1 9, BFT-12
17).

Every block costs a bank one signature and the verification of a quorum's ballots, in a batch of
their own: a bank verifies them when it accepts the seal, and finds them known in the next block.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from statistics import median

from crypto.ballot import (
    BallotContext,
    BallotKey,
    BallotRing,
    CollectedBallot,
    Decision,
    collect_ballot,
    sign_ballot,
)
from crypto.batch import verify_batch

_BANKS = 12
_QUORUM = 10
_CHAIN_ID = bytes(range(32))
_BLOCK_ID = bytes(32)


class BallotWorkload:
    """Twelve banks, ten of which vote on every height."""

    quorum = _QUORUM

    def __init__(self) -> None:
        self._keys = [BallotKey.generate() for _ in range(_BANKS)]
        opener = BallotKey.generate()
        self._ring = BallotRing(opener.public, [key.public for key in self._keys])
        # The tables of the ring and of the fixed bases are made once in a bank's life.
        self.sign(bank=0, height=0)

    def sign(self, bank: int, height: int) -> bytes:
        """One bank's approval of one height."""
        context = BallotContext(_CHAIN_ID, height, 0)
        return sign_ballot(self._keys[bank], self._ring, context, _BLOCK_ID, Decision.APPROVE)

    def seal(self, height: int) -> list[bytes]:
        """The ballots of a quorum."""
        return [self.sign(bank, height) for bank in range(_QUORUM)]

    def collect(self, ballots: Sequence[bytes], height: int) -> list[CollectedBallot]:
        """All checks of IDX1 9.6 but the equations."""
        context = BallotContext(_CHAIN_ID, height, 0)
        return [collect_ballot(raw, self._ring, context) for raw in ballots]


def measure_ballots(
    workload: BallotWorkload, block_size: int, repetitions: int
) -> dict[str, dict[str, float] | float]:
    """CPU milliseconds of signing and of verifying a seal, and what both add to a transaction.

    `block_size` is the number of transactions that share a block's ballots.
    """
    signing, verifying = [], []
    for height in range(1, repetitions + 1):
        begun = time.process_time()
        workload.sign(0, height)
        signing.append(time.process_time() - begun)
    for height in range(repetitions + 1, 2 * repetitions + 1):
        ballots = workload.seal(height)
        begun = time.process_time()
        verify_batch(workload.collect(ballots, height), os.urandom)
        verifying.append(time.process_time() - begun)
    per_block = median(signing) + median(verifying)
    return {
        "sign_ms": _milliseconds(signing),
        "verify_quorum_ms": _milliseconds(verifying),
        "ballots": workload.quorum,
        "bytes": len(workload.sign(0, 0)),
        "added_us_per_transaction": round(per_block / block_size * 1e6, 1),
    }


def _milliseconds(seconds: Sequence[float]) -> dict[str, float]:
    return {
        "median": round(median(seconds) * 1e3, 3),
        "min": round(min(seconds) * 1e3, 3),
        "max": round(max(seconds) * 1e3, 3),
    }
