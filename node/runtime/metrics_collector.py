"""A bank's numbers as metrics: what Prometheus reads, and where each number comes from.

Most metrics are a field of the bank's own report (`Operator.GetStatus`, `NodeReport`); `READINGS`
says which, and the guide in scripts/observability lists the same. Names and units follow the
conventions of Prometheus: a prefix, base units (seconds, bytes), `_total` for what only grows.

Labels have few values and never tell of a client or a payment: `peer` and `name` are banks,
`phase`, `kind`, `reason`, `use`, `party`, `direction` and `part` are words of this program. Money
is in minor units of the base asset, and is what the treasury shows to everybody.

Everything is read at one moment in the event loop's thread (`node.runtime.metrics_source`), from
memory; `families` works on that copy and may run in any thread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from node.ledger.state import BankState, Pot
from node.ledger.types import BankIndex
from node.runtime.consortium_directory import short_name
from node.wire.operator_records import NodeReport, PeerReport

PREFIX = "consortium_"
MS = 1_000
"""Milliseconds of a report by seconds of a metric."""


@dataclass(frozen=True, slots=True)
class HistogramReading:
    """How often something took so long since the start, or was so large."""

    bounds: Sequence[float]
    """Upper bounds of the buckets, increasing; a last bucket without one follows."""
    counts: Sequence[int]
    """Of each bucket by itself, one more than bounds."""
    total: float
    """Sum of all values."""


@dataclass(frozen=True, slots=True)
class OwnUse:
    """What serving metrics has cost the bank."""

    scrapes: int
    cpu_s: float


@dataclass(frozen=True, slots=True)
class MetricsSnapshot:
    """Everything that metrics are made of, at one moment."""

    report: NodeReport
    asset_code: str
    verification_waiting: int
    """Transactions that wait for verification."""
    verification_capacity: int
    member: BankState
    """The bank as the ledger knows it."""
    pot: Pot | None
    """Of the fiscal year that runs, if anything is in it."""
    histograms: Mapping[str, HistogramReading]
    """By name without prefix, for example `verify_seconds`."""
    own_use: OwnUse
    refusals: Mapping[str, int] = field(default_factory=dict)
    """Transactions refused or evicted since the start, by the code of the reason."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One field of a record as one metric."""

    name: str
    """Without prefix, and without the `_total` that a counter gets."""
    field: str
    """Path of the field. A sequence counts, a text is 1 unless it is empty, None is no sample."""
    text: str
    divisor: int = 1
    """Units of the field in one unit of the metric."""
    counter: bool = False

    def value(self, record: object) -> float | None:
        """Return the metric's value of a record that has the field."""
        found = attrgetter(self.field)(record)
        if found is None:
            return None
        if isinstance(found, str):
            return float(found != "")
        if isinstance(found, tuple):
            return float(len(found))
        return float(found) / self.divisor


READINGS = (
    Reading("ledger_height", "height", "Height of the last block this bank applied."),
    Reading("tip_timestamp_seconds", "time_ms", "Header time of that block.", MS),
    Reading("last_seal_age_seconds", "last_seal_age_ms", "Time since it was applied here.", MS),
    Reading("ready", "ready", "1 while the bank serves and decides."),
    Reading("halted", "halted", "1 when the bank has halted; its log and alarms say why."),
    Reading("consensus_height", "consensus.height", "Height being decided."),
    Reading("consensus_view", "consensus.view", "View of that height; 0 is the first try."),
    Reading("consensus_leader", "consensus.leader", "Index of the bank that leads the view."),
    Reading(
        "consensus_highest_view",
        "consensus.highest_view",
        "View of the highest quorum certificate; -1: none at this height.",
    ),
    Reading("consensus_active_banks", "consensus.active_banks", "Banks that have a vote."),
    Reading("consensus_quorum", "consensus.quorum", "Votes that seal a block."),
    Reading(
        "quorum_margin",
        "consensus.margin",
        "Banks that may still fail, as this bank sees it; below 0 nothing can be sealed.",
    ),
    Reading(
        "consensus_missing_banks",
        "consensus.missing",
        "Active banks neither heard from at this height nor linked.",
    ),
    Reading("consensus_has_work", "consensus.has_work", "1 while something waits for a block."),
    Reading("consensus_behind", "consensus.behind", "1 while a peer claims a later height."),
    Reading("consensus_active", "consensus.active", "1 while this bank has a vote."),
    Reading(
        "accused_banks",
        "consensus.accused",
        "Banks that statements held here convict of an offence.",
    ),
    Reading("mempool_transactions", "mempool.transactions", "Verified transactions that wait."),
    Reading("mempool_bytes", "mempool.bytes", "Their size."),
    Reading(
        "mempool_capacity_transactions", "mempool.capacity_transactions", "Room for transactions."
    ),
    Reading("mempool_capacity_bytes", "mempool.capacity_bytes", "Room in bytes."),
    Reading(
        "verified_transactions",
        "mempool.admitted",
        "Transactions whose proofs this bank verified.",
        counter=True,
    ),
    Reading(
        "refused_transactions",
        "mempool.refused",
        "Transactions that failed a check here.",
        counter=True,
    ),
    Reading("verification_batches", "mempool.batches", "Batches of verification.", counter=True),
    Reading("process_uptime_seconds", "process.uptime_ms", "Since the bank's start.", MS),
    Reading(
        "process_resident_memory_bytes", "process.resident_bytes", "Memory of the bank's process."
    ),
    Reading("process_cpu_seconds", "process.cpu_ms", "CPU time of the process.", MS, counter=True),
    Reading("database_connected", "database.connected", "1 while the bank can write."),
    Reading("database_size_bytes", "database.size_bytes", "Size of the bank's database."),
    Reading("faults_allowed", "faults_allowed", "1 if operators may break this bank on purpose."),
)
"""Of a `NodeReport`."""

PERFORMANCE_READINGS = (
    Reading(
        "sealed_transactions", "sealed_transactions", "Transactions sealed here.", counter=True
    ),
    Reading("sealed_blocks", "sealed_blocks", "Blocks applied here.", counter=True),
    Reading("recent_window_seconds", "window_ms", "Length of the recent window.", MS),
    Reading("recent_transactions", "window_transactions", "Transactions sealed in the window."),
    Reading("sealed_transactions_per_second", "sealed_per_second", "Rate of the recent window."),
)
"""Of a `PerformanceReport`."""

QUANTILES = (
    ("recent_finality_seconds", "0.5", "finality_ms_p50"),
    ("recent_finality_seconds", "0.95", "finality_ms_p95"),
    ("recent_finality_seconds", "0.99", "finality_ms_p99"),
    ("recent_verify_seconds", "0.5", "verify_ms_p50"),
    ("recent_vote_seconds", "0.5", "vote_ms_p50"),
    ("recent_seal_seconds", "0.5", "seal_ms_p50"),
    ("recent_apply_seconds", "0.5", "apply_ms_p50"),
)
"""Name, quantile and field of a `PerformanceReport`, milliseconds or None."""

PEER_READINGS = (
    Reading("peer_height", "height", "Height that the peer has told."),
    Reading("peer_last_heard_seconds", "last_heard_ms", "Since anything came from it.", MS),
    Reading("peer_queue_items", "queued_items", "Messages and transactions that wait for it."),
    Reading("peer_queue_bytes", "queued_bytes", "Their size."),
    Reading("peer_sent_frames", "sent_frames", "Frames sent to it.", counter=True),
    Reading("peer_sent_items", "sent_items", "Items in those frames.", counter=True),
    Reading("peer_sent_bytes", "sent_bytes", "Their size.", counter=True),
    Reading(
        "peer_dropped_transactions",
        "dropped_transactions",
        "Transactions for which its queue had no room.",
        counter=True,
    ),
    Reading(
        "peer_dropped_messages",
        "dropped_messages",
        "Messages for which its queue had no room.",
        counter=True,
    ),
    Reading("peer_connections", "connections", "Connections made to it.", counter=True),
)
"""Of a `PeerReport`, with the label `peer`."""

MEMBER_READINGS = (
    Reading("bank_stake_minor_units", "stake", "The bank's stake."),
    Reading("bank_initial_stake_minor_units", "initial_stake", "What it began with."),
    Reading("bank_balance_minor_units", "balance", "The bank's public account."),
    Reading("bank_offences", "offences", "Offences the bank was punished for.", counter=True),
    Reading("bank_penalties_minor_units", "penalties", "Penalties it paid.", counter=True),
    Reading("bank_rewards_minor_units", "rewards", "Rewards it got.", counter=True),
    Reading(
        "bank_creator_fees_minor_units", "creator_fees", "Fees of blocks it made.", counter=True
    ),
    Reading("bank_created_blocks", "blocks_created", "Blocks of its making.", counter=True),
)
"""Of a `BankState`: the treasury's rows of the bank itself."""

PHASES = (
    ("approved", "consensus.approvals"),
    ("rejected", "consensus.rejections"),
    ("committed", "consensus.commits"),
    ("timed_out", "consensus.timed_out"),
)
"""Label and field of a `NodeReport`; how many banks, never which: who voted how is no metric."""

POT_PARTS = ("approver_fees", "penalties", "carried")

HISTOGRAM_TEXTS = {
    "verify_seconds": "Verification of one batch.",
    "vote_seconds": "From a proposal's arrival to this bank's vote.",
    "seal_seconds": "From a proposal's arrival to its seal.",
    "apply_seconds": "Applying a sealed block, the database's part included.",
    "finality_seconds": "From a client's submission here until it was applied here.",
    "batch_transactions": "Transactions verified together.",
    "block_transactions": "Transactions of a block that is not empty.",
}


def families(snapshot: MetricsSnapshot) -> list[Metric]:
    """Return every metric of a snapshot."""
    report = snapshot.report
    found: list[Metric] = [
        _info(snapshot),
        *(_single(reading, report) for reading in READINGS),
        *_performance(report),
        *(_single(reading, snapshot.member) for reading in MEMBER_READINGS),
        *_labelled(snapshot),
        *_of_peers(report),
        *(_histogram(name, item) for name, item in snapshot.histograms.items()),
        _counter(
            "metrics_scrapes", "Times that these metrics were read.", snapshot.own_use.scrapes
        ),
        _counter(
            "metrics_cpu_seconds", "CPU time that took, this time not.", snapshot.own_use.cpu_s
        ),
    ]
    return found


def _info(snapshot: MetricsSnapshot) -> Metric:
    report = snapshot.report
    value = {
        "index": str(report.bank),
        "name": short_name(report.bank),
        "chain": report.chain_id.hex()[:16],
        "version": report.software_version,
        "asset": snapshot.asset_code,
    }
    return InfoMetricFamily(f"{PREFIX}bank", "Which bank this is.", value)


def _single(reading: Reading, record: object) -> Metric:
    value = reading.value(record)
    kind = CounterMetricFamily if reading.counter else GaugeMetricFamily
    family = kind(PREFIX + reading.name, reading.text, labels=())
    if value is not None:
        family.add_metric((), value)
    return family


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(PREFIX + name, text, value)


def _performance(report: NodeReport) -> Iterable[Metric]:
    performance = report.performance
    for reading in PERFORMANCE_READINGS:
        yield _single(reading, performance)
    quantiles: dict[str, Metric] = {}
    for name, quantile, source in QUANTILES:
        what = name.removeprefix("recent_").removesuffix("_seconds")
        family = quantiles.setdefault(
            name,
            Metric(PREFIX + name, f"Quantiles of {what} in the recent window.", "summary"),
        )
        value_ms = getattr(performance, source)
        if value_ms is not None:
            family.add_sample(family.name, {"quantile": quantile}, value_ms / MS)
    yield from quantiles.values()


def _labelled(snapshot: MetricsSnapshot) -> Iterable[Metric]:
    report = snapshot.report
    yield _gauges(
        "consensus_banks",
        "Banks heard from at the height being decided, by what they said.",
        ("phase",),
        {(phase,): len(attrgetter(field)(report)) for phase, field in PHASES},
    )
    yield _gauges("alarms", "Alarms remembered.", ("kind",), _kinds(report.alarms))
    yield _gauges("injected_faults", "What is broken on purpose.", ("kind",), _kinds(report.faults))
    cpu = CounterMetricFamily(f"{PREFIX}cpu_seconds", "CPU time by its use.", labels=("use",))
    for use in ("verify", "consensus", "database", "network", "other"):
        cpu.add_metric((use,), getattr(report.cpu, f"{use}_ms") / MS)
    yield cpu
    traffic = CounterMetricFamily(
        f"{PREFIX}traffic_bytes",
        "Messages exchanged, without framing and TLS.",
        labels=("party", "direction"),
    )
    for party in ("peers", "clients"):
        for direction in ("sent", "received"):
            traffic.add_metric(
                (party, direction), getattr(report.traffic, f"{party}_{direction}_bytes")
            )
    yield traffic
    refusals = CounterMetricFamily(
        f"{PREFIX}refusals", "Transactions refused here, or evicted.", labels=("reason",)
    )
    for reason, count in snapshot.refusals.items():
        refusals.add_metric((reason,), count)
    yield refusals
    yield _gauge(
        "verification_queue_transactions",
        "Transactions that wait for verification.",
        snapshot.verification_waiting,
    )
    yield _gauge(
        "verification_queue_capacity_transactions",
        "How many may wait; beyond it clients are told to come back.",
        snapshot.verification_capacity,
    )
    pot = snapshot.pot
    yield _gauges(
        "pot_minor_units",
        "What the year's settlement will share.",
        ("part",),
        {} if pot is None else {(part,): getattr(pot, part) for part in POT_PARTS},
    )


def _kinds(items: Sequence[object]) -> Mapping[tuple[str, ...], int]:
    return Counter((str(getattr(item, "kind", "")),) for item in items)


def _of_peers(report: NodeReport) -> Iterable[Metric]:
    for reading in PEER_READINGS:
        kind = CounterMetricFamily if reading.counter else GaugeMetricFamily
        family = kind(PREFIX + reading.name, reading.text, labels=("peer",))
        for peer in report.peers:
            value = reading.value(peer)
            if value is not None:
                family.add_metric((short_name(peer.bank),), value)
        yield family
    yield _gauges(
        "peer_linked",
        "1 while the link is up in a direction.",
        ("peer", "direction"),
        {
            (short_name(peer.bank), direction): linked
            for peer in report.peers
            for direction, linked in _directions(peer)
        },
    )
    yield _peer_marks("peer_missing", "1 while the consensus misses it.", report, "missing")
    yield _peer_marks("peer_accused", "1 if statements held here convict it.", report, "accused")
    refused = CounterMetricFamily(
        f"{PREFIX}peer_refused_messages", "Messages of it that failed a check.", labels=("peer",)
    )
    for item in report.consensus.refused:
        refused.add_metric((short_name(item.bank),), item.messages)
    yield refused


def _directions(peer: PeerReport) -> Iterable[tuple[str, bool]]:
    return (("out", peer.linked_out), ("in", peer.linked_in))


def _peer_marks(name: str, text: str, report: NodeReport, field: str) -> Metric:
    marked: Sequence[BankIndex] = getattr(report.consensus, field)
    values = {(short_name(peer.bank),): float(peer.bank in marked) for peer in report.peers}
    return _gauges(name, text, ("peer",), values)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, text, value)


def _gauges(
    name: str,
    text: str,
    labels: Sequence[str],
    values: Mapping[tuple[str, ...], float]
    | Mapping[tuple[str, str], float]
    | Mapping[tuple[str], float],
) -> Metric:
    family = GaugeMetricFamily(PREFIX + name, text, labels=labels)
    for label_values, value in values.items():
        family.add_metric(label_values, value)
    return family


def _histogram(name: str, reading: HistogramReading) -> Metric:
    text = HISTOGRAM_TEXTS.get(name, f"{name.replace('_', ' ').capitalize()}.")
    below = 0
    buckets = []
    for bound, count in zip((*reading.bounds, float("inf")), reading.counts, strict=True):
        below += count
        buckets.append(("+Inf" if bound == float("inf") else repr(float(bound)), below))
    return HistogramMetricFamily(PREFIX + name, text, buckets=buckets, sum_value=reading.total)
