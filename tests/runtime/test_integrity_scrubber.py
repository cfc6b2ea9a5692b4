"""Old rows: the walk through the history finds whatever is not what it must hash to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import psycopg
import pytest
import pytest_asyncio

from crypto.ballot_proof import HEAD_BYTES
from crypto.transaction import Kind
from node.consensus.certificates import Seal, SignatureEntry
from node.consensus.signatures import Ed25519Signer, Ed25519Verifier
from node.consensus.signing import SigningContext
from node.ledger.ballots import ballot_tag
from node.ledger.block_validity import BuiltBlock
from node.ledger.offences import Offence
from node.ledger.types import BankIndex, Height, View
from node.runtime.history_check import ChainWalk
from node.runtime.integrity_scrubber import IntegrityScrubber
from node.runtime.stored_blocks import published_block
from node.storage.configuration import DatabaseConfig
from node.storage.database import Database
from node.storage.embedded_postgres import EmbeddedPostgres
from node.storage.errors import IntegrityViolation
from node.storage.migrations import migrate
from node.storage.tables import Base
from tests.ledger.booth import cast
from tests.ledger.chain import GOLD, Chain, consensus_secret
from tests.ledger.settling import SettlingChain, settling_genesis

pytestmark = pytest.mark.postgres

BANK = BankIndex(2)
GENESIS = settling_genesis(banks=6)
ALL_OFFENCES = (
    *(Offence.DOUBLE_VOTE, Offence.DOUBLE_PROPOSAL, Offence.INVALID_PROPOSAL),
    *(Offence.DOUBLE_COMMIT, Offence.LOCK_VIOLATION, Offence.APPROVED_INVALID),
)


def seal_of(chain: Chain, built: BuiltBlock) -> bytes:
    """A real seal by the banks that decide the block; `chain` stands at its parent.

    Its ballots are of the last quorum of banks: another than the next block records.
    """
    active = chain.state.active_set(chain.genesis)
    block = built.block
    context = SigningContext.of(chain.genesis.chain_id, active, block.height)
    signatures = tuple(
        SignatureEntry(
            bank,
            Ed25519Signer(consensus_secret(bank)).sign(
                context.commit(View(0), bank, block.block_id)
            ),
        )
        for bank in active.banks[: active.quorum]
    )
    banks = active.banks[-active.quorum :]
    ballots = sorted([cast(active, block.header, bank) for bank in banks], key=ballot_tag)
    return Seal(block.height, View(0), block.block_id, signatures, tuple(ballots)).encode()


@dataclass(frozen=True)
class History:
    """Sealed blocks in order, and where years end."""

    blocks: Sequence[tuple[BuiltBlock, bytes]]
    settled: Height
    """Settles FY2026."""
    carried: Height
    """Carries the pot of FY2027, which nobody settled."""


@pytest.fixture(scope="module")
def history() -> History:
    """Mints, transfers, a redemption, a payout, an offence, a bank that leaves the set, a year that
    is settled and one that is not."""
    chain = SettlingChain(GENESIS)
    late = GENESIS.parameters.bin_age_ms
    sealed: list[tuple[BuiltBlock, bytes]] = []

    def seal(
        *raws: bytes, after_ms: int = 1_000, offences: Sequence[Offence] = (), year: int = 0
    ) -> Height:
        before = chain.fork()
        evidence = [chain.evidence(1, offence=offence) for offence in offences]
        at_ms = chain.first_ms(year) if year else chain.header.time_ms + after_ms
        built = chain.extend(*raws, at_ms=at_ms, evidence=evidence)
        sealed.append((built, seal_of(before, built)))
        return chain.height

    seal(chain.mint([5_000] * 4), chain.mint([5_000] * 2, bank=2))
    seal(chain.mint([700, 700], asset=GOLD), offences=[Offence.DOUBLE_VOTE])
    seal(after_ms=late)
    first, second, third, fourth, *_ = chain.mature()
    seal(chain.transfer([first, second]), chain.transfer([third], redeem=1_000))
    while chain.state.banks[1].active:
        seal(offences=ALL_OFFENCES)
    seal(chain.mint([300, 400], bank=1, kind=Kind.PAYOUT), after_ms=late)
    seal()
    seal(year=2027)
    settled = seal(chain.settlement(2026), chain.transfer([fourth]))
    seal(year=2028)
    seal(year=2029)
    carried = seal(chain.carry(2027))
    seal()
    return History(sealed, settled, carried)


@dataclass
class Scrubbed:
    """A bank's database with the whole history."""

    database: Database
    url: str
    tip: Height
    history: History

    def scrubber(self, proofs_every: int = 50) -> IntegrityScrubber:
        return IntegrityScrubber(
            GENESIS,
            self.database,
            lambda: self.tip,
            share_percent=100,
            rest_s=0.0,
            proofs_every=proofs_every,
        )

    def height(self, at: int | str | None) -> int | None:
        """A height by name, for it is fixed by how many offences it takes."""
        named: dict[int | str | None, int] = {
            "tip": self.tip,
            "settled": self.history.settled,
            "carried": self.history.carried,
        }
        return named.get(at, at if isinstance(at, int) else None)

    damaged: bool = False

    def damage(self, *statements: str) -> None:
        """Change rows as a broken disk would: behind every constraint's back."""
        self.damaged = True
        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)


@pytest.fixture(scope="module")
def history_url(postgres_server: EmbeddedPostgres, history: History) -> Iterator[str]:
    """A database with the whole history, and copies of its tables to mend them from."""
    name = "scrubbed"
    postgres_server.create_database(name, name, name)
    url = postgres_server.url(name, name, name)
    migrate(url)

    async def fill() -> None:
        async with opened(url) as database:
            for built, seal in history.blocks:
                await database.apply_block(built.block, seal, built.transition, built.transactions)

            second, third = (history.blocks[at][0].block.parent_ballots[0] for at in (1, 2))
            other = second[: HEAD_BYTES - 1] + b"R" + second[HEAD_BYTES:]
            await database.add_ballot_conflict(Height(1), View(0), other, second)
            other = third[: HEAD_BYTES - 1] + b"R" + third[HEAD_BYTES:]
            await database.add_ballot_conflict(Height(2), View(0), third, other)

    asyncio.run(fill())
    with psycopg.connect(url) as connection:
        connection.execute("CREATE SCHEMA sound")
        for table in Base.metadata.sorted_tables:
            copied = f"CREATE TABLE sound.{table.name} AS TABLE public.{table.name}"
            connection.execute(copied.encode())
    yield url
    postgres_server.drop_database(name, name)


def mend(url: str) -> None:
    tables = [table.name for table in Base.metadata.sorted_tables]
    with psycopg.connect(url) as connection:
        connection.execute(f"TRUNCATE {', '.join(tables)}".encode())
        for table in tables:
            connection.execute(
                f"INSERT INTO {table} OVERRIDING SYSTEM VALUE TABLE sound.{table}".encode()
            )


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    config = DatabaseConfig(url, pool_size=2, max_overflow=1)
    database = await Database.open(config, genesis=GENESIS, bank=BANK)
    try:
        yield database
    finally:
        await database.close()


@pytest_asyncio.fixture
async def scrubbed(history_url: str, history: History) -> AsyncIterator[Scrubbed]:
    tip = history.blocks[-1][0].block.height
    async with opened(history_url) as database:
        found = Scrubbed(database, history_url, tip, history)
        yield found
    if found.damaged:
        mend(history_url)


async def test_a_sound_history_is_found_sound_again_and_again(scrubbed: Scrubbed) -> None:
    scrubber = scrubbed.scrubber()

    await scrubber.walk()
    await scrubber.walk()

    assert scrubber.walks == 2


def flip(table: str, column: str, byte: int, where: str) -> str:
    changed = f"set_byte({column}, {byte}, get_byte({column}, {byte}) # 1)"
    return f"UPDATE {table} SET {column} = {changed} WHERE {where}"


BODY_OF_4 = "transaction_id = (SELECT transaction_id FROM transactions WHERE batch_id = 4 LIMIT 1)"
VOTE_ON_3 = (
    "vote_id = (SELECT vote_id FROM bank_voting_records WHERE batch_id = 3 ORDER BY tag LIMIT 1)"
)

DAMAGE = [
    (flip("blocks", "header", 90, "block_number = 2"), "blocks", 2),
    (flip("blocks", "contents", 20, "block_number = 4"), "blocks", 4),
    (flip("blocks", "contents", 20, "block_number = 2"), "blocks", 2),
    (flip("blocks", "seal", 60, "block_number = 5"), "blocks", 5),
    (
        "UPDATE blocks SET seal = (SELECT seal FROM blocks b WHERE b.block_number = 3)"
        " WHERE block_number = 2",
        "blocks",
        2,
    ),
    (flip("blocks", "state_root", 0, "block_number = 1"), "blocks", 1),
    ("UPDATE blocks SET miner_idx = 5 - miner_idx WHERE block_number = 1", "blocks", 1),
    (flip("transaction_batches", "merkle_root", 0, "batch_id = 4"), "transaction_batches", 4),
    (flip("transaction_bodies", "body", 700, BODY_OF_4), "transaction_bodies", 4),
    (flip("transactions", "leaf_hash", 0, "batch_id = 1 AND position = 1"), "transactions", 1),
    ("UPDATE transactions SET redeem = 999 WHERE redeem = 1000", "transactions", 4),
    ("DELETE FROM nullifiers WHERE sequence = 1", "nullifiers", 4),
    (flip("nullifiers", "nullifier", 50, "sequence = 2"), "nullifiers", 4),
    (
        "INSERT INTO nullifiers SELECT 900, set_byte(nullifier, 9, 9), 0 FROM nullifiers LIMIT 1",
        "nullifiers",
        1,
    ),
    (
        "INSERT INTO nullifiers SELECT 4, set_byte(nullifier, 9, 9), NULL FROM nullifiers LIMIT 1",
        "nullifiers",
        None,
    ),
    (flip("notes", "ciphertext", 0, "sequence = 7"), "notes", 2),
    (flip("notes", "ephemeral_key", 31, "sequence = 0"), "notes", 1),
    ("UPDATE notes SET position = 99 WHERE sequence = 1", "notes", None),
    ("DELETE FROM notes WHERE sequence = 3", "notes", 1),
    (flip("bins", "digest", 0, "bin_id = 0"), "bins", None),
    (flip("evidence", "raw", 0, "sequence = 0"), "evidence", 2),
    ("UPDATE banks SET stake = stake + 1 WHERE id = 4", "banks", "tip"),
    ("UPDATE miners SET blocks_mined = 0", "banks", "tip"),
    ("UPDATE treasury SET amount = amount + 1 WHERE type = 'penalty'", "treasury", "tip"),
    ("DELETE FROM treasury WHERE type = 'fee'", "treasury", "tip"),
    ("UPDATE account_entries SET amount = 1 WHERE kind = 'redeem'", "account_entries", "tip"),
    (flip("ledger_state", "state", 50, "true"), "ledger_state", "tip"),
    (flip("blocks", "seal", 5_800, "block_number = 6"), "blocks", 6),
    (flip("blocks", "seal_digest", 0, "block_number = 6"), "blocks", 6),
    (flip("bank_voting_records", "group_signature", 900, VOTE_ON_3), "bank_voting_records", 3),
    (flip("bank_voting_records", "tag", 0, VOTE_ON_3), "bank_voting_records", 3),
    (
        f"UPDATE bank_voting_records SET decision = 'reject' WHERE {VOTE_ON_3}",
        "bank_voting_records",
        3,
    ),
    (
        f"UPDATE bank_voting_records SET timestamp = now() WHERE {VOTE_ON_3}",
        "bank_voting_records",
        3,
    ),
    (f"DELETE FROM bank_voting_records WHERE {VOTE_ON_3}", "bank_voting_records", 3),
    (
        "INSERT INTO bank_voting_records (batch_id, decision, tag, timestamp, group_signature)"
        " SELECT 3, decision, tag, timestamp, group_signature FROM bank_voting_records"
        " WHERE batch_id = 2 LIMIT 1",
        "bank_voting_records",
        3,
    ),
    (
        "UPDATE transaction_batches SET approved_banks = 4, rejected_banks = 1 WHERE batch_id = 3",
        "transaction_batches",
        3,
    ),
    (
        "UPDATE transaction_batches"
        " SET status = 'pending', approved_banks = NULL, rejected_banks = NULL WHERE batch_id = 3",
        "transaction_batches",
        3,
    ),
    (flip("ballot_conflicts", "tag", 0, "height = 2"), "ballot_conflicts", 2),
    (
        "UPDATE ballot_conflicts SET first = set_byte(first, 20, 0) WHERE height = 2",
        "ballot_conflicts",
        2,
    ),
    (
        "UPDATE ballot_conflicts c SET first = (SELECT first FROM ballot_conflicts WHERE"
        " height = 1), tag = (SELECT tag FROM ballot_conflicts WHERE height = 1) WHERE height = 2",
        "ballot_conflicts",
        2,
    ),
    ("UPDATE settlements SET ballots = ballots + 1", "settlements", "settled"),
    ("UPDATE settlements SET blocks = 0 WHERE fiscal_year = 2027", "settlements", "carried"),
    (flip("settlements", "ciphertext_sum", 100, "fiscal_year = 2026"), "settlements", "settled"),
    (
        "UPDATE settlements SET transaction_sequence = 0 WHERE fiscal_year = 2027",
        "settlements",
        "carried",
    ),
    ("DELETE FROM settlements WHERE fiscal_year = 2027", "settlements", "carried"),
    (
        "UPDATE settlement_shares SET count = count + 1 WHERE bank_id = 3",
        "settlements",
        "settled",
    ),
    ("DELETE FROM settlement_shares WHERE bank_id = 3", "settlements", "settled"),
    ("UPDATE settlements SET pot = pot + 1 WHERE fiscal_year = 2026", "settlements", "settled"),
    (
        "UPDATE settlement_shares SET reward = reward + 1 WHERE bank_id = 3;"
        "UPDATE settlement_shares SET reward = reward - 1 WHERE bank_id = 4",
        "settlements",
        "settled",
    ),
    ("UPDATE treasury SET amount = amount + 1 WHERE type = 'reward'", "treasury", "tip"),
    (
        "UPDATE treasury SET bank_id = 1 WHERE type = 'reward' AND bank_id = 2",
        "treasury",
        "tip",
    ),
    ("UPDATE treasury SET amount = amount + 1 WHERE type = 'carry'", "treasury", "tip"),
    ("UPDATE treasury SET fiscal_year = 2030 WHERE type = 'fee'", "treasury", "tip"),
    ("UPDATE account_entries SET amount = 1 WHERE kind = 'reward'", "account_entries", "tip"),
]


@pytest.mark.parametrize(
    ("statement", "table", "height"), DAMAGE, ids=[f"{item[1]}: {item[0][:60]}" for item in DAMAGE]
)
async def test_a_changed_row_is_found_and_named(
    statement: str, table: str, height: int | str | None, scrubbed: Scrubbed
) -> None:
    scrubbed.damage(statement)

    with pytest.raises(IntegrityViolation) as found:
        await scrubbed.scrubber().walk()

    wanted = (table, scrubbed.height(height))
    assert (found.value.table, found.value.height) == wanted, str(found.value)


async def test_a_seal_that_does_not_decode_is_damage_to_whoever_publishes_it(
    scrubbed: Scrubbed,
) -> None:
    block = await scrubbed.database.block_by_height(6)
    published = await published_block(scrubbed.database, block, include_transactions=False)
    assert published.certificate == Seal.decode(block.seal).published().encode()

    scrubbed.damage("UPDATE blocks SET seal = substr(seal, 1, 50) WHERE block_number = 6")
    with pytest.raises(IntegrityViolation, match="blocks at height 6: the seal: "):
        await published_block(
            scrubbed.database, await scrubbed.database.block_by_height(6), False
        )


async def test_a_forged_ballot_of_a_seal_is_found_by_its_proof(scrubbed: Scrubbed) -> None:
    """Nothing but its proof tells: no header names the ballots of a seal."""
    scrubbed.damage(
        flip("blocks", "seal", 5_800, "block_number = 6"),
        "UPDATE blocks SET seal_digest = sha256(seal)",
    )

    await scrubbed.scrubber(proofs_every=5).walk()
    with pytest.raises(IntegrityViolation) as found:
        await scrubbed.scrubber(proofs_every=6).walk()

    assert (found.value.table, found.value.height) == ("blocks", 6), str(found.value)


async def test_section_18_a_state_whose_tallies_are_not_the_sums_is_found(
    scrubbed: Scrubbed,
) -> None:
    walk = ChainWalk(GENESIS, Ed25519Verifier(), Height(0))
    while walk.height <= scrubbed.tip:
        stored = await scrubbed.database.block_history(walk.height, whole=True)
        assert stored is not None
        walk.take(stored)
    state = (await scrubbed.database.load_tip()).state
    assert [tally.year for tally in state.tallies] == [2028, 2029]
    walk.tallies.check(state)

    first, second = state.tallies
    for tallies in (
        (first,),
        (first, replace(second, ballots=second.ballots + 1)),
        (replace(first, ciphertext_sum=second.ciphertext_sum), second),
    ):
        with pytest.raises(IntegrityViolation, match="the tallies are not the sums"):
            walk.tallies.check(replace(state, tallies=tallies))


async def test_a_lost_block_is_found(scrubbed: Scrubbed) -> None:
    """The memory of this process knows one block more than the table."""
    scrubbed.tip = Height(scrubbed.tip + 1)

    with pytest.raises(IntegrityViolation) as found:
        await scrubbed.scrubber().walk()

    assert str(found.value) == f"damaged row in blocks at height {scrubbed.tip}: the row is missing"


async def test_an_unreachable_database_is_no_damage(scrubbed: Scrubbed) -> None:
    """Whether the node may go on without its database is the writer's question."""
    scrubbed.damage("ALTER TABLE blocks RENAME TO elsewhere")
    running = asyncio.create_task(scrubbed.scrubber().run())
    await asyncio.sleep(0.1)

    assert not running.done()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    scrubbed.damage("ALTER TABLE elsewhere RENAME TO blocks")
