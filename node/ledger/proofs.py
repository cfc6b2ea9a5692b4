"""Verification of transactions' proofs, apart from the order they are executed in.

A proof is good or bad for certain bytes and the bins they spend from, whatever the height. So the
verdict, a `VerifiedTransaction`, is kept by transaction id (which hashes all bytes, proofs
included) together with the digests of the bins it read, and execution repeats only the rules that
depend on the state. That keeps a vote fast (BFT-12 8).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import InitVar, dataclass
from enum import StrEnum

from crypto.accumulator import BatchItem
from crypto.collected import CollectedTransaction
from crypto.errors import Rejected
from crypto.merkle import leaf_hash
from crypto.randomness import RandomBytes
from crypto.ring import ClosedBin, OpenBin
from crypto.transaction import Kind
from crypto.validation import SubgroupCheck, collect, collect_decoded
from node.ledger.active_set import ActiveSet
from node.ledger.ballots import BallotBatch, VerifiedBallot, collect_parent_ballots
from node.ledger.blocks import Header
from node.ledger.equations import failing_equations
from node.ledger.genesis import Genesis
from node.ledger.governance import (
    GovernanceKind,
    GovernanceTransaction,
    LedgerTransaction,
    decode_governance,
    is_governance,
    verify_signatures,
)
from node.ledger.rejection import Rejection
from node.ledger.rules import (
    AdmissionView,
    check_expiry,
    check_not_sealed,
    check_terms,
    decode,
)
from node.ledger.types import TransactionId

__all__ = [
    "AdmissionView",
    "SealedView",
    "VerificationStep",
    "VerifiedTransaction",
    "verified_elsewhere",
    "verify_sealed",
    "verify_sealed_block",
    "verify_together",
    "verify_transactions",
]

_VERIFIED = object()
"""What only this module can hand to the constructor below."""


class VerificationStep(StrEnum):
    """What a caller of `verify_transactions` can be told that begins.

    Between `RULES` and `JUDGED` of a transaction with proofs come those of
    `crypto.validation.Step`.
    """

    ENCODING = "encoding"
    """Of the next transaction: the size limit and the layout (IDX1 8.1)."""
    RULES = "rules"
    """Not sealed before, and its terms (`check_terms`)."""
    SIGNATURES = "signatures"
    """Expiry and signatures of a governance transaction, which has no proofs."""
    JUDGED = "judged"
    """Nothing: the transaction has passed all that is checked of it alone."""
    PROOFS = "proofs"
    """The equations of all that have come so far, together (IDX1 8.7, 10)."""


def _tell_nobody(step: str) -> None:
    """Nobody wants to know which step begins."""


@dataclass(frozen=True, slots=True)
class VerifiedTransaction:
    """A transaction whose every proof was checked by this process.

    Only this module makes one, for `verify_transactions`; constructing it elsewhere raises
    `TypeError`.
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
    raws: Sequence[bytes],
    view: AdmissionView,
    random_bytes: RandomBytes,
    on_step: Callable[[str], None] = _tell_nobody,
) -> tuple[VerifiedTransaction | Rejection, ...]:
    """Judge each transaction by itself against the parent state, all proofs in one batch.

    Returns one verdict per item, in order; bad items do not spoil the others (IDX1 10.7). A
    rejection whose reason `is_not_yet` must not be cached. `random_bytes` draws the batch weights
    after the bytes are fixed (IDX1 10.5), and the coefficients of the subgroup test: what it yields
    must be fresh and unknown to whoever made the bytes (`crypto.subgroup`). What depends on the
    order of a block (a repetition within it, issuance limits, account balances, nonces) and what a
    governance transaction reads of the state is left to execution. `on_step` is told which step
    begins, transaction by transaction; it has no part in any verdict.
    """
    batch = _TransactionBatch(raws, view, on_step)
    on_step(VerificationStep.PROOFS)
    return batch.verdicts(failing_equations(batch.collected, random_bytes))


def verified_elsewhere(
    raws: Sequence[bytes], view: AdmissionView, refusals: Sequence[Rejection | None]
) -> tuple[VerifiedTransaction | Rejection, ...]:
    """Return the verdicts that another process of this very bank has reached.

    `refusals` says why each item is refused, None where `verify_transactions` accepted the same
    bytes on the same view. Nobody else's word for it will do: what comes back counts as verified.
    """
    return tuple(
        [
            _accepted(raw, view) if refusal is None else refusal
            for raw, refusal in zip(raws, refusals, strict=True)
        ]
    )


def _accepted(raw: bytes, view: AdmissionView) -> VerifiedTransaction:
    decoded = decode(raw, view.genesis)
    bins_read = []
    for item in decoded.inputs:
        found = view.find_bin(item.bin_id)
        assert isinstance(found, ClosedBin), "an accepted transaction spends from closed bins"
        bins_read.append((item.bin_id, found.digest))
    return VerifiedTransaction(decoded, leaf_hash(raw), tuple(bins_read), _VERIFIED)


def verify_together(
    raws: Sequence[bytes],
    view: AdmissionView,
    random_bytes: RandomBytes,
    *,
    ballots: Sequence[bytes],
    parent: Header,
    active_set: ActiveSet,
) -> tuple[tuple[VerifiedTransaction | Rejection, ...], tuple[VerifiedBallot | Rejection, ...]]:
    """Judge transactions and ballots of a block on `parent` in one multi-scalar multiplication.

    Both lists may be any part of the block's, for example what was not verified before. The first
    verdicts are those of `verify_transactions`, the second those of `verify_parent_ballots`, where
    `active_set` is that of the parent's height.
    """
    transactions = _TransactionBatch(raws, view)
    votes = collect_parent_ballots(ballots, parent, active_set)
    refused = _failing_together(transactions.collected, votes, random_bytes)
    return transactions.verdicts(refused.transactions), votes.verdicts(refused.ballots)


@dataclass(frozen=True, slots=True)
class _FailingTogether:
    """Why items of a shared batch are refused, by their places in the two lists."""

    transactions: dict[int, Rejection]
    ballots: dict[int, Rejection]


def _failing_together(
    transactions: Mapping[int, CollectedTransaction], votes: BallotBatch, random_bytes: RandomBytes
) -> _FailingTogether:
    items: dict[tuple[bool, int], BatchItem] = {}
    items.update({(False, index): item for index, item in transactions.items()})
    items.update({(True, index): item for index, item in votes.collected.items()})
    failing = _FailingTogether({}, {})
    for (is_vote, index), rejection in failing_equations(items, random_bytes).items():
        (failing.ballots if is_vote else failing.transactions)[index] = rejection
    return failing


class _TransactionBatch:
    """Transactions on their way through verification, as `BallotBatch`."""

    def __init__(
        self,
        raws: Sequence[bytes],
        view: AdmissionView,
        on_step: Callable[[str], None] = _tell_nobody,
    ) -> None:
        self._judged: dict[int, VerifiedTransaction | Rejection] = {}
        self.collected: dict[int, CollectedTransaction] = {}
        for index, raw in enumerate(raws):
            judged = _judge(raw, view, on_step)
            if isinstance(judged, CollectedTransaction):
                self.collected[index] = judged
            else:
                self._judged[index] = judged

    def verdicts(
        self, failures: Mapping[int, Rejection]
    ) -> tuple[VerifiedTransaction | Rejection, ...]:
        judged = dict(self._judged)
        for index, item in self.collected.items():
            judged[index] = failures.get(index) or _verified(item)
        return tuple([judged[index] for index in range(len(judged))])


def _judge(
    raw: bytes, view: AdmissionView, on_step: Callable[[str], None]
) -> CollectedTransaction | VerifiedTransaction | Rejection:
    """Judge all but the equations of one transaction; one of governance has none."""
    judged: CollectedTransaction | VerifiedTransaction
    try:
        on_step(VerificationStep.ENCODING)
        decoded = decode(raw, view.genesis)
        on_step(VerificationStep.RULES)
        check_not_sealed(decoded, view.facts)
        check_terms(decoded, view)
        if isinstance(decoded, GovernanceTransaction):
            on_step(VerificationStep.SIGNATURES)
            check_expiry(decoded, view.height)
            verify_signatures(decoded, view.genesis)
            judged = VerifiedTransaction(decoded, leaf_hash(raw), (), _VERIFIED)
        else:
            judged = collect_decoded(
                decoded, view, subgroup=SubgroupCheck.WITH_BATCH, on_step=on_step
            )
        on_step(VerificationStep.JUDGED)
        return judged
    except Rejection as rejection:
        return rejection
    except Rejected as rejected:
        return Rejection.of(rejected)


def _verified(item: CollectedTransaction) -> VerifiedTransaction:
    spends = zip(item.transaction.inputs, item.state_read, strict=True)
    return VerifiedTransaction(
        transaction=item.transaction,
        leaf_hash=leaf_hash(item.transaction.raw),
        bins_read=tuple([(spend.bin_id, digest) for spend, digest in spends]),
        witness=_VERIFIED,
    )


@dataclass(frozen=True, slots=True)
class SealedView:
    """The ledger as the proofs of a sealed transaction read it (`crypto.validation.LedgerView`)."""

    genesis: Genesis
    height: int
    """Of the block that holds it."""
    bins: Mapping[int, ClosedBin]
    """The closed bins it spends from, by id; whoever hands them over vouches for them."""

    @property
    def chain_id(self) -> bytes:
        """The ledger's id, 32 bytes."""
        return self.genesis.chain_id

    @property
    def ring_base(self) -> int:
        """The genesis parameter n (IDX1 4.5)."""
        return self.genesis.parameters.ring_base

    def find_bin(self, bin_id: int) -> ClosedBin | OpenBin | None:
        """The closed bin of this id."""
        return self.bins.get(bin_id)

    def is_issuer(self, asset: bytes, issuer: bytes) -> bool:
        """Whether the genesis registers the key for the asset, which no block changes."""
        bank = self.genesis.bank_of_issuer(issuer)
        definition = self.genesis.asset(asset)
        return bank is not None and definition is not None and bank in definition.issuance_limits

    def is_spent(self, nullifier: bytes) -> bool:
        """By this very transaction; that no other spends it, the list of nullifiers shows."""
        return False

    def is_known_note(self, one_time_key: bytes) -> bool:
        """By this very transaction, as `is_spent`."""
        return False


def verify_sealed(
    raws: Sequence[bytes], view: SealedView, random_bytes: RandomBytes
) -> tuple[Rejection | None, ...]:
    """Verify what sealed transactions prove by themselves, from their bytes, in one batch.

    Signatures and proofs, without the rules that read the state. Returns one verdict per
    transaction, in order: why it is refused, None where everything holds. What `random_bytes`
    yields may be derived from the bytes only for a single transaction (`crypto.subgroup`).
    """
    sealed = _SealedBatch(raws, view)
    return sealed.verdicts(failing_equations(sealed.collected, random_bytes))


def verify_sealed_block(
    raws: Sequence[bytes],
    view: SealedView,
    random_bytes: RandomBytes,
    *,
    ballots: Sequence[bytes],
    parent: Header,
    active_set: ActiveSet,
) -> tuple[tuple[Rejection | None, ...], tuple[VerifiedBallot | Rejection, ...]]:
    """Verify a stored block's transactions and ballots from their bytes, in one batch.

    The first verdicts are those of `verify_sealed`, the second those of `verify_parent_ballots`.
    """
    sealed = _SealedBatch(raws, view)
    votes = collect_parent_ballots(ballots, parent, active_set)
    refused = _failing_together(sealed.collected, votes, random_bytes)
    return sealed.verdicts(refused.transactions), votes.verdicts(refused.ballots)


class _SealedBatch:
    """Sealed transactions on their way through verification, as `BallotBatch`."""

    def __init__(self, raws: Sequence[bytes], view: SealedView) -> None:
        self._count = len(raws)
        self._refused: dict[int, Rejection] = {}
        self.collected: dict[int, CollectedTransaction] = {}
        for index, raw in enumerate(raws):
            try:
                if is_governance(raw):
                    verify_signatures(decode_governance(raw), view.genesis)
                else:
                    item = collect(raw, view, subgroup=SubgroupCheck.WITH_BATCH)
                    self.collected[index] = item
            except Rejection as rejection:
                self._refused[index] = rejection
            except Rejected as rejected:
                self._refused[index] = Rejection.of(rejected)

    def verdicts(self, failures: Mapping[int, Rejection]) -> tuple[Rejection | None, ...]:
        refused = {**self._refused, **failures}
        return tuple([refused.get(index) for index in range(self._count)])
