"""Metrics of a bank: every number of its report, by the conventions, and nothing of a client."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from node.runtime.metrics_collector import (
    HISTOGRAM_TEXTS,
    MEMBER_READINGS,
    PEER_READINGS,
    PERFORMANCE_READINGS,
    READINGS,
    HistogramReading,
    Metric,
    MetricsSnapshot,
    families,
)
from node.wire.operator_records import PerformanceReport
from tests.runtime.metrics_samples import make_snapshot

LABELS = {
    "index": {"3"},
    "name": {"dunmere"},
    "chain": {"0" * 16},
    "version": {"0.1.0"},
    "asset": {"EUR"},
    "peer": {"amberfield", "birchmoor", "cedarholm"},
    "direction": {"in", "out", "sent", "received"},
    "party": {"peers", "clients"},
    "reason": {"nullifier", "mempool-full"},
    "phase": {"approved", "rejected", "committed", "timed_out"},
    "use": {"verify", "consensus", "database", "network", "other"},
    "kind": {"evidence", "peer-misbehaved", "slow"},
    "part": {"approver_fees", "penalties", "carried"},
    "quantile": {"0.5", "0.95", "0.99"},
    "le": {"0.1", "0.5", "1.0", "10.0", "100.0", "+Inf"},
}

INFO = "consortium_bank_info{asset=EUR,chain=0000000000000000,index=3,name=dunmere,version=0.1.0}"


class Fixed(Collector):
    def __init__(self, snapshot: MetricsSnapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> list[Metric]:
        return families(self._snapshot)


def scraped(snapshot: MetricsSnapshot) -> dict[str, float]:
    """What a scrape of a snapshot shows: values by series."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Fixed(snapshot))
    text = generate_latest(registry).decode()
    series: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
            name = f"{sample.name}{{{labels}}}" if labels else sample.name
            assert name not in series
            series[name] = sample.value
    return series


def test_numbers_of_the_report_are_metrics_in_base_units() -> None:
    found = scraped(make_snapshot())
    expected = {
        "consortium_ledger_height": 7,
        "consortium_tip_timestamp_seconds": 1_700_000_000,
        "consortium_last_seal_age_seconds": 1.25,
        "consortium_ready": 1,
        "consortium_halted": 0,
        "consortium_consensus_view": 1,
        "consortium_quorum_margin": 2,
        "consortium_consensus_missing_banks": 1,
        "consortium_accused_banks": 1,
        "consortium_consensus_banks{phase=approved}": 3,
        "consortium_consensus_banks{phase=timed_out}": 0,
        "consortium_verified_transactions_total": 9,
        "consortium_refused_transactions_total": 1,
        "consortium_process_cpu_seconds_total": 2,
        "consortium_process_resident_memory_bytes": 104 << 20,
        "consortium_cpu_seconds_total{use=verify}": 1.5,
        "consortium_traffic_bytes_total{direction=received,party=clients}": 40,
        "consortium_sealed_transactions_total": 900,
        "consortium_sealed_transactions_per_second": 10,
        "consortium_recent_finality_seconds{quantile=0.95}": 2.5,
        "consortium_alarms{kind=evidence}": 2,
        "consortium_refusals_total{reason=nullifier}": 2,
        "consortium_alarms{kind=peer-misbehaved}": 1,
        "consortium_injected_faults{kind=slow}": 1,
        "consortium_peer_linked{direction=in,peer=cedarholm}": 0,
        "consortium_peer_linked{direction=out,peer=cedarholm}": 1,
        "consortium_peer_last_heard_seconds{peer=amberfield}": 0.005,
        "consortium_peer_missing{peer=cedarholm}": 1,
        "consortium_peer_missing{peer=amberfield}": 0,
        "consortium_peer_refused_messages_total{peer=cedarholm}": 4,
        "consortium_bank_stake_minor_units": 900,
        "consortium_bank_offences_total": 1,
        "consortium_pot_minor_units{part=penalties}": 100,
        "consortium_verification_queue_transactions": 12,
        "consortium_verify_seconds_bucket{le=0.1}": 2,
        "consortium_verify_seconds_bucket{le=0.5}": 5,
        "consortium_verify_seconds_bucket{le=+Inf}": 6,
        "consortium_verify_seconds_count": 6,
        "consortium_verify_seconds_sum": 2.25,
        "consortium_metrics_scrapes_total": 5,
        "consortium_metrics_cpu_seconds_total": 0.25,
        INFO: 1,
    }
    assert {name: found.get(name) for name in expected} == expected


def test_what_is_not_known_is_no_sample() -> None:
    """A percentile of nothing, a peer never heard from."""
    snapshot = make_snapshot()
    silent = tuple(replace(peer, last_heard_ms=None) for peer in snapshot.report.peers)
    report = replace(snapshot.report, peers=silent, performance=PerformanceReport())
    found = scraped(replace(snapshot, report=report, pot=None, histograms={}))
    gone = ("recent_finality", "recent_verify", "peer_last_heard", "pot_minor", "verify_seconds")
    assert [name for name in found if name.removeprefix("consortium_").startswith(gone)] == []
    assert found["consortium_sealed_transactions_total"] == 0


def test_labels_have_few_values_that_name_no_client_and_no_payment() -> None:
    for family in families(make_snapshot()):
        for sample in family.samples:
            for label, value in sample.labels.items():
                assert value in LABELS[label], f"{sample.name} has {label}={value}"


def test_labels_are_not_those_that_prometheus_gives_the_targets() -> None:
    given = {"bank", "consortium", "instance", "job"}
    labels = {
        label
        for family in families(make_snapshot())
        for item in family.samples
        for label in item.labels
    }
    assert labels & given == set()


def test_names_follow_the_conventions() -> None:
    every = [READINGS, PERFORMANCE_READINGS, PEER_READINGS, MEMBER_READINGS]
    for reading in (item for readings in every for item in readings):
        assert re.fullmatch(r"[a-z]+(_[a-z]+)+|[a-z]+", reading.name)
        assert not reading.name.endswith(("_total", "_ms", "_count", "_sum"))
        assert (reading.divisor == 1) == (not reading.name.endswith("_seconds")), reading.name
        assert reading.text.endswith(".")
    for family in families(make_snapshot()):
        assert family.name.startswith("consortium_")
        assert family.documentation


def test_every_metric_is_there_once() -> None:
    names = [family.name for family in families(make_snapshot())]
    assert len(names) == len(set(names))


def test_counts_must_fit_the_bounds() -> None:
    snapshot = replace(
        make_snapshot(), histograms={"vote_seconds": HistogramReading((1.0,), (1,), 1.0)}
    )
    with pytest.raises(ValueError, match="shorter"):
        families(snapshot)


def test_histograms_of_a_bank_are_described() -> None:
    assert all(text.endswith(".") for text in HISTOGRAM_TEXTS.values())
