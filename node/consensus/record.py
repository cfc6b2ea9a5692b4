"""The durable record: everything a bank must not forget about the current height (BFT-12 4).

One row per bank, replaced by every `Persist` and deleted when the height is applied. The blocks
that it names are stored beside it, not in it.
"""

from __future__ import annotations

from dataclasses import dataclass

from node.consensus.certificates import (
    QUORUM_CERTIFICATE_MAX_BYTES,
    TIMEOUT_CERTIFICATE_MAX_BYTES,
    QuorumCertificate,
    TimeoutCertificate,
    read_place,
    write_place,
)
from node.consensus.statements import (
    COMMIT_MAX_BYTES,
    PROPOSAL_MAX_BYTES,
    TIMEOUT_MAX_BYTES,
    VOTE_MAX_BYTES,
    Commit,
    Proposal,
    Timeout,
    Vote,
)
from node.ledger.encoding import MalformedEncoding, Reader, Writer
from node.ledger.types import NO_VIEW, Height, View

RECORD_VERSION = 1
MAX_RECORD_BYTES = (
    64
    + QUORUM_CERTIFICATE_MAX_BYTES
    + TIMEOUT_CERTIFICATE_MAX_BYTES
    + PROPOSAL_MAX_BYTES
    + VOTE_MAX_BYTES
    + COMMIT_MAX_BYTES
    + TIMEOUT_MAX_BYTES
)


class RecordInvalid(Exception):
    """The stored record cannot be used: our own disk or our own bug, never a peer."""


@dataclass(frozen=True, slots=True)
class DurableRecord:
    """What was true when this bank last signed something at this height."""

    height: Height
    view: View
    step: int
    """Statements signed at this height."""
    voted: Vote | None = None
    """The vote signed in `view`."""
    committed: Commit | None = None
    """The last commit signed at this height, of any view."""
    timeout: Timeout | None = None
    """The last timeout signed at this height; its view is `tout`."""
    highest: QuorumCertificate | None = None
    """hq: the highest quorum certificate known."""
    entry: TimeoutCertificate | None = None
    """etc: what let me enter `view`; absent for view 0 or when a quorum certificate did."""
    proposed: Proposal | None = None
    """The proposal signed in `view`."""

    @property
    def timed_out_view(self) -> View:
        """The highest view given up (`tout`), -1 for none."""
        return NO_VIEW if self.timeout is None else self.timeout.view

    def encode(self) -> bytes:
        """Return the canonical bytes, led by a version byte."""
        writer = write_place(Writer().u8(RECORD_VERSION), self.height, self.view).u32(self.step)
        writer.optional(self.voted, lambda out, item: item.write(out))
        writer.optional(self.committed, lambda out, item: item.write(out))
        writer.optional(self.timeout, lambda out, item: item.write(out))
        writer.optional(self.highest, lambda out, item: item.write(out))
        writer.optional(self.entry, lambda out, item: item.write(out))
        writer.optional(self.proposed, lambda out, item: item.write(out))
        return writer.finish()

    @staticmethod
    def decode(data: bytes) -> DurableRecord:
        """Decode canonical bytes; raises `RecordInvalid`."""
        if len(data) > MAX_RECORD_BYTES:
            raise RecordInvalid(f"record of {len(data)} bytes exceeds {MAX_RECORD_BYTES}")
        try:
            reader = Reader(data)
            version = reader.u8()
            if version != RECORD_VERSION:
                raise RecordInvalid(f"record version {version} where {RECORD_VERSION} is known")
            height, view = read_place(reader)
            record = DurableRecord(
                height=height,
                view=view,
                step=reader.u32(),
                voted=reader.optional(Vote.read),
                committed=reader.optional(Commit.read),
                timeout=reader.optional(Timeout.read),
                highest=reader.optional(QuorumCertificate.read),
                entry=reader.optional(TimeoutCertificate.read),
                proposed=reader.optional(Proposal.read),
            )
            reader.finish()
        except MalformedEncoding as error:
            raise RecordInvalid(f"record is damaged: {error}") from error
        return record
