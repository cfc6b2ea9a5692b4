"""Hostile transactions against a running consortium, over real gRPC (IDX1 8, BFT-12 12).

Every case gets exactly its documented status and reason, changes nothing at any bank and leaves
no traceback; afterwards the transactions that the cases were made of are sealed.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import psutil
import pytest
import pytest_asyncio

from crypto.transaction import Kind, transaction_id
from node.ledger.types import Height
from node.runtime import admission
from node.wire import ledger_pb2, peer_pb2
from node.wire.records import TransactionState
from tests.attacks.conftest import require_calm
from tests.attacks.consortium import BANKS, Consortium
from tests.attacks.forgeries import forge_mint, sealed_outputs
from tests.attacks.hostile_bytes import Bases, Case, require_exact_offsets, table
from tests.attacks.hostile_statements import statements
from tests.ledger.chain import FAR, issuer_secret
from tests.rpc.faults import SeenFault, fault_of_call

pytestmark = pytest.mark.postgres
in_module_loop = pytest.mark.asyncio(loop_scope="module")

SUBMIT = "/consortium.v1.Ledger/SubmitTransaction"
SUBMIT_MANY = "/consortium.v1.Ledger/SubmitTransactions"
MAX_TRANSACTION_BYTES = 16_984
"""IDX1 5.2 with ring base 16: four inputs, four outputs."""
REPETITIONS = 12
"""An allocator takes its time to settle; what keeps refused bytes grows in every repetition."""
EQUATIONS = ("range", "spend", "issue")
"""Refused after all the work of a verification; a part of these is enough for memory."""

Tip = tuple[int, bytes, int]
CASES = [*table(), *statements()]
REQUESTS = {
    "no bytes at all": (b"", "INVALID_ARGUMENT", "malformed"),
    "an empty transaction": (b"\x0a\x00", "INVALID_ARGUMENT", "malformed"),
    "one byte": (b"\x0a\x01\x01", "INVALID_ARGUMENT", "length"),
    "a truncated message": (b"\x0a\x7f\x01\x01", "INVALID_ARGUMENT", "malformed"),
    "a length beyond the message": (
        b"\x0a\xff\xff\xff\xff\x0f",
        "INVALID_ARGUMENT",
        "malformed",
    ),
    "an unknown wire type": (b"\x0f" * 9, "INVALID_ARGUMENT", "malformed"),
    "a group that never ends": (b"\x0b" * 500, "INVALID_ARGUMENT", "malformed"),
    "text": (b"GET / HTTP/1.1\r\n\r\n", "INVALID_ARGUMENT", "malformed"),
    "a transaction field that is a number": (b"\x08\x01", "INVALID_ARGUMENT", "malformed"),
    "another method's request": (
        ledger_pb2.GetBlockRequest(height=1).SerializeToString(),
        "INVALID_ARGUMENT",
        "malformed",
    ),
    "a peer's frame": (
        peer_pb2.PeerFrame(hello=peer_pb2.Hello(bank=1)).SerializeToString(),
        "INVALID_ARGUMENT",
        "length",
    ),
    "unknown fields only": (b"\x7a\x02ab", "INVALID_ARGUMENT", "malformed"),
    "one byte above every transaction": (
        ledger_pb2.SubmitTransactionRequest(
            transaction=bytes(MAX_TRANSACTION_BYTES + 1)
        ).SerializeToString(),
        "INVALID_ARGUMENT",
        "malformed",
    ),
    "zeros as long as a transaction": (
        ledger_pb2.SubmitTransactionRequest(
            transaction=bytes(MAX_TRANSACTION_BYTES)
        ).SerializeToString(),
        "INVALID_ARGUMENT",
        "version",
    ),
    "one byte above the method's limit": (
        bytes(MAX_TRANSACTION_BYTES + 65),
        "INVALID_ARGUMENT",
        "too-large",
    ),
    "a megabyte": (bytes(1 << 20), "INVALID_ARGUMENT", "too-large"),
    "just below gRPC's limit": (bytes(4 << 20), "INVALID_ARGUMENT", "too-large"),
}
"""Requests that are no submission, by what they hold."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bases(consortium: Consortium) -> Bases:
    """Valid transactions, made once; judged valid by the follower before anything is altered."""
    chain = consortium.follower
    notes = [note for note in chain.mature() if note.bin_id == 0][:2]
    made = Bases(
        chain,
        transfer=chain.transfer(notes),
        issue=chain.mint([600, 400]),
        payout=chain.mint([300, 400], bank=1, kind=Kind.PAYOUT),
    )
    require_exact_offsets(made)
    chain.verify(made.transfer, made.issue, made.payout)
    return made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def submit(consortium: Consortium) -> AsyncIterator[Any]:
    """The raw method at each bank in turn: bytes in, bytes out."""
    methods = [consortium.channel(bank).unary_unary(SUBMIT) for bank in range(BANKS)]
    turn = iter(range(1 << 30))
    yield lambda request: methods[next(turn) % BANKS](request, timeout=20)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def quiet(consortium: Consortium, bases: Bases) -> list[Tip]:
    """Where every bank stands before the attack, and must stand after each case."""
    return await consortium.tips()


def request_of(raw: bytes) -> bytes:
    return ledger_pb2.SubmitTransactionRequest(transaction=raw).SerializeToString()


def answer(fault: SeenFault) -> tuple[str, str]:
    return fault.status, fault.reason


def test_the_tables_are_long_and_their_names_unique() -> None:
    names = [case.name for case in CASES] + list(REQUESTS)
    assert len(names) == len(set(names)) >= 200


@in_module_loop
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
async def test_a_hostile_transaction_gets_its_answer_and_changes_nothing(
    consortium: Consortium,
    quiet: list[Tip],
    bases: Bases,
    submit: Any,
    case: Case,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fault = await fault_of_call(submit(request_of(case.build(bases))))
    assert answer(fault) == (case.status, case.reason), fault
    assert (fault.retry_delay_ms is not None) == (case.reason in ("bin-open", "bin-unknown"))
    assert await consortium.tips() == quiet
    require_calm(caplog)


@in_module_loop
@pytest.mark.parametrize("name", REQUESTS)
async def test_a_request_that_is_no_submission_gets_its_answer(
    consortium: Consortium,
    quiet: list[Tip],
    submit: Any,
    name: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    request, status, reason = REQUESTS[name]
    fault = await fault_of_call(submit(request))
    assert answer(fault) == (status, reason), fault
    assert await consortium.tips() == quiet
    require_calm(caplog)


@in_module_loop
async def test_grpc_itself_refuses_a_message_above_its_limit(
    consortium: Consortium, submit: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Above 4 MiB nothing reaches the bank's code, and the answer is gRPC's own."""
    before = await consortium.snapshots()
    for size in ((4 << 20) + 1, 32 << 20):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await submit(bytes(size))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await consortium.snapshots() == before
    require_calm(caplog)


@in_module_loop
async def test_random_garbage_is_refused_by_its_form(
    consortium: Consortium, submit: Any, caplog: pytest.LogCaptureFixture
) -> None:
    before = await consortium.snapshots()
    seen = set()
    for size in range(1, MAX_TRANSACTION_BYTES, 521):
        fault = await fault_of_call(submit(request_of(os.urandom(size))))
        assert fault.status == "INVALID_ARGUMENT"
        seen.add(fault.reason)
    assert seen <= {"length", "version", "kind", "count"}
    assert await consortium.snapshots() == before
    require_calm(caplog)


@in_module_loop
async def test_replayed_sealed_bytes_are_answered_with_their_seal(
    consortium: Consortium, submit: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Submission is idempotent: a replay is no error, and it is not executed again."""
    before = await consortium.snapshots()
    for height in range(1, before[0].height + 1):
        stored = await consortium.clients[0].block(Height(height), include_transactions=True)
        for raw in stored.transactions:
            answered = ledger_pb2.SubmitTransactionResponse.FromString(
                await submit(request_of(raw))
            )
            assert answered.receipt.transaction_id == transaction_id(raw)
            assert answered.receipt.state == TransactionState.SEALED
    assert await consortium.snapshots() == before
    require_calm(caplog)


@in_module_loop
async def test_memory_stays_flat_while_the_table_is_repeated(
    consortium: Consortium, bases: Bases, submit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repetition that leaves less than a tenth of its bytes behind: about 1 kB a refusal."""
    monkeypatch.setattr(admission, "GATHER_S", 0.0)
    proven = [case for case in CASES if case.reason in EQUATIONS]
    others = [case for case in CASES if case.reason not in EQUATIONS]
    hostile = [request_of(case.build(bases)) for case in (*others, *proven[::8])]
    hostile += [request for request, _, _ in REQUESTS.values()]
    sent_bytes = sum(map(len, hostile))
    before = await consortium.snapshots()
    await refuse_all(submit, hostile)
    growth = []
    for _ in range(REPETITIONS):
        resident = resident_bytes()
        await refuse_all(submit, hostile)
        growth.append(resident_bytes() - resident)
        if growth[-1] < sent_bytes / 10:
            break
    assert min(growth) < sent_bytes / 10, growth
    assert await consortium.snapshots() == before


async def refuse_all(submit: Any, requests: list[bytes]) -> None:
    for start in range(0, len(requests), 50):
        answers = await asyncio.gather(
            *(submit(request) for request in requests[start : start + 50]), return_exceptions=True
        )
        assert {type(item) for item in answers} == {grpc.aio.AioRpcError}


def resident_bytes() -> int:
    """Resident memory after everything unused has gone back to the operating system."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    return int(psutil.Process().memory_info().rss)


@in_module_loop
async def test_a_refused_item_does_not_end_the_stream(
    consortium: Consortium, bases: Bases, caplog: pytest.LogCaptureFixture
) -> None:
    """`SubmitTransactions`: each item has its answer, whatever the others are."""
    before = await consortium.snapshots()
    stored = await consortium.clients[0].block(Height(1), include_transactions=True)
    items = {number: case.build(bases) for number, case in enumerate(CASES) if number % 10 == 0}
    expected: dict[int, str] = {number: CASES[number].reason for number in items}
    items[10_001], expected[10_001] = b"", "malformed"
    items[10_002], expected[10_002] = os.urandom(MAX_TRANSACTION_BYTES + 1), "malformed"
    items[10_003], expected[10_003] = stored.transactions[0], "sealed"

    async def requests() -> AsyncIterator[bytes]:
        for number, raw in items.items():
            yield ledger_pb2.SubmitTransactionsRequest(
                item=number, transaction=raw
            ).SerializeToString()

    stream = consortium.channel(2).stream_stream(SUBMIT_MANY)(requests(), timeout=30)
    seen: dict[int, str] = {}
    async for response in stream:
        parsed = ledger_pb2.SubmitTransactionsResponse.FromString(response)
        if parsed.WhichOneof("outcome") == "rejection":
            seen[parsed.item] = parsed.rejection.reason
        else:
            assert parsed.receipt.state == TransactionState.SEALED
            seen[parsed.item] = "sealed"
    assert seen == expected
    assert await consortium.snapshots() == before
    require_calm(caplog)


@in_module_loop
async def test_garbage_between_the_items_ends_the_stream_with_its_reason(
    consortium: Consortium, caplog: pytest.LogCaptureFixture
) -> None:
    """Bytes that are no item have no number to answer to."""
    for garbage, reason in ((b"\xff" * 40, "malformed"), (bytes(1 << 20), "too-large")):

        async def requests(garbage: bytes = garbage) -> AsyncIterator[bytes]:
            yield garbage

        stream = consortium.channel(1).stream_stream(SUBMIT_MANY)(requests(), timeout=30)
        fault = await fault_of_call(stream.read())
        assert answer(fault) == ("INVALID_ARGUMENT", reason)
    require_calm(caplog)


# --- from here on the ledger moves -------------------------------------------------------------


async def outcomes(consortium: Consortium, raws: list[bytes]) -> list[str]:
    """Submit one each at every bank at the same moment; return how each ended."""
    answers = await asyncio.gather(
        *(consortium.clients[bank % BANKS].submit(raw) for bank, raw in enumerate(raws)),
        return_exceptions=True,
    )
    ends = []
    for bank, (raw, given) in enumerate(zip(raws, answers, strict=True)):
        if isinstance(given, BaseException):
            ends.append(getattr(given, "reason", repr(given)))
            continue
        status = await consortium.final_status(raw, bank % BANKS)
        refusal = status.refusal
        ends.append("sealed" if refusal is None else refusal.reason)
    return ends


@in_module_loop
async def test_one_note_spent_at_every_bank_at_the_same_moment_is_spent_once(
    consortium: Consortium, caplog: pytest.LogCaptureFixture
) -> None:
    chain = consortium.follower
    note = next(item for item in chain.mature() if item.bin_id == 1)
    rivals = [chain.transfer([note], split=1 + bank % 2) for bank in range(BANKS)]
    spent = (await consortium.clients[0].node_status()).height
    assert sorted(await outcomes(consortium, rivals)) == ["nullifier"] * (BANKS - 1) + ["sealed"]
    await consortium.require_agreement()
    await consortium.follow()
    assert chain.height > spent
    assert len([item for item in chain.history.spent if item == note.nullifier]) == 1
    require_calm(caplog)


@in_module_loop
async def test_one_output_key_issued_at_every_bank_at_the_same_moment_is_sealed_once(
    consortium: Consortium, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody who sees a pending transaction publishes its key first (IDX1 12.4)."""
    chain = consortium.follower
    outputs = sealed_outputs(chain, [7])
    rivals = [
        forge_mint(
            chain, outputs, [7], amount=7, issuer_secret=issuer_secret(bank), expiry=FAR - bank
        )
        for bank in range(BANKS)
    ]
    assert sorted(await outcomes(consortium, rivals)) == ["note"] * (BANKS - 1) + ["sealed"]
    await consortium.require_agreement()
    await consortium.follow()
    require_calm(caplog)


@in_module_loop
async def test_two_spends_of_one_note_in_one_stream(
    consortium: Consortium, caplog: pytest.LogCaptureFixture
) -> None:
    """Both may be verified in one batch; the mempool takes the first."""
    chain = consortium.follower
    note = next(item for item in chain.mature() if item.bin_id == 1)
    raws = [chain.transfer([note]), chain.transfer([note], split=1)]
    client = consortium.clients[3]
    answers = [outcome async for outcome in client.submit_many(raws)]
    errors = [item.error for item in answers if item.error is not None]
    assert [getattr(error, "reason", error) for error in errors] == ["nullifier"]
    (admitted,) = [item.item for item in answers if item.error is None]
    status = await consortium.final_status(raws[admitted], 3)
    assert status.state is TransactionState.SEALED
    await consortium.require_agreement()
    await consortium.follow()
    require_calm(caplog)


@in_module_loop
async def test_two_issues_that_exceed_the_limit_together(
    consortium: Consortium, caplog: pytest.LogCaptureFixture
) -> None:
    """Each would do by itself; one is sealed, the other evicted with its reason."""
    chain = consortium.follower
    raws = [chain.mint([600_000], bank=3), chain.mint([500_000], bank=3)]
    assert sorted(await outcomes(consortium, raws)) == ["issuance-limit", "sealed"]
    await consortium.require_agreement()
    await consortium.follow()
    require_calm(caplog)


@in_module_loop
async def test_the_transactions_that_the_cases_were_made_of_are_sealed(
    consortium: Consortium, bases: Bases, caplog: pytest.LogCaptureFixture
) -> None:
    """So every refusal above was for what had been done to the bytes; and the banks still work."""
    await consortium.seal(bases.transfer, bases.issue, bases.payout)
    await consortium.require_agreement()
    require_calm(caplog)
