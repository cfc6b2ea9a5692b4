"""Ballots as the ledger sees them: verified ones, and the certificate that ten of them make.

Consensus statements are identified and stay among the banks; what is published about a block is its
`BallotCertificate`: q APPROVE ballots of one view with distinct tags (BFT-12 17). It proves the
seal to anybody who knows the active set, and does not tell who cast which ballot.

Batch weights are a hash of the whole batch (BFT-12 17), not drawn: so judging ballots is a function
of its arguments, and a false batch passes with probability 2^-127 per hash that a forger computes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import InitVar, dataclass
from itertools import pairwise

from crypto.ballot import (
    MAX_BALLOT_BYTES,
    BallotContext,
    CollectedBallot,
    Decision,
    collect_ballot,
)
from crypto.ballot_proof import (
    CONTEXT_BYTES,
    HEAD_BYTES,
)
from crypto.batch import verify_batch
from crypto.curve import POINT_BYTES
from crypto.errors import BatchRejected, Rejected
from crypto.merkle import leaf_hash
from crypto.randomness import Coins
from crypto.transcript import hash64
from node.ledger.active_set import ActiveSet
from node.ledger.definitions import MAX_BANKS
from node.ledger.encoding import Reader, Writer
from node.ledger.rejection import Reason, Rejection
from node.ledger.types import HASH_BYTES, BlockId, Height, View

__all__ = [
    "BallotCertificate",
    "Decision",
    "VerifiedBallot",
    "ballot_message",
    "ballot_tag",
    "ballot_view",
    "verify_ballot_certificate",
    "verify_ballots",
]

_VERIFIED = object()
"""What only this module can hand to the constructor below."""
_ROUND = slice(CONTEXT_BYTES - 4, CONTEXT_BYTES)
_HEIGHT = slice(CONTEXT_BYTES - 12, CONTEXT_BYTES - 4)
_TAG = slice(HEAD_BYTES, HEAD_BYTES + POINT_BYTES)
_CIPHERTEXT = slice(HEAD_BYTES + POINT_BYTES, HEAD_BYTES + 3 * POINT_BYTES)


def ballot_tag(raw: bytes) -> bytes:
    """Return T, 96 bytes: equal for two ballots of one bank in one context, and only then.

    Raises `Rejection` (LENGTH) for bytes that are too short to have one.
    """
    return _piece(raw, _TAG)


def ballot_message(raw: bytes) -> bytes:
    """Return block id and decision byte, 33 bytes; raises `Rejection` (LENGTH)."""
    return _piece(raw, slice(CONTEXT_BYTES, HEAD_BYTES))


def ballot_view(raw: bytes) -> View:
    """Return the view a ballot says it was cast in; raises `Rejection` (LENGTH)."""
    return View(int.from_bytes(_piece(raw, _ROUND), "little"))


def _piece(raw: bytes, where: slice) -> bytes:
    if len(raw) < where.stop:
        raise Rejection(Reason.LENGTH, f"a ballot of {len(raw)} bytes")
    return raw[where]


@dataclass(frozen=True, slots=True)
class VerifiedBallot:
    """A ballot whose proof was checked by this process, in its context and ring (IDX1 9.6).

    Only `verify_ballots` makes one; constructing it elsewhere raises `TypeError`.
    """

    raw: bytes
    set_hash: bytes
    """Of the active set whose ring it was verified against."""
    witness: InitVar[object]

    def __post_init__(self, witness: object) -> None:
        if witness is not _VERIFIED:
            raise TypeError("a VerifiedBallot comes from verify_ballots alone")

    @property
    def height(self) -> Height:
        """The height it was cast at."""
        return Height(int.from_bytes(self.raw[_HEIGHT], "little"))

    @property
    def view(self) -> View:
        """The view it was cast in."""
        return View(int.from_bytes(self.raw[_ROUND], "little"))

    @property
    def block_id(self) -> BlockId:
        """The block that it is about."""
        return BlockId(self.raw[CONTEXT_BYTES : HEAD_BYTES - 1])

    @property
    def decision(self) -> Decision:
        """What it says about the block."""
        return Decision(self.raw[HEAD_BYTES - 1 : HEAD_BYTES])

    @property
    def tag(self) -> bytes:
        """T, 96 bytes: one per bank, height and view."""
        return self.raw[_TAG]

    @property
    def ciphertext(self) -> bytes:
        """E1 || E2, 192 bytes: the voter's key, encrypted for the opener (IDX1 9.4)."""
        return self.raw[_CIPHERTEXT]

    @property
    def leaf_hash(self) -> bytes:
        """The leaf of the block's ballot tree (IDX1 11.1)."""
        return leaf_hash(self.raw)


def verify_ballots(
    raws: Sequence[bytes], *, chain_id: bytes, height: Height, view: View, active_set: ActiveSet
) -> tuple[VerifiedBallot | Rejection, ...]:
    """Judge ballots cast at `height` in `view` by banks of `active_set`, all in one batch.

    Returns one verdict per ballot, in order; bad ones do not spoil the others. What block they are
    about, and repeated tags, are for the caller to judge (IDX1 9.6).
    """
    context = BallotContext(chain_id, height, view)
    verdicts: list[VerifiedBallot | Rejection | None] = [None] * len(raws)
    collected: dict[int, CollectedBallot] = {}
    for index, raw in enumerate(raws):
        try:
            collected[index] = collect_ballot(raw, active_set.ballot_ring, context)
        except Rejected as rejected:
            verdicts[index] = Rejection.of(rejected)
    items = list(collected.items())
    failures: dict[int, Rejection] = {}
    weights = Coins(hash64("consortium/ballot-weights", active_set.set_hash, *raws))
    try:
        verify_batch([item for _, item in items], weights.take)
    except BatchRejected as error:
        failures = {
            items[position][0]: Rejection(Reason(reason.value), "an equation does not hold")
            for position, reason in error.failures.items()
        }
    for index, item in items:
        verdicts[index] = failures.get(index) or VerifiedBallot(
            item.data, active_set.set_hash, _VERIFIED
        )
    return tuple([verdict for verdict in verdicts if verdict is not None])


@dataclass(frozen=True, slots=True)
class BallotCertificate:
    """What is published about a sealed block: q APPROVE ballots of one view, sorted by tag."""

    height: Height
    view: View
    block_id: BlockId
    ballots: tuple[bytes, ...]

    def write(self, writer: Writer) -> Writer:
        """Append the canonical encoding."""
        writer.u64(self.height).u32(self.view).fixed(self.block_id, HASH_BYTES)
        return writer.many(self.ballots, Writer.blob)

    def encode(self) -> bytes:
        """Return the canonical bytes."""
        return self.write(Writer()).finish()

    @staticmethod
    def read(reader: Reader) -> BallotCertificate:
        """Read what `write` wrote; raises `MalformedEncoding`."""
        return BallotCertificate(
            height=Height(reader.u64()),
            view=View(reader.u32()),
            block_id=BlockId(reader.fixed(HASH_BYTES)),
            ballots=reader.many(MAX_BANKS, lambda r: r.blob(MAX_BALLOT_BYTES)),
        )

    @staticmethod
    def decode(data: bytes) -> BallotCertificate:
        """Decode canonical bytes; raises `MalformedEncoding`."""
        reader = Reader(data)
        certificate = BallotCertificate.read(reader)
        reader.finish()
        return certificate


def verify_ballot_certificate(
    certificate: BallotCertificate, chain_id: bytes, active_set: ActiveSet
) -> tuple[VerifiedBallot, ...]:
    """Check that q banks of the height's active set cast these ballots for this block (BFT-12 17).

    Raises `Rejection`: BALLOTS for a wrong number, a wrong order, a repeated tag, another block or
    a REJECT among them, and the reasons of IDX1 9.6 for a ballot that does not verify.
    """
    check_approvals(certificate.ballots, certificate.block_id, active_set.quorum)
    verdicts = verify_ballots(
        certificate.ballots,
        chain_id=chain_id,
        height=certificate.height,
        view=certificate.view,
        active_set=active_set,
    )
    for verdict in verdicts:
        if isinstance(verdict, Rejection):
            raise verdict
    return tuple([item for item in verdicts if isinstance(item, VerifiedBallot)])


def check_approvals(ballots: Sequence[bytes], block_id: BlockId, quorum: int) -> None:
    """Check number, order, tags and messages of a seal's ballots; raises `Rejection` (BALLOTS).

    Nothing is verified: this is what can be said before the proofs are looked at.
    """
    if len(ballots) != quorum:
        raise Rejection(Reason.BALLOTS, f"{len(ballots)} ballots, exactly {quorum} are required")
    tags = [ballot_tag(raw) for raw in ballots]
    if any(left >= right for left, right in pairwise(tags)):
        raise Rejection(Reason.BALLOTS, "the tags are not in strictly increasing order")
    expected = block_id + Decision.APPROVE.value
    if any(ballot_message(raw) != expected for raw in ballots):
        raise Rejection(Reason.BALLOTS, "a ballot is not an approval of this block")
