"""Stake movements, the return of a bank, a pot carried forward (BFT-12 10, 18).

A nonce of the sealed state makes each of them valid once, so the same bytes may be handed in again
whenever an answer was lost.
"""

from __future__ import annotations

from typing import TypeVar

from node.client.errors import GovernanceInvalid
from node.client.ledger_client import LedgerClient
from node.client.verification import SealVerifier
from node.consensus.signatures import Ed25519Signer
from node.ledger.fiscal_year import fiscal_year, label
from node.ledger.genesis import Genesis
from node.ledger.governance import (
    Approval,
    ApprovedTerms,
    GovernanceKind,
    ReadmissionTerms,
    approve_terms,
    sign_stake_movement,
)
from node.ledger.settlement import PotCarryTerms
from node.ledger.state import LedgerState
from node.ledger.types import Amount, BankIndex, FiscalYear, Height

Subject = TypeVar("Subject", bound=int)

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
        subject=bank,
        set_hash=state.active_set(genesis).set_hash,
        nonce=state.governance_nonce,
        expiry=_expiry(genesis, state),
    )


async def pot_carry_terms(
    ledger: LedgerClient, year: FiscalYear, *, chain_id: bytes | None = None
) -> PotCarryTerms:
    """Return what the active banks have to approve for the pot of `year` to move on.

    Raises `GovernanceInvalid` unless the year is the oldest unsettled one and the year after it is
    over too.
    """
    genesis, state = await _verified_state(ledger, chain_id)
    unsettled = {pot.year for pot in state.pots} | {tally.year for tally in state.tallies}
    current = fiscal_year(genesis.parameters, genesis.time_ms, state.time_ms)
    if year not in unsettled:
        raise GovernanceInvalid(f"{label(year)} has nothing to carry: it is settled, or was empty")
    if year != min(unsettled):
        raise GovernanceInvalid(f"{label(min(unsettled))} comes first")
    if current <= year + 1:
        following = label(FiscalYear(year + 1))
        raise GovernanceInvalid(
            f"the regulator has until the end of {following} to settle {label(year)}"
        )
    return PotCarryTerms(
        chain_id=genesis.chain_id,
        subject=year,
        set_hash=state.active_set(genesis).set_hash,
        nonce=state.governance_nonce,
        expiry=_expiry(genesis, state),
    )


def approve(
    terms: ApprovedTerms[Subject], approver: BankIndex, consensus_secret: bytes
) -> Approval:
    """Return a bank's approval; `consensus_secret` is its 32-byte Ed25519 seed."""
    return approve_terms(terms, approver, Ed25519Signer(consensus_secret).sign)


async def _verified_state(
    ledger: LedgerClient, chain_id: bytes | None
) -> tuple[Genesis, LedgerState]:
    genesis = await ledger.genesis(chain_id)
    _, state = SealVerifier(genesis).verify_state(await ledger.sealed_state())
    return genesis, state


def _expiry(genesis: Genesis, state: LedgerState) -> Height:
    window = min(EXPIRY_HEIGHTS, genesis.parameters.max_expiry_heights)
    return Height(state.height + window)
