"""Reports of the doctor for tests of what is made of them."""

from __future__ import annotations

from node.cli.doctor_report import DoctorReport

CLEAN = DoctorReport(
    height=9,
    banks=12,
    banks_answered=12,
    full=False,
    blocks=10,
    seals_verified=108,
    ballots_verified=80,
    settlements_verified=1,
    roots_recomputed=60,
    proofs_verified=14,
    proofs_audited=168,
    state_root="5a" * 32,
    transactions=14,
    notes=48,
    nullifiers=5,
    seconds=1.25,
    findings=(),
)
