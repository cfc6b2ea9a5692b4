"""Workloads: what they spend from, that every proof holds, and the ledger they begin with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.randomness import Coins
from crypto.transaction import Transfer
from node.client.workload_file import LOCAL, WIDE, Workload, open_workload
from node.ledger.encoding import MalformedEncoding, Reader, Writer
from node.ledger.types import BankIndex
from node.runtime.founding import ConsortiumKeys
from node.runtime.ledger_archive import ArchivedBlock, Founding
from node.runtime.ledger_installation import ArchiveInvalid, LedgerReplay, founding_of
from node.runtime.load_preparation import (
    WorkloadOrder,
    WorkloadOrderInvalid,
    prepare_workload,
)
from node.runtime.memory_ledger import MemoryLedger

RUN = 100

orders = st.builds(
    WorkloadOrder,
    transactions=st.integers(1, 3_000),
    name=st.sampled_from([LOCAL, WIDE]),
    ring_base=st.sampled_from([4, 8, 16]),
)


def bins_of_runs(order: WorkloadOrder) -> list[int]:
    bins = [order.place_of(number)[0] for number in range(order.transactions)]
    return [len({*bins[at : at + RUN]}) for at in range(max(1, len(bins) - RUN + 1))]


@given(order=orders)
def test_every_note_is_spent_at_most_once_and_every_place_exists(order: WorkloadOrder) -> None:
    places = [order.place_of(number) for number in range(order.transactions)]
    assert len({*places}) == order.transactions
    assert all(0 <= bin_number < order.bins for bin_number, _ in places)
    assert all(0 <= position < order.bin_notes for _, position in places)
    spends = {
        (number, (bin_number, position))
        for bin_number in range(order.bins)
        for number, position in order.spends_of(bin_number)
    }
    assert spends == {*enumerate(places)}


@given(order=orders)
def test_a_run_of_a_hundred_touches_as_many_bins_as_the_header_says(order: WorkloadOrder) -> None:
    found = bins_of_runs(order)
    assert max(found) <= order.bins_per_block
    if order.name == WIDE:
        assert {*found} == {min(RUN, order.transactions)}
    else:
        assert order.bins_per_block <= 8
        if order.transactions >= 4 * RUN:
            assert max(found) == order.bins_per_block


def test_orders_that_nobody_could_carry_out_are_refused() -> None:
    for wrong in (
        {"transactions": 0},
        {"transactions": 1, "name": "deep"},
        {"transactions": 1, "ring_base": 5},
        {"transactions": 1, "bank_count": 3},
        {"transactions": 1, "view_timeout_ms": 0},
    ):
        with pytest.raises(WorkloadOrderInvalid):
            WorkloadOrder(**wrong)


ORDER = WorkloadOrder(
    20, WIDE, ring_base=4, bank_count=4, seed=7, jobs=1, view_timeout_ms=30_000
)


@pytest.fixture(scope="module")
def workload(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workload]:
    path = tmp_path_factory.mktemp("load") / "small.load"
    told: list[tuple[str, int, int]] = []
    prepare_workload(path, ORDER, lambda *step: told.append(step))
    assert told[0] == ("funding", 0, 80)
    assert told[-1] == ("proving transfers", 20, 20)
    with open_workload(path) as opened:
        yield opened


def replayed(workload: Workload) -> tuple[Founding, MemoryLedger]:
    """Verify the funded ledger as `up --genesis` does; return it as it stands then."""
    founding = founding_of(workload)
    replay = LedgerReplay(founding.genesis)
    for part in list(workload.archive())[1:]:
        replay.take(ArchivedBlock.decode(part))
    return founding, replay.ledger


def test_every_transaction_holds_on_the_funded_ledger(workload: Workload) -> None:
    founding, ledger = replayed(workload)
    header = workload.header
    assert (ledger.height, header.funded_height, header.bins) == (1, 1, 20)
    verified = ledger.verify(list(workload.transactions()))
    transfers = [item.transaction for item in verified]
    assert all(isinstance(item, Transfer) for item in transfers)
    assert {(len(item.inputs), len(item.outputs)) for item in transfers} == {(1, 2)}
    assert len({item.inputs[0].nullifier for item in transfers}) == 20
    assert [item.inputs[0].bin_id for item in transfers] == list(range(20))
    parameters = founding.genesis.parameters
    assert (parameters.view_timeout_ms, parameters.view_timeout_max_ms) == (30_000, 30_000)
    assert {item.fee for item in transfers} == {parameters.transfer_fee}
    assert {item.expiry for item in transfers} == {header.expiry}
    assert {len(item.raw) for item in transfers} == {header.transaction_bytes}
    assert all(asset.open_bin is None for asset in ledger.state.assets)


def test_the_same_seed_gives_the_same_bytes(workload: Workload, tmp_path: Path) -> None:
    again = tmp_path / "again.load"
    prepare_workload(again, ORDER)
    assert again.read_bytes() == workload.path.read_bytes()
    other = tmp_path / "other.load"
    prepare_workload(other, replace(ORDER, transactions=1, seed=8))
    with open_workload(other) as different:
        assert different.header.chain_id != workload.header.chain_id


def test_a_founding_has_one_encoding(workload: Workload) -> None:
    founding = next(workload.archive())
    assert Founding.decode(founding).encode() == founding
    with pytest.raises(MalformedEncoding):
        Founding.decode(founding + b"\0")
    other = Founding(founding_of(workload).genesis, ConsortiumKeys.generate(4))
    with pytest.raises(MalformedEncoding, match="the keys are not those of the genesis"):
        Founding.decode(other.encode())


def test_the_encoding_of_keys_is_pinned() -> None:
    """Consensus seed, ballot key, issuer seed of each bank, opener if there is one, draw root."""
    keys = ConsortiumKeys.generate(4, Coins(b"keys").take)
    encoded = keys.write(Writer()).finish()
    assert ConsortiumKeys.read(Reader(encoded)) == keys
    assert len(encoded) == 4 + 4 * 96 + 33 + 32
    assert hashlib.sha256(encoded).hexdigest() == (
        "cb8917c7cc3639f8bbc425758b1715122db59e7b12bf090e129f785c923ad9c6"
    )
    assert keys.banks[0].consensus.hex() not in repr(keys)


def test_a_block_that_no_bank_would_accept_is_refused(workload: Workload) -> None:
    founding = founding_of(workload)
    archived = ArchivedBlock.decode(list(workload.archive())[1])
    assert archived.encode() == list(workload.archive())[1]
    block, seal = archived.block, archived.seal
    other = replace(block, header=replace(block.header, proposer=BankIndex(3)))
    short = replace(seal, signatures=seal.signatures[:-1])
    unballoted = replace(seal, ballots=seal.ballots[:-1])
    damaged = bytearray(archived.transactions[0])
    damaged[-1] ^= 1
    for wrong, why in (
        (replace(archived, block=other), "the seal is another block's"),
        (replace(archived, seal=short), "signatures"),
        (replace(archived, seal=unballoted), "ballots"),
        (replace(archived, transactions=(bytes(damaged), *archived.transactions[1:])), "signature"),
    ):
        with pytest.raises(ArchiveInvalid, match=f"block 1: .*{why}"):
            LedgerReplay(founding.genesis).take(wrong)
