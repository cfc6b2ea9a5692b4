"""The mempool: bounded, free of conflicts, and told what blocks have consumed."""

from __future__ import annotations

import pytest

from node.ledger.proofs import VerifiedTransaction
from node.ledger.rejection import Reason, Rejection
from node.ledger.types import Height, TransactionId
from node.runtime.mempool import Mempool, MempoolLimits
from node.runtime.recent_blocks import RecentBlocks, VerdictTooOld
from tests.ledger.chain import Chain


@pytest.fixture(scope="module")
def transfers() -> tuple[VerifiedTransaction, VerifiedTransaction, VerifiedTransaction]:
    """Two independent transfers, and a rival of the first that spends the same note."""
    chain = Chain()
    chain.seal_matured(chain.mint([5_000, 5_000]))
    notes = chain.mature()
    first = chain.transfer(notes[:1])
    second = chain.transfer(notes[1:])
    rival = chain.transfer(notes[:1], split=1)
    verified = chain.verify(first, second, rival)
    return verified[0], verified[1], verified[2]


Transfers = tuple[VerifiedTransaction, VerifiedTransaction, VerifiedTransaction]


def test_keeps_the_order_of_arrival(transfers: Transfers) -> None:
    first, second, _ = transfers
    mempool = Mempool(MempoolLimits())
    mempool.add(second, "client/a")
    mempool.add(first, "bank/1")
    mempool.add(second, "client/a")
    assert mempool.candidates(10) == (second, first)
    assert mempool.candidates(1) == (second,)
    assert mempool.candidates(1, {second.transaction_id}) == (first,)
    assert mempool.candidates(2, {first.transaction_id, second.transaction_id}) == ()
    assert len(mempool) == 2
    assert mempool.size_bytes == first.size + second.size


def test_refuses_a_second_spend_of_a_waiting_note(transfers: Transfers) -> None:
    first, _, rival = transfers
    mempool = Mempool(MempoolLimits())
    mempool.add(first, "client/a")
    with pytest.raises(Rejection) as refused:
        mempool.add(rival, "client/b")
    assert refused.value.reason is Reason.NULLIFIER
    assert refused.value.message == (
        f"a note is already being spent by pending transaction {first.transaction_id.hex()}"
    )
    mempool.remove(first.transaction_id)
    mempool.add(rival, "client/b")
    assert mempool.candidates(10) == (rival,)


def test_full_in_all_is_a_refusal_and_not_a_drop(transfers: Transfers) -> None:
    first, second, _ = transfers
    mempool = Mempool(MempoolLimits(transactions=1))
    mempool.add(first, "client/a")
    with pytest.raises(Rejection) as refused:
        mempool.add(second, "client/b")
    assert refused.value.reason is Reason.MEMPOOL_FULL
    assert mempool.candidates(10) == (first,)


def test_full_for_one_source_leaves_room_for_others(transfers: Transfers) -> None:
    first, second, _ = transfers
    mempool = Mempool(MempoolLimits(transactions_per_source=1))
    mempool.add(first, "client/a")
    with pytest.raises(Rejection, match="client/a has 1 transactions waiting"):
        mempool.add(second, "client/a")
    mempool.add(second, "client/b")
    assert len(mempool) == 2


def test_full_by_bytes(transfers: Transfers) -> None:
    first, second, _ = transfers
    mempool = Mempool(MempoolLimits(bytes=first.size))
    mempool.add(first, "client/a")
    with pytest.raises(Rejection, match="mempool-full"):
        mempool.add(second, "client/a")


def test_names_what_a_block_made_impossible(transfers: Transfers) -> None:
    first, second, rival = transfers
    mempool = Mempool(MempoolLimits())
    mempool.add(first, "client/a")
    mempool.add(second, "client/a")
    assert mempool.conflicting(rival.nullifiers, rival.one_time_keys) == (first.transaction_id,)
    assert mempool.expired(Height(first.transaction.expiry)) == ()
    assert mempool.expired(Height(first.transaction.expiry + 1)) == (
        first.transaction_id,
        second.transaction_id,
    )


def test_tells_what_spends_nothing(transfers: Transfers) -> None:
    """Issues, payouts and governance: what limits and accounts may stop allowing."""
    chain = Chain(seed="mints")
    mints = [item for item in chain.verify(chain.mint([1]), chain.mint([2])) if item]
    mempool = Mempool(MempoolLimits())
    for verified in (mints[0], transfers[0], mints[1]):
        mempool.add(verified, "client/a")
    mempool.add(mints[0], "client/b")
    assert mempool.spending_nothing() == tuple(mints)
    mempool.remove(mints[0].transaction_id)
    assert mempool.spending_nothing() == (mints[1],)
    height = max(item.transaction.expiry for item in (mints[1], transfers[0]))
    assert set(mempool.expired(Height(height + 1))) == {
        mints[1].transaction_id,
        transfers[0].transaction_id,
    }
    mempool.remove(mints[1].transaction_id)
    mempool.remove(transfers[0].transaction_id)
    assert mempool.spending_nothing() == mempool.expired(Height(height + 1)) == ()


def test_a_removed_transaction_leaves_nothing_behind(transfers: Transfers) -> None:
    first, _, _ = transfers
    mempool = Mempool(MempoolLimits())
    mempool.add(first, "client/a")
    assert mempool.remove(first.transaction_id) is first
    assert mempool.remove(first.transaction_id) is None
    assert mempool.remove(TransactionId(bytes(32))) is None
    assert (len(mempool), mempool.size_bytes) == (0, 0)
    assert mempool.conflicting(first.nullifiers, first.one_time_keys) == ()


def test_a_verdict_is_brought_up_to_date_with_the_blocks_since(transfers: Transfers) -> None:
    first, second, rival = transfers
    recent = RecentBlocks(Height(4), depth=2)
    recent.add(Height(5), [first])
    recent.require_unconsumed(second, Height(4))
    recent.require_unconsumed(rival, Height(5))
    with pytest.raises(Rejection) as refused:
        recent.require_unconsumed(rival, Height(4))
    assert refused.value.reason is Reason.NULLIFIER
    with pytest.raises(Rejection) as refused:
        recent.require_unconsumed(first, Height(4))
    assert refused.value.reason is Reason.DUPLICATE_TRANSACTION


def test_a_verdict_older_than_memory_is_too_old(transfers: Transfers) -> None:
    first, _, _ = transfers
    recent = RecentBlocks(Height(4), depth=2)
    with pytest.raises(VerdictTooOld):
        recent.require_unconsumed(first, Height(3))
    for height in (5, 6, 7):
        recent.add(Height(height), [])
    recent.require_unconsumed(first, Height(5))
    with pytest.raises(VerdictTooOld):
        recent.require_unconsumed(first, Height(4))
