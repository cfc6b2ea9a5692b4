"""Payments through everything that can go wrong; never twice, never lost."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from crypto.note import SessionKeys
from crypto.transaction import Transfer, decode_transaction
from node.client import payment_engine
from node.client.address import encode_address
from node.client.errors import (
    LedgerOverloaded,
    LedgerTimeout,
    LedgerUnavailable,
    PaymentFailed,
    TransactionRefused,
)
from node.client.ledger_client import LedgerClient
from node.client.wallet import Wallet
from node.client.wallet_data import PaymentStatus
from node.client.wallet_file import KeyFile
from node.client.wallet_state import HistoryKind
from node.ledger.rejection import Reason, Rejection
from node.rpc.backend import NotReady, Overloaded
from node.wire.records import (
    InclusionProof,
    Position,
    Refusal,
    TransactionState,
    TransactionStatus,
)
from tests.client.conftest import MakeWallet, ServedBank
from tests.client.funding import fund
from tests.client.small_bank import SealedLedger

STRANGER = encode_address(SessionKeys.derive(b"stranger", 0).address)


def decoded(raw: bytes) -> Transfer:
    transaction = decode_transaction(raw, 4)
    assert isinstance(transaction, Transfer)
    return transaction


def nullifiers(raw: bytes) -> list[bytes]:
    return [spend.nullifier for spend in decoded(raw).inputs]


def keys(raw: bytes) -> set[bytes]:
    return {output.one_time_key for output in decoded(raw).outputs}


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payment_engine, "RETRY_DELAY_MS", 5)
    monkeypatch.setattr("node.rpc.errors.NOT_YET_RETRY_MS", 5)


@pytest_asyncio.fixture
async def alice(ledger: SealedLedger, client: LedgerClient, make_wallet: MakeWallet) -> Wallet:
    """A wallet with two notes of 1000, and bank 0 alone to rely on."""
    wallet = await make_wallet("alice", client)
    fund(ledger, wallet.address, [1_000, 1_000])
    await wallet.sync()
    return wallet


@pytest_asyncio.fixture
async def alice_of_two(
    ledger: SealedLedger, client_of_two: LedgerClient, make_wallet: MakeWallet
) -> AsyncIterator[Wallet]:
    """The same with bank 1 to turn to."""
    wallet = await make_wallet("alice", client_of_two)
    fund(ledger, wallet.address, [1_000, 1_000])
    await wallet.sync()
    yield wallet


@pytest.mark.parametrize("reason", [Reason.BIN_OPEN, Reason.BIN_UNKNOWN, Reason.EXPIRY_TOO_FAR])
async def test_a_bank_that_lags_gets_the_same_bytes_again(
    reason: Reason, home: ServedBank, alice: Wallet
) -> None:
    home.bank.submit_errors += [Rejection(reason, "not yet")] * 2
    await alice.pay(STRANGER, 100)
    first, second, third = home.bank.submissions
    assert first == second == third


async def test_a_full_mempool_gets_the_same_bytes_again(home: ServedBank, alice: Wallet) -> None:
    home.bank.submit_errors += [Overloaded("mempool-full", "no room", 5)] * 2
    await alice.pay(STRANGER, 100)
    assert len(home.bank.submissions) == 3
    assert len(set(home.bank.submissions)) == 1


async def test_patience_has_an_end_and_the_payment_stays_open(
    home: ServedBank, alice: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payment_engine, "PATIENCE_MS", 20)
    home.bank.submit_errors += [Overloaded("mempool-full", "no room", 15)] * 3
    with pytest.raises(LedgerOverloaded):
        await alice.pay(STRANGER, 100)
    assert [payment.status for payment in alice.payments] == [PaymentStatus.PENDING]
    home.bank.submit_errors.clear()
    home.bank.seals_at_once = True
    (resumed,) = await alice.resume()
    await alice.wait_sealed(resumed)
    assert len(set(home.bank.submissions)) == 1


@pytest.mark.parametrize("reason", [Reason.NOTE, Reason.EXPIRED])
async def test_bytes_that_became_impossible_are_rebuilt_over_the_same_notes(
    reason: Reason, home: ServedBank, alice: Wallet
) -> None:
    """IDX1 12.4: somebody published P first; 3.2: a fresh ephemeral key for every attempt."""
    home.bank.submit_errors.append(Rejection(reason, "too late"))
    await alice.pay(STRANGER, 100)
    first, second = home.bank.submissions
    assert nullifiers(first) == nullifiers(second)
    assert keys(first).isdisjoint(keys(second))
    (payment,) = alice.payments
    assert [attempt.raw for attempt in payment.attempts] == [first, second]


async def test_of_all_attempts_the_ledger_seals_one(
    ledger: SealedLedger, home: ServedBank, alice: Wallet
) -> None:
    home.bank.submit_errors.append(Rejection(Reason.NOTE, "published"))
    payment = await alice.pay(STRANGER, 100)
    first, second = home.bank.submissions
    ledger.seal_matured(first)
    with pytest.raises(Rejection) as caught:
        ledger.chain.verify(second)
        ledger.seal(second)
    assert caught.value.reason is Reason.NULLIFIER
    place = await alice.wait_sealed(payment)
    assert place.transaction_id == decoded(first).transaction_id
    assert alice.balance().total == 2_000 - 100 - 100


async def test_rebuilding_has_an_end(home: ServedBank, alice: Wallet) -> None:
    home.bank.submit_errors += [Rejection(Reason.NOTE, "published")] * 20
    with pytest.raises(TransactionRefused):
        await alice.pay(STRANGER, 100)
    assert len(home.bank.submissions) == payment_engine.MAX_ATTEMPTS


async def test_a_final_refusal_fails_the_payment_and_frees_its_notes(
    home: ServedBank, alice: Wallet
) -> None:
    home.bank.submit_errors.append(Rejection(Reason.FEE, "101 is not the fee"))
    with pytest.raises(TransactionRefused) as caught:
        await alice.pay(STRANGER, 100)
    assert caught.value.reason is Reason.FEE
    (payment,) = alice.payments
    assert (payment.status, payment.failure) == (
        PaymentStatus.FAILED,
        f"a bank refused it: {home.endpoint}: fee: 101 is not the fee",
    )
    assert alice.balance().spendable == 2_000
    assert alice.history()[-1].kind is HistoryKind.FAILED
    with pytest.raises(PaymentFailed, match="payment 1 failed: a bank refused it"):
        await alice.wait_sealed(payment)


async def test_a_bank_that_refuses_and_passes_on_is_found_out(
    ledger: SealedLedger, home: ServedBank, alice: Wallet
) -> None:
    home.bank.submit_errors.append(Rejection(Reason.FEE, "a lie"))
    with pytest.raises(TransactionRefused):
        await alice.pay(STRANGER, 100)
    ledger.seal_matured(home.bank.submissions[0])
    await alice.sync()
    (payment,) = alice.payments
    assert (payment.status, payment.failure, payment.sealed_height) == (
        PaymentStatus.SEALED,
        "",
        3,
    )


async def test_a_spent_note_is_looked_up_before_anything_else(
    ledger: SealedLedger, home: ServedBank, alice: Wallet
) -> None:
    """The answer to the first submission was lost; the second is told that the note is spent."""
    home.bank.submit_errors.append(NotReady("stopping"))
    with pytest.raises(LedgerUnavailable):
        await alice.pay(STRANGER, 100)
    ledger.seal_matured(home.bank.submissions[0])
    home.bank.submit_errors.append(Rejection(Reason.NULLIFIER, "spent"))
    (payment,) = alice.payments
    place = await alice.wait_sealed(payment)
    assert place.header.height == 3


async def test_the_other_copy_of_a_wallet_may_spend_first(
    ledger: SealedLedger,
    home: ServedBank,
    client: LedgerClient,
    alice: Wallet,
    tmp_path: Path,
    key_file: KeyFile,
) -> None:
    async with await Wallet.restore(
        tmp_path, "copy", key_file, client, alice.reveal_seed()
    ) as copy:
        home.bank.submit_errors.append(NotReady("stopping"))
        with pytest.raises(LedgerUnavailable):
            await alice.pay(STRANGER, 1_500)
        home.bank.seals_at_once = True
        await copy.wait_sealed(await copy.pay(STRANGER, 800))
    with pytest.raises(PaymentFailed) as caught:
        await alice.wait_sealed(1)
    assert str(caught.value) == (
        "payment 1 failed: its notes were spent by another transaction of this wallet"
    )
    assert alice.balance().total == 2_000 - 800 - 100


async def test_a_crash_after_the_bytes_are_on_disk_repeats_the_same_bytes(
    home: ServedBank,
    client: LedgerClient,
    alice: Wallet,
    tmp_path: Path,
    key_file: KeyFile,
) -> None:
    home.bank.submit_errors.append(NotReady("stopping"))
    with pytest.raises(LedgerUnavailable):
        await alice.pay(STRANGER, 100)
    alice.close()
    home.bank.seals_at_once = True
    async with await Wallet.open(tmp_path / "wallets", "alice", key_file, client) as again:
        (payment,) = await again.resume()
        await again.wait_sealed(payment)
    first, second = home.bank.submissions
    assert first == second


async def test_nothing_is_sent_that_is_not_on_disk(
    home: ServedBank, alice: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disk_full(contents: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(alice._store.file, "save", disk_full)
    with pytest.raises(OSError, match="No space left"):
        await alice.pay(STRANGER, 100)
    assert (home.bank.submissions, alice.payments) == ([], ())
    assert alice.balance().spendable == 2_000


async def test_a_cancelled_payment_reserves_nothing(
    home: ServedBank, alice: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    proving, cancelled = threading.Event(), threading.Event()

    def slow_proof(**_: object) -> None:
        proving.set()
        cancelled.wait(timeout=10)

    monkeypatch.setattr(payment_engine, "build_attempt", slow_proof)
    paying = asyncio.ensure_future(alice.pay(STRANGER, 100))
    await asyncio.to_thread(proving.wait, 10)
    assert alice.balance().pending == 1_000
    paying.cancel()
    cancelled.set()
    with pytest.raises(asyncio.CancelledError):
        await paying
    assert (home.bank.submissions, alice.payments) == ([], ())
    assert alice.balance().spendable == 2_000


async def test_an_expired_payment_is_rebuilt_when_it_is_pursued(
    ledger: SealedLedger, home: ServedBank, alice: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payment_engine, "EXPIRY_HEIGHTS", 2)
    home.bank.swallows = True
    payment = await alice.pay(STRANGER, 100)
    for _ in range(2):
        ledger.seal()
    await alice.sync()
    assert alice.payments[0].status is PaymentStatus.EXPIRED
    assert alice.balance().spendable == 2_000
    home.bank.swallows, home.bank.seals_at_once = False, True
    await alice.wait_sealed(payment)
    first, second = home.bank.submissions
    assert nullifiers(first) == nullifiers(second)
    assert decoded(second).expiry == decoded(first).expiry + 2


async def test_an_expired_payment_whose_notes_went_elsewhere_stays_failed(
    ledger: SealedLedger, home: ServedBank, alice: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payment_engine, "EXPIRY_HEIGHTS", 2)
    home.bank.swallows = True
    payment = await alice.pay(STRANGER, 1_500)
    for _ in range(2):
        ledger.seal()
    await alice.sync()
    home.bank.swallows, home.bank.seals_at_once = False, True
    await alice.wait_sealed(await alice.pay(STRANGER, 1_600))
    with pytest.raises(PaymentFailed, match="payment 1 failed: "):
        await alice.wait_sealed(payment)
    assert len(home.bank.submissions) == 2


async def test_a_transaction_rejected_after_admission_is_rebuilt(
    home: ServedBank, alice: Wallet
) -> None:
    home.bank.swallows = True
    payment = await alice.pay(STRANGER, 100)
    attempt = payment.attempts[0].transaction_id
    home.bank.rejected[attempt] = Refusal("note", "published by somebody else")
    home.bank.swallows, home.bank.seals_at_once = False, True
    await alice.wait_sealed(payment)
    assert len(set(home.bank.submissions)) == 2


async def test_a_payment_that_stalls_goes_to_the_next_bank(
    home: ServedBank, other: ServedBank, alice_of_two: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payment_engine, "STALL_MS", 100)
    other.bank.seals_at_once = True
    payment = await alice_of_two.pay(STRANGER, 100)
    assert other.bank.submissions == []
    await alice_of_two.wait_sealed(payment)
    assert home.bank.submissions == other.bank.submissions


async def test_a_payment_that_a_bank_forgot_is_handed_in_again(
    home: ServedBank, other: ServedBank, alice_of_two: Wallet
) -> None:
    home.bank.swallows = True
    other.bank.seals_at_once = True
    payment = await alice_of_two.pay(STRANGER, 100)
    await alice_of_two.wait_sealed(payment)
    assert set(home.bank.submissions) == set(other.bank.submissions)
    assert len(other.bank.submissions) == 1


async def test_the_word_of_a_bank_is_no_seal(
    home: ServedBank, other: ServedBank, alice_of_two: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payment_engine, "STALL_MS", 100)

    def sealed(status: TransactionStatus) -> TransactionStatus:
        place = Position(height=2, block_id=bytes(32), index=0, time_ms=0)  # type: ignore[arg-type]
        return TransactionStatus(status.transaction_id, TransactionState.SEALED, position=place)

    home.bank.swallows = True
    home.bank.forge["transaction_states"] = sealed
    payment = await alice_of_two.pay(STRANGER, 100)
    with pytest.raises(LedgerTimeout, match="payment 1 was not sealed within 300 ms"):
        await alice_of_two.wait_sealed(payment, timeout_ms=300)
    other.bank.seal_waiting()
    await alice_of_two.wait_sealed(payment)
    assert len(set(home.bank.submissions + other.bank.submissions)) == 1


async def test_a_forged_proof_is_taken_to_the_next_bank(
    home: ServedBank, other: ServedBank, alice_of_two: Wallet
) -> None:
    def forged(proof: InclusionProof) -> InclusionProof:
        return replace(proof, leaf_hash=bytes(32))

    home.bank.seals_at_once = True
    home.bank.forge["inclusion_proof"] = forged
    place = await alice_of_two.wait_sealed(await alice_of_two.pay(STRANGER, 100))
    assert place.header.height == 3
    assert "inclusion_proof" in home.bank.calls
    assert "inclusion_proof" in other.bank.calls
