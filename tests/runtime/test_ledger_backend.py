"""What clients ask of a bank, answered from a real database and pool."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import grpc
import psycopg
import pytest
import pytest_asyncio

from crypto.merkle import leaf_hash, verify_inclusion
from node.consensus.certificates import Seal
from node.ledger.ballots import BallotCertificate, verify_ballot_certificate
from node.ledger.blocks import Header
from node.ledger.rejection import Reason, Rejection
from node.ledger.state import LedgerState
from node.ledger.types import BlockId, Height, TransactionId
from node.rpc.backend import NotFound, NotReady, NotYet, Overloaded
from node.rpc.errors import fault_of
from node.runtime import ledger_backend as ledger_backend_module
from node.runtime.block_feed import BlockFeed
from node.runtime.ledger_backend import LedgerBackend
from node.runtime.mempool import MempoolLimits
from node.storage.errors import IntegrityViolation
from node.wire.identity import Identity, Role
from node.wire.records import Receipt, StoredBlock, TransactionState
from tests.ledger.chain import BASE, Chain
from tests.runtime.bank_parts import BANK, Bank, forged, funded, identity, open_bank

pytestmark = pytest.mark.postgres

ALICE = Identity("test-ledger", Role.CLIENT, "alice")
NOBODY = TransactionId(bytes(32))


@dataclass
class Served:
    """A bank with its backend; `unready` is why it answers no submission."""

    bank: Bank
    backend: LedgerBackend
    feed: BlockFeed
    unready: str | None = None
    behind: int = 0

    async def seal(self, *raws: bytes, after_ms: int = 1_000) -> None:
        built = await self.bank.seal(*raws, after_ms=after_ms)
        self.feed.applied(built.block.height)


def serve(bank: Bank) -> Served:
    feed = BlockFeed(bank.chain.height)
    served: Served
    backend = LedgerBackend(
        BANK,
        bank.chain,
        bank.database,
        bank.pool,
        bank.tracker,
        feed,
        lambda: 3,
        lambda: served.unready,
        lambda: served.behind,
    )
    served = Served(bank, backend, feed)
    return served


@pytest_asyncio.fixture
async def served(make_database_url: Callable[[], str]) -> AsyncIterator[Served]:
    async with open_bank(Chain(seed="backend"), make_database_url) as bank:
        await funded(bank)
        yield serve(bank)


async def test_submission_is_idempotent_from_admission_to_seal(served: Served) -> None:
    raw = served.bank.ledger.mint([5])
    admitted = Receipt(identity(raw), TransactionState.ADMITTED, Height(2))
    assert await served.backend.submit(raw, ALICE) == admitted
    assert await served.backend.submit(raw, ALICE) == admitted
    await served.seal(raw)
    sealed = Receipt(identity(raw), TransactionState.SEALED, Height(3))
    assert await served.backend.submit(raw, ALICE) == sealed
    assert len(served.bank.mempool) == 0


async def test_an_unready_bank_says_why_and_takes_nothing(served: Served) -> None:
    served.unready = "this bank is stopping"
    raw = served.bank.ledger.mint([5])
    with pytest.raises(NotReady, match=r"^this bank is stopping$"):
        await served.backend.submit(raw, ALICE)
    assert (await served.backend.node_status()).ready is False
    assert len(served.bank.mempool) == 0


async def test_section_11_a_bank_far_behind_gives_no_verdicts(served: Served) -> None:
    """On a state that old an expiry may be too far and a bin unknown: others know better."""
    served.behind = 10_000
    with pytest.raises(NotReady, match=r"^this bank is 10000 heights behind the others and"):
        await served.backend.submit(served.bank.ledger.mint([5]), ALICE)
    assert (await served.backend.node_status()).ready is True
    served.behind = 1
    await served.backend.submit(served.bank.ledger.mint([5]), ALICE)


async def test_a_full_mempool_is_overload_and_no_verdict(
    make_database_url: Callable[[], str],
) -> None:
    limits = MempoolLimits(transactions=1)
    async with open_bank(Chain(seed="overload"), make_database_url, limits) as bank:
        served = serve(bank)
        await served.backend.submit(bank.ledger.mint([1]), ALICE)
        refused = bank.ledger.mint([2])
        with pytest.raises(Overloaded) as caught:
            await served.backend.submit(refused, ALICE)
        assert caught.value.reason == "mempool-full"
        with pytest.raises(NotFound):
            await served.backend.transaction(identity(refused))


async def test_a_refusal_is_told_now_and_later(served: Served) -> None:
    raw = forged(served.bank.ledger.transfer(served.bank.ledger.mature()[:1]))
    with pytest.raises(Rejection) as caught:
        await served.backend.submit(raw, ALICE)
    assert caught.value.reason is Reason.SPEND
    found = await served.backend.transaction(identity(raw))
    assert found.status.refusal is not None
    assert (found.status.refusal.reason, found.transaction) == ("spend", None)


async def test_a_transaction_is_found_on_its_way_and_sealed(served: Served) -> None:
    raw = served.bank.ledger.mint([6])
    with pytest.raises(NotFound, match=f"^transaction {identity(raw).hex()} is unknown"):
        await served.backend.transaction(identity(raw))
    await served.backend.submit(raw, ALICE)
    waiting = await served.backend.transaction(identity(raw))
    assert (waiting.status.state, waiting.transaction) == (TransactionState.ADMITTED, raw)
    await served.seal(raw)
    sealed = await served.backend.transaction(identity(raw))
    assert sealed.status.position is not None
    assert (sealed.status.position.height, sealed.transaction) == (Height(3), raw)


async def test_the_stream_of_states_ends_with_the_seal(served: Served) -> None:
    raw = served.bank.ledger.mint([7])

    seen: list[TransactionState] = []

    async def follow() -> None:
        async for status in served.backend.transaction_states(identity(raw)):
            seen.append(status.state)

    following = asyncio.create_task(follow())
    while not seen:  # noqa: ASYNC110 - what is waited for is in the list
        await asyncio.sleep(0.01)
    await served.backend.submit(raw, ALICE)
    await served.seal(raw)
    await following
    assert seen == [
        TransactionState.UNKNOWN,
        TransactionState.PENDING,
        TransactionState.ADMITTED,
        TransactionState.SEALED,
    ]
    seen.clear()
    await follow()
    assert seen == [TransactionState.SEALED]


async def test_an_inclusion_proof_is_there_when_the_seal_is(served: Served) -> None:
    raws = [served.bank.ledger.mint([value]) for value in (8, 9, 10)]
    with pytest.raises(NotFound):
        await served.backend.inclusion_proof(identity(raws[1]))
    await served.backend.submit(raws[1], ALICE)
    with pytest.raises(NotYet) as caught:
        await served.backend.inclusion_proof(identity(raws[1]))
    assert caught.value.reason == "not-sealed"
    await served.seal(*raws)
    proof = await served.backend.inclusion_proof(identity(raws[1]))
    header = Header.decode(proof.header)
    assert (proof.leaf_hash, proof.set_changes) == (leaf_hash(raws[1]), ())
    certificate = BallotCertificate.decode(proof.certificate)
    chain = served.bank.chain
    assert certificate == Seal.decode(chain.seal).published()
    verify_ballot_certificate(certificate, chain.genesis.chain_id, chain.active_set)
    verify_inclusion(raws[1], proof.proof, header.transactions_root, size=3)


CUT = "UPDATE blocks SET seal = substr(seal, 1, 40) WHERE block_number = 1"
EMPTIED = "UPDATE blocks SET seal = ''::bytea WHERE block_number = 1"
LEAF = "UPDATE transactions SET leaf_hash = sha256(leaf_hash) WHERE batch_id = 1"
ENDS_EARLY = "damaged row in blocks at height 1: the seal: "
ANOTHER_ROOT = (
    "damaged row in transactions at height 1: they do not have the Merkle root of the header"
)


@pytest.mark.parametrize(
    ("statement", "of_block", "says"),
    [
        (CUT, 1, ENDS_EARLY),
        (EMPTIED, 1, ENDS_EARLY),
        (LEAF, 1, ANOTHER_ROOT),
        # A removal by block 1 that every later proof rests on.
        (CUT, 3, ENDS_EARLY),
        (CUT, None, ENDS_EARLY),
    ],
)
async def test_what_rests_on_a_damaged_row_is_data_loss_and_an_alarm(
    served: Served, statement: str, of_block: int | None, says: str
) -> None:
    """`of_block` is where a transaction is to be proven, None for the state of the tip."""
    bank, told = served.bank, list[IntegrityViolation]()
    bank.database._on_violation = told.append
    last = bank.ledger.mint([7])
    await served.seal(last)
    first = (await bank.database.transactions(0, 1))[0].transaction_id
    with psycopg.connect(bank.url) as connection:
        if of_block != 1:
            encoded = bank.chain.active_set.encode()
            connection.execute("INSERT INTO set_changes VALUES (1, %s)", (encoded,))
        connection.execute(statement)

    with pytest.raises(IntegrityViolation) as refused:
        if of_block is None:
            await served.backend.sealed_state()
        else:
            await served.backend.inclusion_proof(first if of_block == 1 else identity(last))
    assert str(refused.value).startswith(says)
    assert told == [refused.value]
    fault = fault_of(refused.value)
    assert fault is not None
    assert (fault.code, fault.reason) == (grpc.StatusCode.DATA_LOSS, "damaged")


async def test_a_refused_transaction_has_no_proof(served: Served) -> None:
    raw = forged(served.bank.ledger.transfer(served.bank.ledger.mature()[:1]))
    with pytest.raises(Rejection):
        await served.backend.submit(raw, ALICE)
    with pytest.raises(NotFound, match=r"was not sealed$"):
        await served.backend.inclusion_proof(identity(raw))


async def test_blocks_by_height_by_id_and_as_a_stream(served: Served) -> None:
    raw = served.bank.ledger.mint([11])
    await served.seal(raw)
    backend = served.backend
    block = await backend.block_at(Height(3), True)
    assert block.transactions == (raw,)
    assert await backend.block_by_id(Header.decode(block.header).block_id, True) == block
    assert (await backend.block_at(Height(3), False)).transactions == ()
    assert (await backend.block_at(Height(0), True)).block == b""
    with pytest.raises(NotFound, match=r"^height 4 is above the tip 3$"):
        await backend.block_at(Height(4), True)
    with pytest.raises(NotFound):
        await backend.block_by_id(BlockId(bytes(32)), True)
    listed = [item async for item in backend.blocks(Height(1), False, False)]
    assert [Header.decode(item.header).height for item in listed] == [1, 2, 3]
    assert [item async for item in backend.blocks(Height(9), False, False)] == []


async def test_a_following_stream_goes_on_with_new_blocks(served: Served) -> None:
    seen: list[StoredBlock] = []
    arrived = asyncio.Event()

    async def follow() -> None:
        async for block in served.backend.blocks(Height(2), True, False):
            seen.append(block)
            arrived.set()

    following = asyncio.create_task(follow())
    for expected in (2, 3, 4):
        async with asyncio.timeout(5):
            await arrived.wait()
        arrived.clear()
        assert Header.decode(seen[-1].header).height == expected
        if expected < 4:
            await served.seal()
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    assert len(seen) == 3


async def test_notes_nullifiers_and_bins_in_ledger_order_whatever_the_page(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = served.bank.ledger
    await served.seal(ledger.transfer(ledger.mature()[:1]))
    everything = []
    for rows in (1, 500):
        monkeypatch.setattr(ledger_backend_module, "PAGE_ROWS", rows)
        backend = served.backend
        everything.append(
            (
                [note async for page in backend.notes(0, None) for note in page],
                [item async for page in backend.nullifiers(0, None) for item in page],
                [item async for page in backend.closed_bins(0, None) for item in page],
            )
        )
        assert [note.sequence async for page in backend.notes(1, 2) for note in page] == [1, 2]
    assert everything[0] == everything[1]
    notes, nullifiers, bins = everything[0]
    assert [note.sequence for note in notes] == [0, 1, 2, 3]
    assert {item.nullifier for item in nullifiers} == ledger.history.spent
    assert [(item.bin_id, item.count) for item in bins] == [(0, 2)]


async def test_only_closed_bins_are_given_out(served: Served) -> None:
    """IDX1 4.4: a wallet recomputes the digest of what it is told."""
    await served.seal(served.bank.ledger.mint([12]))
    (record,) = await served.backend.bins([0])
    ring = served.bank.ledger.history.closed_bins[0]
    assert (record.asset, record.count, record.digest) == (BASE, 2, ring.digest)
    assert record.notes == b"".join(key + commitment for key, commitment in ring.notes)
    with pytest.raises(NotYet, match=r"^bin 1 still fills$") as caught:
        await served.backend.bins([0, 1])
    assert caught.value.reason == "bin-open"
    with pytest.raises(NotFound, match=r"^bin 7 does not exist$"):
        await served.backend.bins([7])


async def test_the_state_and_the_status_are_those_of_the_tip(served: Served) -> None:
    sealed = await served.backend.sealed_state()
    chain = served.bank.chain
    assert LedgerState.decode(sealed.state) == chain.state
    assert Header.decode(sealed.header).post_state_root == chain.state.root()
    status = await served.backend.node_status()
    assert (status.height, status.block_id, status.linked_banks, status.quorum, status.ready) == (
        2,
        chain.header.block_id,
        4,
        4,
        True,
    )
    parameters = await served.backend.parameters()
    assert (parameters.chain_id, parameters.ring_base) == (chain.genesis.chain_id, 4)
