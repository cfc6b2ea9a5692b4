"""ISSUE and PAYOUT by a bank's operator, and waiting for their seal."""

from __future__ import annotations

import pytest

from crypto.note import SessionKeys
from crypto.transaction import Mint, decode_transaction
from node.client.address import encode_address
from node.client.errors import (
    LedgerTimeout,
    NotYet,
    PaymentFailed,
    PaymentInvalid,
    SubmissionUnsettled,
    TransactionRefused,
    VerificationError,
)
from node.client.issuing import DEFAULT_EXPIRY_HEIGHTS, issue, payout
from node.client.ledger_client import LedgerClient
from node.client.payment_order import recipient
from node.client.sealing import confirm_sealed, wait_sealed
from node.client.verification import SealVerifier
from node.ledger.rejection import Reason
from node.ledger.types import BankIndex
from node.rpc.backend import NotReady
from node.wire.records import Refusal
from tests.client.conftest import MakeWallet, ServedBank
from tests.client.small_bank import SealedLedger
from tests.ledger.chain import issuer_secret

STRANGER = encode_address(SessionKeys.derive(b"stranger", 0).address)


async def test_an_issue_brings_notes_into_being(
    ledger: SealedLedger, home: ServedBank, client: LedgerClient, make_wallet: MakeWallet
) -> None:
    home.bank.seals_at_once = True
    alice = await make_wallet("alice", client)
    payees = [recipient(alice.address, 100, "salary"), recipient(alice.address, 200)]
    minted = await issue(client, issuer_secret(1), payees)
    place = await wait_sealed(
        client, SealVerifier(ledger.chain.genesis), minted.transaction_id, timeout_ms=5_000
    )
    assert (place.transaction_id, place.header.height) == (minted.transaction_id, 1)
    assert minted.expiry == DEFAULT_EXPIRY_HEIGHTS
    await alice.sync()
    assert alice.balance().spendable == 300
    await issue(client, issuer_secret(1), payees[:1], asset="XAU")
    await alice.sync()
    assert alice.balance("XAU").spendable == 100


async def test_a_payout_turns_public_money_into_notes(
    ledger: SealedLedger, home: ServedBank, client: LedgerClient, make_wallet: MakeWallet
) -> None:
    home.bank.seals_at_once = True
    alice = await make_wallet("alice", client)
    await issue(client, issuer_secret(0), [recipient(alice.address, 1_000)])
    await alice.wait_sealed(await alice.redeem(500, BankIndex(1)))
    minted = await payout(client, issuer_secret(1), [recipient(alice.address, 450)])
    assert isinstance(decode_transaction(minted.raw, 4), Mint)
    await alice.sync()
    assert alice.balance().spendable == 1_000 - 500 - 100 + 450


async def test_a_stranger_cannot_issue(client: LedgerClient) -> None:
    with pytest.raises(TransactionRefused) as caught:
        await issue(client, bytes(32), [recipient(STRANGER, 100)])
    assert caught.value.reason is Reason.ISSUER


async def test_an_unanswered_issue_is_repeated_with_the_same_bytes(
    ledger: SealedLedger, home: ServedBank, client: LedgerClient
) -> None:
    """An issue spends nothing, so a second one would be more money."""
    home.bank.submit_errors.append(NotReady("stopping"))
    with pytest.raises(SubmissionUnsettled) as caught:
        await issue(client, issuer_secret(0), [recipient(STRANGER, 100)])
    await client.submit(caught.value.raw)
    await client.submit(caught.value.raw)
    home.bank.seal_waiting()
    assert set(ledger.places) == {caught.value.transaction_id}
    assert ledger.chain.state.assets[0].issued == 100


async def test_an_issue_needs_one_to_four_payees(client: LedgerClient) -> None:
    for count in (0, 5):
        with pytest.raises(PaymentInvalid) as caught:
            await issue(client, issuer_secret(0), [recipient(STRANGER, 1)] * count)
        assert str(caught.value) == f"one transaction pays 1 to 4 recipients, not {count}"


async def test_the_chain_can_be_pinned(client: LedgerClient) -> None:
    with pytest.raises(VerificationError):
        await issue(client, issuer_secret(0), [recipient(STRANGER, 1)], chain_id=bytes(32))


async def test_what_becomes_of_a_transaction_is_told_by_name(
    ledger: SealedLedger, home: ServedBank, client: LedgerClient
) -> None:
    verifier = SealVerifier(ledger.chain.genesis)
    minted = await issue(client, issuer_secret(0), [recipient(STRANGER, 1)])
    with pytest.raises(NotYet):
        await confirm_sealed(client, verifier, minted.transaction_id)
    with pytest.raises(LedgerTimeout):
        await wait_sealed(client, verifier, minted.transaction_id, timeout_ms=50)
    home.bank.waiting.clear()
    home.bank.expired.add(minted.transaction_id)
    with pytest.raises(PaymentFailed, match="expired before it was sealed"):
        await wait_sealed(client, verifier, minted.transaction_id, timeout_ms=500)
    home.bank.expired.clear()
    home.bank.rejected[minted.transaction_id] = Refusal("note", "published")
    with pytest.raises(TransactionRefused, match="note: published"):
        await wait_sealed(client, verifier, minted.transaction_id, timeout_ms=500)
