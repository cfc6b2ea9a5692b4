"""One block, whole: verified from the genesis alone, with the round in which it was decided."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, fields
from hashlib import sha256

from node.client.certified_blocks import CertifiedBlock, verify_stored_block
from node.client.errors import LedgerError, RecordNotFound, VerificationError
from node.client.record_check import RecordCheck
from node.client.verification import SealVerifier
from node.client.verified_votes import decision_of
from node.dashboard.ledger_reading import LedgerReading
from node.ledger.ballots import BallotCertificate, ballot_tag
from node.ledger.blocks import Block, Header
from node.ledger.encoding import MalformedEncoding
from node.ledger.genesis import Genesis
from node.ledger.types import BankIndex, Height
from node.runtime.consortium_directory import short_name
from node.runtime.transaction_summary import TransactionSummary
from node.wire.operator_records import RoundReport
from node.wire.records import EvidenceItem, PublishedBlock, PublishedSetChange


@dataclass(frozen=True, slots=True)
class ShownBlock:
    """A block as a bank showed it, and what of it could be verified."""

    stored: PublishedBlock
    header: Header
    block: Block | None
    """None at height 0."""
    certified: CertifiedBlock | None
    """None if it does not verify."""
    fault: str
    """Why it does not; empty if it does."""

    def to_json_object(self, genesis: Genesis) -> dict[str, object]:
        """Return everything but votes, evidence and round by name."""
        header = self.header
        return {
            "height": header.height,
            "block_id": header.block_id.hex(),
            "parent_id": header.parent_id.hex(),
            "time_ms": header.time_ms,
            "proposer": header.proposer if header.height else None,
            "proposer_name": short_name(header.proposer) if header.height else None,
            "view": header.original_view,
            "header": header_fields(header),
            "header_hex": self.stored.header.hex(),
            "merkle_root": header.transactions_root.hex(),
            "transactions": [
                transaction_row(genesis, index, raw)
                for index, raw in enumerate(self.stored.transactions)
            ],
            "certificate": self._certificate(genesis),
        }

    def _certificate(self, genesis: Genesis) -> dict[str, object] | None:
        if not self.stored.certificate:
            return None
        certified = self.certified
        try:
            ballots = len(BallotCertificate.decode(self.stored.certificate).ballots)
        except MalformedEncoding:
            ballots = 0
        whole = genesis.active_set([bank.index for bank in genesis.banks])
        active = whole if certified is None else certified.active_set
        verified_words = (
            "every ballot, all transactions and their root were verified by this page's server, "
            "from the genesis alone"
        )
        return {
            "ballots": ballots,
            "quorum": active.quorum,
            "active_banks": active.size,
            "bytes": len(self.stored.certificate),
            "verified": certified is not None,
            "why": self.fault or verified_words,
        }


async def shown_block(reading: LedgerReading, height: Height) -> ShownBlock:
    """Fetch and verify a block; raises `LedgerError`, `MalformedEncoding`."""
    stored = await reading.ledger.block(height, include_transactions=True)
    changes = (await reading.sealed_state()).set_changes
    return await asyncio.to_thread(_verify, reading.verifier, stored, changes, height)


def _verify(
    verifier: SealVerifier,
    stored: PublishedBlock,
    changes: tuple[PublishedSetChange, ...],
    height: Height,
) -> ShownBlock:
    header = Header.decode(stored.header)
    block = Block.decode(stored.block) if stored.block else None
    certified, fault = None, ""
    try:
        certified = verify_stored_block(verifier, stored, changes)
    except VerificationError as error:
        fault = str(error)
    if header.height != height:
        certified, fault = None, "the bank showed another block than the one that was asked for"
    return ShownBlock(stored, header, block, certified, fault)


async def votes_object(reading: LedgerReading, shown: ShownBlock) -> dict[str, object] | None:
    """Return the ballots that the next block records, or those of the tip's own certificate."""
    certified = shown.certified
    if certified is None or certified.certificate is None:
        return None
    try:
        stored = await reading.ledger.block(Height(shown.header.height + 1))
    except RecordNotFound:
        return _votes("pending", certified.certificate.ballots, certified)
    changes = (await reading.sealed_state()).set_changes
    try:
        raws = await asyncio.to_thread(_recorded, reading.verifier, certified, stored, changes)
    except (VerificationError, MalformedEncoding) as error:
        return {**_votes("not verified", (), certified), "why": str(error)}
    return _votes("recorded", raws, certified)


def _recorded(
    verifier: SealVerifier,
    certified: CertifiedBlock,
    stored: PublishedBlock,
    changes: tuple[PublishedSetChange, ...],
) -> tuple[bytes, ...]:
    """Return the ballots about a block that the next one carries, verified."""
    height = certified.header.height + 1
    earlier = [item for item in changes if Header.decode(item.header).height < height]
    header = verifier.verify_header(stored.header, stored.certificate, earlier)
    child = Block.decode(stored.block)
    if child.header != header or header.parent_id != certified.header.block_id:
        raise VerificationError("the next block is another one than this block's child")
    check = RecordCheck(verifier.genesis, verifier)
    fault = check.take(certified.header, child, certified.active_set)
    if fault:
        raise VerificationError(fault)
    return child.parent_ballots


def _votes(status: str, raws: tuple[bytes, ...], block: CertifiedBlock) -> dict[str, object]:
    votes: list[dict[str, object]] = [
        {"tag": ballot_tag(raw).hex(), "approve": is_approval(raw)} for raw in raws
    ]
    approved = sum(is_approval(raw) for raw in raws)
    return {
        "status": status,
        "approved": approved,
        "rejected": len(raws) - approved,
        "active_banks": block.active_set.size,
        "votes": votes,
    }


def evidence_objects(
    block: Block | None, listed: Mapping[bytes, EvidenceItem]
) -> list[dict[str, object]]:
    """Return what the evidence in a block accuses whom of; the penalty as the bank lists it."""
    found: list[dict[str, object]] = []
    for raw in () if block is None else block.evidence:
        identity = sha256(raw).digest()
        item = listed.get(identity)
        entry: dict[str, object] = {"id": identity.hex(), "bytes": len(raw)}
        if item is not None:
            entry |= evidence_object(item)
        found.append(entry)
    return found


def evidence_object(item: EvidenceItem) -> dict[str, object]:
    """Return an evidence item as a bank lists it."""
    return {
        "id": item.evidence_id.hex(),
        "offence": item.offence,
        "bank": item.bank,
        "name": short_name(item.bank),
        "height": item.offence_height,
        "status": item.status.name.lower(),
        "recorded_height": item.recorded_height,
        "penalty": item.penalty,
        "bytes": len(item.item),
    }


def header_fields(header: Header) -> dict[str, object]:
    """Return every field of a header by name; bytes in hexadecimal."""
    values = {field.name: getattr(header, field.name) for field in fields(header)}
    return {
        name: value.hex() if isinstance(value, bytes) else value for name, value in values.items()
    }


def transaction_row(genesis: Genesis, index: int, raw: bytes) -> dict[str, object]:
    """Return what a list shows of a transaction."""
    shown = public_fields(genesis, raw)
    return {"index": index, "id": shown["transaction_id"], "bytes": len(raw), **shown}


def public_fields(genesis: Genesis, raw: bytes) -> dict[str, object]:
    """Return what everybody sees of a transaction; raises `RecordsInvalid`."""
    summary = TransactionSummary.of(raw, genesis)
    asset = next(item for item in genesis.assets if item.code == summary.asset)
    bank = next(
        (item.index for item in genesis.banks if short_name(item.index) == summary.bank), None
    )
    return {**summary.to_json_object(), "decimals": asset.decimals, "bank_index": bank}


def round_objects(
    answers: Mapping[BankIndex, RoundReport | LedgerError], bank_count: int
) -> list[dict[str, object]]:
    """Return how each bank saw the round, or why it does not tell."""
    return [_round(BankIndex(bank), answers.get(BankIndex(bank))) for bank in range(bank_count)]


def _round(bank: BankIndex, answer: RoundReport | LedgerError | None) -> dict[str, object]:
    row: dict[str, object] = {"bank": bank, "name": short_name(bank), "events": []}
    if not isinstance(answer, RoundReport):
        return {**row, "error": why_silent(answer)}
    row["events"] = [
        {
            "kind": event.kind.value,
            "view": event.view,
            "at_us": event.at_us,
            "duration_us": event.duration_us,
            "bank": event.bank,
        }
        for event in answer.events
    ]
    return row


def why_silent(answer: LedgerError | None) -> str:
    """Say why a bank tells nothing."""
    if isinstance(answer, RecordNotFound):
        return answer.message
    if answer is None:
        return "its process does not run"
    return "it does not answer" if answer.status in _SILENT else answer.message


_SILENT = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED")


def is_approval(raw: bytes) -> bool:
    """Whether a verified ballot approves."""
    return decision_of(raw) == "approve"
