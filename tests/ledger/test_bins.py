"""Bins: filling in ledger order, closing when full or of age (IDX1 4.1)."""

from __future__ import annotations

from dataclasses import replace

from crypto.ring import close_bin
from node.ledger.bins import due_bins, next_bin_due_ms
from node.ledger.effects import OpenedBin
from node.ledger.parameters import Parameters
from node.ledger.types import Amount, TimeMs
from tests.ledger.chain import BASE, FEE, GENESIS_TIME_MS, GOLD, Chain, make_genesis


def test_notes_enter_in_transaction_and_output_order() -> None:
    chain = Chain()
    built = chain.seal(
        chain.mint([1, 2]), chain.mint([3], asset=GOLD), chain.mint([4]), chain.mint([5, 6])
    )
    placed = [
        (note.sequence, note.asset, note.bin_id, note.position, note.output_index)
        for note in built.transition.notes
    ]
    assert placed == [
        (0, BASE, 0, 0, 0),
        (1, BASE, 0, 1, 1),
        (2, GOLD, 1, 0, 0),
        (3, BASE, 0, 2, 0),
        (4, BASE, 0, 3, 0),
        (5, BASE, 0, 4, 1),
    ]
    time_ms = TimeMs(GENESIS_TIME_MS + 1_000)
    assert built.transition.opened_bins == (
        OpenedBin(0, BASE, time_ms),
        OpenedBin(1, GOLD, time_ms),
    )
    assert built.transition.closed_bins == ()
    assert chain.state.next_bin_id == 2


def test_a_full_bin_closes_at_once_and_the_next_note_opens_another() -> None:
    """16 notes fill a ring of base 4; two rings can fill in one block."""
    chain = Chain()
    built = chain.seal(*(chain.mint([1] * 4) for _ in range(9)))
    assert [note.bin_id for note in built.transition.notes] == [0] * 16 + [1] * 16 + [2] * 4
    assert [note.position for note in built.transition.notes] == [*range(16), *range(16), *range(4)]
    closed = [
        (item.bin.bin_id, item.bin.count, item.closed_at_height)
        for item in built.transition.closed_bins
    ]
    assert closed == [(0, 16, 1), (1, 16, 1)]
    filling = chain.state.assets[0].open_bin
    assert filling is not None
    assert (filling.bin_id, len(filling.notes), filling.opened_at_ms) == (
        2,
        4,
        GENESIS_TIME_MS + 1_000,
    )


def test_an_aged_bin_closes_with_padding_after_the_blocks_own_notes_joined() -> None:
    """The later note joins first: the anonymity set is as large as it can be."""
    chain = Chain()
    first = chain.seal(chain.mint([1, 2]))
    second = chain.seal(chain.mint([3]), after_ms=2_000)
    notes = [
        (note.output.one_time_key, note.output.commitment)
        for built in (first, second)
        for note in built.transition.notes
    ]
    (record,) = second.transition.closed_bins
    assert (record.bin.digest, record.bin.count, record.closed_at_height) == (
        close_bin(0, BASE, notes, 4).digest,
        3,
        2,
    )
    assert (chain.state.assets[0].open_bin, chain.state.closed_bins.count) == (None, 1)


def test_the_age_is_exact_and_counts_header_time() -> None:
    """It runs from the header time of the first note's block."""
    chain = Chain()
    chain.seal(chain.mint([1]))
    assert chain.fork().seal(after_ms=1_999).transition.closed_bins == ()
    assert len(chain.fork().seal(after_ms=2_000).transition.closed_bins) == 1


def test_later_notes_do_not_prolong_a_bins_age() -> None:
    chain = Chain()
    chain.seal(chain.mint([1]))
    chain.seal(chain.mint([2]), after_ms=1_500)
    assert next_bin_due_ms(chain.state, chain.genesis) == GENESIS_TIME_MS + 1_000 + 2_000
    assert len(chain.seal(after_ms=500).transition.closed_bins) == 1


def test_aged_bins_of_several_assets_close_in_increasing_id() -> None:
    chain = Chain()
    chain.seal(chain.mint([3], asset=GOLD))
    chain.seal(chain.mint([1]), after_ms=500)
    closed = chain.seal(after_ms=2_000).transition.closed_bins
    assert [(item.bin.bin_id, item.bin.asset) for item in closed] == [(0, GOLD), (1, BASE)]


def test_with_age_zero_every_block_closes_its_bins() -> None:
    chain = Chain(
        make_genesis(parameters=Parameters(ring_base=4, bin_age_ms=0, transfer_fee=Amount(FEE)))
    )
    built = chain.seal(chain.mint([1]))
    assert [item.bin.count for item in built.transition.closed_bins] == [1]


def test_due_bins_are_work() -> None:
    """BFT-12 7: an idle ledger closes its bins, and is silent when there is none."""
    chain = Chain()
    assert next_bin_due_ms(chain.state, chain.genesis) is None
    assert not due_bins(chain.state, chain.genesis, TimeMs(GENESIS_TIME_MS + 10**9))
    chain.seal(chain.mint([3], asset=GOLD))
    chain.seal(chain.mint([1]), after_ms=500)
    due_ms = TimeMs(GENESIS_TIME_MS + 1_000 + 2_000)
    assert next_bin_due_ms(chain.state, chain.genesis) == due_ms
    assert not due_bins(chain.state, chain.genesis, TimeMs(due_ms - 1))
    assert due_bins(chain.state, chain.genesis, due_ms)


def test_a_bin_that_filled_in_the_block_is_not_spendable_in_it(chain: Chain) -> None:
    """IDX1 4.3: closed in the state before the block. The block after may spend from it."""
    chain.seal(*(chain.mint([1_000] * 4) for _ in range(4)))
    note = chain.unspent[-1]
    assert chain.history.closed_bins[note.bin_id].count == 16
    chain.seal(chain.transfer([note]))


def test_the_state_before_is_untouched(chain: Chain) -> None:
    before = chain.state
    encoded = before.encode()
    chain.seal(chain.mint([1] * 4))
    assert replace(before).encode() == encoded
