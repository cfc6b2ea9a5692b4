"""The votes on a block, verified from the genesis alone: how many approved, and not which banks."""

from __future__ import annotations

from dataclasses import dataclass

from node.client.certified_blocks import CertifiedBlock, certified_block
from node.client.errors import RecordsInvalid
from node.client.ledger_client import LedgerClient
from node.client.record_check import RecordCheck
from node.client.verification import SealVerifier
from node.ledger.ballots import Decision, ballot_message, ballot_tag
from node.ledger.types import Height
from node.wire.records import BlockVotes, VotingStatus


@dataclass(frozen=True, slots=True)
class Votes:
    """The votes on one block, verified from the genesis alone."""

    block: CertifiedBlock
    raws: tuple[bytes, ...]
    """By increasing tag: as the next block records them, or those of the tip's certificate."""
    is_recorded: bool
    """Whether they are agreed; of the tip this bank's own certificate is shown."""

    @property
    def approved(self) -> int:
        """Ballots that approve."""
        return sum(ballot_message(raw).endswith(Decision.APPROVE.value) for raw in self.raws)

    @property
    def status(self) -> str:
        return "recorded" if self.is_recorded else "pending"

    def to_json_object(self) -> dict[str, object]:
        """Return everything by name."""
        header = self.block.header
        return {
            "height": header.height,
            "block_id": header.block_id.hex(),
            "time_ms": header.time_ms,
            "status": self.status,
            "approved": self.approved,
            "rejected": len(self.raws) - self.approved,
            "active_banks": self.block.active_set.size,
            "quorum": self.block.active_set.quorum,
            "verified": True,
            "votes": [
                {
                    "tag": ballot_tag(raw).hex(),
                    "decision": decision_of(raw),
                    "bank": None,
                    "ballot": raw.hex(),
                }
                for raw in self.raws
            ],
        }


def decision_of(raw: bytes) -> str:
    """Return what a ballot says: `approve` or `reject`."""
    return Decision(ballot_message(raw)[-1:]).name.lower()


async def verified_votes(ledger: LedgerClient, verifier: SealVerifier, height: Height) -> Votes:
    """Fetch the votes on a block and verify them.

    Raises what `certified_block` raises, and `RecordsInvalid` for a record that is not the one
    that the next block holds.
    """
    listed = await ledger.votes(height, include_ballots=True)
    block = await certified_block(ledger, verifier, height)
    if listed.status is VotingStatus.PENDING:
        assert block.certificate is not None, "nobody votes on genesis"
        return Votes(block, block.certificate.ballots, is_recorded=False)
    child = await certified_block(ledger, verifier, Height(height + 1))
    assert child.block is not None, "above genesis every block is there"
    records = RecordCheck(verifier.genesis, verifier)
    fault = records.take(block.header, child.block, block.active_set)
    if fault:
        raise RecordsInvalid(f"block {height + 1}: {fault}")
    _require_same(listed, child.block.parent_ballots)
    return Votes(block, child.block.parent_ballots, is_recorded=True)


def _require_same(listed: BlockVotes, raws: tuple[bytes, ...]) -> None:
    """Raise `RecordsInvalid` if a bank's record is not what the next block holds."""
    approvals = [ballot_message(raw).endswith(Decision.APPROVE.value) for raw in raws]
    recorded = [(vote.tag, vote.approve, vote.ballot) for vote in listed.votes]
    held = [(ballot_tag(raw), yes, raw) for raw, yes in zip(raws, approvals, strict=True)]
    counts = (sum(approvals), len(raws) - sum(approvals))
    if recorded != held or (listed.approved, listed.rejected) != counts:
        raise RecordsInvalid("the bank's voting record is not what the next block holds")
