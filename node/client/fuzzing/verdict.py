"""Which answers to a hostile message are wrong."""

from __future__ import annotations

import re

from node.client.fuzzing.delivery import Outcome

NEVER = frozenset({"INTERNAL", "UNKNOWN", "DATA_LOSS"})
"""Statuses that stand for a defect of the bank."""
UNTYPED = frozenset({"UNIMPLEMENTED", "CANCELLED"})
"""Refusals of gRPC itself, which carry no reason of ours."""
OVERSIZED = re.compile(r"larger than max|message larger|CLIENT: Sent message", re.IGNORECASE)
LEAK = re.compile(
    r"traceback|file \"|\.py\b|site-packages|postgresql|psycopg|sqlalchemy|select |insert |"
    r"keyerror|valueerror|typeerror|assertionerror|attributeerror",
    re.IGNORECASE,
)
"""What an answer must not show of the bank's inside."""


def fault_in(outcome: Outcome) -> str | None:
    """Return what is wrong with an answer; None if it is one that a bank may give."""
    if outcome.status in NEVER:
        return f"{outcome.status}: {outcome.text}"
    if LEAK.search(outcome.text):
        return f"the answer shows the inside of the bank: {outcome.text!r}"
    if not outcome.refused or outcome.reason or outcome.status in UNTYPED:
        return None
    if outcome.status == "RESOURCE_EXHAUSTED" and OVERSIZED.search(outcome.text):
        return None
    return f"{outcome.status} without a reason: {outcome.text!r}"
