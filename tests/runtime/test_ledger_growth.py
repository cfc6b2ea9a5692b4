"""A ledger with a past from a seed: what the rules make of it, and what a verifier says to it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.curve import decode_strict
from crypto.ring import RING_BASES, ring_size
from node.client.workload_file import Workload, open_workload
from node.consensus.certificates import Seal
from node.ledger.blocks import MAX_TRANSACTIONS
from node.ledger.encoding import MalformedEncoding
from node.ledger.genesis import Genesis
from node.ledger.invariants import check_conservation, note_supply
from node.ledger.state import LedgerState
from node.ledger.types import HASH_BYTES, Height
from node.runtime.ledger_archive import ArchivedBlock
from node.runtime.ledger_growth import (
    MAX_GROWN_NOTES,
    NOTES_A_TRANSACTION,
    GrownLedger,
    Growth,
)
from node.runtime.ledger_installation import ArchiveInvalid, LedgerReplay, founding_of
from node.runtime.load_preparation import (
    WorkloadOrder,
    WorkloadOrderInvalid,
    prepare_workload,
)
from node.runtime.snapshot_verification import SnapshotFault, SnapshotInvalid, SnapshotVerifier
from node.wire.snapshot_records import (
    BinPart,
    HeaderPart,
    NotePart,
    NullifierPart,
    SnapshotPart,
    SnapshotStart,
    TreasuryPart,
)

WANTED = 1_000
ORDER = WorkloadOrder(3, ring_base=4, bank_count=4, seed=5, jobs=1, grown_notes=WANTED)

growths = st.builds(
    Growth,
    seed=st.just(bytes(HASH_BYTES)),
    notes_wanted=st.integers(1, 20_000),
    ring_base=st.sampled_from(RING_BASES),
)


@pytest.fixture(scope="module")
def workload(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workload]:
    path = tmp_path_factory.mktemp("grown") / "grown.load"
    told: list[tuple[str, int, int]] = []
    header = prepare_workload(path, ORDER, lambda *step: told.append(step))
    assert header.grown_notes == 1_776
    growing = [done for step, done, total in told if step == "growing" and total == 1_776]
    assert growing == [400, 776, 1_176, 1_576, 1_776]
    with open_workload(path) as opened:
        yield opened


@pytest.fixture
def genesis(workload: Workload) -> Genesis:
    return founding_of(workload).genesis


@pytest.fixture
def grown(workload: Workload) -> GrownLedger:
    return GrownLedger.decode(list(workload.archive())[1])


async def verified(grown: GrownLedger, genesis: Genesis) -> LedgerState:
    """Take the past over as a bank does that joins; return the state that was certified."""
    verifier = SnapshotVerifier(genesis, Height(1))
    async for part in grown.parts(genesis):
        take(verifier, part)
    verifier.finish()
    return verifier.state


def take(verifier: SnapshotVerifier, part: SnapshotPart) -> None:
    match part:
        case SnapshotStart():
            verifier.start(part)
        case HeaderPart():
            verifier.headers(part.headers)
        case NotePart():
            verifier.notes(part.notes)
        case NullifierPart():
            verifier.nullifiers(part.nullifiers)
        case BinPart():
            verifier.closed_bins(part.bins)
        case TreasuryPart():
            verifier.treasury(part.rows)


async def test_section_11_a_joining_bank_accepts_the_past_from_the_genesis_alone(
    grown: GrownLedger, genesis: Genesis
) -> None:
    state = await verified(grown, genesis)
    growth = grown.growth
    assert (state.height, state.time_ms) == (5, genesis.time_ms + 5_000)
    assert (state.nullifiers.count, state.notes.count) == (WANTED, 1_776)
    assert (state.closed_bins.count, state.next_bin_id) == (111, 111)
    assert state.transaction_count == growth.issues + growth.transfers == 194 + 250
    assert all(asset.open_bin is None for asset in state.assets)


async def test_section_18_money_is_conserved_in_the_past(
    grown: GrownLedger, genesis: Genesis
) -> None:
    state = LedgerState.decode(grown.state)
    check_conservation(genesis, state)
    base = state.asset(genesis.base_asset.asset_id)
    assert base is not None
    fees = grown.growth.transfers * genesis.parameters.transfer_fee
    assert (base.fees, base.redeemed, base.paid_out) == (fees, 0, 0)
    assert note_supply(base) == base.issued - fees > 0
    creators = sum(bank.creator_fees for bank in state.banks)
    assert sum(row.amount for row in grown.fees) == fees - creators
    assert sum(bank.blocks_created for bank in state.banks) == state.height


def test_notes_and_nullifiers_are_different_points_of_the_group(grown: GrownLedger) -> None:
    """IDX1 2.2: what a bank decodes strictly, whoever made it."""
    growth = grown.growth
    outputs, nullifiers = list(growth.make_outputs()), list(growth.make_nullifiers())
    keys = [output.one_time_key for output in outputs]
    assert (len({*keys}), len({*nullifiers})) == (growth.notes, growth.nullifiers)
    assert len({*keys, *nullifiers}) == len(keys) + len(nullifiers)
    for encoding in (*keys[::97], *nullifiers[::97], *(o.commitment for o in outputs[::97])):
        decode_strict(encoding)
    assert {len(output.encode()) for output in outputs} == {281}


@given(growth=growths)
def test_what_a_block_of_the_past_spends_is_in_bins_that_were_closed_before(
    growth: Growth,
) -> None:
    """IDX1 4.3; and the past ends with a full bin."""
    size = ring_size(growth.ring_base)
    assert growth.notes % size == 0
    assert growth.notes_wanted <= growth.nullifiers < growth.notes_wanted + 4
    assert growth.notes - growth.nullifiers == growth.issued_notes
    for block in range(growth.blocks - growth.issue_blocks):
        before = growth.issued_notes + block * MAX_TRANSACTIONS * NOTES_A_TRANSACTION
        spent = min((block + 1) * MAX_TRANSACTIONS * NOTES_A_TRANSACTION, growth.nullifiers)
        assert (spent - 1) // size < before // size


def test_the_encoding_of_a_grown_ledger_is_pinned(grown: GrownLedger) -> None:
    encoded = grown.encode()
    assert GrownLedger.decode(encoded) == grown
    assert hashlib.sha256(encoded).hexdigest() == (
        "cd3d5f4a07ce822ec510ead9f69b997273ac0ef3a4c511313f69b16ac92d9cdc"
    )
    for wrong in (encoded + b"\0", encoded[:-1], b"\1" + encoded[1:]):
        with pytest.raises(MalformedEncoding):
            GrownLedger.decode(wrong)
    for other in (
        replace(grown, headers=()),
        replace(grown, growth=replace(grown.growth, notes_wanted=0)),
        replace(grown, growth=replace(grown.growth, notes_wanted=MAX_GROWN_NOTES + 1)),
        replace(grown, growth=replace(grown.growth, ring_base=5)),
    ):
        with pytest.raises(MalformedEncoding):
            GrownLedger.decode(other.encode())


LIES: dict[SnapshotFault, Callable[[GrownLedger], GrownLedger]] = {
    SnapshotFault.NOTES: lambda it: replace(it, growth=replace(it.growth, seed=bytes(HASH_BYTES))),
    SnapshotFault.EXCESS: lambda it: replace(it, growth=replace(it.growth, notes_wanted=1_100)),
    SnapshotFault.TRUNCATED: lambda it: replace(it, growth=replace(it.growth, notes_wanted=900)),
    SnapshotFault.HEADERS: lambda it: replace(it, headers=(it.headers[0], *it.headers[2:])),
    SnapshotFault.STATE: lambda it: replace(it, state=it.state[:-1] + b"\0"),
    SnapshotFault.TREASURY: lambda it: replace(it, fees=it.fees[1:]),
    SnapshotFault.SEAL: lambda it: replace(it, seal=_unsigned(it.seal)),
}


def _unsigned(seal: bytes) -> bytes:
    whole = Seal.decode(seal)
    return replace(whole, signatures=whole.signatures[1:]).encode()


@pytest.mark.parametrize("fault", LIES)
async def test_section_11_another_past_than_the_sealed_one_is_refused(
    grown: GrownLedger, genesis: Genesis, fault: SnapshotFault
) -> None:
    with pytest.raises(SnapshotInvalid) as refused:
        await verified(LIES[fault](grown), genesis)
    assert refused.value.fault is fault


def test_the_ledger_goes_on_from_there_and_every_transaction_holds_on_it(
    workload: Workload, genesis: Genesis, grown: GrownLedger
) -> None:
    replay = LedgerReplay(genesis)
    replay.begin(grown)
    first, *others = list(workload.archive())[2:]
    made = replay.take(ArchivedBlock.decode(first))
    assert made.block.header.parent_id == grown.tip.block_id
    assert {*made.block.parent_ballots} == {*Seal.decode(grown.seal).ballots}
    assert not others
    header = workload.header
    assert (replay.ledger.height, header.funded_height, grown.tip.height) == (6, 6, 5)
    assert len(replay.ledger.verify(list(workload.transactions()))) == ORDER.transactions


def test_a_past_without_the_ballots_of_a_quorum_is_no_beginning(
    genesis: Genesis, grown: GrownLedger
) -> None:
    seal = Seal.decode(grown.seal)
    other = replace(seal, ballots=(seal.ballots[0][:-1] + b"\0", *seal.ballots[1:]))
    with pytest.raises(ArchiveInvalid, match="the past of the ledger"):
        LedgerReplay(genesis).begin(replace(grown, seal=other.encode()))


def test_another_past_is_another_chain(workload: Workload, tmp_path: Path) -> None:
    """So that the databases of one never pass for those of the other."""
    chains = {workload.header.chain_id}
    for notes in (0, WANTED + 100):
        path = tmp_path / f"{notes}.load"
        prepare_workload(path, replace(ORDER, grown_notes=notes))
        with open_workload(path) as other:
            chains.add(other.header.chain_id)
            assert other.header.version == (2 if notes else 1)
    assert len(chains) == 3


def test_the_same_seed_gives_the_same_bytes(workload: Workload, tmp_path: Path) -> None:
    again = tmp_path / "again.load"
    prepare_workload(again, ORDER)
    assert again.read_bytes() == workload.path.read_bytes()


def test_a_past_that_is_too_long_is_refused() -> None:
    for notes in (-1, MAX_GROWN_NOTES + 1):
        with pytest.raises(WorkloadOrderInvalid, match="grows to at most"):
            replace(ORDER, grown_notes=notes)
