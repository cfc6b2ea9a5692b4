"""Validation of one transaction against a ledger, steps 8.1-8.6 in their order (IDX1 8).

`collect` does them all. A node that judged the bytes before repeats only what depends on the state:
`check_context` (8.2) and `check_uniqueness` (8.5).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import Protocol

from crypto.collected import CollectedTransaction
from crypto.curve import Point, decode_curve, require_subgroup
from crypto.encoding import u64
from crypto.errors import Reason, Rejected
from crypto.issue import IssueEquation, collect_issue_proof, verify_issuer_signature
from crypto.layout import RANGE_POINT_COUNT, SPEND_POINT_COUNT
from crypto.range_proof import collect_range_proof
from crypto.ring import ClosedBin, OpenBin
from crypto.scalar import decode_scalars
from crypto.spend import SpendEquations, collect_spend_proof
from crypto.transaction import (
    Mint,
    Transfer,
    core_digest,
    decode_transaction,
    proof_digest,
)


class LedgerView(Protocol):
    """What validation reads of the state before the block."""

    @property
    def chain_id(self) -> bytes:
        """The ledger's id, 32 bytes."""
        ...

    @property
    def height(self) -> int:
        """The height of the block being checked."""
        ...

    @property
    def ring_base(self) -> int:
        """The genesis parameter n (IDX1 4.5)."""
        ...

    def find_bin(self, bin_id: int) -> ClosedBin | OpenBin | None:
        """The bin of this id, None if there is none; one object per bin, for it caches its points.
        """
        ...

    def is_issuer(self, asset: bytes, issuer: bytes) -> bool:
        """Whether the Ed25519 key is registered for the asset."""
        ...

    def is_spent(self, nullifier: bytes) -> bool:
        """Whether the 96 bytes are in the spent set."""
        ...

    def is_known_note(self, one_time_key: bytes) -> bool:
        """Whether a note of any asset, in any bin, has this P."""
        ...


class SubgroupCheck(Enum):
    """Who sees to it that strict points lie in the subgroup (IDX1 8.3, 10.2)."""

    AT_ONCE = auto()
    """Every point is asked for itself, at its place in the order of the steps."""
    WITH_BATCH = auto()
    """`crypto.batch.verify_batch` asks for the points of all its items together."""
    DONE = auto()
    """The same bytes passed the check before."""


class Step(StrEnum):
    """What a caller can be told that begins."""

    CONTEXT = "context"
    """8.2"""
    POINTS = "points"
    """8.3 and 8.4"""
    NULLIFIERS = "nullifiers"
    """8.5"""
    CHALLENGES = "challenges"
    """8.6, and the challenges of every equation"""


def _tell_nobody(step: str) -> None:
    """Nobody wants to know which step begins."""


@dataclass(frozen=True, slots=True)
class PreparedTransaction:
    """Steps 8.1-8.4 are behind it: decoded, in context, every point and scalar in its set."""

    transaction: Transfer | Mint
    bins: tuple[ClosedBin, ...]
    points: tuple[Point, ...]
    """In the order of `Layout.points`."""
    scalars: tuple[list[int], ...]
    """In the order of `Layout.scalars`."""
    subgroup: SubgroupCheck
    """`WITH_BATCH` if its strict points are decoded, but not known to lie in the subgroup."""

    @property
    def unchecked_points(self) -> tuple[Point, ...]:
        """The strict points that are left to the batch."""
        if self.subgroup is not SubgroupCheck.WITH_BATCH:
            return ()
        return tuple([self.points[index] for index in self.transaction.layout.strict_points])

    def require_subgroup(self) -> None:
        """Check what was left to the batch, for a transaction that fails a later step: the first
        failing step names the reason. Raises Rejected(subgroup)."""
        _require_subgroup_first(self.transaction, self.subgroup)


def check_context(transaction: Transfer | Mint, view: LedgerView) -> tuple[ClosedBin, ...]:
    """Step 8.2: chain, expiry, issuer, bins. Returns the inputs' bins in order; raises Rejected."""
    if transaction.chain_id != view.chain_id:
        raise Rejected(Reason.CHAIN, "made for another ledger")
    if view.height > transaction.expiry:
        raise Rejected(Reason.EXPIRED, f"height {view.height}, valid up to {transaction.expiry}")
    if isinstance(transaction, Mint):
        if not view.is_issuer(transaction.asset, transaction.issuer):
            raise Rejected(Reason.ISSUER, "the key is not registered for the asset")
        return ()
    return tuple([_spendable_bin(view, item.bin_id, transaction) for item in transaction.inputs])


def _spendable_bin(view: LedgerView, bin_id: int, transaction: Transfer) -> ClosedBin:
    found = view.find_bin(bin_id)
    if found is None:
        raise Rejected(Reason.BIN_UNKNOWN, f"bin {bin_id}")
    if not isinstance(found, ClosedBin):
        raise Rejected(Reason.BIN_OPEN, f"bin {bin_id}")
    if found.asset != transaction.asset:
        raise Rejected(Reason.BIN_ASSET, f"bin {bin_id}")
    return found


def check_points(transaction: Transfer | Mint, *, subgroup: bool = True) -> tuple[Point, ...]:
    """Step 8.3: decode every point, in the order of `Layout.points`; raises Rejected.

    `subgroup=False` leaves out the subgroup checks, for bytes that passed them before.
    """
    data = transaction.raw
    points = []
    for field in transaction.layout.points:
        try:
            point = decode_curve(data[field.start : field.end])
            if subgroup and field.strict:
                require_subgroup(point)
        except Rejected as error:
            raise Rejected(error.reason, field.name) from None
        points.append(point)
    return tuple(points)


def check_scalars(transaction: Transfer | Mint) -> tuple[list[int], ...]:
    """Step 8.4: decode every row of scalars, in the order of `Layout.scalars`; raises Rejected."""
    data = transaction.raw
    return tuple([decode_scalars(data[start:end]) for start, end in transaction.layout.scalars])


def check_uniqueness(transaction: Transfer | Mint, view: LedgerView) -> None:
    """Step 8.5: no nullifier and no one-time key twice, in the transaction or on the ledger.

    Raises Rejected. The transactions before it in its block count too: the view has to know them.
    """
    nullifiers: set[bytes] = set()
    for item in transaction.inputs:
        if item.nullifier in nullifiers or view.is_spent(item.nullifier):
            raise Rejected(Reason.NULLIFIER, "spent before")
        nullifiers.add(item.nullifier)
    keys: set[bytes] = set()
    for output in transaction.outputs:
        if output.one_time_key in keys or view.is_known_note(output.one_time_key):
            raise Rejected(Reason.NOTE, "the one-time key is on the ledger already")
        keys.add(output.one_time_key)


def _require_subgroup_first(transaction: Transfer | Mint, subgroup: SubgroupCheck) -> None:
    if subgroup is SubgroupCheck.WITH_BATCH:
        check_points(transaction)


def prepare(
    transaction: Transfer | Mint,
    view: LedgerView,
    *,
    subgroup: SubgroupCheck = SubgroupCheck.AT_ONCE,
    on_step: Callable[[str], None] = _tell_nobody,
) -> PreparedTransaction:
    """Steps 8.2-8.4 in order for a transaction past 8.1; raises Rejected."""
    on_step(Step.CONTEXT)
    bins = check_context(transaction, view)
    on_step(Step.POINTS)
    try:
        points = check_points(transaction, subgroup=subgroup is SubgroupCheck.AT_ONCE)
        scalars = check_scalars(transaction)
    except Rejected:
        _require_subgroup_first(transaction, subgroup)
        raise
    return PreparedTransaction(transaction, bins, points, scalars, subgroup)


def collect(
    data: bytes, view: LedgerView, *, subgroup: SubgroupCheck = SubgroupCheck.AT_ONCE
) -> CollectedTransaction:
    """Steps 8.1-8.6 in order and all challenges; raises Rejected (IDX1 10.4)."""
    return collect_decoded(decode_transaction(data, view.ring_base), view, subgroup=subgroup)


def collect_decoded(
    transaction: Transfer | Mint,
    view: LedgerView,
    *,
    subgroup: SubgroupCheck = SubgroupCheck.AT_ONCE,
    on_step: Callable[[str], None] = _tell_nobody,
) -> CollectedTransaction:
    """`collect` for a transaction past step 8.1, decoded for the ring base of `view`.

    The item of `WITH_BATCH` is good for nothing before `verify_batch` accepted it, and its reason
    is the same: if it fails a step after 8.3, its points are asked here. `on_step` is told which
    step begins.
    """
    prepared = prepare(transaction, view, subgroup=subgroup, on_step=on_step)
    try:
        on_step(Step.NULLIFIERS)
        check_uniqueness(transaction, view)
        on_step(Step.CHALLENGES)
        return draw_challenges(prepared)
    except Rejected:
        prepared.require_subgroup()
        raise


def draw_challenges(prepared: PreparedTransaction) -> CollectedTransaction:
    """Step 8.6 and the challenges of every equation; raises Rejected(signature)."""
    transaction, layout = prepared.transaction, prepared.transaction.layout
    data = transaction.raw
    head_end = layout.inputs[0][0] if layout.inputs else layout.outputs[0][0]
    inputs = [
        u64(item.bin_id) + used.digest + data[start + 8 : end]
        for item, used, (start, end) in zip(
            transaction.inputs, prepared.bins, layout.inputs, strict=True
        )
    ]
    outputs = [data[start:end] for start, end in layout.outputs]
    core = core_digest(data[:head_end], inputs, outputs)
    range_proof = transaction.range_proof
    digest = proof_digest(core, range_proof)

    input_count, output_count = len(inputs), len(outputs)
    # points: J and C' of the inputs (the last has no C'), P and C of the outputs, then the proofs'
    outputs_at = max(2 * input_count - 1, 0)
    range_at = outputs_at + 2 * output_count
    proofs_at = range_at + RANGE_POINT_COUNT
    points = prepared.points
    issue_equation: IssueEquation | None = None
    spend_equations: tuple[SpendEquations, ...] = ()
    if isinstance(transaction, Mint):
        issue_equation = _collect_issue(transaction, digest, prepared)
    else:
        spend_equations = _collect_spends(transaction, digest, prepared, proofs_at)
    a, s, t = points[range_at:proofs_at]
    return CollectedTransaction(
        transaction=transaction,
        core=core,
        digest=digest,
        state_read=tuple([used.digest for used in prepared.bins]),
        unchecked_points=prepared.unchecked_points,
        output_commitments=points[outputs_at + 1 : range_at : 2],
        input_commitments=points[1:outputs_at:2],
        range_equation=collect_range_proof(
            core,
            [output.commitment for output in transaction.outputs],
            (a, s, t),
            range_proof,
            prepared.scalars[0],
        ),
        spend_equations=spend_equations,
        issue_equation=issue_equation,
    )


def _collect_issue(
    transaction: Mint, digest: bytes, prepared: PreparedTransaction
) -> IssueEquation:
    proof = transaction.issue_proof
    verify_issuer_signature(transaction.issuer, transaction.signature, digest, proof)
    (response,) = prepared.scalars[-1]
    return collect_issue_proof(digest, prepared.points[-1], proof, response, transaction.amount)


def _collect_spends(
    transaction: Transfer, digest: bytes, prepared: PreparedTransaction, proofs_at: int
) -> tuple[SpendEquations, ...]:
    rows: Sequence[list[int]] = prepared.scalars[1:]
    equations = []
    proofs = transaction.spend_proofs
    for index, item in enumerate(transaction.inputs):
        start = proofs_at + SPEND_POINT_COUNT * index
        equations.append(
            collect_spend_proof(
                digest=digest,
                index=index,
                ring=prepared.bins[index],
                nullifier=item.nullifier,
                nullifier_decoded=prepared.points[2 * index],
                commitment=item.commitment or b"",
                points=prepared.points[start : start + SPEND_POINT_COUNT],
                proof=proofs[index],
                scalars=rows[index],
            )
        )
    return tuple(equations)
