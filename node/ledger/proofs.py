"""Verification of transactions' proofs, apart from the order they are executed in.

A proof is good or bad for certain bytes and the bins they spend from, whatever the height. So the
verdict, a `VerifiedTransaction`, is kept by transaction id (which hashes all bytes, proofs
included) together with the digests of the bins it read, and execution repeats only the rules that
depend on the state. That keeps a vote fast (BFT-12 8).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import InitVar, dataclass

from crypto.batch import verify_batch
from crypto.collected import CollectedTransaction
from crypto.errors import BatchRejected, Rejected
from crypto.merkle import leaf_hash
from crypto.randomness import RandomBytes
from crypto.transaction import Kind
from crypto.validation import collect
from node.ledger.governance import (
    GovernanceKind,
    GovernanceTransaction,
    LedgerTransaction,
    verify_signatures,
)
from node.ledger.rejection import Reason, Rejection
from node.ledger.rules import (
    AdmissionView,
    check_expiry,
    check_not_sealed,
    check_terms,
    decode,
)
from node.ledger.types import TransactionId

__all__ = ["AdmissionView", "VerifiedTransaction", "verify_transactions"]

_VERIFIED = object()
"""What only this module can hand to the constructor below."""


@dataclass(frozen=True, slots=True)
class VerifiedTransaction:
    """A transaction whose every proof was checked by this process.

    Only `verify_transactions` makes one; constructing it elsewhere raises `TypeError`.
    """

    transaction: LedgerTransaction
    leaf_hash: bytes
    """32 bytes, the leaf of the block's transaction tree (IDX1 11.1)."""
    bins_read: tuple[tuple[int, bytes], ...]
    """(bin id, digest) per input in order: what the verdict depends on besides the bytes."""
    witness: InitVar[object]

    def __post_init__(self, witness: object) -> None:
        if witness is not _VERIFIED:
            raise TypeError("a VerifiedTransaction comes from verify_transactions alone")

    @property
    def transaction_id(self) -> TransactionId:
        """Hash of all bytes (IDX1 5.5)."""
        return TransactionId(self.transaction.transaction_id)

    @property
    def raw(self) -> bytes:
        """The canonical bytes."""
        return self.transaction.raw

    @property
    def size(self) -> int:
        """Length of the canonical bytes."""
        return len(self.transaction.raw)

    @property
    def kind(self) -> Kind | GovernanceKind:
        """TRANSFER, ISSUE, PAYOUT, or one of those of governance."""
        return self.transaction.kind

    @property
    def nullifiers(self) -> tuple[bytes, ...]:
        """J of each input in order, 96 bytes each."""
        return tuple([item.nullifier for item in self.transaction.inputs])

    @property
    def one_time_keys(self) -> tuple[bytes, ...]:
        """P of each output in order, 96 bytes each."""
        return tuple([output.one_time_key for output in self.transaction.outputs])


def verify_transactions(
    raws: Sequence[bytes], view: AdmissionView, random_bytes: RandomBytes
) -> tuple[VerifiedTransaction | Rejection, ...]:
    """Judge each transaction by itself against the parent state, all proofs in one batch.

    Returns one verdict per item, in order; bad items do not spoil the others (IDX1 10.7). A
    rejection whose reason `is_not_yet` must not be cached. `random_bytes` draws the batch weights
    after the bytes are fixed (IDX1 10.5). What depends on the order of a block (a repetition within
    it, issuance limits, account balances, nonces) and what a governance transaction reads of the
    state is left to execution.
    """
    verdicts: list[VerifiedTransaction | Rejection | None] = [None] * len(raws)
    collected: dict[int, CollectedTransaction] = {}
    for index, raw in enumerate(raws):
        try:
            judged = _judge(raw, view)
        except Rejection as rejection:
            verdicts[index] = rejection
        else:
            if isinstance(judged, CollectedTransaction):
                collected[index] = judged
            else:
                verdicts[index] = judged
    failures = _failing_equations(collected, random_bytes)
    for index, item in collected.items():
        verdicts[index] = failures.get(index) or _verified(item)
    return tuple(verdict for verdict in verdicts if verdict is not None)


def _judge(raw: bytes, view: AdmissionView) -> CollectedTransaction | VerifiedTransaction:
    """Judge all but the equations of one transaction; one of governance has none."""
    decoded = decode(raw, view.genesis)
    check_not_sealed(decoded, view.facts)
    check_terms(decoded, view)
    if isinstance(decoded, GovernanceTransaction):
        check_expiry(decoded, view.height)
        verify_signatures(decoded, view.genesis)
        return VerifiedTransaction(decoded, leaf_hash(raw), (), _VERIFIED)
    try:
        return collect(raw, view)
    except Rejected as rejected:
        raise Rejection.of(rejected) from rejected


def _failing_equations(
    collected: dict[int, CollectedTransaction], random_bytes: RandomBytes
) -> dict[int, Rejection]:
    indices = list(collected)
    try:
        verify_batch([collected[index] for index in indices], random_bytes)
    except BatchRejected as error:
        return {
            indices[position]: Rejection(Reason(reason.value), "an equation does not hold")
            for position, reason in error.failures.items()
        }
    return {}


def _verified(item: CollectedTransaction) -> VerifiedTransaction:
    spends = zip(item.transaction.inputs, item.state_read, strict=True)
    return VerifiedTransaction(
        transaction=item.transaction,
        leaf_hash=leaf_hash(item.transaction.raw),
        bins_read=tuple([(spend.bin_id, digest) for spend, digest in spends]),
        witness=_VERIFIED,
    )
