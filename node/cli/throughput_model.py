"""A model of throughput and finality: what N banks on C cores with a round trip R would seal.

Costs are CPU milliseconds of one bank for one transaction, read from reports. What is done once for
a batch is shared by its transactions, so a cost is `each + batch / size`, fitted over the windows
of the reports (a sweep has batches of many sizes); with one size, all of it is `each`. What is sent
to every bank or comes from every bank grows with the other banks, N - 1: the batch's part of
`consensus` and `network`. Each transaction reaches a bank once, however many there are.

    c(N, s)  = verify(b) + database + other + consensus + network    at blocks of s transactions
    CPU      = C / (N c(N, S) + client)                              S: the largest block
    thread   = 1 / max(verify, c - verify - database server)         a bank has two threads at work
    T(s)     = 5 R/2 + W(s)                                          five messages make a block
    W(s)     = w/3 + 2w/3 max(1, N/C),   w = s (consensus + database)
    chain    = S / T(S)
    TPS      = min(CPU, thread, chain)

A block is proposed, voted, certified, committed and sealed: five messages one after the other. W is
the work between them: the leader builds, then all banks validate and then apply at the same time,
on C cores. While blocks are full, verification batches are as large as they get.

Finality at a rate r below TPS: everything that is no block's work takes the share u of the cores
and stretches what is; small blocks and small batches cost more for each transaction, so u depends
on what comes together meanwhile, s = r T and b = r gather:

    u        = r (N (c(N, s) - database - consensus) + client) / C
    V        = b verify(b) max(1, N/C) / (1 - u)
    T(s)     = 5 R/2 + wait + W(s) / (1 - u)               the least s from 1 to S with r T <= s
    finality = R/2 + gossip/2 + (gather + V)/2 + V + 3/2 T

R/2 brings the transaction to the leader; half of `gossip` is its mean wait for a fuller frame, half
of `gather` and of the batch before it the one for its own verification. The other banks verify it
at the same time as the leader (`early_gossip`), so that a vote waits for no batch. While
transactions come one by one there is no waiting for company: gossip and gather are nothing then.
`wait` is the one for a fuller block, and on average half a block is under way already.

With C cores of each bank's own, N/C is 1 at least, and the load client is elsewhere. What the model
leaves out: interference of caches, the kernel's scheduling, view changes, bandwidth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from node.rpc.peer_link import LinkTiming
from node.runtime.admission import BATCH_LIMIT, BUSY_COUNT, BUSY_S, GATHER_S

Json = Mapping[str, Any]

MESSAGES_A_BLOCK = 5
GOSSIP_MS = 1000 * LinkTiming().gossip_s
GATHER_MS = 1000 * GATHER_S
MOST_UTILISATION = 0.99
LEAST_CORES = 0.1
"""What a window is taken to have had, however much other work there was."""
SIZE_STEP = 0.125
"""Between the sizes of blocks that are tried."""
SAME_SIZE = 1.05
"""Sizes of batches that differ by less than this tell nothing about what a batch costs."""
ALONE_SHARE = float(Fraction(1, 3))
"""Of a block's work, the leader's, which all others wait for."""


@dataclass(frozen=True, slots=True)
class SharedCost:
    """CPU milliseconds of one bank for one transaction of a batch of `size`."""

    each: float = 0.0
    batch: float = 0.0
    """Once for the batch."""

    def at(self, size: float, scale: float = 1.0) -> float:
        """Return the cost; `scale` multiplies the batch's part."""
        return self.each + scale * self.batch / size


def fit_cost(points: Sequence[tuple[float, float]]) -> SharedCost:
    """Return the least-squares fit through (size, cost), neither part negative."""
    assert points, "a cost is fitted to something"
    sizes = [size for size, _ in points]
    mean_cost = sum(cost for _, cost in points) / len(points)
    if max(sizes) < SAME_SIZE * min(sizes):
        return SharedCost(each=mean_cost)
    shares = [1 / size for size in sizes]
    mean_share = sum(shares) / len(shares)
    spread = sum((share - mean_share) ** 2 for share in shares)
    slope = (
        sum(
            (share - mean_share) * (cost - mean_cost)
            for share, (_, cost) in zip(shares, points, strict=True)
        )
        / spread
    )
    each = mean_cost - slope * mean_share
    if slope < 0:
        return SharedCost(each=mean_cost)
    if each < 0:
        through_zero = sum(share * cost for share, (_, cost) in zip(shares, points, strict=True))
        return SharedCost(batch=through_zero / sum(share * share for share in shares))
    return SharedCost(each, slope)


@dataclass(frozen=True, slots=True)
class Costs:
    """What a bank spends on a transaction, in CPU milliseconds, and what it was measured with."""

    verify: SharedCost
    database_client: SharedCost
    database_server: SharedCost
    other: SharedCost
    consensus: SharedCost
    """The batch's part is for one other bank; `network` likewise."""
    network: SharedCost
    client_ms: float = 0.0
    """Of the load client, for one transaction."""
    batch_limit: int = 100
    batch_wait_ms: float = 50.0

    def database(self, size: float) -> float:
        """Return the cost in the bank and in the server."""
        return self.database_client.at(size) + self.database_server.at(size)

    def block_work(self, banks: int, size: float) -> float:
        """Return what building, validating and applying costs one bank for one transaction."""
        return self.consensus.at(size, banks - 1) + self.database(size)

    def verification(self, batch: float = BATCH_LIMIT) -> float:
        """Return the cost in batches of such a size."""
        return self.verify.at(batch)

    def one_bank(self, banks: int, size: float, batch: float = BATCH_LIMIT) -> float:
        """Return c(N, s)."""
        return (
            self.verification(batch)
            + self.block_work(banks, size)
            + self.other.at(size)
            + self.network.at(size, banks - 1)
        )


@dataclass(frozen=True, slots=True)
class Place:
    """Where the banks run."""

    banks: int
    cores: float
    rtt_ms: float = 0.0
    """Round trip between two banks."""
    each: bool = False
    """Whether every bank has so many cores of its own."""

    @property
    def crowding(self) -> float:
        """How many banks share a core, at least 1: what all do at once takes so much longer."""
        return max(1.0, 1 / self.cores if self.each else self.banks / self.cores)

    @property
    def all_cores(self) -> float:
        return self.cores * self.banks if self.each else self.cores


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the model says of a place."""

    tps: float
    bound: str
    """What limits it: `CPU`, `thread` or `chain`."""
    bounds_tps: dict[str, float]
    cpu_ms_per_transaction: float
    """Of all banks."""
    block_ms: float
    """From one full block to the next, if nothing else were done."""
    finality_ms: float
    """On average, at half of the rate."""


def predict(costs: Costs, place: Place) -> Prediction:
    """Return what the model says."""
    limits = bounds(costs, place)
    bound = min(limits, key=lambda name: limits[name])
    size = costs.batch_limit
    return Prediction(
        tps=limits[bound],
        bound=bound,
        bounds_tps=limits,
        cpu_ms_per_transaction=place.banks * costs.one_bank(place.banks, size),
        block_ms=_hops_ms(place) + _work_ms(costs, place, size),
        finality_ms=predict_finality(costs, place, limits[bound] / 2),
    )


def bounds(costs: Costs, place: Place) -> dict[str, float]:
    """Return the three bounds, in transactions a second."""
    size = costs.batch_limit
    one = costs.one_bank(place.banks, size)
    verify = costs.verification()
    rest = one - verify - costs.database_server.at(size)
    return {
        "CPU": 1000 * place.all_cores / _of_all(costs, place, one),
        "thread": 1000 / max(verify, rest),
        "chain": 1000 * size / (_hops_ms(place) + _work_ms(costs, place, size)),
    }


def predict_finality(costs: Costs, place: Place, rate: float) -> float:
    """Return the average finality in milliseconds at so many transactions a second."""
    batch = min(float(BATCH_LIMIT), max(1.0, rate * GATHER_MS / 1000))
    in_company = rate * BUSY_S >= BUSY_COUNT
    size = 1.0
    while True:
        one = costs.one_bank(place.banks, size, batch) - costs.block_work(place.banks, size)
        used = rate * _of_all(costs, place, one) / (1000 * place.all_cores)
        slack = 1 - min(MOST_UTILISATION, used)
        verifying_ms = batch * costs.verification(batch) * place.crowding / slack
        block_ms = _hops_ms(place) + costs.batch_wait_ms + _work_ms(costs, place, size) / slack
        if rate * block_ms <= 1000 * size or size >= costs.batch_limit:
            break
        size = min(size + SIZE_STEP, float(costs.batch_limit))
    if 1 < size < costs.batch_limit:
        # Exactly as many as came in the time of a block.
        block_ms = max(block_ms, 1000 * size / rate)
    waiting_ms = (GOSSIP_MS + GATHER_MS + verifying_ms) / 2 if in_company else 0.0
    return place.rtt_ms / 2 + waiting_ms + verifying_ms + 1.5 * block_ms


def _of_all(costs: Costs, place: Place, one_bank_ms: float) -> float:
    """Return what a transaction costs the machines of all banks, its client's share included."""
    return place.banks * one_bank_ms + (0.0 if place.each else costs.client_ms)


def _hops_ms(place: Place) -> float:
    return MESSAGES_A_BLOCK * place.rtt_ms / 2


def _work_ms(costs: Costs, place: Place, size: float) -> float:
    one = size * costs.block_work(place.banks, size)
    return one * (ALONE_SHARE + (1 - ALONE_SHARE) * place.crowding)


# --- from reports ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Point:
    """A measured window next to what the model says of it."""

    load: str
    place: Place
    what: str
    """`TPS` at saturation and beyond, otherwise `finality ms`, of which the mean was measured."""
    measured: float
    predicted: float

    @property
    def error(self) -> float:
        """Relative, of the prediction."""
        return self.predicted / self.measured - 1


def costs_of(reports: Sequence[Json]) -> Costs:
    """Fit the costs to all windows of reports of schema `consortium/throughput/1`."""
    points: dict[str, list[tuple[float, float]]] = {name: [] for name in _CATEGORIES}
    client_ms: list[float] = []
    for report in reports:
        banks = int(report["consortium"]["banks"])
        for run in report["runs"]:
            cpu = run["per_transaction"]["cpu_ms"]
            fill = max(1.0, float(run["blocks"]["fill"]))
            for name in _CATEGORIES:
                size = max(1.0, float(run["verification_fill"])) if name == "verify" else fill
                # Sizes are in units in which the batch's part counts once for each other bank.
                scaled = size / (banks - 1) if name in _BY_BANK else size
                points[name].append((scaled, float(cpu[name]) / banks))
            client_ms.append(float(cpu["client"]))
    fitted = {name: fit_cost(points[name]) for name in _CATEGORIES}
    first = reports[0]["consortium"]
    return Costs(
        **fitted,
        client_ms=min(client_ms),
        batch_limit=int(first["batch_limit"]),
        batch_wait_ms=float(first["batch_wait_ms"]),
    )


_CATEGORIES = (
    "verify",
    "database_client",
    "database_server",
    "other",
    "consensus",
    "network",
)
_BY_BANK = frozenset({"consensus", "network"})


@dataclass(frozen=True, slots=True)
class Check:
    """The model against everything that was measured."""

    points: tuple[Point, ...] = field(default=())

    def largest_error(self, what: str) -> float | None:
        """Return the largest relative error of one kind; None if nothing was measured."""
        errors = [abs(point.error) for point in self.points if point.what == what]
        return max(errors, default=None)


def check(costs: Costs, reports: Sequence[Json]) -> Check:
    """Predict every measured window, on the cores that other work left to it."""
    points = []
    for report in reports:
        for run in report["runs"]:
            taken_ms = float(run["per_transaction"]["cpu_ms"]["elsewhere"])
            taken = float(run["sealed_tps"]) * taken_ms / 1000
            cores = float(report["machine"]["cores"])
            place = Place(
                banks=int(report["consortium"]["banks"]),
                cores=max(LEAST_CORES, cores - taken),
                rtt_ms=float(report["consortium"]["rtt_ms"]),
            )
            points.append(_point(costs, place, run))
    return Check(tuple(points))


def _point(costs: Costs, place: Place, run: Json) -> Point:
    limit = min(bounds(costs, place).values())
    load = "saturation" if run["rate"] is None else f"{run['rate']:g}/s"
    # Beyond what can be sealed queues grow without end, and finality with the length of the window.
    if run["rate"] is None or run["rate"] >= MOST_UTILISATION * limit:
        return Point(load, place, "TPS", float(run["sealed_tps"]), limit)
    predicted = predict_finality(costs, place, float(run["rate"]))
    return Point(load, place, "finality ms", float(run["finality_ms"]["mean"]), predicted)
