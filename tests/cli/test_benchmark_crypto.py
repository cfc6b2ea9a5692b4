"""The benchmark of the proofs: its shape, and that its parts add up."""

from __future__ import annotations

import json

from node.cli.benchmark_crypto import format_crypto_benchmark, run_crypto_benchmark

BATCH_KEYS = {
    "us_per_transaction",
    "decode_us",
    "scalars_us",
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
        "ring_bases",
        "bytes",
    }
    assert {section: set(result[section]) for section in ("batch", "bins", "ring_bases")} == {
        "batch": {"1", "25"},
        "bins": {"2"},
        "ring_bases": {"4", "8"},
    }
    for row in (*result["batch"].values(), *result["bins"].values()):
        assert set(row) == BATCH_KEYS
        assert 0 < row["min"] <= row["us_per_transaction"] <= row["max"]
    assert set(result["prove_ms"]) == set(result["verify_one_ms"]) == {"median", "min", "max"}
    assert result["bytes"] == {"transfer_1in2out": 6318, "issue_2out": 5278}
    assert [result["ring_bases"][base]["transfer_bytes"] for base in ("4", "8")] == [6062, 6318]
    assert told[0] == "curve library"
    table = format_crypto_benchmark(result)
    assert "batch of 25, 2 bins" in table
    assert table.endswith("bytes: transfer_1in2out 6318, issue_2out 5278")
