"""Reading and writing the regulator's database; every act is one transaction with its audit row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from node.ledger.types import BankIndex, BlockId, FiscalYear, Height, TimeMs, TransactionId
from node.storage import migrations
from node.storage.configuration import DatabaseConfig
from node.storage.connection import connect
from node.storage.errors import NotFound
from node.storage.regulator.audit_log import AuditedDatabase, AuditLogBroken
from node.storage.regulator.records import (
    Accusation,
    Alarm,
    Challenge,
    ChallengeCounts,
    FollowedBin,
    FollowedBlock,
    FollowedSet,
    HandledConflict,
    Reverification,
    ReverificationResult,
    SettlementRecord,
    VotingRecord,
)
from node.storage.regulator.tables import (
    ACCUSATIONS,
    ACTIVE_SETS,
    ALARMS,
    CHALLENGES,
    CLOSED_BINS,
    FOLLOWED_BLOCKS,
    HANDLED_CONFLICTS,
    KEPT_STATES,
    RECORDED_BALLOTS,
    REVERIFICATIONS,
    SETTLEMENTS,
    SPENT_NULLIFIERS,
    YEAR_COUNTS,
)

MIGRATIONS = migrations.MIGRATIONS_DIRECTORY / "regulator"
POOL_SIZE = 2


def migrate(url: str) -> None:
    """Bring the regulator's database to the present schema; blocks."""
    migrations.migrate(url, directory=MIGRATIONS)


class RegulatorDatabase(AuditedDatabase):
    """All methods raise `StorageError`."""

    @staticmethod
    async def open(url: str, now_ms: Callable[[], int]) -> RegulatorDatabase:
        """Connect to a migrated database."""
        config = DatabaseConfig(url, application_name="consortium regulator")

        async def open_session() -> psycopg.AsyncConnection:
            return await connect(config, "writer")

        engine = create_async_engine(
            "postgresql+psycopg://",
            async_creator=open_session,
            pool_size=POOL_SIZE,
            pool_pre_ping=True,
            isolation_level="READ COMMITTED",
            hide_parameters=True,
            use_native_hstore=False,
        )
        database = RegulatorDatabase(engine, now_ms)
        await database.tip()
        return database

    # The chain

    async def tip(self) -> FollowedBlock | None:
        """Return the highest block that was followed."""
        statement = sa.select(FOLLOWED_BLOCKS).order_by(FOLLOWED_BLOCKS.c.height.desc()).limit(1)
        rows = await self._rows(statement)
        return _block(rows[0]) if rows else None

    async def block(self, height: Height) -> FollowedBlock:
        """Return a followed block; raises `NotFound`."""
        rows = await self._rows(sa.select(FOLLOWED_BLOCKS).filter_by(height=height))
        if not rows:
            raise NotFound(f"block {height} was not followed yet")
        return _block(rows[0])

    async def follow(
        self, block: FollowedBlock, parent: VotingRecord | None, new_set: FollowedSet | None
    ) -> None:
        """Take a verified block, the voting record of its parent, and the set that it brings."""
        async with self._transaction() as connection:
            await connection.execute(sa.insert(FOLLOWED_BLOCKS).values(asdict(block)))
            if new_set is not None:
                await connection.execute(sa.insert(ACTIVE_SETS).values(asdict(new_set)))
            if parent is not None:
                await self._record_votes(connection, parent)

    async def _record_votes(self, connection: AsyncConnection, record: VotingRecord) -> None:
        approvals = sum(item.approve for item in record.tags)
        year = await connection.scalar(
            sa.update(FOLLOWED_BLOCKS)
            .where(FOLLOWED_BLOCKS.c.height == record.height)
            .values(
                ciphertext_sum=record.ciphertext_sum,
                approvals=approvals,
                rejections=len(record.tags) - approvals,
            )
            .returning(FOLLOWED_BLOCKS.c.fiscal_year)
        )
        rows = [
            {"tag": item.tag, "height": record.height, "approve": item.approve}
            for item in record.tags
        ]
        await connection.execute(sa.insert(RECORDED_BALLOTS), rows)
        if record.approvers:
            count = insert(YEAR_COUNTS)
            await connection.execute(
                count.on_conflict_do_update(
                    index_elements=["fiscal_year", "bank"],
                    set_={"approvals": YEAR_COUNTS.c.approvals + 1},
                ),
                [{"fiscal_year": year, "bank": bank, "approvals": 1} for bank in record.approvers],
            )

    async def active_sets(self) -> tuple[FollowedSet, ...]:
        """Return every active set since genesis, oldest first."""
        rows = await self._rows(sa.select(ACTIVE_SETS).order_by(ACTIVE_SETS.c.from_height))
        return tuple([FollowedSet(**row) for row in rows])

    async def height_of_tag(self, tag: bytes) -> Height | None:
        """Return the height at which a ballot was cast that was recorded; None if none was."""
        rows = await self._rows(sa.select(RECORDED_BALLOTS.c.height).filter_by(tag=tag))
        return Height(rows[0]["height"]) if rows else None

    async def tags_of_prefix(self, prefix: bytes, limit: int) -> tuple[bytes, ...]:
        """Return recorded tags that begin with these bytes, at most `limit`."""
        upper = prefix + b"\xff" * 96
        statement = (
            sa.select(RECORDED_BALLOTS.c.tag)
            .where(RECORDED_BALLOTS.c.tag >= prefix, RECORDED_BALLOTS.c.tag <= upper)
            .order_by(RECORDED_BALLOTS.c.tag)
            .limit(limit)
        )
        return tuple([bytes(row["tag"]) for row in await self._rows(statement)])

    # Bins

    async def last_bin(self) -> FollowedBin | None:
        """Return the closed bin that was followed last."""
        statement = sa.select(CLOSED_BINS).order_by(CLOSED_BINS.c.sequence.desc()).limit(1)
        rows = await self._rows(statement)
        return FollowedBin(**rows[0]) if rows else None

    async def add_bins(self, bins: Sequence[FollowedBin]) -> None:
        """Take closed bins that a certified state commits to."""
        if bins:
            async with self._transaction() as connection:
                await connection.execute(sa.insert(CLOSED_BINS), [asdict(item) for item in bins])

    async def bins(self, bin_ids: Iterable[int]) -> dict[int, FollowedBin]:
        """Return those of these closed bins that are known, by id."""
        statement = sa.select(CLOSED_BINS).where(CLOSED_BINS.c.bin_id.in_(sorted(bin_ids)))
        return {row["bin_id"]: FollowedBin(**row) for row in await self._rows(statement)}

    async def first_bins(self, count: int) -> tuple[FollowedBin, ...]:
        """Return the first so many closed bins in the order of closing."""
        table = CLOSED_BINS
        statement = sa.select(table).where(table.c.sequence < count).order_by(table.c.sequence)
        return tuple([FollowedBin(**row) for row in await self._rows(statement)])

    # Counting and settling

    async def sums_of_year(self, year: FiscalYear) -> tuple[FollowedBlock, ...]:
        """Return the blocks of a year whose voting record is known, by height."""
        statement = (
            sa.select(FOLLOWED_BLOCKS)
            .where(
                FOLLOWED_BLOCKS.c.fiscal_year == year, FOLLOWED_BLOCKS.c.ciphertext_sum.is_not(None)
            )
            .order_by(FOLLOWED_BLOCKS.c.height)
        )
        return tuple([_block(row) for row in await self._rows(statement)])

    async def first_of_year(self, year: FiscalYear, limit: int) -> tuple[FollowedBlock, ...]:
        """Return the first blocks of a year, at most `limit`, by height."""
        statement = (
            sa.select(FOLLOWED_BLOCKS)
            .filter_by(fiscal_year=year)
            .order_by(FOLLOWED_BLOCKS.c.height)
            .limit(limit)
        )
        return tuple([_block(row) for row in await self._rows(statement)])

    async def year_counts(self, year: FiscalYear) -> dict[BankIndex, int]:
        """Return approvals per bank of a year, without the banks that have none."""
        rows = await self._rows(sa.select(YEAR_COUNTS).filter_by(fiscal_year=year))
        return {BankIndex(row["bank"]): int(row["approvals"]) for row in rows}

    async def put_year_counts(self, year: FiscalYear, counts: Mapping[BankIndex, int]) -> None:
        """Replace the counts of a year by what officers counted together."""
        async with self._transaction() as connection:
            await connection.execute(
                sa.delete(YEAR_COUNTS).where(YEAR_COUNTS.c.fiscal_year == year)
            )
            rows = [
                {"fiscal_year": year, "bank": bank, "approvals": count}
                for bank, count in counts.items()
            ]
            if rows:
                await connection.execute(sa.insert(YEAR_COUNTS), rows)
            data = {"year": year, "counts": {str(bank): counts[bank] for bank in sorted(counts)}}
            await self._audit(connection, "counted", "officers", data)

    async def settlements(self) -> tuple[SettlementRecord, ...]:
        """Return every settlement that was handed in, by year."""
        rows = await self._rows(sa.select(SETTLEMENTS).order_by(SETTLEMENTS.c.fiscal_year))
        return tuple([_settlement(row) for row in rows])

    async def unsealed_settlements(self) -> tuple[SettlementRecord, ...]:
        """Return what was handed in and is not known to be sealed, by year."""
        statement = (
            sa.select(SETTLEMENTS)
            .where(SETTLEMENTS.c.sealed_height.is_(None))
            .order_by(SETTLEMENTS.c.fiscal_year)
        )
        return tuple([_settlement(row) for row in await self._rows(statement)])

    async def settlement(self, year: FiscalYear) -> SettlementRecord | None:
        """Return what was handed in for a year."""
        rows = await self._rows(sa.select(SETTLEMENTS).filter_by(fiscal_year=year))
        return _settlement(rows[0]) if rows else None

    async def hand_in_settlement(
        self, year: FiscalYear, transaction_id: TransactionId, raw: bytes
    ) -> None:
        """Note that a settlement is handed in, for the first time or again."""
        now_ms = self._now_ms()
        values = {"transaction_id": transaction_id, "raw": raw, "submitted_ms": now_ms}
        async with self._transaction() as connection:
            await connection.execute(
                insert(SETTLEMENTS)
                .values(fiscal_year=year, attempts=1, **values)
                .on_conflict_do_update(
                    index_elements=["fiscal_year"],
                    set_={**values, "attempts": SETTLEMENTS.c.attempts + 1},
                )
            )
            data = {"year": year, "transaction_id": transaction_id.hex()}
            await self._audit(connection, "settlement-handed-in", "regulator", data)

    async def settlement_sealed(self, year: FiscalYear, height: Height) -> None:
        """Note that the year is settled by the block at `height`."""
        async with self._transaction() as connection:
            await connection.execute(
                sa.update(SETTLEMENTS)
                .where(SETTLEMENTS.c.fiscal_year == year)
                .values(sealed_height=height)
            )
            data = {"year": year, "height": height}
            await self._audit(connection, "settlement-sealed", "regulator", data)

    # Verifying again

    async def drawn_pending(self, limit: int, from_height: int = 0) -> tuple[FollowedBlock, ...]:
        """Return drawn blocks from a height on that were not verified again yet, lowest first."""
        done = sa.select(REVERIFICATIONS.c.height).where(
            REVERIFICATIONS.c.height == FOLLOWED_BLOCKS.c.height,
            REVERIFICATIONS.c.challenge.is_(None),
        )
        statement = (
            sa.select(FOLLOWED_BLOCKS)
            .where(
                FOLLOWED_BLOCKS.c.height >= from_height, FOLLOWED_BLOCKS.c.drawn, ~done.exists()
            )
            .order_by(FOLLOWED_BLOCKS.c.height)
            .limit(limit)
        )
        return tuple([_block(row) for row in await self._rows(statement)])

    async def counts(self) -> tuple[int, int]:
        """Return how many blocks were drawn, and how many of them were verified again."""
        drawn = sa.select(sa.func.count()).where(FOLLOWED_BLOCKS.c.drawn)
        done = sa.select(sa.func.count(REVERIFICATIONS.c.height.distinct())).where(
            REVERIFICATIONS.c.challenge.is_(None)
        )
        statement = sa.select(drawn.scalar_subquery(), done.scalar_subquery())
        async with self._transaction() as connection:
            row = (await connection.execute(statement)).one()
        return int(row[0]), int(row[1])

    async def add_challenge(self, height: Height, bank: BankIndex, reason: str) -> Challenge:
        """Take a bank's challenge."""
        now_ms = TimeMs(self._now_ms())
        values = {"height": height, "challenged_by": bank, "reason": reason, "time_ms": now_ms}
        async with self._transaction() as connection:
            number = await connection.scalar(
                sa.insert(CHALLENGES).values(values).returning(CHALLENGES.c.challenge)
            )
            data = {"challenge": number, "height": height, "reason": reason}
            await self._audit(connection, "challenge", f"bank/{bank}", data)
        return Challenge(int(number or 0), height, bank, reason, now_ms)

    async def challenges(self, limit: int) -> tuple[Challenge, ...]:
        """Return the latest challenges, newest first."""
        statement = sa.select(CHALLENGES).order_by(CHALLENGES.c.challenge.desc()).limit(limit)
        return tuple([Challenge(**row) for row in await self._rows(statement)])

    async def challenges_since(self, bank: BankIndex, time_ms: int) -> int:
        """Return how many challenges a bank has made since a time."""
        statement = sa.select(sa.func.count().label("number")).where(
            CHALLENGES.c.challenged_by == bank, CHALLENGES.c.time_ms >= time_ms
        )
        return int((await self._rows(statement))[0]["number"])

    async def challenge_counts(self) -> tuple[ChallengeCounts, ...]:
        """Return what came of the challenges of every bank that has made one, by bank.

        Counted from the append-only rows each time, so no counter can drift from them.
        """
        is_wrong = sa.func.bool_or(
            REVERIFICATIONS.c.result != ReverificationResult.CORRECT.value
        ).label("is_wrong")
        answers = (
            sa.select(REVERIFICATIONS.c.challenge, is_wrong)
            .where(REVERIFICATIONS.c.challenge.is_not(None))
            .group_by(REVERIFICATIONS.c.challenge)
            .subquery()
        )
        number, wrong = sa.func.count(), answers.c.is_wrong
        statement = (
            sa.select(
                CHALLENGES.c.challenged_by.label("bank"),
                number.filter(wrong.is_(True)).label("honest"),
                number.filter(wrong.is_(False)).label("malicious"),
                number.filter(wrong.is_(None)).label("open"),
            )
            .select_from(CHALLENGES.outerjoin(answers))
            .group_by(CHALLENGES.c.challenged_by)
            .order_by(CHALLENGES.c.challenged_by)
        )
        return tuple([ChallengeCounts(**row) for row in await self._rows(statement)])

    async def unanswered_challenges(self) -> tuple[Challenge, ...]:
        """Return challenges without a result, oldest first."""
        answered = sa.select(REVERIFICATIONS.c.challenge).where(
            REVERIFICATIONS.c.challenge == CHALLENGES.c.challenge
        )
        statement = sa.select(CHALLENGES).where(~answered.exists()).order_by(CHALLENGES.c.challenge)
        return tuple([Challenge(**row) for row in await self._rows(statement)])

    async def add_reverification(self, record: Reverification) -> None:
        """Keep what came of verifying a block again."""
        async with self._transaction() as connection:
            await connection.execute(sa.insert(REVERIFICATIONS).values(asdict(record)))
            if record.result is not ReverificationResult.CORRECT or record.challenge is not None:
                data = {
                    "height": record.height,
                    "challenge": record.challenge,
                    "bank": record.bank,
                    "result": record.result,
                    "detail": record.detail,
                }
                await self._audit(connection, "reverification", "regulator", data)

    async def reverifications(self, limit: int) -> tuple[Reverification, ...]:
        """Return the latest re-verifications, newest first."""
        columns = [item for item in REVERIFICATIONS.c if item.name != "reverification"]
        statement = (
            sa.select(*columns).order_by(REVERIFICATIONS.c.reverification.desc()).limit(limit)
        )
        return tuple([_reverification(row) for row in await self._rows(statement)])

    async def answer_to(self, challenge: int) -> Reverification | None:
        """Return what came of a challenge: the last look at a bank that it led to."""
        columns = [item for item in REVERIFICATIONS.c if item.name != "reverification"]
        rows = await self._rows(
            sa.select(*columns)
            .where(REVERIFICATIONS.c.challenge == challenge)
            .order_by(REVERIFICATIONS.c.reverification.desc())
            .limit(1)
        )
        return _reverification(rows[0]) if rows else None

    # Alarms and evidence

    async def raise_alarm(self, alarm: Alarm) -> None:
        """Keep an alarm for everybody to see."""
        async with self._transaction() as connection:
            await connection.execute(sa.insert(ALARMS).values(asdict(alarm)))
            data = {"kind": alarm.kind, "text": alarm.text, "height": alarm.height}
            await self._audit(connection, "alarm", "regulator", data)

    async def alarms(self, limit: int) -> tuple[Alarm, ...]:
        """Return the latest alarms, newest first."""
        columns = [item for item in ALARMS.c if item.name != "alarm"]
        statement = sa.select(*columns).order_by(ALARMS.c.alarm.desc()).limit(limit)
        return tuple([Alarm(**row) for row in await self._rows(statement)])

    async def alarm_count(self) -> int:
        """Return how many alarms there are in all."""
        rows = await self._rows(sa.select(sa.func.count().label("number")).select_from(ALARMS))
        return int(rows[0]["number"])

    async def conflict_is_handled(self, tag: bytes) -> bool:
        """Whether evidence was made of the ballots under this tag."""
        rows = await self._rows(sa.select(HANDLED_CONFLICTS.c.tag).filter_by(tag=tag))
        return bool(rows)

    async def add_conflict(
        self, conflict: HandledConflict, opening: Mapping[str, Any], actor: str
    ) -> None:
        """Keep the evidence made of two ballots; `opening` is what the audit log says of it."""
        async with self._transaction() as connection:
            await connection.execute(sa.insert(HANDLED_CONFLICTS).values(asdict(conflict)))
            await self._audit(connection, "opening", actor, opening)

    async def conflicts_to_hand_in(self) -> tuple[HandledConflict, ...]:
        """Return evidence that no bank has taken yet."""
        rows = await self._rows(sa.select(HANDLED_CONFLICTS).filter_by(handed_in=False))
        return tuple([HandledConflict(**row) for row in rows])

    async def conflict_handed_in(self, tag: bytes) -> None:
        """Note that a bank has taken the evidence."""
        async with self._transaction() as connection:
            await connection.execute(
                sa.update(HANDLED_CONFLICTS)
                .where(HANDLED_CONFLICTS.c.tag == tag)
                .values(handed_in=True)
            )
            await self._audit(connection, "evidence-handed-in", "regulator", {"tag": tag.hex()})

    async def add_accusation(self, accusation: Accusation, said: Mapping[str, Any]) -> bool:
        """Keep evidence and its audit row; False if there is some about this block already."""
        async with self._transaction() as connection:
            added = await connection.scalar(
                insert(ACCUSATIONS)
                .values(asdict(accusation))
                .on_conflict_do_nothing()
                .returning(ACCUSATIONS.c.height)
            )
            if added is not None:
                await self._audit(connection, "accusation", "regulator", said)
        return added is not None

    async def waiting_accusations(self) -> tuple[Accusation, ...]:
        """Return the evidence that the banks have not taken yet, oldest first."""
        statement = sa.select(ACCUSATIONS).where(ACCUSATIONS.c.outcome.is_(None))
        rows = await self._rows(statement.order_by(ACCUSATIONS.c.height))
        return tuple([Accusation(**row) for row in rows])

    async def accusation_counts(self) -> tuple[int, int]:
        """Return how many accusations there are, and how many of them wait."""
        waiting = sa.func.count().filter(ACCUSATIONS.c.outcome.is_(None))
        statement = sa.select(sa.func.count().label("all"), waiting.label("waiting"))
        row = (await self._rows(statement.select_from(ACCUSATIONS)))[0]
        return int(row["all"]), int(row["waiting"])

    async def end_accusation(self, evidence_id: bytes, outcome: str, banks: Sequence[int]) -> None:
        """Note what became of evidence, by the answers of these banks."""
        async with self._transaction() as connection:
            await connection.execute(
                sa.update(ACCUSATIONS)
                .where(ACCUSATIONS.c.evidence_id == evidence_id)
                .values(outcome=outcome)
            )
            data = {"evidence": evidence_id.hex(), "outcome": outcome, "banks": list(banks)}
            await self._audit(connection, "evidence-handed-in", "regulator", data)

    # Executing again

    async def keep_state(self, height: Height, state: bytes) -> None:
        """Keep the state after a block."""
        async with self._transaction() as connection:
            values = insert(KEPT_STATES).values(height=height, state=state)
            await connection.execute(values.on_conflict_do_nothing())

    async def forget_state(self, height: Height) -> None:
        """Drop a kept state."""
        async with self._transaction() as connection:
            await connection.execute(sa.delete(KEPT_STATES).where(KEPT_STATES.c.height == height))

    async def kept_state(self, height: Height | None = None) -> bytes | None:
        """Return the highest state that is kept, or that is kept up to a height."""
        statement = sa.select(KEPT_STATES.c.state).order_by(KEPT_STATES.c.height.desc()).limit(1)
        if height is not None:
            statement = statement.where(KEPT_STATES.c.height <= height)
        rows = await self._rows(statement)
        return bytes(rows[0]["state"]) if rows else None

    async def spend(self, height: Height, nullifiers: Sequence[bytes]) -> dict[bytes, Height]:
        """Note what a block spends; return what an earlier one had spent, with its height."""
        if not nullifiers:
            return {}
        table = SPENT_NULLIFIERS
        rows = [{"nullifier": item, "height": height} for item in nullifiers]
        async with self._transaction() as connection:
            await connection.execute(insert(table).on_conflict_do_nothing(), rows)
            statement = sa.select(table).where(table.c.nullifier.in_(nullifiers))
            found = (await connection.execute(statement)).mappings()
            return {
                bytes(row["nullifier"]): Height(row["height"])
                for row in found
                if row["height"] < height
            }


def _block(row: Mapping[str, Any]) -> FollowedBlock:
    return FollowedBlock(**{**row, "block_id": BlockId(bytes(row["block_id"]))})


def _settlement(row: Mapping[str, Any]) -> SettlementRecord:
    values = dict(row)
    return SettlementRecord(year=FiscalYear(values.pop("fiscal_year")), **values)


def _reverification(row: Mapping[str, Any]) -> Reverification:
    return Reverification(**{**row, "result": ReverificationResult(row["result"])})


__all__ = ["MIGRATIONS", "AuditLogBroken", "RegulatorDatabase", "migrate"]
