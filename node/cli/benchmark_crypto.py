"""Measuring the proofs: proving, one verification, batches, and what bins and ring bases cost (IDX1
14).

Times are CPU time of this process, which runs on one core; wall-clock time stands beside it. Every
verification repeats all steps 8.1-8.7, split in four: `decode` (form, context, points, scalars,
uniqueness), `subgroup` (that strict points lie in G1, all together), `scalars` (challenges and
weights), `msm` (the one multi-scalar multiplication).

Machines differ by far more than the variants measured here. `machine.curve_us` holds the figures of
the curve library alone, so that reports of two machines can be compared.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

from crypto.accumulator import Accumulator
from crypto.ballot import CollectedBallot
from crypto.build import Payment, SpendableNote, build_issue, build_transfer
from crypto.curve import encode_point, msm, multiply, require_subgroup
from crypto.generators import key_generator, range_generators
from crypto.layout import Kind
from crypto.note import Address, SessionKeys
from crypto.pedersen import encode_commitment
from crypto.ring import DEFAULT_RING_BASE, ClosedBin, OpenBin, close_bin, ring_size
from crypto.scalar import ORDER
from crypto.subgroup import require_all_in_subgroup
from crypto.transaction import decode_transaction
from crypto.validation import SubgroupCheck, check_uniqueness, draw_challenges, prepare
from node.cli.benchmark_ballots import BallotWorkload, measure_ballots

Progress = Callable[[str], None]

_CHAIN_ID = bytes(range(32))
_ASSET = b"benchmark asset."
_NOTE_VALUE = 1_000
_HEIGHT = 1
_CURVE_MSM_POINTS = 1024
_BATCH_SIZES = (1, 25, 100, 200, 400)
_BIN_COUNTS = (2, 8, 100)
_RING_BASES = (4, 8)
_AGED_BIN_NOTES = 4
_BLOCK_SIZE = 100
_BLOCK_BINS = 2


@dataclass(frozen=True, slots=True)
class _PoolNote:
    spend_key: int
    blinding: int
    encoded: tuple[bytes, bytes]


class _Universe:
    """A ledger view over bins of notes whose secrets the benchmark knows: full ones, or such as
    closed by age with `real_notes`.

    Bins share one pool of notes in different rotations: each has a digest and points of its own to
    multiply, and preparing a hundred of them takes no time.
    """

    chain_id = _CHAIN_ID
    height = _HEIGHT

    def __init__(
        self, ring_base: int, bin_count: int, payee: Address, real_notes: int | None = None
    ) -> None:
        self.ring_base = ring_base
        self._payee = payee
        size = ring_size(ring_base) if real_notes is None else real_notes
        pool = [_make_note() for _ in range(size + 1)]
        self._rings = [
            [pool[(position + bin_id) % len(pool)] for position in range(size)]
            for bin_id in range(bin_count)
        ]
        self._bins = [
            close_bin(bin_id, _ASSET, [note.encoded for note in ring], ring_base)
            for bin_id, ring in enumerate(self._rings)
        ]

    def find_bin(self, bin_id: int) -> ClosedBin | OpenBin | None:
        return self._bins[bin_id]

    def is_issuer(self, asset: bytes, issuer: bytes) -> bool:
        return True

    def is_spent(self, nullifier: bytes) -> bool:
        return False

    def is_known_note(self, one_time_key: bytes) -> bool:
        return False

    def prove_transfer(self, number: int) -> bytes:
        """Proof number `number` of one input and two outputs, the bins taken in turn."""
        bin_id = number % len(self._bins)
        position = number // len(self._bins) % len(self._rings[bin_id])
        note = self._rings[bin_id][position]
        half = _NOTE_VALUE // 2
        return build_transfer(
            chain_id=_CHAIN_ID,
            asset=_ASSET,
            inputs=[
                SpendableNote(
                    self._bins[bin_id], position, _NOTE_VALUE, note.spend_key, note.blinding
                )
            ],
            payments=[Payment(self._payee, half), Payment(self._payee, _NOTE_VALUE - half)],
            expiry=_HEIGHT,
            rings_certified=True,
        )


def _random_scalar() -> int:
    return 1 + int.from_bytes(os.urandom(64), "little") % (ORDER - 1)


def _make_note() -> _PoolNote:
    spend_key, blinding = _random_scalar(), _random_scalar()
    one_time_key = encode_point(multiply(key_generator(), spend_key))
    commitment = encode_commitment(_ASSET, _NOTE_VALUE, blinding)
    return _PoolNote(spend_key, blinding, (one_time_key, commitment))


@dataclass(frozen=True, slots=True)
class _Times:
    """CPU seconds of the four parts of one verified batch, and its wall-clock seconds."""

    decode: float
    subgroup: float
    scalars: float
    msm: float
    elapsed: float

    @property
    def total(self) -> float:
        return self.decode + self.subgroup + self.scalars + self.msm


@dataclass(frozen=True, slots=True)
class _Ballots:
    """Ballots that share a block's batch; none by default."""

    workload: BallotWorkload | None = None
    height: int = 0
    raws: Sequence[bytes] = ()

    def collect(self) -> list[CollectedBallot]:
        if self.workload is None:
            return []
        return self.workload.collect(self.raws, self.height)


_NO_BALLOTS = _Ballots()


def _verify(
    transactions: Sequence[bytes], universe: _Universe, ballots: _Ballots = _NO_BALLOTS
) -> _Times:
    started, clock = time.perf_counter(), time.process_time
    begun = clock()
    votes = ballots.collect()
    decoded_forms = [decode_transaction(data, universe.ring_base) for data in transactions]
    prepared = [
        prepare(item, universe, subgroup=SubgroupCheck.WITH_BATCH) for item in decoded_forms
    ]
    for item in prepared:
        check_uniqueness(item.transaction, universe)
    decoded = clock()
    require_all_in_subgroup(
        [point for item in prepared for point in item.unchecked_points], os.urandom
    )
    inside = clock()
    collected = [draw_challenges(item) for item in prepared]
    accumulator = Accumulator(os.urandom)
    for transaction in collected:
        transaction.accumulate(accumulator)
    for ballot in votes:
        ballot.accumulate(accumulator)
    accumulated = clock()
    accumulator.check()
    done = clock()
    elapsed = time.perf_counter() - started
    return _Times(
        decoded - begun, inside - decoded, accumulated - inside, done - accumulated, elapsed
    )


def _measure_batch(
    transactions: Sequence[bytes],
    universe: _Universe,
    repetitions: int,
    ballots: Callable[[], _Ballots] = lambda: _NO_BALLOTS,
) -> dict[str, float]:
    _verify(transactions[:1], universe)
    runs = [_verify(transactions, universe, ballots()) for _ in range(repetitions)]
    scale = 1e6 / len(transactions)

    def microseconds(values: Sequence[float]) -> float:
        return round(median(values) * scale, 1)

    totals = [run.total for run in runs]
    return {
        "us_per_transaction": microseconds(totals),
        "decode_us": microseconds([run.decode for run in runs]),
        "subgroup_us": microseconds([run.subgroup for run in runs]),
        "scalars_us": microseconds([run.scalars for run in runs]),
        "msm_us": microseconds([run.msm for run in runs]),
        "min": round(min(totals) * scale, 1),
        "max": round(max(totals) * scale, 1),
        "elapsed_us": microseconds([run.elapsed for run in runs]),
        "repetitions": repetitions,
    }


def _spread(values: Sequence[float], scale: float) -> dict[str, float]:
    return {
        "median": round(median(values) * scale, 3),
        "min": round(min(values) * scale, 3),
        "max": round(max(values) * scale, 3),
    }


def _prove_many(universe: _Universe, count: int) -> tuple[list[bytes], list[float]]:
    universe.prove_transfer(0)
    transactions, seconds = [], []
    for number in range(count):
        begun = time.process_time()
        transactions.append(universe.prove_transfer(number))
        seconds.append(time.process_time() - begun)
    return transactions, seconds


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def _measure_curve() -> dict[str, float]:
    points = [point for _ in range(4) for point in range_generators()]
    scalars = [_random_scalar() for _ in points]

    def microseconds(action: Callable[[], object], count: int) -> float:
        seconds = []
        for _ in range(3):
            begun = time.process_time()
            for _ in range(count):
                action()
            seconds.append((time.process_time() - begun) / count)
        return round(min(seconds) * 1e6, 1)

    return {
        "scalar_multiplication": microseconds(lambda: multiply(points[0], scalars[0]), 50),
        "subgroup_check": microseconds(lambda: require_subgroup(points[0]), 100),
        f"msm_{_CURVE_MSM_POINTS}": microseconds(lambda: msm(points, scalars), 3),
    }


def _describe_machine() -> dict[str, Any]:
    libraries = ("py-arkworks-bls12381", "gmpy2", "cryptography")
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in libraries},
        "curve_us": _measure_curve(),
    }


def _measure_sizes(transfer: bytes, payee: Address) -> dict[str, int]:
    issue = build_issue(
        kind=Kind.ISSUE,
        chain_id=_CHAIN_ID,
        asset=_ASSET,
        amount=_NOTE_VALUE,
        issuer_secret=os.urandom(32),
        payments=[Payment(payee, _NOTE_VALUE - 1), Payment(payee, 1)],
        expiry=_HEIGHT,
    )
    return {"transfer_1in2out": len(transfer), "issue_2out": len(issue)}


def run_crypto_benchmark(progress: Progress | None = None, quick: bool = False) -> dict[str, Any]:
    """Measure and return figures ready for JSON; about a minute, a few seconds when `quick`.

    Batches are 1-in-2-out transfers over two bins of the default ring base. `quick` measures
    batches of 1 and 25 only, with fewer repetitions. `progress` is told in a few words what is
    being measured.
    """
    tell = progress or (lambda message: None)
    payee = SessionKeys.derive(os.urandom(32), 1).address
    repetitions = 3 if quick else 7
    batch_sizes = tuple(size for size in _BATCH_SIZES if size <= 25) if quick else _BATCH_SIZES
    block_size = 10 if quick else _BLOCK_SIZE
    bin_counts = (_BLOCK_BINS,) if quick else _BIN_COUNTS

    tell("curve library")
    machine = _describe_machine()
    tell(f"proving {max(batch_sizes)} transfers")
    universe = _Universe(DEFAULT_RING_BASE, _BLOCK_BINS, payee)
    transactions, proving_seconds = _prove_many(universe, max(batch_sizes))
    tell("verifying one")
    single_runs = [_verify(transactions[:1], universe) for _ in range(10 * repetitions)]
    batch = {}
    for size in batch_sizes:
        tell(f"batch of {size}")
        batch[str(size)] = _measure_batch(transactions[:size], universe, repetitions)
    bins = {}
    voting: dict[str, Any] = {}
    for bin_count in bin_counts:
        tell(f"batch of {block_size} over {bin_count} bins")
        spread_universe = _Universe(DEFAULT_RING_BASE, bin_count, payee)
        block, _ = _prove_many(spread_universe, block_size)
        bins[str(bin_count)] = _measure_batch(block, spread_universe, repetitions)
        if bin_count == _BLOCK_BINS:
            tell(f"block of {block_size} with ballots")
            voting = _measure_voting(block, spread_universe, repetitions)
    tell(f"batch of {block_size} over {bin_counts[-1]} bins of {_AGED_BIN_NOTES} notes")
    aged_universe = _Universe(DEFAULT_RING_BASE, bin_counts[-1], payee, _AGED_BIN_NOTES)
    block, _ = _prove_many(aged_universe, block_size)
    aged_bins = {str(bin_counts[-1]): _measure_batch(block, aged_universe, repetitions)}
    ring_bases = {}
    for ring_base in _RING_BASES:
        tell(f"batch of {block_size} with ring base {ring_base}")
        base_universe = _Universe(ring_base, _BLOCK_BINS, payee)
        block, seconds = _prove_many(base_universe, block_size)
        ring_bases[str(ring_base)] = {
            **_measure_batch(block, base_universe, repetitions),
            "notes_in_ring": ring_size(ring_base),
            "transfer_bytes": len(block[0]),
            "prove_ms": _spread(seconds, 1e3)["median"],
        }
    return {
        "machine": machine,
        "ring_base": DEFAULT_RING_BASE,
        "notes_in_ring": ring_size(DEFAULT_RING_BASE),
        "prove_ms": _spread(proving_seconds, 1e3),
        "verify_one_ms": _spread([run.total for run in single_runs], 1e3),
        "batch": batch,
        "bins": bins,
        "aged_bins": aged_bins,
        "aged_bin_notes": _AGED_BIN_NOTES,
        "voting": voting,
        "ring_bases": ring_bases,
        "bytes": {**_measure_sizes(transactions[0], payee), "ballot": voting["bytes"]},
    }


def _measure_voting(
    block: Sequence[bytes], universe: _Universe, repetitions: int
) -> dict[str, Any]:
    """What the ballots of the block before cost, apart and in one batch with a block's proofs."""
    workload = BallotWorkload()
    heights = count(2 * repetitions + 1)

    def fresh() -> _Ballots:
        height = next(heights)
        return _Ballots(workload, height, workload.seal(height))

    return {
        **measure_ballots(workload, len(block), repetitions),
        "transactions": len(block),
        "block": _measure_batch(block, universe, repetitions, fresh),
    }


def _table_rows(result: dict[str, Any]) -> list[tuple[str, dict[str, float]]]:
    rows = [(f"batch of {size}, 2 bins", row) for size, row in result["batch"].items()]
    rows += [(f"block over {count} bins", row) for count, row in result["bins"].items()]
    rows += [
        (f"same, {result['aged_bin_notes']} notes a bin, {count}", row)
        for count, row in result["aged_bins"].items()
    ]
    rows.append((f"block with {result['voting']['ballots']} ballots", result["voting"]["block"]))
    rows += [(f"block, ring base {base}", row) for base, row in result["ring_bases"].items()]
    return rows


def format_crypto_benchmark(result: dict[str, Any]) -> str:
    """The result of `run_crypto_benchmark` as a plain table."""
    machine = result["machine"]
    curve = ", ".join(f"{name} {figure} us" for name, figure in machine["curve_us"].items())
    libraries = ", ".join(f"{name} {number}" for name, number in machine["libraries"].items())
    lines = [
        f"machine: {machine['cpu']}, {machine['cores']} cores, Python {machine['python']}",
        f"libraries: {libraries}",
        f"curve library alone: {curve}",
        f"ring base {result['ring_base']}: {result['notes_in_ring']} notes in a ring",
        "",
        f"{'CPU milliseconds':<26}{'median':>9}{'min':>9}{'max':>9}",
    ]
    voting = result["voting"]
    for title, row in (
        ("build and prove", result["prove_ms"]),
        ("verify one", result["verify_one_ms"]),
        ("sign a ballot", voting["sign_ms"]),
        (f"verify {voting['ballots']} ballots", voting["verify_quorum_ms"]),
    ):
        lines.append(f"{title:<26}{row['median']:>9.2f}{row['min']:>9.2f}{row['max']:>9.2f}")
    columns = ("total", "decode", "subgroup", "scalars", "msm", "min", "max", "wall")
    parts = ("decode_us", "subgroup_us", "scalars_us", "msm_us")
    keys = ("us_per_transaction", *parts, "min", "max", "elapsed_us")
    header = "".join(f"{column:>9}" for column in columns)
    lines += ["", f"{'CPU us per transaction':<26}{header}"]
    for title, row in _table_rows(result):
        lines.append(f"{title:<26}" + "".join(f"{row[key]:>9.1f}" for key in keys))
    sizes = ", ".join(f"{name} {size}" for name, size in result["bytes"].items())
    lines += [
        "",
        f"ballots add {voting['added_us_per_transaction']} us of CPU to each of "
        f"{voting['transactions']} transactions in a block",
    ]
    return "\n".join([*lines, "", f"bytes: {sizes}"])
