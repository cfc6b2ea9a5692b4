"""The state's encoding and root: canonical, complete, pinned elsewhere by vectors."""

from __future__ import annotations

import hashlib
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.merkle import EMPTY_ROOT
from node.ledger.blocks import Header
from node.ledger.encoding import MalformedEncoding
from node.ledger.state import (
    Accumulated,
    AssetState,
    BankState,
    FillingBin,
    Issuance,
    LedgerState,
    Pot,
    PunishedOffence,
    SetRecord,
    Tally,
    genesis_header,
    genesis_state,
)
from node.ledger.types import Amount, BankIndex, FiscalYear, Height
from tests.ledger.chain import BASE, GENESIS_TIME_MS, GOLD, Chain, make_genesis

GENESIS = make_genesis()

u16, u32 = st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1)
u64, u128 = st.integers(0, 2**64 - 1), st.integers(0, 2**128 - 1)
points = st.binary(min_size=96, max_size=96)
hashes = st.binary(min_size=32, max_size=32)
bank_states = st.builds(
    BankState, u16, u64, u64, offences=u32, active=st.booleans(), balance=u128,
    blocks_created=u64, creator_fees=u128, topped_up=u128, withdrawn=u128, penalties=u128,
    stake_nonce=u64, rewards=u128,
)  # fmt: skip
issuances = st.lists(
    st.builds(Issuance, u16, u64, u64), max_size=3, unique_by=lambda item: item.bank
).map(lambda items: tuple(sorted(items, key=lambda item: item.bank)))
filling_bins = st.builds(
    FillingBin, u64, u64, st.lists(st.tuples(points, points), min_size=1, max_size=3).map(tuple)
)
asset_states = st.builds(
    AssetState, st.binary(min_size=16, max_size=16), u128, u128, u128, u128, issuances,
    st.none() | filling_bins,
)  # fmt: skip
bank_lists = st.sets(u16, max_size=3).map(lambda banks: tuple(sorted(banks)))
pots = st.lists(
    st.builds(Pot, u64, u128, u128, u128, bank_lists), max_size=3, unique_by=lambda pot: pot.year
)
tallies = st.lists(
    st.builds(Tally, u64, points, st.binary(min_size=192, max_size=192), u64, u64),
    max_size=2,
    unique_by=lambda tally: tally.year,
)
punished = st.lists(st.builds(PunishedOffence, u64, u16, st.integers(0, 255)), max_size=3)
set_records = st.lists(
    st.builds(SetRecord, u64, hashes, bank_lists),
    max_size=3,
    unique_by=lambda record: record.from_height,
)
accumulated = st.builds(Accumulated, u64, hashes)
states = st.builds(
    LedgerState,
    height=u64,
    time_ms=u64,
    banks=st.lists(bank_states, max_size=3, unique_by=lambda bank: bank.index).map(
        lambda items: tuple(sorted(items, key=lambda bank: bank.index))
    ),
    assets=st.lists(asset_states, max_size=2).map(tuple),
    next_bin_id=u64,
    transaction_count=u64,
    notes=accumulated,
    nullifiers=accumulated,
    closed_bins=accumulated,
    pots=pots.map(lambda items: tuple(sorted(items, key=lambda pot: pot.year))),
    tallies=tallies.map(lambda items: tuple(sorted(items, key=lambda tally: tally.year))),
    punished=punished.map(lambda items: tuple(sorted(set(items)))),
    set_records=set_records.map(
        lambda items: tuple(sorted(items, key=lambda record: record.from_height))
    ),
    governance_nonce=u64,
    settled_through=u64,
    draw_commitment=hashes,
)


@given(states)
def test_round_trip_and_root(state: LedgerState) -> None:
    encoded = state.encode()
    assert LedgerState.decode(encoded) == state
    assert state.root() == hashlib.sha256(encoded).digest()


@given(states, st.data())
def test_truncated_and_extended_bytes_are_refused(state: LedgerState, data: st.DataObject) -> None:
    encoded = state.encode()
    with pytest.raises(MalformedEncoding):
        LedgerState.decode(encoded[: data.draw(st.integers(0, len(encoded) - 1))])
    with pytest.raises(MalformedEncoding, match=r"^1 bytes follow the value$"):
        LedgerState.decode(encoded + b"\x00")


@given(states, st.data())
def test_any_other_bytes_that_decode_are_another_state(
    state: LedgerState, data: st.DataObject
) -> None:
    """One state has one encoding: a changed byte is refused or means something else."""
    encoded = bytearray(state.encode())
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        decoded = LedgerState.decode(bytes(encoded))
    except MalformedEncoding:
        return
    assert decoded != state
    assert decoded.encode() == bytes(encoded)


def test_the_root_covers_every_field_of_every_record(funded_chain: Chain) -> None:
    base = funded_chain.state
    bank, asset = base.banks[1], base.assets[0]
    filling = FillingBin(9, GENESIS_TIME_MS, ((b"P" * 96, b"C" * 96),))
    entry = asset.issuance[0]
    pot = Pot(FiscalYear(2026), Amount(1), Amount(2))
    changed = [
        *(replace(base, **{name: getattr(base, name) + 1}) for name in
          ("height", "time_ms", "next_bin_id", "transaction_count", "governance_nonce",
           "settled_through")),
        *(replace(base, **{name: replace(getattr(base, name), count=77)}) for name in
          ("notes", "nullifiers", "closed_bins")),
        *(replace(base, **{name: replace(getattr(base, name), accumulator=b"x" * 32)}) for name in
          ("notes", "nullifiers", "closed_bins")),
        *(replace(base, banks=(replace(bank, **{field.name: 7}),)) for field in fields(bank)
          if field.name not in ("active", "index")),
        replace(base, banks=(bank,)),
        replace(base, banks=(replace(bank, active=False),)),
        *(replace(base, assets=(replace(asset, **{name: 7}),)) for name in
          ("issued", "redeemed", "paid_out", "fees")),
        replace(base, assets=(replace(asset, open_bin=filling),)),
        replace(base, assets=(replace(asset, open_bin=replace(filling, bin_id=8)),)),
        replace(base, assets=(replace(asset, open_bin=replace(filling, opened_at_ms=8)),)),
        replace(base, assets=(replace(asset, open_bin=replace(
            filling, notes=((b"P" * 96, b"D" * 96),))),)),
        replace(base, assets=(replace(asset, issuance=(replace(entry, limit=8),)),)),
        replace(base, assets=(replace(asset, issuance=(replace(entry, issued=8),)),)),
        replace(base, pots=(pot,)),
        replace(base, pots=(replace(pot, penalties=3),)),
        replace(base, pots=(replace(pot, approver_fees=3),)),
        replace(base, pots=(replace(pot, carried=Amount(3)),)),
        replace(base, pots=(replace(pot, slashed=(BankIndex(3),)),)),
        replace(base, draw_commitment=b"d" * 32),
        replace(base, tallies=(Tally(FiscalYear(1), b"Y" * 96, bytes(192), 1, 2),)),
        replace(base, punished=(PunishedOffence(Height(1), BankIndex(2), 3),)),
        replace(base, set_records=()),
    ]  # fmt: skip
    assert len({base.root(), *(state.root() for state in changed)}) == len(changed) + 1


def unsorted(state: LedgerState) -> list[tuple[LedgerState, str]]:
    record = state.set_records[0]
    entry = state.assets[0].issuance
    pot = Pot(FiscalYear(2026), Amount(0), Amount(0))
    tally = Tally(FiscalYear(1), b"Y" * 96, bytes(192), 1, 2)
    offence = PunishedOffence(Height(1), BankIndex(2), 3)
    return [
        (replace(state, banks=state.banks[::-1]), "banks"),
        (replace(state, assets=(replace(state.assets[0], issuance=entry[::-1]),)), "issuance"),
        (replace(state, pots=(pot, pot)), "pots"),
        (replace(state, pots=(replace(pot, slashed=(BankIndex(1), BankIndex(1))),)),
         "slashed banks of a pot"),
        (replace(state, tallies=(tally, tally)), "tallies"),
        (replace(state, punished=(offence, offence)), "punished offences"),
        (replace(state, set_records=(record, record)), "set records"),
        (replace(state, set_records=(replace(record, banks=(1, 1)),)), "banks of a set record"),
    ]


@pytest.mark.parametrize(
    ("state", "name"), unsorted(genesis_state(GENESIS)), ids=lambda item: str(item)[:20]
)
def test_lists_out_of_order_are_refused(state: LedgerState, name: str) -> None:
    with pytest.raises(MalformedEncoding) as error:
        LedgerState.decode(state.encode())
    assert str(error.value) == f"{name} are not in increasing order"


def test_an_open_bin_without_notes_is_refused() -> None:
    state = genesis_state(GENESIS)
    empty = replace(state.assets[0], open_bin=FillingBin(0, GENESIS_TIME_MS, ()))
    with pytest.raises(MalformedEncoding, match=r"^an open bin without a note$"):
        LedgerState.decode(replace(state, assets=(empty,)).encode())


def test_bytes_of_something_else_are_no_state() -> None:
    encoded = genesis_state(GENESIS).encode()
    with pytest.raises(MalformedEncoding, match=r"^not a ledger state$"):
        LedgerState.decode(encoded.replace(b"state/3", b"state/2", 1))


def test_the_genesis_state_has_stakes_and_nothing_else() -> None:
    active = GENESIS.active_set([BankIndex(bank) for bank in range(4)])
    assert genesis_state(GENESIS) == LedgerState(
        height=Height(0),
        time_ms=GENESIS_TIME_MS,
        banks=tuple(
            BankState(BankIndex(bank), Amount(45_000 + bank), Amount(45_000 + bank), offences=0,
                      active=True, balance=Amount(0), blocks_created=0, creator_fees=Amount(0))
            for bank in range(4)
        ),
        assets=tuple(
            AssetState(asset, Amount(0), Amount(0), Amount(0), Amount(0), tuple(
                Issuance(BankIndex(bank), Amount(1_000_000), Amount(0)) for bank in range(count)
            ), None)
            for asset, count in ((BASE, 4), (GOLD, 3))
        ),
        next_bin_id=0,
        transaction_count=0,
        notes=Accumulated(0, bytes(32)),
        nullifiers=Accumulated(0, bytes(32)),
        closed_bins=Accumulated(0, bytes(32)),
        pots=(),
        tallies=(),
        punished=(),
        set_records=(SetRecord(Height(1), active.set_hash, active.banks),),
        governance_nonce=0,
        settled_through=FiscalYear(0),
        draw_commitment=GENESIS.draw_commitment,
    )  # fmt: skip


def test_the_genesis_header_commits_to_the_genesis_state() -> None:
    """BFT-12 3: genesis is height 0 and has no seal."""
    active = GENESIS.active_set([BankIndex(bank) for bank in range(4)])
    assert genesis_header(GENESIS) == Header(
        chain_id=GENESIS.chain_id,
        height=Height(0),
        parent_id=bytes(32),  # type: ignore[arg-type]
        original_view=0,  # type: ignore[arg-type]
        proposer=BankIndex(0),
        time_ms=GENESIS_TIME_MS,
        transactions_root=EMPTY_ROOT,
        evidence_root=EMPTY_ROOT,
        ballots_root=EMPTY_ROOT,
        transaction_count=0,
        post_state_root=genesis_state(GENESIS).root(),
        next_set_hash=active.set_hash,
    )


def test_only_active_banks_decide() -> None:
    """BFT-12 10."""
    state = genesis_state(GENESIS)
    without_bank_1 = replace(
        state, banks=tuple(replace(bank, active=bank.index != 1) for bank in state.banks)
    )
    assert without_bank_1.active_set(GENESIS).banks == (0, 2, 3)


def test_set_records_answer_for_the_evidence_window_only() -> None:
    """BFT-12 9: valid only if the accused was active at the height."""
    early = SetRecord(Height(5), b"a" * 32, (BankIndex(0), BankIndex(1)))
    late = SetRecord(Height(9), b"b" * 32, (BankIndex(0),))
    state = replace(genesis_state(GENESIS), height=Height(12), set_records=(early, late))
    found = [state.set_record_at(Height(height)) for height in (4, 5, 8, 9, 13, 14)]
    assert found == [None, early, early, late, late, None]
