"""Quorum, timeout and reject certificates and the seal: what proves itself (BFT-12 2, 3).

Every certificate that can unlock, skip or seal something carries q signatures of the active set
of its height; that is what makes agreement hold up to b = 2q-n-1 Byzantine banks. The reject
certificate carries only rq and is therefore a trigger, never a justification (BFT-12 section 6).

Verification raises `CertificateInvalid`. It checks, cheapest first: the right height, signers in
increasing bank index (which excludes duplicates), all active, enough of them, every signature.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from crypto.ballot import BallotContext, ballot_bytes
from node.consensus.signatures import SignatureInvalid, Verifier
from node.consensus.signing import Decision, SigningContext
from node.ledger.active_set import ActiveSet
from node.ledger.ballots import BallotCertificate, check_approvals
from node.ledger.ballots import Decision as BallotDecision
from node.ledger.blocks import MAX_BALLOT_BYTES
from node.ledger.encoding import MalformedEncoding, Reader, Writer
from node.ledger.rejection import Rejection
from node.ledger.types import (
    HASH_BYTES,
    NO_VIEW,
    SIGNATURE_BYTES,
    BankIndex,
    BlockId,
    Height,
    View,
)

MAX_BANKS = 16
"""A ballot ring holds at most 16 banks (IDX1 9.2), so no certificate has more signers."""
MAX_VIEW = (1 << 31) - 1
"""Views fit the signed `hqv` field."""
MAX_REASON_BYTES = 48
MAX_BALLOTS = MAX_BANKS

_REASON = re.compile(rb"[a-z0-9-]{1,48}")

QUORUM_CERTIFICATE_MAX_BYTES = 8 + 4 + HASH_BYTES + 4 + MAX_BANKS * (2 + SIGNATURE_BYTES)
TIMEOUT_CERTIFICATE_MAX_BYTES = 8 + 4 + 4 + MAX_BANKS * (2 + 4 + SIGNATURE_BYTES)
REJECTION_MAX_BYTES = 2 + 4 + MAX_REASON_BYTES + 5 + SIGNATURE_BYTES
REJECT_CERTIFICATE_MAX_BYTES = 8 + 4 + HASH_BYTES + 4 + MAX_BANKS * REJECTION_MAX_BYTES
SEAL_MAX_BYTES = QUORUM_CERTIFICATE_MAX_BYTES + 4 + MAX_BALLOTS * (4 + MAX_BALLOT_BYTES)


class CertificateInvalid(Exception):
    """A certificate that does not prove what it claims: the fault of whoever made it."""


@dataclass(frozen=True, slots=True)
class SignatureEntry:
    """One bank's signature over the statement that the certificate is about."""

    bank: BankIndex
    signature: bytes

    def write(self, writer: Writer) -> Writer:
        return writer.u16(self.bank).fixed(self.signature, SIGNATURE_BYTES)

    @staticmethod
    def read(reader: Reader) -> SignatureEntry:
        return SignatureEntry(BankIndex(reader.u16()), reader.fixed(SIGNATURE_BYTES))


@dataclass(frozen=True, slots=True)
class TimeoutEntry:
    """One bank's timeout: the highest certificate view that it claimed, and its signature."""

    bank: BankIndex
    highest_view: View
    signature: bytes

    def write(self, writer: Writer) -> Writer:
        writer.u16(self.bank).i32(self.highest_view)
        return writer.fixed(self.signature, SIGNATURE_BYTES)

    @staticmethod
    def read(reader: Reader) -> TimeoutEntry:
        bank = BankIndex(reader.u16())
        return TimeoutEntry(bank, read_highest_view(reader), reader.fixed(SIGNATURE_BYTES))


@dataclass(frozen=True, slots=True)
class RejectionEntry:
    """One bank's rejection with its reason and the transaction that it blames, if any."""

    bank: BankIndex
    reason: str
    transaction_index: int | None
    signature: bytes

    def write(self, writer: Writer) -> Writer:
        writer.u16(self.bank).text(self.reason).optional(self.transaction_index, Writer.u32)
        return writer.fixed(self.signature, SIGNATURE_BYTES)

    @staticmethod
    def read(reader: Reader) -> RejectionEntry:
        return RejectionEntry(
            bank=BankIndex(reader.u16()),
            reason=read_reason(reader),
            transaction_index=reader.optional(Reader.u32),
            signature=reader.fixed(SIGNATURE_BYTES),
        )


@dataclass(frozen=True, slots=True)
class QuorumCertificate:
    """q banks approved this block in this view (BFT-12 P4)."""

    height: Height
    view: View
    block_id: BlockId
    signatures: tuple[SignatureEntry, ...]

    def write(self, writer: Writer) -> Writer:
        write_place(writer, self.height, self.view).fixed(self.block_id, HASH_BYTES)
        return writer.many(self.signatures, lambda out, entry: entry.write(out))

    @staticmethod
    def read(reader: Reader) -> QuorumCertificate:
        height, view = read_place(reader)
        block_id = BlockId(reader.fixed(HASH_BYTES))
        return QuorumCertificate(
            height, view, block_id, reader.many(MAX_BANKS, SignatureEntry.read)
        )


@dataclass(frozen=True, slots=True)
class TimeoutCertificate:
    """q banks gave up this view, each naming the highest certificate it held (BFT-12 V4)."""

    height: Height
    view: View
    entries: tuple[TimeoutEntry, ...]

    @property
    def highest_view(self) -> View:
        """The m of BFT-12 P2: the highest view claimed in it, -1 if nobody held a certificate."""
        return max((entry.highest_view for entry in self.entries), default=NO_VIEW)

    def write(self, writer: Writer) -> Writer:
        write_place(writer, self.height, self.view)
        return writer.many(self.entries, lambda out, entry: entry.write(out))

    @staticmethod
    def read(reader: Reader) -> TimeoutCertificate:
        height, view = read_place(reader)
        return TimeoutCertificate(height, view, reader.many(MAX_BANKS, TimeoutEntry.read))


@dataclass(frozen=True, slots=True)
class RejectCertificate:
    """rq banks rejected this block in this view (BFT-12 R1): a fast trigger and nothing else."""

    height: Height
    view: View
    block_id: BlockId
    entries: tuple[RejectionEntry, ...]

    def write(self, writer: Writer) -> Writer:
        write_place(writer, self.height, self.view).fixed(self.block_id, HASH_BYTES)
        return writer.many(self.entries, lambda out, entry: entry.write(out))

    @staticmethod
    def read(reader: Reader) -> RejectCertificate:
        height, view = read_place(reader)
        block_id = BlockId(reader.fixed(HASH_BYTES))
        return RejectCertificate(
            height, view, block_id, reader.many(MAX_BANKS, RejectionEntry.read)
        )


@dataclass(frozen=True, slots=True)
class Seal:
    """q banks committed to this block in this view: it is final (BFT-12 P6).

    Seals of one block may differ from bank to bank in signers, ballots and view. The signatures
    stay among the banks; `published` is for everybody else.
    """

    height: Height
    view: View
    block_id: BlockId
    signatures: tuple[SignatureEntry, ...]
    ballots: tuple[bytes, ...] = ()
    """Exactly q APPROVE ballots with distinct tags, sorted by tag (BFT-12 section 17). Whose they
    are is unknown, also which signer's."""

    def write(self, writer: Writer) -> Writer:
        write_place(writer, self.height, self.view).fixed(self.block_id, HASH_BYTES)
        writer.many(self.signatures, lambda out, entry: entry.write(out))
        return writer.many(self.ballots, Writer.blob)

    @staticmethod
    def read(reader: Reader) -> Seal:
        height, view = read_place(reader)
        return Seal(
            height=height,
            view=view,
            block_id=BlockId(reader.fixed(HASH_BYTES)),
            signatures=reader.many(MAX_BANKS, SignatureEntry.read),
            ballots=reader.many(MAX_BALLOTS, lambda r: r.blob(MAX_BALLOT_BYTES)),
        )

    def published(self) -> BallotCertificate:
        """Return what is shown outside the consortium: the ballots and what they are about."""
        return BallotCertificate(self.height, self.view, self.block_id, self.ballots)

    def encode(self) -> bytes:
        """Return the canonical bytes, as stored with the block."""
        return self.write(Writer()).finish()

    @staticmethod
    def decode(data: bytes) -> Seal:
        """Decode canonical bytes; raises `MalformedEncoding`."""
        if len(data) > SEAL_MAX_BYTES:
            raise MalformedEncoding(f"seal of {len(data)} bytes exceeds {SEAL_MAX_BYTES}")
        reader = Reader(data)
        seal = Seal.read(reader)
        reader.finish()
        return seal


def verify_quorum_certificate(
    certificate: QuorumCertificate, chain_id: bytes, active_set: ActiveSet, verifier: Verifier
) -> None:
    """Check a quorum certificate against the active set of its height.

    Raises `CertificateInvalid`.
    """
    banks = [entry.bank for entry in certificate.signatures]
    require_signers(banks, active_set, required_approvals(active_set))
    context = SigningContext.of(chain_id, active_set, certificate.height)
    for entry in certificate.signatures:
        statement = context.approval(certificate.view, entry.bank, certificate.block_id)
        _verify(verifier, active_set, entry.bank, statement, entry.signature)


def verify_seal(seal: Seal, chain_id: bytes, active_set: ActiveSet, verifier: Verifier) -> None:
    """Check a seal against the active set of its height: its signatures and its ballots' form.

    Raises `CertificateInvalid`. Whether the ballots' proofs hold is not looked at here:
    `node.ledger.ballots.verify_ballot_certificate` of `published()`, or the core's `VerifyBallots`.
    """
    verify_commits(seal, chain_id, active_set, verifier)
    check_ballots(seal, chain_id, active_set)


def verify_commits(seal: Seal, chain_id: bytes, active_set: ActiveSet, verifier: Verifier) -> None:
    """Check the signatures of a seal alone; raises `CertificateInvalid`.

    They are what its signers answer for (BFT-12 section 9), whatever the ballots are worth.
    """
    banks = [entry.bank for entry in seal.signatures]
    require_signers(banks, active_set, required_commits(active_set))
    context = SigningContext.of(chain_id, active_set, seal.height)
    for entry in seal.signatures:
        statement = context.commit(seal.view, entry.bank, seal.block_id)
        _verify(verifier, active_set, entry.bank, statement, entry.signature)


def check_ballots(seal: Seal, chain_id: bytes, active_set: ActiveSet) -> None:
    """Check number, order, tags, context and message of a seal's ballots, before any proof.

    Raises `CertificateInvalid`.
    """
    try:
        check_approvals(seal.ballots, seal.block_id, required_ballots(active_set))
    except Rejection as rejection:
        raise CertificateInvalid(str(rejection)) from rejection
    place = (chain_id, seal.height, seal.view, seal.block_id)
    for raw in seal.ballots:
        if not is_ballot_about(raw, *place, BallotDecision.APPROVE, active_set):
            raise CertificateInvalid("a ballot is of another chain, height, view or ring size")


def is_ballot_about(
    raw: bytes,
    chain_id: bytes,
    height: Height,
    view: View,
    block_id: BlockId,
    decision: BallotDecision,
    active_set: ActiveSet,
) -> bool:
    """Whether bytes have the length and the head of a ballot (IDX1 9.3) about this, no more."""
    head = _ballot_head(chain_id, height, view, block_id, decision)
    return len(raw) == ballot_bytes(active_set.size) and raw.startswith(head)


@lru_cache(maxsize=64)
def _ballot_head(
    chain_id: bytes, height: Height, view: View, block_id: BlockId, decision: BallotDecision
) -> bytes:
    """The ballots of a seal share their head."""
    return BallotContext(chain_id, height, view).encode() + block_id + decision.value


def verify_timeout_certificate(
    certificate: TimeoutCertificate, chain_id: bytes, active_set: ActiveSet, verifier: Verifier
) -> None:
    """Check a timeout certificate against the active set of its height.

    Raises `CertificateInvalid`, also when an entry claims a certificate of a later view (V3).
    """
    banks = [entry.bank for entry in certificate.entries]
    require_signers(banks, active_set, required_timeouts(active_set))
    if certificate.highest_view > certificate.view:
        raise CertificateInvalid("a timeout claims a certificate of a later view")
    context = SigningContext.of(chain_id, active_set, certificate.height)
    for entry in certificate.entries:
        statement = context.timeout(certificate.view, entry.bank, entry.highest_view)
        _verify(verifier, active_set, entry.bank, statement, entry.signature)


def verify_reject_certificate(
    certificate: RejectCertificate, chain_id: bytes, active_set: ActiveSet, verifier: Verifier
) -> None:
    """Check a reject certificate against the active set of its height.

    Raises `CertificateInvalid`.
    """
    banks = [entry.bank for entry in certificate.entries]
    require_signers(banks, active_set, active_set.reject_threshold)
    context = SigningContext.of(chain_id, active_set, certificate.height)
    for entry in certificate.entries:
        statement = context.vote(
            certificate.view,
            entry.bank,
            certificate.block_id,
            Decision.REJECT,
            entry.reason,
            entry.transaction_index,
        )
        _verify(verifier, active_set, entry.bank, statement, entry.signature)


def required_approvals(active_set: ActiveSet) -> int:
    """Signatures in a quorum certificate."""
    return active_set.quorum


def required_commits(active_set: ActiveSet) -> int:
    """Signatures in a seal."""
    return active_set.quorum


def required_ballots(active_set: ActiveSet) -> int:
    """Ballots with distinct tags in a seal."""
    return active_set.quorum


def required_timeouts(active_set: ActiveSet) -> int:
    """Signatures in a timeout certificate: a full quorum, or the lock argument falls."""
    return active_set.quorum


def require_signers(banks: Sequence[BankIndex], active_set: ActiveSet, required: int) -> None:
    """Raise `CertificateInvalid` unless `banks` are enough distinct active banks in order."""
    if any(left >= right for left, right in pairwise(banks)):
        raise CertificateInvalid("signers are not in strictly increasing bank index")
    for bank in banks:
        if bank not in active_set:
            raise CertificateInvalid(f"signer {bank} is not active at this height")
    if len(banks) < required:
        raise CertificateInvalid(f"{len(banks)} signatures where {required} are required")


def write_place(writer: Writer, height: Height, view: View) -> Writer:
    """Append height and view."""
    return writer.u64(height).u32(view)


def read_place(reader: Reader) -> tuple[Height, View]:
    """Read height and view; raises `MalformedEncoding` for a view that `hqv` could not name."""
    height = Height(reader.u64())
    return height, read_view(reader)


def read_view(reader: Reader) -> View:
    """Read a view; raises `MalformedEncoding` for one that `hqv` could not name."""
    view = reader.u32()
    if view > MAX_VIEW:
        raise MalformedEncoding(f"view {view} exceeds {MAX_VIEW}")
    return View(view)


def read_highest_view(reader: Reader) -> View:
    """Read an `hqv`; raises `MalformedEncoding` below -1."""
    highest_view = reader.i32()
    if highest_view < NO_VIEW:
        raise MalformedEncoding(f"highest certificate view {highest_view} is below -1")
    return View(highest_view)


def read_reason(reader: Reader) -> str:
    """Read a reason code: lower-case words joined by hyphens, at most 48 bytes."""
    raw = reader.blob(MAX_REASON_BYTES)
    if not _REASON.fullmatch(raw):
        raise MalformedEncoding("a rejection reason is 1 to 48 characters of a-z, 0-9 and -")
    return raw.decode("ascii")


def _verify(
    verifier: Verifier, active_set: ActiveSet, bank: BankIndex, statement: bytes, signature: bytes
) -> None:
    try:
        verifier.verify(active_set.keys[bank], statement, signature)
    except SignatureInvalid as error:
        raise CertificateInvalid(f"signature of bank {bank} does not verify") from error
