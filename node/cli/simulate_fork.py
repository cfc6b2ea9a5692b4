"""`consortium simulate --profile fork`: too many Byzantine banks fork, and are convicted for it."""

from __future__ import annotations

from node.cli.failure import EXIT_FAILED, EXIT_USAGE, CommandFailed
from node.cli.simulate_report import FORK
from node.cli.terminal import answer, answer_json, progress
from node.ledger.active_set import quorum_size
from node.simulation.fork import ForkOutcome, run_fork


def simulate_fork(seeds: int, first_seed: int, bank_count: int, *, as_json: bool) -> None:
    """Look for a fork; exit code 0 if there is one and its authors alone are convicted."""
    required = 2 * quorum_size(bank_count) - bank_count
    if bank_count - required < 2:
        raise CommandFailed(
            f"2q-n of {bank_count} banks leave no two correct ones to disagree",
            "take 6 banks or more",
            EXIT_USAGE,
        )
    found: ForkOutcome | None = None
    run = 0
    with progress(FORK) as meter:
        for seed in range(first_seed, first_seed + seeds):
            meter(run, seeds)
            outcome = run_fork(seed, bank_count=bank_count, byzantine=required)
            run += 1
            if outcome.forked:
                found = outcome
                break
    convicted = found is not None and len(found.convicted) >= required
    if as_json:
        answer_json(_fork_object(found, run, bank_count, required))
    else:
        _report(found, run, bank_count, required)
    if found is None or not convicted or found.innocent_convicted:
        raise SystemExit(EXIT_FAILED)


def _fork_object(
    found: ForkOutcome | None, run: int, bank_count: int, required: int
) -> dict[str, object]:
    return {
        "profile": FORK,
        "banks": bank_count,
        "byzantine": required,
        "seeds": run,
        "forked": found is not None,
        "seed": None if found is None else found.seed,
        "height": None if found is None else found.height,
        "branches": []
        if found is None
        else [
            {"block": branch.block_id.hex(), "view": branch.view, "banks": list(branch.banks)}
            for branch in found.branches
        ],
        "convicted": [] if found is None else list(found.convicted),
        "innocent_convicted": [] if found is None else list(found.innocent_convicted),
        "evidence": []
        if found is None
        else [
            {
                "bank": item.bank,
                "offence": item.offence.value,
                "height": item.height,
                "bytes": len(item.raw),
                "id": item.evidence_id.hex(),
            }
            for item in found.evidence
        ],
    }


def _report(found: ForkOutcome | None, run: int, bank_count: int, required: int) -> None:
    if found is None:
        answer(f"no fork with {required} of {bank_count} banks Byzantine in {run} seeds")
        return
    banks = ", ".join(map(str, found.byzantine))
    answer(f"seed {found.seed}: banks {banks} are Byzantine and fork height {found.height}")
    for branch in found.branches:
        applied = ", ".join(map(str, branch.banks))
        answer(
            f"  block {branch.block_id.hex()[:16]} sealed in view {branch.view}, "
            f"applied by banks {applied}"
        )
    answer(f"convicted by what the correct banks hold: {len(found.convicted)} banks")
    for item in found.evidence:
        answer(
            f"  bank {item.bank}: {item.offence.value} at height {item.height}, "
            f"{len(item.raw)} bytes, {item.evidence_id.hex()[:16]}"
        )
    innocent = ", ".join(map(str, found.innocent_convicted)) or "none"
    answer(f"correct banks among them: {innocent}")
