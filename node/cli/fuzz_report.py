"""The account of a fuzzing campaign, for people and as JSON."""

from __future__ import annotations

from collections import Counter

from node.cli.fuzz_run import FuzzResult
from node.cli.table import answer_table
from node.cli.terminal import answer
from node.client.fuzzing.campaign import Tally

TOP_REASONS = 4
SHOWN_FAULTS = 20


def show(result: FuzzResult) -> None:
    """Print the table, what was wrong, and the summary."""
    account = result.account
    if result.replayed is not None:
        message = result.replayed
        answer(f"{message.method} as {message.role}, to bank {message.bank}")
        answer(f"made from {message.kind} by {message.mutation}: {message.request.hex()}")
        answer("")
    rows = [
        (
            method.removeprefix("/consortium.v1."),
            kind,
            str(tally.sent),
            str(tally.accepted),
            str(tally.sent - tally.accepted),
            _reasons(tally),
        )
        for (method, kind), tally in sorted(account.tallies.items())
    ]
    headings = ("method", "made from", "sent", "harmless", "refused", "as")
    answer_table(headings, rows, right=(2, 3, 4))
    answer("")
    for fault in account.faults[:SHOWN_FAULTS]:
        answer(
            f"WRONG ANSWER {result.order.seed}:{fault.message.index} "
            f"{fault.message.method}: {fault.text}"
        )
    for change in result.changes:
        answer(f"CHANGED: {change}")
    rate = account.sent / max(result.elapsed_s, 0.001)
    answer(
        f"{account.sent} messages in {result.elapsed_s:.0f} s ({rate:.0f}/s), seed "
        f"{result.order.seed}, corpus {result.corpus.fingerprint} at height "
        f"{result.corpus.tip_height}"
    )
    answer(
        f"{account.fault_count} wrong answers, {len(result.changes)} changes; height "
        f"{result.before.height} to {result.after.height} by empty blocks; memory of a bank grew "
        f"by at most {_growth(result) / 2**20:.1f} MiB"
    )
    if result.sealed_height is not None:
        answer(f"an honest transaction was sealed afterwards in block {result.sealed_height}")
    if not result.harmless:
        answer(f"send one again with `consortium fuzz --replay {result.order.seed}:INDEX`")


def _reasons(tally: Tally) -> str:
    shown = tally.refused.most_common(TOP_REASONS)
    left = len(tally.refused) - len(shown)
    words = [f"{reason.rpartition(' ')[2]} {count}" for reason, count in shown]
    return ", ".join([*words, f"{left} more"] if left else words)


def _growth(result: FuzzResult) -> int:
    return max(
        new.process.resident_bytes - old.process.resident_bytes
        for old, new in zip(result.before.reports, result.after.reports, strict=True)
    )


def to_json_object(result: FuzzResult) -> dict[str, object]:
    """Return everything as one JSON object."""
    account = result.account
    statuses: Counter[str] = Counter()
    for tally in account.tallies.values():
        statuses.update(tally.refused)
    return {
        "seed": result.order.seed,
        "first": result.order.first,
        "messages": account.sent,
        "seconds": round(result.elapsed_s, 1),
        "corpus": result.corpus.fingerprint,
        "corpus_height": result.corpus.tip_height,
        "harmless": result.harmless,
        "wrong_answers": account.fault_count,
        "faults": [
            {
                "index": fault.message.index,
                "method": fault.message.method,
                "role": str(fault.message.role),
                "mutation": fault.message.mutation,
                "text": fault.text,
            }
            for fault in account.faults
        ],
        "changes": list(result.changes),
        "height_before": result.before.height,
        "height_after": result.after.height,
        "memory_growth_bytes": _growth(result),
        "honest_transaction_height": result.sealed_height,
        "methods": [
            {
                "method": method,
                "made_from": kind,
                "sent": tally.sent,
                "harmless": tally.accepted,
                "refused": dict(tally.refused),
            }
            for (method, kind), tally in sorted(account.tallies.items())
        ],
        "mutations": dict(account.mutations.most_common()),
        "refused": dict(statuses.most_common()),
    }
