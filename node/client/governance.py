"""Stake movements and the return of a bank, as its operators hand them in (BFT-12 10, 18).

A nonce of the sealed state makes each of them valid once, so the same bytes may be handed in again
whenever an answer was lost.
"""

from __future__ import annotations

from node.client.errors import GovernanceInvalid
from node.client.ledger_client import LedgerClient
from node.client.verification import SealVerifier
from node.consensus.signatures import Ed25519Signer
from node.ledger.genesis import Genesis
from node.ledger.governance import (
    Approval,
    GovernanceKind,
    ReadmissionTerms,
    approve_readmission,
    sign_stake_movement,
)
from node.ledger.state import LedgerState
from node.ledger.types import Amount, BankIndex, Height

EXPIRY_HEIGHTS = 1_000
"""A readmission waits for the hands of ten operators."""


async def stake_movement(
    ledger: LedgerClient,
    kind: GovernanceKind,
    bank: BankIndex,
    amount: Amount,
    issuer_secret: bytes,
    *,
    chain_id: bytes | None = None,
) -> bytes:
    """Return the signed bytes of a top-up or withdrawal that may follow the sealed state.

    `issuer_secret` is the bank's 32-byte Ed25519 seed; amounts are minor units of the base asset.
    """
    genesis, state = await _verified_state(ledger, chain_id)
    return sign_stake_movement(
        kind=kind,
        chain_id=genesis.chain_id,
        bank=bank,
        amount=amount,
        nonce=state.banks[bank].stake_nonce,
        expiry=_expiry(genesis, state),
        issuer_secret=issuer_secret,
    )


async def readmission_terms(
    ledger: LedgerClient, bank: BankIndex, *, chain_id: bytes | None = None
) -> ReadmissionTerms:
    """Return what the active banks have to approve for `bank` to return.

    Raises `GovernanceInvalid` if the bank is active, or its stake below its initial stake.
    """
    genesis, state = await _verified_state(ledger, chain_id)
    member = state.banks[bank]
    if member.active:
        raise GovernanceInvalid(f"bank {bank} is in the active set")
    if member.stake < member.initial_stake:
        raise GovernanceInvalid(
            f"the stake of bank {bank} is {member.initial_stake - member.stake} minor units below "
            "its initial stake: top it up first"
        )
    return ReadmissionTerms(
        chain_id=genesis.chain_id,
        bank=bank,
        set_hash=state.active_set(genesis).set_hash,
        nonce=state.governance_nonce,
        expiry=_expiry(genesis, state),
    )


def approve(terms: ReadmissionTerms, approver: BankIndex, consensus_secret: bytes) -> Approval:
    """Return a bank's approval; `consensus_secret` is its 32-byte Ed25519 seed."""
    return approve_readmission(terms, approver, Ed25519Signer(consensus_secret).sign)


async def _verified_state(
    ledger: LedgerClient, chain_id: bytes | None
) -> tuple[Genesis, LedgerState]:
    genesis = await ledger.genesis(chain_id)
    _, state = SealVerifier(genesis).verify_state(await ledger.sealed_state())
    return genesis, state


def _expiry(genesis: Genesis, state: LedgerState) -> Height:
    window = min(EXPIRY_HEIGHTS, genesis.parameters.max_expiry_heights)
    return Height(state.height + window)
