"""Evidence and stakes, read."""

from __future__ import annotations

import hashlib

from sqlalchemy import ColumnElement, func, select

from node.ledger.types import Amount, BankIndex, Height, TimeMs
from node.storage.errors import NotFound
from node.storage.reading import MAX_BIGINT, AnyRow, Reader, page_size
from node.storage.records import EvidenceStatus, StoredBankStake, StoredEvidence
from node.storage.tables import BankRow, EvidenceRow, TreasuryRecord

EVIDENCE_COLUMNS = (
    EvidenceRow.sequence,
    EvidenceRow.evidence_id,
    EvidenceRow.offence,
    EvidenceRow.offence_class,
    EvidenceRow.bank_id,
    EvidenceRow.offence_height,
    EvidenceRow.raw,
    EvidenceRow.source_bank_id,
    EvidenceRow.found_at,
    EvidenceRow.status,
    EvidenceRow.block_number,
    EvidenceRow.stake_before,
    EvidenceRow.penalty,
    EvidenceRow.ordinal,
)


class EvidenceReader(Reader):
    """Questions about offences and what they cost."""

    async def pending_evidence(self) -> tuple[bytes, ...]:
        """Return the items that this bank accepted and no block has settled, oldest first.

        Raises `IntegrityViolation` for an item that is not what was stored.
        """
        rows = await self._rows(
            select(*EVIDENCE_COLUMNS)
            .where(EvidenceRow.status == EvidenceStatus.PENDING.value)
            .order_by(EvidenceRow.sequence)
        )
        return tuple([self._stored_evidence(row).raw for row in rows])

    async def evidence(self, from_sequence: int, limit: int) -> tuple[StoredEvidence, ...]:
        """Return evidence in the order in which this bank got it, from a sequence number on.

        Raises `IntegrityViolation` for an item that is not what was stored.
        """
        rows = await self._rows(
            select(*EVIDENCE_COLUMNS)
            .where(EvidenceRow.sequence >= min(from_sequence, MAX_BIGINT))
            .order_by(EvidenceRow.sequence)
            .limit(page_size(limit))
        )
        return tuple([self._stored_evidence(row) for row in rows])

    async def evidence_item(self, evidence_id: bytes) -> StoredEvidence:
        """Return one item; raises `NotFound` and `IntegrityViolation`."""
        rows = await self._rows(
            select(*EVIDENCE_COLUMNS).where(EvidenceRow.evidence_id == evidence_id)
        )
        if not rows:
            raise NotFound(f"no evidence {evidence_id.hex()}")
        return self._stored_evidence(rows[0])

    async def bank_stakes(self) -> tuple[StoredBankStake, ...]:
        """Return every bank's stake beside the sums of its treasury rows, as of the tip."""

        def total(kind: str) -> ColumnElement[int]:
            return func.coalesce(
                func.sum(TreasuryRecord.amount).filter(TreasuryRecord.type == kind), 0
            )

        rows = await self._rows(
            select(
                BankRow.id,
                BankRow.name,
                BankRow.initial_stake,
                BankRow.stake,
                BankRow.offences,
                BankRow.is_active,
                BankRow.account_balance,
                total("stake"),
                total("penalty"),
            )
            .outerjoin(TreasuryRecord, TreasuryRecord.bank_id == BankRow.id)
            .group_by(BankRow.id)
            .order_by(BankRow.id)
        )
        return tuple(
            [
                StoredBankStake(
                    bank=BankIndex(row[0]),
                    name=row[1],
                    initial_stake=Amount(row[2]),
                    stake=Amount(row[3]),
                    offences=row[4],
                    active=row[5],
                    account_balance=Amount(row[6]),
                    staked=int(row[7]),
                    penalties=int(row[8]),
                )
                for row in rows
            ]
        )

    def _stored_evidence(self, row: AnyRow) -> StoredEvidence:
        if hashlib.sha256(row[6]).digest() != row[1]:
            raise self._violation(
                "evidence", row[10], f"item {row[1].hex()} does not have the bytes its id hashes"
            )
        return StoredEvidence(
            sequence=row[0],
            evidence_id=row[1],
            offence=row[2],
            offence_class=row[3],
            bank=BankIndex(row[4]),
            offence_height=Height(row[5]),
            raw=row[6],
            source=None if row[7] is None else BankIndex(row[7]),
            found_at_ms=TimeMs(int(row[8].timestamp() * 1000)),
            status=EvidenceStatus(row[9]),
            recorded_at=None if row[10] is None else Height(row[10]),
            stake_before=row[11],
            penalty=row[12],
            ordinal=row[13],
        )
