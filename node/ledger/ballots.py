"""Ballots as the ledger sees them: verified ones, and the certificate that ten of them make.

Consensus statements are identified and stay among the banks; what is published about a block is its
`BallotCertificate`: q APPROVE ballots of one view with distinct tags (BFT-12 17). It proves the
seal to anybody who knows the active set, and does not tell who cast which ballot.

Batch weights are a hash of the whole batch (BFT-12 17), not drawn: so judging ballots is a function
of its arguments, and a false batch passes with probability 2^-127 per hash that a forger computes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass
from itertools import pairwise

from crypto.ballot import (
    MAX_BALLOT_BYTES,
    BallotContext,
    CollectedBallot,
    Decision,
    collect_ballot,
)
from crypto.ballot_proof import CONTEXT_BYTES, HEAD_BYTES
from crypto.curve import POINT_BYTES
from crypto.errors import Rejected
from crypto.merkle import leaf_hash
from crypto.randomness import Coins
from crypto.transcript import hash64
from node.ledger.active_set import ActiveSet
from node.ledger.blocks import Header
from node.ledger.definitions import MAX_BANKS
from node.ledger.encoding import Reader, Writer
from node.ledger.equations import failing_equations
from node.ledger.rejection import Reason, Rejection
from node.ledger.types import HASH_BYTES, BlockId, Height, View

__all__ = [
    "BallotBatch",
    "BallotCertificate",
    "Decision",
    "VerifiedBallot",
    "ballot_chain",
    "ballot_height",
    "ballot_ciphertext",
    "ballot_message",
    "ballot_tag",
    "ballot_view",
    "check_approvals",
    "collect_parent_ballots",
    "verify_ballot_certificate",
    "verify_ballots",
    "verify_parent_ballots",
]

_VERIFIED = object()
"""What only this module can hand to the constructor below."""
_CHAIN = slice(2, 2 + HASH_BYTES)
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


def ballot_ciphertext(raw: bytes) -> bytes:
    """Return E1 || E2, 192 bytes (IDX1 9.4); raises `Rejection` (LENGTH)."""
    return _piece(raw, _CIPHERTEXT)


def ballot_view(raw: bytes) -> View:
    """Return the view a ballot says it was cast in; raises `Rejection` (LENGTH)."""
    return View(int.from_bytes(_piece(raw, _ROUND), "little"))


def ballot_chain(raw: bytes) -> bytes:
    """Return the chain id, 32 bytes, of a ballot; raises `Rejection` (LENGTH)."""
    return _piece(raw, _CHAIN)


def ballot_height(raw: bytes) -> Height:
    """Return the height a ballot says it was cast at; raises `Rejection` (LENGTH)."""
    return Height(int.from_bytes(_piece(raw, _HEIGHT), "little"))


def _piece(raw: bytes, where: slice) -> bytes:
    if len(raw) < where.stop:
        raise Rejection(Reason.LENGTH, f"a ballot of {len(raw)} bytes")
    return raw[where]


@dataclass(frozen=True, slots=True)
class VerifiedBallot:
    """A ballot whose proof was checked by this process, in its context and ring (IDX1 9.6).

    Only this module makes one; constructing it elsewhere raises `TypeError`.
    """

    raw: bytes
    set_hash: bytes
    """Of the active set whose ring it was verified against."""
    witness: InitVar[object]

    def __post_init__(self, witness: object) -> None:
        if witness is not _VERIFIED:
            raise TypeError("a VerifiedBallot comes from the verification of ballots alone")

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


class BallotBatch:
    """Ballots of one ring on their way through verification.

    `collected` goes into a batch, alone or with the proofs of a block, whose outcome `verdicts`
    takes.
    """

    def __init__(self, active_set: ActiveSet) -> None:
        self._active_set = active_set
        self._refused: dict[int, Rejection] = {}
        self.collected: dict[int, CollectedBallot] = {}
        """Ballots with nothing left to verify but their equations, by order of adding."""

    def add(self, raw: bytes, context: BallotContext) -> None:
        """Check everything of IDX1 9.6 that comes before the equations."""
        index = len(self._refused) + len(self.collected)
        try:
            self.collected[index] = collect_ballot(raw, self._active_set.ballot_ring, context)
        except Rejected as rejected:
            self._refused[index] = Rejection.of(rejected)

    def verdicts(self, failures: Mapping[int, Rejection]) -> tuple[VerifiedBallot | Rejection, ...]:
        """Return one verdict per ballot, in order of adding; `failures` is of `collected`."""
        set_hash = self._active_set.set_hash
        refused = {**self._refused, **failures}
        verified = {
            index: VerifiedBallot(item.data, set_hash, _VERIFIED)
            for index, item in self.collected.items()
            if index not in refused
        }
        count = len(refused) + len(verified)
        return tuple([refused.get(index) or verified[index] for index in range(count)])

    def verify(self) -> tuple[VerifiedBallot | Rejection, ...]:
        """Verify the equations of these ballots alone, in one batch."""
        raws = [item.data for item in self.collected.values()]
        weights = Coins(hash64("consortium/ballot-weights", self._active_set.set_hash, *raws))
        return self.verdicts(failing_equations(self.collected, weights.take))


def verify_ballots(
    raws: Sequence[bytes], *, chain_id: bytes, height: Height, view: View, active_set: ActiveSet
) -> tuple[VerifiedBallot | Rejection, ...]:
    """Judge ballots cast at `height` in `view` by banks of `active_set`, all in one batch.

    Returns one verdict per ballot, in order; bad ones do not spoil the others. What block they are
    about, and repeated tags, are for the caller to judge (IDX1 9.6).
    """
    context = BallotContext(chain_id, height, view)
    batch = BallotBatch(active_set)
    for raw in raws:
        batch.add(raw, context)
    return batch.verify()


def collect_parent_ballots(
    raws: Sequence[bytes], parent: Header, active_set: ActiveSet
) -> BallotBatch:
    """Collect ballots about a block, each in the view that it names (see `BallotBatch`)."""
    batch = BallotBatch(active_set)
    for raw in raws:
        # Too short to name a view is too short for everything: the context does not matter.
        view = ballot_view(raw) if len(raw) >= _ROUND.stop else View(0)
        batch.add(raw, BallotContext(parent.chain_id, parent.height, view))
    return batch


def verify_parent_ballots(
    raws: Sequence[bytes], parent: Header, active_set: ActiveSet
) -> tuple[VerifiedBallot | Rejection, ...]:
    """Judge the ballots of a block about its parent, or some of them, in one batch.

    `active_set` is that of the parent's height. Every ballot is judged in the view that it names,
    so a verdict depends on nothing else in the list; that one view is named, and which block the
    ballots are about, is `voting_record`'s to judge.
    """
    return collect_parent_ballots(raws, parent, active_set).verify()


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
