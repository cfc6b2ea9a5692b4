"""Verification of many items in one multi-scalar multiplication, and of whole blocks (IDX1 8.8,
10).

Items are anything collected: transactions (`crypto.validation.collect`), ballots
(`crypto.ballot.collect_ballot`). They share one accumulator; how an item adds itself to it is
described in `crypto.accumulator`. A failing batch is halved until the failing items stand alone,
and each of those is tested by the kinds of its equations, so a batch names exactly the items that
would fail alone.

`judge_block` gives a block the meaning of judging its transactions one after the other, in order,
where a transaction that fails anything occupies neither its nullifiers nor its one-time keys (IDX1
8.5).
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from crypto.accumulator import Accumulator, BatchItem, EquationsFail
from crypto.collected import CollectedTransaction
from crypto.curve import require_subgroup
from crypto.errors import BatchRejected, BlockRejected, Reason, Rejected
from crypto.randomness import SYSTEM_RANDOMNESS, RandomBytes
from crypto.ring import ClosedBin, OpenBin
from crypto.subgroup import require_all_in_subgroup
from crypto.transaction import Mint, Transfer, decode_transaction
from crypto.validation import (
    LedgerView,
    PreparedTransaction,
    SubgroupCheck,
    check_uniqueness,
    collect,
    draw_challenges,
    prepare,
)


def verify_batch(items: Sequence[BatchItem], random_bytes: RandomBytes = SYSTEM_RANDOMNESS) -> None:
    """Verify the equations of all items together, and the subgroup of points that they left
    unchecked (IDX1 10.4-10.7, `crypto.subgroup`).

    `random_bytes` draws the weights, after the items are fixed. Raises BatchRejected naming exactly
    the items that fail and the first failing kind of each (IDX1 8.7).
    """
    failures = _outside_subgroup(items, random_bytes)
    inside = [index for index in range(len(items)) if index not in failures]
    failures |= _failures_among(items, inside, random_bytes, known_bad=False)
    if failures:
        raise BatchRejected(dict(sorted(failures.items())))


def _outside_subgroup(
    items: Sequence[BatchItem], random_bytes: RandomBytes
) -> dict[int, Reason]:
    points = [point for item in items for point in item.unchecked_points]
    with suppress(Rejected):
        require_all_in_subgroup(points, random_bytes)
        return {}
    failures = {}
    for index, item in enumerate(items):
        try:
            for point in item.unchecked_points:
                require_subgroup(point)
        except Rejected as error:
            failures[index] = error.reason
    return failures


def _holds(
    items: Sequence[BatchItem],
    indices: Sequence[int],
    random_bytes: RandomBytes,
    only: Reason | None = None,
) -> bool:
    accumulator = Accumulator(random_bytes)
    for index in indices:
        items[index].accumulate(accumulator, only)
    try:
        accumulator.check()
    except EquationsFail:
        return False
    return True


def _failures_among(
    items: Sequence[BatchItem],
    indices: Sequence[int],
    random_bytes: RandomBytes,
    *,
    known_bad: bool,
) -> dict[int, Reason]:
    if not indices or (not known_bad and _holds(items, indices, random_bytes)):
        return {}
    if len(indices) == 1:
        return _first_failing_kind(items, indices[0], random_bytes)
    middle = len(indices) // 2
    left = _failures_among(items, indices[:middle], random_bytes, known_bad=False)
    # if the left half holds, the failure lies in the right one: no need to ask it as a whole
    right = _failures_among(items, indices[middle:], random_bytes, known_bad=not left)
    return left | right


def _first_failing_kind(
    items: Sequence[BatchItem], index: int, random_bytes: RandomBytes
) -> dict[int, Reason]:
    for kind in items[index].equation_kinds:
        if not _holds(items, (index,), random_bytes, kind):
            return {index: kind}
    return {}


def verify_transaction(
    data: bytes,
    view: LedgerView,
    random_bytes: RandomBytes = SYSTEM_RANDOMNESS,
    *,
    points_checked: bool = False,
) -> CollectedTransaction:
    """Judge one transaction by all of IDX1 8.1-8.7; raises Rejected with the first reason."""
    subgroup = SubgroupCheck.DONE if points_checked else SubgroupCheck.AT_ONCE
    item = collect(data, view, subgroup=subgroup)
    try:
        verify_batch((item,), random_bytes)
    except BatchRejected as error:
        raise Rejected(error.failures[0], "an equation does not hold") from None
    return item


class BlockView:
    """A ledger view that also knows what the transactions before in the same block occupy."""

    def __init__(self, view: LedgerView) -> None:
        self._view = view
        self._nullifiers: set[bytes] = set()
        self._keys: set[bytes] = set()

    @property
    def chain_id(self) -> bytes:
        """The ledger's id."""
        return self._view.chain_id

    @property
    def height(self) -> int:
        """The height of the block."""
        return self._view.height

    @property
    def ring_base(self) -> int:
        """The genesis parameter n."""
        return self._view.ring_base

    def find_bin(self, bin_id: int) -> ClosedBin | OpenBin | None:
        """The bin in the state before the block."""
        return self._view.find_bin(bin_id)

    def is_issuer(self, asset: bytes, issuer: bytes) -> bool:
        """Whether the key is registered for the asset."""
        return self._view.is_issuer(asset, issuer)

    def is_spent(self, nullifier: bytes) -> bool:
        """Whether the nullifier is spent on the ledger or occupied in the block."""
        return nullifier in self._nullifiers or self._view.is_spent(nullifier)

    def is_known_note(self, one_time_key: bytes) -> bool:
        """Whether the key is on the ledger or occupied in the block."""
        return one_time_key in self._keys or self._view.is_known_note(one_time_key)

    def occupy(self, transaction: Transfer | Mint) -> None:
        """Take the nullifiers and one-time keys of an accepted transaction."""
        self._nullifiers.update(item.nullifier for item in transaction.inputs)
        self._keys.update(output.one_time_key for output in transaction.outputs)


class _Candidate:
    """A transaction of a block: what can be said of it without looking at the others."""

    def __init__(self, data: bytes, view: LedgerView, points_checked: bool) -> None:
        self._outcome: PreparedTransaction | Rejected
        self._collected: CollectedTransaction | Rejected | None = None
        subgroup = SubgroupCheck.DONE if points_checked else SubgroupCheck.WITH_BATCH
        try:
            transaction = decode_transaction(data, view.ring_base)
            self._outcome = prepare(transaction, view, subgroup=subgroup)
        except Rejected as error:
            self._outcome = error

    @property
    def prepared(self) -> PreparedTransaction:
        """Steps 8.1-8.4; raises Rejected."""
        if isinstance(self._outcome, Rejected):
            raise self._outcome
        return self._outcome

    def collect(self) -> CollectedTransaction:
        """Step 8.6 and the challenges, drawn once; raises Rejected."""
        if self._collected is None:
            try:
                self._collected = draw_challenges(self.prepared)
            except Rejected as error:
                self._collected = error
        if isinstance(self._collected, Rejected):
            raise self._collected
        return self._collected

    def collect_unique(self, view: LedgerView) -> CollectedTransaction:
        """Steps 8.5 and 8.6 after what came before them; raises Rejected with the first reason."""
        prepared = self.prepared
        try:
            check_uniqueness(prepared.transaction, view)
            return self.collect()
        except Rejected:
            prepared.require_subgroup()
            raise


def _judge_in_order(
    candidates: Sequence[_Candidate], view: LedgerView, equation_failures: Mapping[int, Reason]
) -> tuple[dict[int, CollectedTransaction], dict[int, Reason]]:
    """Accepted items and failures by index, equations holding unless named in `equation_failures`.
    """
    block_view = BlockView(view)
    accepted: dict[int, CollectedTransaction] = {}
    failures: dict[int, Reason] = {}
    for index, candidate in enumerate(candidates):
        try:
            item = candidate.collect_unique(block_view)
        except Rejected as error:
            failures[index] = error.reason
            continue
        if index in equation_failures:
            failures[index] = equation_failures[index]
            continue
        accepted[index] = item
        block_view.occupy(item.transaction)
    return accepted, failures


def _equation_failures(
    items: Mapping[int | str, BatchItem], random_bytes: RandomBytes
) -> dict[int | str, Reason]:
    keys = list(items)
    try:
        verify_batch([items[key] for key in keys], random_bytes)
    except BatchRejected as error:
        return {keys[position]: reason for position, reason in error.failures.items()}
    return {}


def _collected_but(
    candidates: Sequence[_Candidate], known: Mapping[int, CollectedTransaction]
) -> dict[int | str, BatchItem]:
    items: dict[int | str, BatchItem] = {}
    for index, candidate in enumerate(candidates):
        if index not in known:
            with suppress(Rejected):
                items[index] = candidate.collect()
    return items


def judge_block(
    transactions: Sequence[bytes],
    view: LedgerView,
    ballots: Sequence[BatchItem] = (),
    random_bytes: RandomBytes = SYSTEM_RANDOMNESS,
    *,
    points_checked: Callable[[bytes], bool] = lambda data: False,
) -> tuple[CollectedTransaction, ...]:
    """Judge a block as if its transactions were judged one by one, in order (IDX1 8.5, 8.8).

    `ballots` are collected ballots, each judged alone, without the codes for repeated tags.
    `points_checked` tells whether these bytes passed the subgroup checks before. Raises
    BlockRejected naming every failing transaction by its index and every failing ballot as
    `ballot:<index>`; otherwise returns the collected transactions. A valid block costs one
    multi-scalar multiplication and the random sums of its strict points.
    """
    candidates = [_Candidate(data, view, points_checked(data)) for data in transactions]
    accepted, failures = _judge_in_order(candidates, view, {})
    items: dict[int | str, BatchItem] = dict(accepted.items())
    items.update((f"ballot:{index}", ballot) for index, ballot in enumerate(ballots))
    wrong = _equation_failures(items, random_bytes)
    wrong_transactions = {key: reason for key, reason in wrong.items() if isinstance(key, int)}
    if wrong_transactions:
        # who fails frees what it occupied, so whoever was refused for it has to be looked at again
        others = _equation_failures(_collected_but(candidates, accepted), random_bytes)
        for key, reason in others.items():
            if isinstance(key, int):
                wrong_transactions[key] = reason
        accepted, failures = _judge_in_order(candidates, view, wrong_transactions)
    named = {str(index): reason for index, reason in sorted(failures.items())}
    named.update((key, reason) for key, reason in wrong.items() if isinstance(key, str))
    if named:
        raise BlockRejected(named)
    return tuple(accepted.values())
