"""What the worker processes of `load_preparation` do: scan notes and prove transactions over them.

Every coin comes from the workload's seed and the transaction's number, so that the same order
gives the same bytes, whichever process proves which transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from crypto.build import Payment, SpendableNote, build_issue, build_transfer
from crypto.note import Address, SessionKeys, scan_output
from crypto.randomness import Coins
from crypto.ring import close_bin
from crypto.transaction import Kind, Output
from crypto.transcript import hash64

NOTES_AN_ISSUE = 4
"""The most that one ISSUE makes (IDX1 5.3)."""
NOTE_VALUE = 100_000
"""Minor units."""
PAYEES = 16
"""Addresses that are paid, and get the change."""


@dataclass(frozen=True, slots=True)
class ProvingTerms:
    """What all transactions of a workload have in common."""

    seed: bytes = field(repr=False)
    """Of wallets and coins."""
    issuers: tuple[bytes, ...] = field(repr=False)
    """Ed25519 seeds of the banks, which issue in turn."""
    chain_id: bytes
    asset: bytes
    ring_base: int
    fee: int
    """Of a transfer."""
    expiry: int


@dataclass(frozen=True, slots=True)
class IssueTask:
    """Issues to prove, by number."""

    terms: ProvingTerms
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class FundedNote:
    """A note as the ledger shows it."""

    output: bytes
    output_index: int


@dataclass(frozen=True, slots=True)
class SpendTask:
    """A closed bin, and which of its notes to spend in which transaction."""

    terms: ProvingTerms
    bin_id: int
    notes: tuple[FundedNote, ...]
    """All, in the order of their positions."""
    spends: tuple[tuple[int, int], ...]
    """Number of the transaction, and position of the note it spends."""


def prove_issues(task: IssueTask) -> list[bytes]:
    """Return the issues of a task in order, about 20 ms of CPU time each."""
    return [_issue(task.terms, number) for number in range(task.first, task.first + task.count)]


def prove_spends(task: SpendTask) -> list[tuple[int, bytes]]:
    """Return the transfers of a task with their numbers, about 14 ms of CPU time each."""
    terms = task.terms
    outputs = [Output.decode(note.output) for note in task.notes]
    closed = close_bin(
        task.bin_id,
        terms.asset,
        [(output.one_time_key, output.commitment) for output in outputs],
        terms.ring_base,
    )
    keys = _funded(terms.seed)
    proven = []
    for number, position in task.spends:
        received = scan_output(
            outputs[position],
            task.notes[position].output_index,
            terms.asset,
            terms.chain_id,
            keys,
        )
        note = SpendableNote(
            closed, position, received.value, received.spend_key, received.blinding
        )
        proven.append((number, _transfer(terms, number, note)))
    return proven


def _issue(terms: ProvingTerms, number: int) -> bytes:
    address = _funded(terms.seed).address
    return build_issue(
        kind=Kind.ISSUE,
        chain_id=terms.chain_id,
        asset=terms.asset,
        amount=NOTE_VALUE * NOTES_AN_ISSUE,
        issuer_secret=terms.issuers[number % len(terms.issuers)],
        payments=[Payment(address, NOTE_VALUE)] * NOTES_AN_ISSUE,
        expiry=terms.expiry,
        random_bytes=_coins(terms.seed, b"issue", number).take,
    )


def _transfer(terms: ProvingTerms, number: int, note: SpendableNote) -> bytes:
    """Pay one of the addresses and give the change to another, in an order drawn by chance."""
    coins = _coins(terms.seed, b"transfer", number)
    payees = _payees(terms.seed)
    amount = 1 + coins.scalar() % (note.value - terms.fee)
    payments = [
        Payment(payees[coins.scalar() % PAYEES], amount),
        Payment(payees[coins.scalar() % PAYEES], note.value - terms.fee - amount),
    ]
    if coins.scalar() % 2:
        payments.reverse()
    return build_transfer(
        chain_id=terms.chain_id,
        asset=terms.asset,
        inputs=[note],
        payments=payments,
        fee=terms.fee,
        expiry=terms.expiry,
        random_bytes=coins.take,
        # The bins are those of a ledger that this very program made.
        rings_certified=True,
    )


def _coins(seed: bytes, purpose: bytes, number: int) -> Coins:
    return Coins(hash64("consortium/load", seed, purpose, number.to_bytes(8, "big")))


@cache
def _funded(seed: bytes) -> SessionKeys:
    """The wallet that all notes are issued to."""
    return SessionKeys.derive(seed, 0)


@cache
def _payees(seed: bytes) -> Sequence[Address]:
    return [SessionKeys.derive(seed, 1 + payee).address for payee in range(PAYEES)]
