"""A bank whose rows are not what it wrote: it signs nothing, says so, and can be rebuilt."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio

from node.client.errors import ClientError
from node.consensus.record import DurableRecord
from node.consensus.signatures import Ed25519Signer, Ed25519Verifier
from node.consensus.signing import SigningContext
from node.consensus.statements import Timeout
from node.ledger.state import genesis_header, genesis_state
from node.ledger.types import NO_VIEW, BankIndex, Height, View
from node.runtime.exit_code import ExitCode
from node.runtime.guard_file import GuardFile, SignaturePoint, guard_owner
from node.runtime.integrity import Integrity, check_record, check_tip
from node.runtime.secrets_directory import write_private
from node.storage.errors import IntegrityViolation
from node.storage.records import StoredConsensus, Tip
from node.wire.operator_records import NodeReport
from tests.ledger.chain import consensus_secret, make_genesis
from tests.runtime.cluster import Cluster, make_cluster
from tests.runtime.test_node import make_issue, sealed_at, submit, until_ready

BANKS = 7
VICTIM = 6
"""Six of seven make a quorum: the others go on without it."""
OTHERS = tuple(range(VICTIM))
DEADLINE_S = 60
OPEN_BINS = "SELECT count(*) FROM bins WHERE closed_at_height IS NULL"


@dataclass
class Damaged:
    """Seven banks that run; one has its rows changed."""

    cluster: Cluster
    make_url: Callable[[], str]
    issued: int = 0

    @property
    def url(self) -> str:
        return self.cluster.banks[VICTIM].config.database.url_file.read_text()

    async def seal(self, *banks: int) -> int:
        """Have the others seal something; return the height."""
        self.issued += 1
        raw = make_issue(self.cluster, self.issued)
        await submit(self.cluster, 0, raw)
        places = await sealed_at(self.cluster, raw, *(banks or OTHERS))
        assert len(set(places)) == 1
        return places[0][0]

    def damage(self, statement: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            assert connection.execute(statement).rowcount == 1, statement

    async def report(self, bank: int) -> NodeReport:
        async with self.cluster.operator(bank) as client:
            return await client.report()

    async def until_halted(self) -> NodeReport:
        """The node may be starting."""
        while True:
            with contextlib.suppress(ClientError):
                report = await self.report(VICTIM)
                if report.halted:
                    return report
            await asyncio.sleep(0.05)

    async def until_quiet(self) -> None:
        """No bin is due any more: no block comes unasked."""
        while True:
            with psycopg.connect(self.url) as connection:
                row = connection.execute(OPEN_BINS).fetchone()
            if row == (0,):
                return
            await asyncio.sleep(0.05)

    async def restart(self) -> None:
        await self.cluster.banks[VICTIM].stop()
        self.cluster.banks[VICTIM].start()
        await until_ready(self.cluster, VICTIM, linked=BANKS)

    async def rebuild(self) -> None:
        """What `consortium node rebuild` does: keys and guard file stay, the database goes."""
        victim = self.cluster.banks[VICTIM]
        assert victim.task is not None
        if not victim.task.done():
            await victim.stop()
        write_private(victim.config.database.url_file, self.make_url().encode())
        victim.start()
        await until_ready(self.cluster, VICTIM, linked=BANKS)
        while True:
            own, other = await self.report(VICTIM), await self.report(0)
            if own.height == other.height:
                assert (own.block_id, own.state_root) == (other.block_id, other.state_root)
                return
            await asyncio.sleep(0.05)

    def guard(self) -> SignaturePoint | None:
        """The last signature that the victim made; only while it does not run."""
        genesis = self.cluster.genesis
        owner = guard_owner(genesis.chain_id, genesis.banks[VICTIM].consensus_key)
        guard = GuardFile(self.cluster.banks[VICTIM].config.guard_file, owner)
        try:
            return guard.last
        finally:
            guard.close()


@pytest_asyncio.fixture
async def damaged(tmp_path: Path, make_database_url: Callable[[], str]) -> AsyncIterator[Damaged]:
    cluster = make_cluster(tmp_path, make_database_url, BANKS)
    cluster.start()
    try:
        async with asyncio.timeout(DEADLINE_S):
            for bank in range(BANKS):
                await until_ready(cluster, bank)
            made = Damaged(cluster, make_database_url)
            await made.seal(*range(BANKS))
            yield made
    finally:
        await cluster.stop()


def flip(table: str, column: str, byte: int, where: str = "true") -> str:
    changed = f"set_byte({column}, {byte}, get_byte({column}, {byte}) # 1)"
    return f"UPDATE {table} SET {column} = {changed} WHERE {where}"


@pytest.mark.postgres
async def test_damaged_rows_are_found_before_the_next_vote_and_the_bank_is_rebuilt(
    damaged: Damaged, caplog: pytest.LogCaptureFixture
) -> None:
    """What a vote rests on; the others go on each time, and the bank votes again at the end."""
    tip = "(SELECT max(block_number) FROM blocks)"
    for statement, table in (
        (flip("ledger_state", "state", 60), "ledger_state"),
        (flip("blocks", "seal", 100, f"block_number = {tip}"), "blocks"),
    ):
        await damaged.until_quiet()
        before = (await damaged.report(VICTIM)).height
        damaged.damage(statement)
        height = await damaged.seal()
        report = await damaged.until_halted()

        where = f"damaged row in {table} at height {before}: "
        assert report.halted.startswith(where), report.halted
        assert "`consortium node rebuild bank-6`" in report.halted
        assert (report.height, report.ready) == (before, False)
        assert [alarm.kind for alarm in report.alarms if alarm.kind == "corrupted"] == ["corrupted"]
        assert await damaged.cluster.banks[VICTIM].stop() is ExitCode.STOPPED
        last = damaged.guard()
        assert last is not None and last.height <= before, "nothing was signed on damaged rows"
        assert await damaged.seal() > height

        await damaged.rebuild()
        await damaged.seal(*range(BANKS))
    halts = [item for item in caplog.records if item.message == "halted: stored data is damaged"]
    assert len(halts) == 2
    assert all(item.levelno == logging.CRITICAL for item in halts)


@pytest.mark.postgres
async def test_damage_is_found_at_the_start_and_by_the_walk_through_history(
    damaged: Damaged, caplog: pytest.LogCaptureFixture
) -> None:
    victim = damaged.cluster.banks[VICTIM]
    await victim.stop()
    tip = "block_number = (SELECT max(block_number) FROM blocks)"
    for statement in (
        flip("ledger_state", "state", 60),
        flip("blocks", "seal", 100, tip),
        flip("blocks", "header", 100, tip),
    ):
        caplog.clear()
        damaged.damage(statement)
        victim.start()
        assert victim.task is not None
        assert await victim.task is ExitCode.UNSAFE
        refusals = [item for item in caplog.records if item.message == "unsafe to run"]
        assert "`consortium node rebuild bank-6`" in str(getattr(refusals[0], "detail", ""))
        # The same bit again makes the row whole.
        damaged.damage(statement)

    # Nothing at the tip shows that an old note is gone.
    damaged.damage("DELETE FROM notes WHERE sequence = 0")
    victim.start()
    await damaged.until_halted()

    # A restart alone does not make it forget.
    await victim.stop()
    victim.start()
    report = await damaged.until_halted()
    assert report.halted.startswith("damaged row in notes at height 1: "), report.halted
    await damaged.seal()

    await damaged.rebuild()
    await damaged.seal(*range(BANKS))


# Checks at the start, by themselves

GENESIS = make_genesis(banks=4)
BANK = BankIndex(2)
ACTIVE = genesis_state(GENESIS).active_set(GENESIS)


def signed_timeout(view: int = 0) -> Timeout:
    context = SigningContext.of(GENESIS.chain_id, ACTIVE, Height(1))
    signature = Ed25519Signer(consensus_secret(BANK)).sign(
        context.timeout(View(view), BANK, NO_VIEW)
    )
    return Timeout(BANK, Height(1), View(view), NO_VIEW, None, None, signature)


def stored(record: DurableRecord, **columns: int) -> StoredConsensus:
    height = columns.get("height", record.height)
    view, step = columns.get("view", record.view), columns.get("step", record.step)
    return StoredConsensus(record.encode(), Height(height), view, step, ())


RECORD = DurableRecord(Height(1), View(0), 1, timeout=signed_timeout())


def check(item: StoredConsensus, tip_height: int = 0, bank: BankIndex = BANK) -> None:
    check_record(item, bank, GENESIS.chain_id, Height(tip_height), ACTIVE, Ed25519Verifier())


def test_d3_an_own_record_passes_and_one_of_an_applied_height_is_history() -> None:
    check(stored(RECORD))
    check(StoredConsensus(b"anything", Height(1), 0, 1, ()), tip_height=1)


@pytest.mark.parametrize(
    ("item", "bank", "detail"),
    [
        (stored(RECORD, step=2), BANK, "the columns beside the record say another height"),
        (stored(RECORD, view=1), BANK, "the columns beside the record say another height"),
        (stored(RECORD, height=2), BANK, "has not reached"),
        (StoredConsensus(b"short", Height(1), 0, 1, ()), BANK, "record version 115"),
        (stored(RECORD), BankIndex(1), "another bank or height"),
        (
            stored(DurableRecord(Height(1), View(1), 1, timeout=signed_timeout(view=0))),
            BANK,
            "",
        ),
    ],
)
def test_d3_a_damaged_record_is_refused(
    item: StoredConsensus, bank: BankIndex, detail: str
) -> None:
    if not detail:
        # A timeout of an earlier view is part of a sound record (BFT-12 section 4).
        check(item, bank=bank)
        return
    with pytest.raises(IntegrityViolation, match=detail) as refused:
        check(item, bank=bank)
    assert refused.value.table == "consensus_record"


def test_d3_a_changed_statement_is_refused() -> None:
    timeout = signed_timeout()
    forged = Timeout(BANK, Height(1), View(1), NO_VIEW, None, None, timeout.signature)

    with pytest.raises(IntegrityViolation, match="not what this bank signed"):
        check(stored(DurableRecord(Height(1), View(1), 1, timeout=forged)))


def test_the_tip_of_an_empty_ledger_is_that_of_the_genesis() -> None:
    header, state = genesis_header(GENESIS), genesis_state(GENESIS)
    check_tip(GENESIS, Tip(header, state, b""), Ed25519Verifier())

    other = make_genesis(banks=5)
    with pytest.raises(IntegrityViolation, match="block 0 is not that of the genesis"):
        check_tip(GENESIS, Tip(genesis_header(other), genesis_state(other), b""), Ed25519Verifier())


async def test_the_first_damage_counts_and_every_listener_hears_of_it() -> None:
    integrity = Integrity("dunmere")
    early: list[tuple[str, str]] = []
    late: list[tuple[str, str]] = []
    integrity.on_alarm(lambda kind, text: early.append((kind, text)))
    assert (integrity.reason, integrity.violation) == (None, None)

    integrity.report(IntegrityViolation("blocks", 7, "the seal: signature of bank 3"))
    integrity.report(IntegrityViolation("notes", None, "row 4 is missing"))
    integrity.on_alarm(lambda kind, text: late.append((kind, text)))

    text = (
        "damaged row in blocks at height 7: the seal: signature of bank 3; "
        "`consortium node rebuild dunmere` restores it from the other banks"
    )
    assert early == late == [("corrupted", text)]
    assert integrity.reason == text
    await integrity.wait()
