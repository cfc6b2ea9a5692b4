"""Waiting for a transaction to be sealed, and proving that it is."""

from __future__ import annotations

from contextlib import aclosing

from node.client.errors import LedgerTimeout, PaymentFailed
from node.client.ledger_client import LedgerClient
from node.client.status import error_of_refusal
from node.client.verification import SealedPlace, SealVerifier
from node.ledger.types import TransactionId
from node.wire.records import TransactionState, TransactionStatus


async def confirm_sealed(
    ledger: LedgerClient, verifier: SealVerifier, transaction_id: TransactionId
) -> SealedPlace:
    """Fetch a transaction with its inclusion proof and verify both; return where it is sealed.

    Raises `NotYet` while it is on its way, `RecordNotFound`, and what `verify_inclusion` raises.
    """
    proof = await ledger.inclusion_proof(transaction_id)
    record = await ledger.transaction(transaction_id, include_transaction=True)
    return verifier.verify_inclusion(record.transaction or b"", proof)


async def final_status(
    ledger: LedgerClient,
    transaction_id: TransactionId,
    *,
    timeout_ms: int,
    accept_unknown: bool = False,
) -> TransactionStatus:
    """Return the final state that a bank reports; raises `LedgerTimeout`.

    With `accept_unknown` a bank that has never seen the transaction is an answer too.
    """
    async with aclosing(ledger.wait_for(transaction_id, timeout_ms=timeout_ms)) as states:
        async for status in states:
            unknown = status.state is TransactionState.UNKNOWN
            if status.state.is_final or (unknown and accept_unknown):
                return status
    raise LedgerTimeout(f"transaction {transaction_id.hex()} was not final in time")


async def wait_sealed(
    ledger: LedgerClient,
    verifier: SealVerifier,
    transaction_id: TransactionId,
    *,
    timeout_ms: int,
) -> SealedPlace:
    """Wait until a submitted transaction is sealed and verify its proof.

    Raises `TransactionRefused` if the bank rejects it, `PaymentFailed` if it expired,
    `LedgerTimeout`.
    """
    status = await final_status(ledger, transaction_id, timeout_ms=timeout_ms)
    if status.state is TransactionState.SEALED:
        return await confirm_sealed(ledger, verifier, transaction_id)
    if status.refusal is not None:
        raise error_of_refusal(status.refusal, str(ledger.preferred_endpoint))
    raise PaymentFailed(f"transaction {transaction_id.hex()} expired before it was sealed")
