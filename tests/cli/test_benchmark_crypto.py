"""The benchmark of the proofs: its shape, and that its parts add up."""

from __future__ import annotations

import json

import pytest

from node.cli.benchmark_crypto import format_crypto_benchmark, run_crypto_benchmark

BATCH_KEYS = {
    "us_per_transaction",
    "decode_us",
    "scalars_us",
    "subgroup_us",
    "msm_us",
    "min",
    "max",
    "elapsed_us",
    "repetitions",
}


def test_a_quick_run_has_the_documented_shape() -> None:
    told: list[str] = []
    result = run_crypto_benchmark(told.append, quick=True)
    assert json.loads(json.dumps(result)) == result
    assert set(result) == {
        "machine",
        "ring_base",
        "notes_in_ring",
        "prove_ms",
        "verify_one_ms",
        "batch",
        "bins",
        "aged_bins",
        "aged_bin_notes",
        "voting",
        "ring_bases",
        "bytes",
    }
    sections = ("batch", "bins", "aged_bins", "ring_bases")
    assert {section: set(result[section]) for section in sections} == {
        "batch": {"1", "25"},
        "bins": {"2"},
        "aged_bins": {"2"},
        "ring_bases": {"4", "8"},
    }
    for row in (*result["batch"].values(), *result["bins"].values()):
        assert set(row) == BATCH_KEYS
        assert 0 < row["min"] <= row["us_per_transaction"] <= row["max"]
    voting = result["voting"]
    assert {key: voting[key] for key in ("ballots", "bytes", "transactions")} == {
        "ballots": 10,
        "bytes": 1391,
        "transactions": 10,
    }
    assert set(voting["sign_ms"]) == set(voting["verify_quorum_ms"]) == {"median", "min", "max"}
    each_ms = voting["sign_ms"]["median"] + voting["verify_quorum_ms"]["median"]
    assert voting["added_us_per_transaction"] == pytest.approx(each_ms * 1000 / 10, abs=0.2)
    assert set(voting["block"]) == BATCH_KEYS
    assert set(result["prove_ms"]) == set(result["verify_one_ms"]) == {"median", "min", "max"}
    assert result["bytes"] == {"transfer_1in2out": 6318, "issue_2out": 5278, "ballot": 1391}
    assert [result["ring_bases"][base]["transfer_bytes"] for base in ("4", "8")] == [6062, 6318]
    assert told[0] == "curve library"
    table = format_crypto_benchmark(result)
    assert "batch of 25, 2 bins" in table
    assert "verify 10 ballots" in table
    assert table.endswith("bytes: transfer_1in2out 6318, issue_2out 5278, ballot 1391")
