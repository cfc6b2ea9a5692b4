"""Every method over real gRPC and mutual TLS, and what happens when a bank fails."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from crypto.transaction import transaction_id as hash_transaction
from node.client.connection import ClientCredentials, Endpoint
from node.client.errors import (
    AccessDenied,
    LedgerFault,
    LedgerOverloaded,
    LedgerTimeout,
    LedgerUnavailable,
    NotYet,
    RecordNotFound,
    RequestInvalid,
    TransactionRefused,
    VerificationError,
)
from node.client.ledger_client import LedgerClient, TransactionRecord
from node.ledger.blocks import Block
from node.ledger.rejection import Reason, Rejection
from node.ledger.types import BankIndex, BlockId, Height, TransactionId
from node.rpc.backend import FoundTransaction, NotReady, Overloaded
from node.wire.records import (
    ADMISSION_NOTICE,
    LedgerParameters,
    PublishedBlock,
    Receipt,
    SettledYear,
    TransactionState,
    TransactionStatus,
    VotingStatus,
)
from tests.client.conftest import ServedBank
from tests.client.small_bank import SealedLedger, SmallBank


@pytest.fixture
def minted(ledger: SealedLedger) -> bytes:
    return ledger.chain.mint([5_000, 1_000])


@pytest.fixture
def minted_id(minted: bytes) -> TransactionId:
    return TransactionId(hash_transaction(minted))


@pytest_asyncio.fixture
async def impatient(
    home: ServedBank, other: ServedBank, credentials: ClientCredentials
) -> AsyncIterator[LedgerClient]:
    """A client of two banks that waits 200 ms for an answer."""
    endpoints = [home.endpoint, other.endpoint]
    async with LedgerClient(
        endpoints, credentials, deadline_ms=200, stream_deadline_ms=200
    ) as client:
        yield client


async def everything(pages: AsyncIterator[object]) -> list[object]:
    return [item async for page in pages for item in page]  # type: ignore[attr-defined]


async def test_a_receipt_is_no_promise(
    client: LedgerClient, minted: bytes, minted_id: TransactionId
) -> None:
    expected = Receipt(minted_id, TransactionState.ADMITTED, Height(0), ADMISSION_NOTICE)
    assert await client.submit(minted) == expected


async def test_submission_is_idempotent(
    client: LedgerClient, home: ServedBank, minted: bytes, minted_id: TransactionId
) -> None:
    await client.submit(minted)
    await client.submit(minted)
    home.bank.seal_waiting()
    receipt = await client.submit(minted)
    assert receipt == Receipt(minted_id, TransactionState.SEALED, Height(2))


async def test_a_refusal_carries_the_reason(
    client: LedgerClient, home: ServedBank, minted: bytes
) -> None:
    home.bank.submit_errors.append(Rejection(Reason.ISSUANCE_LIMIT, "5,000 above the limit"))
    with pytest.raises(TransactionRefused) as caught:
        await client.submit(minted)
    error = caught.value
    assert (error.reason, error.message, error.status, error.retry_delay_ms) == (
        Reason.ISSUANCE_LIMIT,
        "5,000 above the limit",
        "FAILED_PRECONDITION",
        None,
    )
    assert str(error) == f"{home.endpoint}: issuance-limit: 5,000 above the limit"


async def test_a_full_mempool_says_when_to_come_back(
    client_of_two: LedgerClient, home: ServedBank, other: ServedBank, minted: bytes
) -> None:
    """An overloaded bank has answered: the next bank is not flooded in its place."""
    home.bank.submit_errors.append(Overloaded("mempool-full", "no room", 700))
    with pytest.raises(LedgerOverloaded) as caught:
        await client_of_two.submit(minted)
    assert (caught.value.reason_code, caught.value.retry_delay_ms) == ("mempool-full", 700)
    assert other.bank.submissions == []


async def test_many_submissions_are_answered_one_by_one(
    client: LedgerClient, ledger: SealedLedger
) -> None:
    good = [ledger.chain.mint([value]) for value in (1, 2, 3)]
    bad = good[0][:-1] + bytes([good[0][-1] ^ 1])
    outcomes = [outcome async for outcome in client.submit_many([*good, bad])]
    receipts = sorted(
        (outcome.item, outcome.receipt.transaction_id) for outcome in outcomes if outcome.receipt
    )
    assert receipts == [(index, hash_transaction(raw)) for index, raw in enumerate(good)]
    (refused,) = [outcome for outcome in outcomes if outcome.error]
    assert isinstance(refused.error, TransactionRefused)
    assert (refused.item, refused.error.reason) == (3, Reason.SIGNATURE)


async def test_what_a_failing_bank_left_open_goes_to_the_next(
    client_of_two: LedgerClient, home: ServedBank, other: ServedBank, minted: bytes
) -> None:
    await home.server.stop(0)
    outcomes = [outcome async for outcome in client_of_two.submit_many([minted])]
    assert [(outcome.item, outcome.error) for outcome in outcomes] == [(0, None)]
    assert other.bank.submissions == [minted]
    assert client_of_two.preferred_endpoint == other.endpoint


async def test_where_a_transaction_stands(
    client: LedgerClient,
    home: ServedBank,
    ledger: SealedLedger,
    minted: bytes,
    minted_id: TransactionId,
) -> None:
    with pytest.raises(RecordNotFound, match="no such transaction at this bank"):
        await client.transaction(minted_id)
    await client.submit(minted)
    admitted = TransactionStatus(minted_id, TransactionState.ADMITTED)
    assert await client.transaction(minted_id) == TransactionRecord(admitted, None)
    home.bank.seal_waiting()
    assert await client.transaction(minted_id, include_transaction=True) == TransactionRecord(
        TransactionStatus(minted_id, TransactionState.SEALED, position=ledger.places[minted_id]),
        minted,
    )


async def test_another_transaction_than_asked_for_is_the_banks_fault(
    client: LedgerClient, home: ServedBank, minted: bytes, minted_id: TransactionId
) -> None:
    await client.submit(minted)
    home.bank.forge["transaction"] = lambda found: FoundTransaction(found.status, b"other bytes")
    with pytest.raises(LedgerFault) as caught:
        await client.transaction(minted_id, include_transaction=True)
    assert caught.value.message == (
        "the bank's answer breaks the contract: transaction: is another transaction"
    )


async def test_waiting_shows_every_state(
    client: LedgerClient, home: ServedBank, minted: bytes, minted_id: TransactionId
) -> None:
    states = []
    async for status in client.wait_for(minted_id, timeout_ms=5_000):
        states.append(status.state)
        if status.state is TransactionState.UNKNOWN:
            await client.submit(minted)
            home.bank.ledger.announce()
        if status.state is TransactionState.ADMITTED:
            home.bank.seal_waiting()
    assert states == [
        TransactionState.UNKNOWN,
        TransactionState.ADMITTED,
        TransactionState.SEALED,
    ]


async def test_waiting_has_an_end(client: LedgerClient, minted_id: TransactionId) -> None:
    with pytest.raises(LedgerTimeout) as caught:
        async for _ in client.wait_for(minted_id, timeout_ms=100):
            pass
    assert str(caught.value) == f"transaction {minted_id.hex()} was not final within 100 ms"


async def test_waiting_goes_on_at_the_next_bank(
    client_of_two: LedgerClient, home: ServedBank, other: ServedBank, minted: bytes
) -> None:
    minted_id = TransactionId(hash_transaction(minted))
    other.bank.ledger.seal(minted)
    await home.server.stop(0)
    states = [status.state async for status in client_of_two.wait_for(minted_id, timeout_ms=5_000)]
    assert states == [TransactionState.SEALED]


async def test_blocks_by_height_and_by_id(
    client: LedgerClient, ledger: SealedLedger, minted: bytes
) -> None:
    ledger.seal(minted)
    expected = ledger.blocks[1]
    assert await client.block(Height(1), include_transactions=True) == expected
    by_id = await client.block(BlockId(ledger.chain.header.block_id))
    assert by_id == replace(expected, transactions=())
    with pytest.raises(RecordNotFound, match="no block at height 2"):
        await client.block(Height(2))


async def test_blocks_are_streamed_and_followed(client: LedgerClient, ledger: SealedLedger) -> None:
    for _ in range(3):
        ledger.seal()
    assert [block async for block in client.stream_blocks(Height(1))] == ledger.blocks[1:]
    followed: list[PublishedBlock] = []
    async with aclosing(client.stream_blocks(Height(2), follow=True)) as stream:
        async for block in stream:
            followed.append(block)
            if len(followed) == 4:
                break
            if len(followed) >= 2:
                ledger.seal()
    assert followed == ledger.blocks[2:6]


async def test_a_followed_stream_goes_on_after_a_quiet_time(
    impatient: LedgerClient, ledger: SealedLedger
) -> None:
    async with aclosing(impatient.stream_blocks(Height(1), follow=True)) as stream:
        following = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0.5)
        ledger.seal()
        assert await following == ledger.blocks[1]


async def test_a_stream_resumes_where_it_broke_off(
    client_of_two: LedgerClient, home: ServedBank, ledger: SealedLedger
) -> None:
    for _ in range(6):
        ledger.seal()
    seen: list[PublishedBlock] = []
    async for block in client_of_two.stream_blocks(Height(1)):
        seen.append(block)
        if len(seen) == 2:
            await home.server.stop(0)
    assert seen == ledger.blocks[1:]


async def test_lists_are_read_in_pages_from_any_sequence(
    client: LedgerClient, ledger: SealedLedger
) -> None:
    chain = ledger.chain
    ledger.seal_matured(chain.mint([400] * 4), chain.mint([400] * 4))
    ledger.seal_matured(chain.transfer(chain.mature()[:4]))
    assert await everything(client.notes(0)) == ledger.notes
    assert await everything(client.notes(2, 5)) == ledger.notes[2:7]
    assert await everything(client.notes(len(ledger.notes))) == []
    assert await everything(client.nullifiers(0)) == ledger.nullifiers
    assert await everything(client.nullifiers(1, 2)) == ledger.nullifiers[1:3]
    assert await everything(client.closed_bins(0)) == ledger.closed_bins
    assert await everything(client.closed_bins(1, 1)) == ledger.closed_bins[1:2]


async def test_bins_come_in_the_order_asked_for(client: LedgerClient, ledger: SealedLedger) -> None:
    for _ in range(2):
        ledger.seal_matured(ledger.chain.mint([100]))
    ledger.seal(ledger.chain.mint([100]))
    second, first = await client.bins([1, 0])
    assert (first.digest, second.digest) == tuple(record.digest for record in ledger.closed_bins)
    with pytest.raises(NotYet) as caught:
        await client.bins([2])
    assert (caught.value.reason_code, caught.value.retry_delay_ms) == ("bin-open", 5)
    with pytest.raises(RequestInvalid, match="an id is repeated"):
        await client.bins([0, 0])


async def test_other_bins_than_asked_for_are_the_banks_fault(
    client: LedgerClient, home: ServedBank, ledger: SealedLedger
) -> None:
    for _ in range(2):
        ledger.seal_matured(ledger.chain.mint([100]))
    home.bank.forge["bins"] = lambda records: records[::-1]
    with pytest.raises(LedgerFault, match="bins: are not those that were asked for"):
        await client.bins([0, 1])


async def test_the_proof_of_a_transaction_on_its_way_is_not_there_yet(
    client: LedgerClient, minted: bytes, minted_id: TransactionId
) -> None:
    with pytest.raises(RecordNotFound):
        await client.inclusion_proof(minted_id)
    await client.submit(minted)
    with pytest.raises(NotYet) as caught:
        await client.inclusion_proof(minted_id)
    assert caught.value.reason_code == "not-sealed"


async def test_the_genesis_is_fetched_once_and_checked(
    client: LedgerClient, home: ServedBank, ledger: SealedLedger
) -> None:
    genesis = ledger.chain.genesis
    assert await client.genesis() == genesis
    assert await client.genesis(genesis.chain_id) == genesis
    assert home.bank.calls == ["parameters"]
    with pytest.raises(VerificationError) as caught:
        await client.genesis(bytes(32))
    assert str(caught.value) == (
        f"the bank is of chain {genesis.chain_id.hex()}, not {bytes(32).hex()}"
    )


def without_brackets(parameters: LedgerParameters) -> LedgerParameters:
    return replace(parameters, genesis_json=b"{")


def with_more_fee(parameters: LedgerParameters) -> LedgerParameters:
    document = json.loads(parameters.genesis_json)
    document["parameters"]["transfer_fee"] += 1
    return replace(parameters, genesis_json=json.dumps(document).encode())


def of_another_chain(parameters: LedgerParameters) -> LedgerParameters:
    return replace(parameters, chain_id=bytes(32))


def deeply_nested(parameters: LedgerParameters) -> LedgerParameters:
    return replace(parameters, genesis_json=b"[" * 100_000)


@pytest.mark.parametrize(
    ("forge", "message"),
    [
        (without_brackets, "the bank's genesis does not hold"),
        (with_more_fee, "the bank's genesis does not hold: chain_id: is not the hash"),
        (of_another_chain, "the bank's genesis is not that of the chain it names"),
        (deeply_nested, "the bank's genesis does not hold"),
    ],
)
async def test_a_false_genesis_is_refused(
    forge: object, message: str, client: LedgerClient, home: ServedBank
) -> None:
    home.bank.forge["parameters"] = forge  # type: ignore[assignment]
    with pytest.raises(VerificationError, match=message):
        await client.genesis()


async def test_who_answers(client: LedgerClient, ledger: SealedLedger) -> None:
    ledger.seal()
    status = await client.node_status()
    assert (status.bank, status.height, status.chain_id) == (
        0,
        1,
        ledger.chain.genesis.chain_id,
    )


async def test_a_bank_that_is_down_is_passed_over(
    client_of_two: LedgerClient, home: ServedBank, other: ServedBank
) -> None:
    await home.server.stop(0)
    assert (await client_of_two.node_status()).bank == 1
    assert client_of_two.preferred_endpoint == other.endpoint


async def test_a_bank_that_is_not_ready_is_passed_over(
    client_of_two: LedgerClient, home: ServedBank, other: ServedBank, minted: bytes
) -> None:
    home.bank.submit_errors.append(NotReady("starting"))
    await client_of_two.submit(minted)
    assert other.bank.submissions == [minted]


async def test_a_defective_bank_is_passed_over(
    client_of_two: LedgerClient, home: ServedBank, other: ServedBank, minted: bytes
) -> None:
    home.bank.submit_errors.append(ZeroDivisionError("a defect"))
    await client_of_two.submit(minted)
    assert other.bank.submissions == [minted]


async def test_a_refusal_is_an_answer_and_is_not_asked_for_twice(
    client_of_two: LedgerClient, home: ServedBank, other: ServedBank, minted: bytes
) -> None:
    home.bank.submit_errors.append(Rejection(Reason.NULLIFIER, "spent"))
    with pytest.raises(TransactionRefused):
        await client_of_two.submit(minted)
    assert other.bank.submissions == []


async def test_when_all_banks_fail_all_are_named(
    client_of_two: LedgerClient, home: ServedBank, other: ServedBank
) -> None:
    await home.server.stop(0)
    await other.server.stop(0)
    with pytest.raises(LedgerUnavailable) as caught:
        await client_of_two.node_status()
    assert str(caught.value).startswith(f"no bank could answer: {home.endpoint}: ")
    assert f"; {other.endpoint}: " in str(caught.value)


async def hang(bank: SmallBank) -> None:
    """Make a bank never answer a submission."""

    async def submit(transaction: bytes, source: object) -> Receipt:
        bank.submissions.append(transaction)
        await asyncio.Event().wait()
        raise AssertionError

    bank.submit = submit  # type: ignore[method-assign, assignment]


async def test_a_bank_that_does_not_answer_is_passed_over_in_time(
    impatient: LedgerClient, home: ServedBank, other: ServedBank, minted: bytes
) -> None:
    await hang(home.bank)
    await impatient.submit(minted)
    assert (home.bank.submissions, other.bank.submissions) == ([minted], [minted])


async def test_when_nobody_answers_the_fate_is_open(
    impatient: LedgerClient, home: ServedBank, other: ServedBank, minted: bytes
) -> None:
    await hang(home.bank)
    await hang(other.bank)
    with pytest.raises(LedgerTimeout, match="no bank answered in time"):
        await impatient.submit(minted)


async def test_a_foreign_certificate_opens_nothing(home: ServedBank, tls_directory: Path) -> None:
    async with LedgerClient.connect(home.endpoint, tls_directory / "stranger") as stranger:
        with pytest.raises(LedgerUnavailable):
            await stranger.node_status()


async def test_a_role_that_may_not_ask_is_told_so(
    client: LedgerClient, home: ServedBank, tls_directory: Path
) -> None:
    with pytest.raises(AccessDenied) as caught:
        await anext(client.ballot_conflicts())
    assert (caught.value.status, caught.value.reason_code) == ("PERMISSION_DENIED", "role")
    async with LedgerClient.connect(home.endpoint, tls_directory / "regulator") as regulator:
        assert [page async for page in regulator.ballot_conflicts()] == []


async def test_section_17_votes_of_a_block_or_of_many(
    client: LedgerClient, ledger: SealedLedger
) -> None:
    for amount in (1, 2, 3):
        ledger.seal(ledger.chain.mint([amount]))
    votes = await client.votes(Height(1), include_ballots=True)
    child = Block.decode(ledger.blocks[2].block)
    assert (votes.status, votes.approved, votes.rejected) == (VotingStatus.RECORDED, 4, 0)
    assert tuple([vote.ballot for vote in votes.votes]) == child.parent_ballots
    listed = [item async for item in client.votes_from(Height(0))]
    assert [(item.height, item.status.name) for item in listed] == [
        (1, "RECORDED"),
        (2, "RECORDED"),
        (3, "PENDING"),
    ]
    with pytest.raises(RecordNotFound):
        await client.votes(Height(4))


def fails_after_one_page() -> Callable[[Any], Any]:
    pages = 0

    def forge(page: Any) -> Any:
        nonlocal pages
        pages += 1
        if pages > 1:
            raise NotReady("stopping")
        return page

    return forge


async def test_section_18_lists_with_gaps_go_on_behind_them(
    client_of_two: LedgerClient, home: ServedBank, ledger: SealedLedger
) -> None:
    """The second bank continues after the last item of the first, not after their number."""
    years = (2026, 2029, 2030, 2034, 2035)
    ledger.settlements = [
        SettledYear(year, Height(1), TransactionId(bytes(32)), 7, 0) for year in years
    ]
    ledger.seal(ledger.chain.mint([1]))
    later = [replace(ledger.movements[0], sequence=at, fiscal_year=2027) for at in range(4, 9)]
    ledger.movements += later
    home.bank.forge["settlements"] = fails_after_one_page()
    settled = [item async for page in client_of_two.settlements() for item in page]
    assert [item.fiscal_year for item in settled] == list(years)
    assert client_of_two.preferred_endpoint.bank == 1
    client_of_two.prefer_next_endpoint()
    home.bank.forge["treasury"] = fails_after_one_page()
    pages = client_of_two.treasury(fiscal_year=2027)
    assert [item async for page in pages for item in page] == later
    assert client_of_two.preferred_endpoint.bank == 1


async def test_a_bank_cannot_answer_in_the_place_of_another(
    home: ServedBank, credentials: ClientCredentials
) -> None:
    disguised = Endpoint(BankIndex(1), home.endpoint.address)
    async with LedgerClient.connect(disguised, credentials) as client:
        with pytest.raises(LedgerUnavailable):
            await client.node_status()
