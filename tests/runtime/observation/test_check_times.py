"""The stopwatch of a batch: which check took how long, and which one failed."""

from __future__ import annotations

from collections.abc import Sequence

from crypto.validation import Step
from node.ledger.proofs import AdmissionView, VerificationStep, verify_transactions
from node.ledger.rejection import Rejection
from node.runtime.observation.check_times import BatchTimes, ItemTimes, Stopwatch
from tests.ledger.chain import Chain
from tests.runtime.bank_parts import forged

ENCODING, RULES, SIGNATURES, JUDGED, PROOFS = VerificationStep
WHOLE = (
    *(ENCODING, RULES, Step.CONTEXT, Step.POINTS, Step.NULLIFIERS, Step.CHALLENGES),
    JUDGED,
)


def timed(*steps: Sequence[str]) -> BatchTimes:
    """Each step takes 1,000 ns more than the one before it, of the whole batch."""
    times = iter([1_000 * number * (number + 1) // 2 for number in range(100)])
    watch = Stopwatch(lambda: next(times))
    for of_item in steps:
        for step in of_item:
            watch.begin(step)
    watch.begin(PROOFS)
    return watch.stop()


def test_each_step_lasts_until_the_next_one_begins() -> None:
    assert timed(WHOLE) == BatchTimes((ItemTimes((1, 2, 3, 4, 5, 6), False, True),), 8, 1)


def test_what_is_refused_ends_with_the_check_that_it_failed() -> None:
    found = timed((ENCODING,), (ENCODING, RULES, Step.CONTEXT), WHOLE)
    assert found.items == (
        ItemTimes((1,), False, False),
        ItemTimes((2, 3, 4), False, False),
        ItemTimes((5, 6, 7, 8, 9, 10), False, True),
    )
    assert found.proven == 1, "one came to the equations"


def test_governance_has_signatures_and_no_equations() -> None:
    found = timed((ENCODING, RULES, SIGNATURES, JUDGED), (ENCODING, RULES, SIGNATURES), WHOLE)
    assert found.items[0] == ItemTimes((1, 2, 3), True, True)
    assert found.items[1] == ItemTimes((5, 6, 7), True, False)
    assert found.proven == 1


def test_an_empty_batch_has_no_items() -> None:
    assert timed() == BatchTimes((), 1, 0)


def test_verification_tells_every_step_it_really_takes() -> None:
    """Of a good transfer and a mint, of bytes that are none, and of a proof that does not hold."""
    ledger = Chain(seed="stopwatch")
    ledger.seal(ledger.mint([5_000, 5_000]))
    ledger.seal(after_ms=ledger.genesis.parameters.bin_age_ms)
    notes = ledger.mature()
    raws = [
        ledger.transfer(notes[:1]),
        b"no transaction",
        ledger.mint([7]),
        forged(ledger.transfer(notes[1:2])),
    ]
    facts = ledger.facts([ledger.decode(raw) for raw in raws if raw != b"no transaction"])
    view = AdmissionView(ledger.genesis, ledger.state, facts)
    watch = Stopwatch()
    verdicts = verify_transactions(raws, view, ledger.coins.take, watch.begin)
    times = watch.stop()
    assert [isinstance(item, Rejection) for item in verdicts] == [False, True, False, True]
    assert [(len(item.steps_us), item.judged) for item in times.items] == [
        *((6, True), (1, False)),
        *((6, True), (6, True)),
    ]
    assert (times.proven, times.proofs_us > 0) == (3, True)
