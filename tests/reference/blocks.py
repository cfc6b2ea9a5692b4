"""Whole transactions and blocks, judged one after the other (IDX1 8.5, 8.7, 8.8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tests.reference.ballots import BallotContext, check_ballot
from tests.reference.equations import check_equations
from tests.reference.framing import Refused
from tests.reference.rules import Checked, State, check


def judge(raw: bytes, state: State) -> Checked:
    """8.1-8.7; raises Refused with the first failing step's code."""
    checked = check(raw, state)
    check_equations(checked)
    return checked


def judge_block(
    transactions: Sequence[bytes], ballots: Sequence[bytes], state: State, context: BallotContext
) -> dict[str, str]:
    """The code of every bad item by its key ("3", "ballot:0"); empty for an accepted block."""
    bad = {}
    seen = replace(state, spent=set(state.spent), notes=set(state.notes))
    for index, raw in enumerate(transactions):
        try:
            checked = judge(raw, seen)
        except Refused as refused:
            bad[str(index)] = refused.code
            continue
        seen.spent.update(spent.J for spent in checked.parsed.inputs)
        seen.notes.update(output[:96] for output in checked.parsed.outputs)
    for index, ballot in enumerate(ballots):
        try:
            check_ballot(ballot, context)
        except Refused as refused:
            bad[f"ballot:{index}"] = refused.code
    return bad
