"""Evidence and stakes in the database (BFT-12 sections 9, 10, 18)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

import psycopg
import pytest
import pytest_asyncio

from node.ledger.block_validity import BuiltBlock
from node.ledger.offences import Offence, VerifiedEvidence
from node.ledger.parameters import Parameters
from node.ledger.types import Amount, BankIndex, Height
from node.storage.database import Database
from node.storage.errors import IntegrityViolation, NotFound
from node.storage.records import EvidenceStatus, StoredBankStake, StoredEvidence
from tests.ledger.chain import Chain, make_genesis
from tests.storage.conftest import BANK, Query, small_config

FINDER = BankIndex(4)
WINDOW = 5
GENESIS = make_genesis(
    banks=6,
    parameters=Parameters(ring_base=4, transfer_fee=Amount(100), evidence_window=WINDOW),
)


@dataclass
class Bank:
    """A chain, and the database that follows it."""

    chain: Chain
    database: Database
    url: str

    async def seal(self, *evidence: VerifiedEvidence) -> BuiltBlock:
        built = self.chain.seal(evidence=evidence)
        await self.database.apply_block(
            built.block, b"seal %d" % built.block.height, built.transition, built.transactions
        )
        return built


@pytest_asyncio.fixture
async def bank(migrated_url: str) -> AsyncIterator[Bank]:
    opened = await Database.open(small_config(migrated_url), genesis=GENESIS, bank=BANK)
    made = Bank(Chain(GENESIS), opened, migrated_url)
    yield made
    await made.database.close()


async def listed(bank: Bank) -> tuple[StoredEvidence, ...]:
    """Everything, without the clock's part."""
    return tuple([replace(item, found_at_ms=0) for item in await bank.database.evidence(0, 100)])


def expected(
    evidence: VerifiedEvidence, sequence: int, status: EvidenceStatus, **rest: object
) -> StoredEvidence:
    blank = {"source": FINDER, "recorded_at": None, "stake_before": None, "penalty": None}
    return StoredEvidence(
        sequence=sequence,
        evidence_id=evidence.evidence_id,
        offence=evidence.offence.value,
        offence_class=int(evidence.offence.offence_class),
        bank=evidence.bank,
        offence_height=evidence.height,
        raw=evidence.raw,
        found_at_ms=0,
        status=status,
        **{**blank, "ordinal": None, **rest},
    )


async def statuses(bank: Bank) -> list[EvidenceStatus]:
    return [item.status for item in await bank.database.evidence(0, 100)]


async def test_section_9_an_accepted_item_waits_and_survives_a_restart(bank: Bank) -> None:
    first, second = bank.chain.evidence(1), bank.chain.evidence(3, offence=Offence.DOUBLE_COMMIT)

    assert await bank.database.add_evidence(first, FINDER)
    assert await bank.database.add_evidence(second, FINDER)
    assert not await bank.database.add_evidence(first, BANK)
    await bank.database.close()
    config = replace(small_config(bank.url), lock_wait_s=5)
    bank.database = await Database.open(config, genesis=GENESIS, bank=BANK)

    assert await bank.database.pending_evidence() == (first.raw, second.raw)
    assert await listed(bank) == (
        expected(first, 0, EvidenceStatus.PENDING),
        expected(second, 1, EvidenceStatus.PENDING),
    )
    assert (await bank.database.evidence_item(second.evidence_id)).raw == second.raw
    assert await bank.database.evidence(1, 1) == (
        await bank.database.evidence_item(second.evidence_id),
    )
    with pytest.raises(NotFound):
        await bank.database.evidence_item(bytes(32))


async def test_section_9_the_block_that_punishes_settles_the_item_and_its_rivals(
    bank: Bank,
) -> None:
    """E1 and a second proof of the same misdeed share a key; another class does not."""
    chosen, rival = bank.chain.evidence(1), bank.chain.evidence(1, size=90)
    other = bank.chain.evidence(1, offence=Offence.DOUBLE_COMMIT)
    for item in (chosen, rival, other):
        await bank.database.add_evidence(item, FINDER)

    await bank.seal(chosen)

    stake = GENESIS.banks[1].initial_stake
    assert await listed(bank) == (
        expected(
            chosen,
            0,
            EvidenceStatus.RECORDED,
            recorded_at=Height(1),
            stake_before=stake,
            penalty=stake * 5 // 100,
            ordinal=1,
        ),
        expected(rival, 1, EvidenceStatus.SUPERSEDED, recorded_at=Height(1)),
        expected(other, 2, EvidenceStatus.PENDING),
    )
    assert await bank.database.pending_evidence() == (other.raw,)


async def test_section_9_an_item_that_only_a_block_brought_is_kept_too(bank: Bank) -> None:
    known, unknown = bank.chain.evidence(1), bank.chain.evidence(2)
    await bank.database.add_evidence(known, FINDER)

    await bank.seal(known, unknown)

    found = await bank.database.evidence_item(unknown.evidence_id)
    assert (found.raw, found.source, found.status, found.recorded_at, found.ordinal) == (
        unknown.raw,
        None,
        EvidenceStatus.RECORDED,
        1,
        1,
    )
    assert await bank.database.pending_evidence() == ()


async def test_section_9_what_leaves_the_window_expires_with_that_block(bank: Bank) -> None:
    evidence = bank.chain.evidence(1)
    await bank.database.add_evidence(evidence, FINDER)
    for _ in range(WINDOW):
        await bank.seal()
    assert bank.chain.state.oldest_punishable(GENESIS) == evidence.height
    assert await statuses(bank) == [EvidenceStatus.PENDING]

    await bank.seal()

    assert await statuses(bank) == [EvidenceStatus.EXPIRED]
    assert await bank.database.pending_evidence() == ()


async def test_a_block_that_cannot_be_stored_settles_nothing(bank: Bank, query: Query) -> None:
    evidence = bank.chain.evidence(1)
    await bank.database.add_evidence(evidence, FINDER)
    query("INSERT INTO treasury SELECT 6, 0, 0, 0, 'stake', 0, now(), 'in the way'")
    built = bank.chain.build(evidence=[evidence])

    with pytest.raises(Exception, match="pk_treasury"):
        await bank.database.apply_block(built.block, b"seal", built.transition, ())

    assert await statuses(bank) == [EvidenceStatus.PENDING]
    assert query("SELECT stake FROM banks WHERE id = 1") == [(GENESIS.banks[1].initial_stake,)]


async def test_section_18_stakes_are_their_rows_less_the_penalties(bank: Bank) -> None:
    """IDX-58, 60, 61: three offences, the third costs 20 %; the rows and the mirror agree."""
    for height in range(1, 4):
        await bank.seal(bank.chain.evidence(1, height=height))

    stakes = await bank.database.bank_stakes()

    first = GENESIS.banks[1].initial_stake
    second = first - first * 5 // 100
    third = second - second * 10 // 100
    last = third - third * 20 // 100
    assert stakes[1] == StoredBankStake(
        bank=BankIndex(1),
        name="Bank 1",
        initial_stake=first,
        stake=Amount(last),
        offences=3,
        active=True,
        account_balance=Amount(0),
        staked=first,
        penalties=first - last,
    )
    for stored, state in zip(stakes, bank.chain.state.banks, strict=True):
        assert stored.staked - stored.penalties == stored.stake == state.stake
        assert (stored.offences, stored.active) == (state.offences, state.active)
    rows = await bank.database.treasury_rows(bank.chain.height)
    assert [(row.bank, row.kind, row.amount, row.height) for row in rows[6:]] == [
        (1, "penalty", first - second, 1),
        (1, "penalty", second - third, 2),
        (1, "penalty", third - last, 3),
    ]


async def test_section_10_a_removed_bank_is_marked_in_the_same_block(
    bank: Bank, query: Query
) -> None:
    offences: Sequence[Offence] = (
        *(Offence.DOUBLE_VOTE, Offence.DOUBLE_PROPOSAL, Offence.INVALID_PROPOSAL),
        *(Offence.DOUBLE_COMMIT, Offence.LOCK_VIOLATION, Offence.APPROVED_INVALID),
    )
    removed: tuple[BankIndex, ...] = ()
    while not removed:
        items = [bank.chain.evidence(1, offence=offence) for offence in offences]
        removed = (await bank.seal(*items)).transition.removed

    assert removed == (1,)
    assert query("SELECT id FROM banks WHERE NOT is_active") == [(1,)]
    assert query("SELECT idx FROM miners WHERE NOT is_active") == [(1,)]


@pytest.mark.parametrize("status", ["pending", "recorded"])
async def test_a_damaged_item_is_noticed_wherever_it_is_read(
    status: str, bank: Bank, query: Query
) -> None:
    evidence = bank.chain.evidence(1)
    await bank.database.add_evidence(evidence, FINDER)
    if status == "recorded":
        await bank.seal(evidence)
    query("UPDATE evidence SET raw = set_byte(raw, 3, 7)")

    with pytest.raises(IntegrityViolation) as listing:
        await bank.database.evidence(0, 10)
    with pytest.raises(IntegrityViolation) as adding:
        await bank.database.add_evidence(evidence, FINDER)

    assert {listing.value.table, adding.value.table} == {"evidence"}


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("UPDATE evidence SET status = 'recorded'", "ck_evidence_block_if_settled"),
        (
            "UPDATE evidence SET status = 'recorded', block_number = 0",
            "ck_evidence_penalty_if_recorded",
        ),
        (
            "UPDATE evidence SET status = 'recorded', block_number = 0, penalty = 2,"
            " stake_before = 1, ordinal = 1",
            "ck_evidence_penalty_within_stake",
        ),
        ("UPDATE evidence SET offence = 'E9'", "ck_evidence_offence_known"),
        ("UPDATE evidence SET bank_id = 77", "fk_evidence_bank_id"),
        (
            "UPDATE evidence SET status = 'recorded', block_number = 0, penalty = 0,"
            " stake_before = 1, ordinal = 1",
            "uq_evidence_punished",
        ),
        (
            "UPDATE treasury SET amount = -1, type = 'penalty'",
            "ck_treasury_negative_only_for_stake_and_carry",
        ),
    ],
)
async def test_the_database_refuses(
    statement: str, constraint: str, bank: Bank, query: Query
) -> None:
    await bank.database.add_evidence(bank.chain.evidence(1), FINDER)
    await bank.database.add_evidence(bank.chain.evidence(1, size=90), FINDER)

    with pytest.raises(psycopg.IntegrityError) as refused:
        query(statement)

    assert refused.value.diag.constraint_name == constraint
