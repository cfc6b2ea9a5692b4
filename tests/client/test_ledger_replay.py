"""Replaying the ledger's lists against the certified accumulators (IDX1 4.4, 3.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from crypto.note import SessionKeys
from node.client.address import encode_address
from node.client.errors import LedgerBehind, RecordsInvalid
from node.client.ledger_replay import (
    WalletReader,
    replay_closed_bins,
    replay_notes,
    replay_nullifiers,
    require_certified,
)
from node.client.wallet_data import KnownBin, Spent
from node.ledger.state import Accumulated
from tests.client.funding import fund
from tests.client.small_bank import SealedLedger
from tests.ledger.chain import BASE, GOLD, Chain, make_genesis

OURS = SessionKeys.derive(b"our seed" * 4, 0)
OUR_SECOND = SessionKeys.derive(b"our seed" * 4, 1)


@pytest.fixture(scope="module")
def ledger() -> SealedLedger:
    """Notes of ours in two sessions and two assets among foreign ones, and some spent notes."""
    ledger = SealedLedger(Chain(make_genesis()))
    chain = ledger.chain
    fund(ledger, encode_address(OURS.address), [100, 200])
    ledger.seal_matured(chain.mint([5_000, 6_000]))
    fund(ledger, encode_address(OUR_SECOND.address), [7], GOLD)
    ledger.seal_matured(chain.transfer(chain.mature()[:2]))
    return ledger


@pytest.fixture(scope="module")
def reader(ledger: SealedLedger) -> WalletReader:
    return WalletReader(ledger.chain.genesis.chain_id, (OURS, OUR_SECOND))


def test_honest_lists_end_in_the_certified_accumulators(
    ledger: SealedLedger, reader: WalletReader
) -> None:
    state = ledger.chain.state
    notes, _ = replay_notes(Accumulated(), ledger.notes, reader)
    nullifiers, _ = replay_nullifiers(Accumulated(), ledger.nullifiers, {})
    bins, _ = replay_closed_bins(Accumulated(), ledger.closed_bins, frozenset())
    assert (notes, nullifiers, bins) == (state.notes, state.nullifiers, state.closed_bins)
    assert notes.count == 7


def test_a_list_may_be_replayed_page_by_page(ledger: SealedLedger, reader: WalletReader) -> None:
    replayed = Accumulated()
    for record in ledger.notes:
        replayed, _ = replay_notes(replayed, [record], reader)
    assert replayed == ledger.chain.state.notes


def test_scanning_finds_what_is_ours_and_nothing_else(
    ledger: SealedLedger, reader: WalletReader
) -> None:
    _, found = replay_notes(Accumulated(), ledger.notes, reader)
    shown = [(note.session, note.asset, note.value, note.minted, note.spent) for note in found]
    assert shown == [
        (0, BASE, 100, True, None),
        (0, BASE, 200, True, None),
        (1, GOLD, 7, True, None),
    ]
    for note in found:
        record = ledger.notes[note.sequence]
        assert (note.transaction_id, note.bin_id, note.position, note.height) == (
            record.transaction_id,
            record.bin_id,
            record.position,
            record.height,
        )
        closed = ledger.chain.history.closed_bins[note.bin_id]
        assert closed.notes[note.position] == (note.one_time_key, note.commitment)


def test_spent_notes_are_recognised_by_their_nullifier(ledger: SealedLedger) -> None:
    record = ledger.nullifiers[1]
    _, spent = replay_nullifiers(Accumulated(), ledger.nullifiers, {record.nullifier: 42})
    assert spent == {42: Spent(record.transaction_id, record.height)}


def test_only_wanted_bins_are_kept(ledger: SealedLedger) -> None:
    record = ledger.closed_bins[0]
    _, bins = replay_closed_bins(
        Accumulated(), ledger.closed_bins, frozenset({record.bin_id, 9_999})
    )
    assert bins == (KnownBin(record.bin_id, record.digest, record.count),)


Spoil = Callable[[Sequence[Any]], Sequence[Any]]


def dropped_last(records: Sequence[Any]) -> Sequence[Any]:
    return records[:-1]


def renumbered(records: Sequence[Any]) -> Sequence[Any]:
    return [replace(record, sequence=index) for index, record in enumerate(records)]


def one_left_out(records: Sequence[Any]) -> Sequence[Any]:
    return renumbered([*records[:1], *records[2:]])


def swapped(records: Sequence[Any]) -> Sequence[Any]:
    return renumbered([records[1], records[0], *records[2:]])


def one_added(records: Sequence[Any]) -> Sequence[Any]:
    return renumbered([*records, records[0]])


REPLAYS: dict[str, Callable[[Sequence[Any], WalletReader], Accumulated]] = {
    "notes": lambda records, reader: replay_notes(Accumulated(), records, reader)[0],
    "nullifiers": lambda records, _: replay_nullifiers(Accumulated(), records, {})[0],
    "closed_bins": lambda records, _: replay_closed_bins(Accumulated(), records, frozenset())[0],
}


@pytest.mark.parametrize("name", REPLAYS)
def test_a_list_that_ends_early_is_called_behind(
    name: str, ledger: SealedLedger, reader: WalletReader
) -> None:
    records = getattr(ledger, name)
    certified = getattr(ledger.chain.state, name)
    for spoil in (dropped_last, one_left_out):
        replayed = REPLAYS[name](spoil(records), reader)
        with pytest.raises(LedgerBehind) as caught:
            require_certified(name, replayed, certified)
        assert str(caught.value) == (
            f"the bank listed {len(records) - 1} {name}, the sealed state has {len(records)}"
        )


@pytest.mark.parametrize("spoil", [swapped, one_added])
@pytest.mark.parametrize("name", REPLAYS)
def test_a_reordered_or_padded_list_is_refused(
    name: str, spoil: Spoil, ledger: SealedLedger, reader: WalletReader
) -> None:
    replayed = REPLAYS[name](spoil(getattr(ledger, name)), reader)
    with pytest.raises(RecordsInvalid) as caught:
        require_certified(name, replayed, getattr(ledger.chain.state, name))
    assert str(caught.value) == (f"the bank's {name} are not those that the sealed state certifies")


ALTERED: dict[str, list[dict[str, Any]]] = {
    "notes": [
        {"asset": b"z" * 16},
        {"bin_id": 77},
        {"position": 9},
        {"output_index": 3},
        {"output": b"\x01" + bytes(280)},
    ],
    "nullifiers": [{"nullifier": bytes(96)}],
    "closed_bins": [{"bin_id": 77}, {"digest": bytes(32)}, {"count": 1}],
}


@pytest.mark.parametrize("name", REPLAYS)
def test_an_altered_field_is_found(name: str, ledger: SealedLedger, reader: WalletReader) -> None:
    records = getattr(ledger, name)
    for changes in ALTERED[name]:
        spoiled = [replace(records[0], **changes), *records[1:]]
        replayed = REPLAYS[name](spoiled, reader)
        with pytest.raises(RecordsInvalid):
            require_certified(name, replayed, getattr(ledger.chain.state, name))


@pytest.mark.parametrize("position", [192, 223, 224, 225, 280])
def test_a_payment_cannot_be_hidden_from_its_owner(
    position: int, ledger: SealedLedger, reader: WalletReader
) -> None:
    """Ephemeral key, view tag and ciphertext are certified like the points (IDX1 3.2)."""
    output = bytearray(ledger.notes[0].output)
    output[position] ^= 1
    spoiled = [replace(ledger.notes[0], output=bytes(output)), *ledger.notes[1:]]
    with pytest.raises(RecordsInvalid):
        require_certified("notes", REPLAYS["notes"](spoiled, reader), ledger.chain.state.notes)


def test_gaps_and_repetitions_are_refused_at_once(
    ledger: SealedLedger, reader: WalletReader
) -> None:
    cases: list[tuple[str, Sequence[Any], str]] = [
        ("notes", ledger.notes[1:], "note 1 was listed where 0 comes next"),
        ("nullifiers", ledger.nullifiers[1:], "nullifier 1 was listed where 0 comes next"),
        ("closed_bins", ledger.closed_bins[1:], "closed bin 1 was listed where 0 comes next"),
        ("notes", [ledger.notes[0]] * 2, "note 0 was listed where 1 comes next"),
    ]
    for name, records, message in cases:
        with pytest.raises(RecordsInvalid) as caught:
            REPLAYS[name](records, reader)
        assert str(caught.value) == message


def test_numbers_beyond_their_field_are_refused(ledger: SealedLedger, reader: WalletReader) -> None:
    cases: list[tuple[str, Any, str]] = [
        ("notes", replace(ledger.notes[0], output_index=4), "output index 4"),
        ("notes", replace(ledger.notes[0], position=1 << 16), "position 65536"),
        ("closed_bins", replace(ledger.closed_bins[0], count=1 << 31), "count 2147483648"),
    ]
    for name, record, message in cases:
        with pytest.raises(RecordsInvalid) as caught:
            REPLAYS[name]([record], reader)
        assert str(caught.value) == f"{message} is out of range"


def test_a_note_that_is_ours_but_does_not_open_exactly_is_not_ours(
    ledger: SealedLedger, reader: WalletReader
) -> None:
    """IDX1 3.3: P and C must be exact, whatever the ciphertext says."""
    for position in (0, 96, 192, 224, 225):
        output = bytearray(ledger.notes[0].output)
        output[position] ^= 1
        _, found = replay_notes(
            Accumulated(), [replace(ledger.notes[0], output=bytes(output))], reader
        )
        assert found == ()
