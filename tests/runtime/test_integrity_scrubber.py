"""Old rows: the walk through the history finds whatever is not what it must hash to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

import psycopg
import pytest
import pytest_asyncio

from crypto.transaction import Kind
from node.consensus.certificates import Seal, SignatureEntry
from node.consensus.signatures import Ed25519Signer
from node.consensus.signing import SigningContext
from node.ledger.ballots import ballot_tag
from node.ledger.block_validity import BuiltBlock
from node.ledger.offences import Offence
from node.ledger.parameters import Parameters
from node.ledger.types import Amount, BankIndex, Height, View
from node.runtime.integrity_scrubber import IntegrityScrubber
from node.storage.configuration import DatabaseConfig
from node.storage.database import Database
from node.storage.errors import IntegrityViolation
from node.storage.migrations import migrate
from tests.ledger.booth import cast
from tests.ledger.chain import GOLD, Chain, consensus_secret, make_genesis

pytestmark = pytest.mark.postgres

BANK = BankIndex(2)
GENESIS = make_genesis(banks=6, parameters=Parameters(ring_base=4, transfer_fee=Amount(100)))
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


@pytest.fixture(scope="module")
def history() -> Sequence[tuple[BuiltBlock, bytes]]:
    """Mints, transfers, a redemption, a payout, an offence, and a bank that leaves the set."""
    chain = Chain(GENESIS, seed="scrubbed")
    late = GENESIS.parameters.bin_age_ms
    sealed: list[tuple[BuiltBlock, bytes]] = []

    def seal(*raws: bytes, after_ms: int = 1_000, offences: Sequence[Offence] = ()) -> None:
        before = chain.fork()
        evidence = [chain.evidence(1, offence=offence) for offence in offences]
        built = chain.seal(*raws, after_ms=after_ms, evidence=evidence)
        sealed.append((built, seal_of(before, built)))

    seal(chain.mint([5_000] * 4), chain.mint([5_000] * 2, bank=2))
    seal(chain.mint([700, 700], asset=GOLD), offences=[Offence.DOUBLE_VOTE])
    seal(after_ms=late)
    first, second, third, *_ = chain.mature()
    seal(chain.transfer([first, second]), chain.transfer([third], redeem=1_000))
    while chain.state.banks[1].active:
        seal(offences=ALL_OFFENCES)
    seal(chain.mint([300, 400], bank=1, kind=Kind.PAYOUT), after_ms=late)
    seal()
    return sealed


@dataclass
class Scrubbed:
    """A bank's database with the whole history."""

    database: Database
    url: str
    tip: Height

    def scrubber(self, rest_s: float = 0.0) -> IntegrityScrubber:
        return IntegrityScrubber(
            GENESIS, self.database, lambda: self.tip, share_percent=100, rest_s=rest_s
        )

    def damage(self, *statements: str) -> None:
        """Change rows as a broken disk would: behind every constraint's back."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)


@pytest_asyncio.fixture
async def scrubbed(
    make_database_url: Callable[[], str], history: Sequence[tuple[BuiltBlock, bytes]]
) -> AsyncIterator[Scrubbed]:
    url = make_database_url()
    migrate(url)
    config = DatabaseConfig(url, pool_size=2, max_overflow=1)
    database = await Database.open(config, genesis=GENESIS, bank=BANK)
    for built, seal in history:
        await database.apply_block(built.block, seal, built.transition, built.transactions)
    yield Scrubbed(database, url, history[-1][0].block.height)
    await database.close()


async def test_a_sound_history_is_found_sound_again_and_again(scrubbed: Scrubbed) -> None:
    scrubber = scrubbed.scrubber()

    await scrubber.walk()
    await scrubber.walk()

    assert scrubber.walks == 2


def flip(table: str, column: str, byte: int, where: str) -> str:
    changed = f"set_byte({column}, {byte}, get_byte({column}, {byte}) # 1)"
    return f"UPDATE {table} SET {column} = {changed} WHERE {where}"


BODY_OF_4 = "transaction_id = (SELECT transaction_id FROM transactions WHERE batch_id = 4 LIMIT 1)"

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
        "INSERT INTO nullifiers SELECT 3, set_byte(nullifier, 9, 9), NULL FROM nullifiers LIMIT 1",
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

    wanted = scrubbed.tip if height == "tip" else height
    assert (found.value.table, found.value.height) == (table, wanted), str(found.value)


async def test_a_lost_block_is_found(scrubbed: Scrubbed) -> None:
    """The memory of this process knows one block more than the table."""
    scrubbed.tip = Height(scrubbed.tip + 1)

    with pytest.raises(IntegrityViolation) as found:
        await scrubbed.scrubber().walk()

    assert str(found.value) == f"damaged row in blocks at height {scrubbed.tip}: the row is missing"


async def test_an_unreachable_database_is_no_damage(scrubbed: Scrubbed) -> None:
    """Whether the node may go on without its database is the writer's question."""
    scrubbed.damage(
        "ALTER TABLE blocks RENAME TO elsewhere",
    )
    running = asyncio.create_task(scrubbed.scrubber().run())
    await asyncio.sleep(0.1)

    assert not running.done()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
