"""Checks of transactions, alone and in one batch, and of blocks (IDX1 5-8, 10)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from crypto.ballot import CollectedBallot, collect_ballot
from crypto.batch import judge_block, verify_batch, verify_transaction
from crypto.collected import CollectedTransaction
from crypto.errors import BatchRejected, BlockRejected, Rejected
from crypto.scalar import encode_scalar
from crypto.validation import collect
from node.cli.vector_checks.document import (
    Check,
    Json,
    VectorFile,
    expect,
    expect_stated,
    unhex,
)
from node.cli.vector_checks.notes import scan_with


def transaction_checks(file: VectorFile) -> Iterator[Check]:
    """The verdict on each, all that is computed on the way, and all in one batch (IDX1 8)."""
    yield from file.checks(_check_transaction, "transactions")
    if file.entries("transactions"):
        yield Check("transactions in one batch", partial(_check_one_batch, file))


def _check_transaction(file: VectorFile, case: Json) -> None:
    item, reason = None, None
    try:
        item = verify_transaction(unhex(case["bytes"]), file.ledger_of(case))
    except Rejected as error:
        reason = error.reason.value
    expect("reason", reason, case["reason"])
    expect("valid", item is not None, case["valid"])
    if item is not None:
        expect_stated(_fields(item), case)
        expect_stated({"received": _received_by_anybody(file, item)}, case)


def _fields(item: CollectedTransaction) -> dict[str, object]:
    fields: dict[str, object] = {
        "kind": int(item.transaction.kind),
        "core": item.core.hex(),
        "digest": item.digest.hex(),
        "txid": item.transaction_id.hex(),
        "mu": [encode_scalar(spend.mix).hex() for spend in item.spend_equations],
        "xi": [encode_scalar(spend.challenge).hex() for spend in item.spend_equations],
        "J": [spent.nullifier.hex() for spent in item.transaction.inputs],
        "range_h1": item.range_equation.h1.hex(),
        "range_x": encode_scalar(item.range_equation.challenge).hex(),
    }
    if item.issue_equation is not None:
        fields["issue_c"] = encode_scalar(item.issue_equation.challenge).hex()
    return fields


def _received_by_anybody(file: VectorFile, item: CollectedTransaction) -> list[Json]:
    asset = item.transaction.asset
    found: list[Json] = []
    for index, output in enumerate(item.transaction.outputs):
        for wallet in range(len(file.wallets)):
            note = scan_with(file, wallet, output, index, asset)
            if note is not None:
                place = {"wallet": wallet, "index": index}
                found.append({**place, "value": note.value, "memo": note.memo.hex()})
    return found


def _check_one_batch(file: VectorFile) -> None:
    names: list[str] = []
    items: list[CollectedTransaction] = []
    stated: dict[str, str] = {}
    for name, case in file.entries("transactions"):
        try:
            items.append(collect(unhex(case["bytes"]), file.ledger_of(case)))
        except Rejected:
            continue
        names.append(name)
        if case["reason"] is not None:
            stated[name] = case["reason"]
    computed: dict[str, str] = {}
    try:
        verify_batch(items)
    except BatchRejected as error:
        computed = {names[position]: why.value for position, why in error.failures.items()}
    expect("the failing ones", computed, stated)


def block_checks(file: VectorFile) -> Iterator[Check]:
    """Blocks of transactions and ballots, judged in order (IDX1 8.5, 8.8)."""
    return file.checks(_check_block, "blocks")


def _check_block(file: VectorFile, case: Json) -> None:
    bad: dict[str, str] = {}
    ballots: dict[str, CollectedBallot] = {}
    for position, name in enumerate(case["ballots"]):
        context = file.ballot_context(file.ballots)
        data = unhex(file.ballots["named"][name])
        try:
            ballots[f"ballot:{position}"] = collect_ballot(data, file.ballot_ring, context)
        except Rejected as error:
            bad[f"ballot:{position}"] = error.reason.value
    # `judge_block` numbers the ballots it is given, which are those that could be collected
    positions = {f"ballot:{index}": key for index, key in enumerate(ballots)}
    transactions = [file.transactions[name] for name in case["transactions"]]
    try:
        judge_block(transactions, file.ledger, list(ballots.values()))
    except BlockRejected as error:
        bad |= {positions.get(key, key): why.value for key, why in error.failures.items()}
    expect("bad", bad, case["bad"])
