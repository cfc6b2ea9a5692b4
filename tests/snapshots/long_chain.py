"""A long ledger made fast: every block real, sealed with the keys of all banks by one hand.

Transactions are proven, executed and built into blocks by the production code; each seal holds q
commit signatures over the real signing bytes. Only the agreement is left out: whoever has all
keys needs nobody's consent. Most blocks are empty; every so often one issues notes or spends them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import psycopg

from node.consensus.certificates import Seal, SignatureEntry
from node.consensus.signatures import Ed25519Signer
from node.consensus.signing import SigningContext
from node.ledger.active_set import ActiveSet
from node.ledger.ballots import ballot_tag
from node.ledger.block_validity import BuiltBlock
from node.ledger.blocks import Header
from node.ledger.offences import VerifiedEvidence
from node.ledger.types import BankIndex, View
from node.storage.configuration import DatabaseConfig
from node.storage.database import Database
from node.storage.migrations import migrate, migrate_async
from node.storage.tables import Base
from tests.ledger.booth import votes
from tests.ledger.chain import FEE, Chain

BLOCK_INTERVAL_MS = 1_000
OFFENCES = 7
"""0.95 * 0.9 * 0.8^5 < 30 %."""


@cache
def signer(bank: BankIndex) -> Ed25519Signer:
    """The key that `tests.ledger.chain.make_genesis` registers for a bank."""
    return Ed25519Signer(hashlib.sha256(b"consensus %d" % bank).digest())


def seal_of(header: Header, active_set: ActiveSet, view: int = 0) -> Seal:
    """A seal by the first q banks of the set, whose ballots the next block records."""
    ballots = [ballot.raw for ballot in votes(active_set, header, view=view)]
    context = SigningContext.of(header.chain_id, active_set, header.height)
    return Seal(
        height=header.height,
        view=View(view),
        block_id=header.block_id,
        signatures=tuple(
            [
                SignatureEntry(
                    bank, signer(bank).sign(context.commit(View(view), bank, header.block_id))
                )
                for bank in active_set.banks[: active_set.quorum]
            ]
        ),
        ballots=tuple(sorted(ballots, key=ballot_tag)),
    )


@dataclass(frozen=True)
class Sealed:
    """One block of the long ledger."""

    built: BuiltBlock
    seal: bytes


def long_chain(
    chain: Chain, heights: int, *, every: int = 25, removed: Mapping[int, int] | None = None
) -> Iterator[Sealed]:
    """Go on for so many heights; every so many, a block holds an issue or a payment.

    `removed` are banks that leave the active set, by the height of the block that punishes them.
    """
    for number in range(heights):
        raws = _transactions(chain, number // every) if number % every == 0 else ()
        active_set = chain.state.active_set(chain.genesis)
        accused = (removed or {}).get(chain.height + 1)
        built = chain.build(
            chain.verify(*raws),
            after_ms=BLOCK_INTERVAL_MS,
            evidence=() if accused is None else _offences(chain, accused),
        )
        assert built.dropped == ()
        chain.apply(built.block, built.transition)
        yield Sealed(built, seal_of(built.block.header, active_set).encode())


def _transactions(chain: Chain, turn: int) -> Sequence[bytes]:
    expiry = chain.height + 100
    payable = [note for note in chain.mature() if note.value > 3 * FEE]
    if turn % 2 and payable:
        return (chain.transfer(payable[:1], expiry=expiry),)
    return (chain.mint([600, 400], expiry=expiry),)


def _offences(chain: Chain, bank: int) -> Sequence[VerifiedEvidence]:
    """Enough to bring a bank's stake below the floor (BFT-12 section 18)."""
    heights = range(chain.height - OFFENCES + 1, chain.height + 1)
    return [chain.evidence(bank, at) for at in heights]


async def store(chain_url: str, chain: Chain, blocks: Sequence[Sealed], bank: BankIndex) -> None:
    """Write the ledger from genesis on into the database of one bank."""
    await migrate_async(chain_url)
    config = DatabaseConfig(chain_url, pool_size=1, max_overflow=0)
    database = await Database.open(config, genesis=chain.genesis, bank=bank)
    try:
        for sealed in blocks:
            built = sealed.built
            await database.apply_block(
                built.block, sealed.seal, built.transition, built.transactions
            )
    finally:
        await database.close()


def copy_database(source_url: str, target_url: str, bank: BankIndex) -> None:
    """Give another bank the same ledger: every table by COPY, which is much faster."""
    migrate(target_url)
    with psycopg.connect(source_url) as source, psycopg.connect(target_url) as target:
        for table in Base.metadata.sorted_tables:
            columns = ", ".join([column.name for column in table.columns if not column.identity])
            with (
                source.cursor().copy(
                    f"COPY {table.name} ({columns}) TO STDOUT (FORMAT BINARY)".encode()
                ) as rows,
                target.cursor().copy(
                    f"COPY {table.name} ({columns}) FROM STDIN (FORMAT BINARY)".encode()
                ) as copy,
            ):
                for data in rows:
                    copy.write(data)
        target.execute("UPDATE ledger_identity SET bank_id = %s", [bank])
