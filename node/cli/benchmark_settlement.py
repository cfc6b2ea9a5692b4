"""What a fiscal year costs: adding its ballots up, counting it, proving and judging its counts.

The year is made of block sums as real ballots add up to: for a quorum of banks, drawn anew for
every block, (rKV, sum(P_i) + rY) with a random r. Its settlement is then proven and executed as in
a block, on a state with the year's tally and a pot.
"""

from __future__ import annotations

import os
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from crypto.ballot import BallotKey, BallotRing
from crypto.ballot_keys import vote_key_base
from crypto.ballot_tally import EMPTY_SUM, add_ciphertexts, count_block
from crypto.curve import Point, encode_point, identity
from crypto.opener_shares import split_opener
from crypto.randomness import SYSTEM_RANDOMNESS
from node.ledger.active_set import ActiveSet
from node.ledger.facts import BlockFacts
from node.ledger.fiscal_year import fiscal_year
from node.ledger.genesis import Genesis
from node.ledger.proofs import AdmissionView, VerifiedTransaction, verify_transactions
from node.ledger.settlement import (
    BankCount,
    SettlementClaim,
    assemble_settlement,
    prove_settlement,
    prove_settlement_partially,
)
from node.ledger.state import LedgerState, Pot, Tally, genesis_state
from node.ledger.transition import execute
from node.ledger.types import Amount, BankIndex, Height, TimeMs
from node.simulation.ballot_oracle import opener_key
from node.simulation.genesis import draw_seed, make_genesis

Progress = Callable[[str], None]

OFFICERS = 5
THRESHOLD = 3
YEAR_S = 60
POT = Amount(1_000_003)
_REPETITIONS = 9


@dataclass(frozen=True, slots=True)
class SettlementBenchmark:
    """Figures of one year; milliseconds and microseconds of CPU time of one core, medians."""

    banks: int
    quorum: int
    blocks: int
    add_block_us: float
    """Adding one block's ballots to the year's sum: every bank, once a block."""
    count_block_us: float
    """Decrypting and looking up one block's sum: the regulator alone, at once or over the year."""
    count_year_s: float
    prove_ms: float
    verify_ms: float
    """Judging a settlement of one opener and executing it, as every bank does for its block."""
    verify_by_officers_ms: float
    """The same of one that `THRESHOLD` officers proved together."""
    settlement_bytes: int
    settlement_by_officers_bytes: int
    paid: int
    """Minor units, of a pot of `POT`."""

    def to_json_object(self) -> dict[str, object]:
        """Every figure by name."""
        return {name: getattr(self, name) for name in self.__slots__} | {
            "officers": OFFICERS,
            "threshold": THRESHOLD,
        }

    def lines(self) -> list[str]:
        """The figures as text."""
        by_officers = f"{THRESHOLD} of {OFFICERS} officers"
        return [
            f"a year of {self.blocks:,} blocks, {self.quorum} of {self.banks} ballots each",
            f"add a block's ballots to the sum    {self.add_block_us:9.1f} us",
            f"count a block by its sum            {self.count_block_us:9.1f} us",
            f"count the year                      {self.count_year_s:9.2f} s",
            f"prove its settlement                {self.prove_ms:9.2f} ms",
            f"verify and execute it               {self.verify_ms:9.2f} ms, "
            f"{self.settlement_bytes} bytes",
            f"the same, by {by_officers:<23}{self.verify_by_officers_ms:9.2f} ms, "
            f"{self.settlement_by_officers_bytes} bytes",
        ]


@dataclass(frozen=True, slots=True)
class _Year:
    """A year's blocks in sum, and the truth about them."""

    block_sums: tuple[bytes, ...]
    total: bytes
    counts: Counter[int]


def run_settlement_benchmark(
    blocks: int, banks: int, progress: Progress | None = None
) -> SettlementBenchmark:
    """Measure a year of `blocks` blocks by `banks` banks; about ten seconds for ten thousand."""
    tell = progress or (lambda message: None)
    genesis = make_genesis(banks, fiscal_year_seconds=YEAR_S)
    active = genesis.active_set([bank.index for bank in genesis.banks])
    opener = opener_key()

    tell(f"{blocks:,} blocks")
    year = _make_year(active, blocks)
    tell("adding")
    ciphertexts = year.block_sums[: active.quorum]
    add_s = _median(lambda: add_ciphertexts(year.total, ciphertexts))
    tell("counting")
    count_year_s = _count(year, opener, active.ballot_ring, active.quorum)
    tell("proving")
    state = _state_after(genesis, year, active)
    claim = _claim(genesis, state, year)
    raw = prove_settlement(claim, genesis, year.total, opener)
    prove_s = _median(lambda: prove_settlement(claim, genesis, year.total, opener))
    shares = split_opener(opener, THRESHOLD, OFFICERS)[:THRESHOLD]
    partials = [prove_settlement_partially(claim, genesis, year.total, share) for share in shares]
    by_officers = assemble_settlement(claim, genesis, year.total, partials)
    tell("verifying")
    return SettlementBenchmark(
        banks=banks,
        quorum=active.quorum,
        blocks=blocks,
        add_block_us=add_s * 1e6,
        count_block_us=count_year_s / blocks * 1e6,
        count_year_s=count_year_s,
        prove_ms=prove_s * 1e3,
        verify_ms=_median(lambda: _settle(genesis, state, raw)) * 1e3,
        verify_by_officers_ms=_median(lambda: _settle(genesis, state, by_officers)) * 1e3,
        settlement_bytes=len(raw),
        settlement_by_officers_bytes=len(by_officers),
        paid=_settle(genesis, state, raw),
    )


def _make_year(active: ActiveSet, blocks: int) -> _Year:
    ring, dice = active.ballot_ring, random.Random(os.urandom(16))
    counts: Counter[int] = Counter()
    sums = []
    for _ in range(blocks):
        voters = sorted(dice.sample(range(ring.size), active.quorum))
        counts.update(voters)
        coin = BallotKey.generate().secret
        keys = _sum([ring.key_points[voter] for voter in voters])
        first = vote_key_base().multiply(coin)
        second = keys + ring.opener_base.multiply(coin)
        sums.append(encode_point(first) + encode_point(second))
    return _Year(tuple(sums), add_ciphertexts(EMPTY_SUM, sums), counts)


def _sum(points: Sequence[Point]) -> Point:
    total = identity()
    for point in points:
        total = total + point
    return total


def _count(year: _Year, opener: BallotKey, ring: BallotRing, quorum: int) -> float:
    """Return the CPU seconds it takes to count every block; the counts must be the true ones."""
    begun = time.process_time()
    counts: Counter[int] = Counter()
    for block_sum in year.block_sums:
        counts.update(count_block(block_sum, opener, ring, quorum))
    elapsed_s = time.process_time() - begun
    assert counts == year.counts, "the count is wrong"
    return elapsed_s


def _state_after(genesis: Genesis, year: _Year, active: ActiveSet) -> LedgerState:
    """A state in the year after, as if nothing but voting and one penalty had happened."""
    state = genesis_state(genesis)
    first = fiscal_year(genesis.parameters, genesis.time_ms, genesis.time_ms)
    blocks = len(year.block_sums)
    return replace(
        state,
        height=Height(blocks + 1),
        time_ms=TimeMs(genesis.time_ms + YEAR_S * 1_000),
        pots=(Pot(first, Amount(0), POT),),
        tallies=(Tally(first, genesis.opener_key, year.total, blocks * active.quorum, blocks),),
    )


def _claim(genesis: Genesis, state: LedgerState, year: _Year) -> SettlementClaim:
    return SettlementClaim(
        chain_id=genesis.chain_id,
        year=state.pots[0].year,
        counts=tuple([BankCount(bank.index, year.counts[bank.index]) for bank in genesis.banks]),
        draw_seed=draw_seed(0),
        expiry=Height(state.height + 1),
    )


def _settle(genesis: Genesis, state: LedgerState, raw: bytes) -> int:
    """Judge a settlement and execute it as the only transaction of a block; return what it pays."""
    facts = BlockFacts()
    view = AdmissionView(genesis, state, facts)
    (verdict,) = verify_transactions([raw], view, SYSTEM_RANDOMNESS)
    assert isinstance(verdict, VerifiedTransaction), verdict
    transition = execute(
        genesis,
        state,
        height=Height(state.height + 1),
        time_ms=TimeMs(state.time_ms + 1),
        proposer=BankIndex(0),
        transactions=(verdict,),
        facts=facts,
    )
    assert transition.settlement is not None, "the settlement was executed"
    return transition.settlement.paid


def _median(act: Callable[[], object]) -> float:
    """Return the median CPU seconds of some repetitions."""
    times_s = []
    for _ in range(_REPETITIONS):
        begun = time.process_time()
        act()
        times_s.append(time.process_time() - begun)
    return statistics.median(times_s)
