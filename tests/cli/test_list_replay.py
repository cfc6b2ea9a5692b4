"""Replaying a bank's lists against the state that a quorum sealed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest

from node.cli.list_replay import replay_note_lists, replay_nullifier_list
from node.client.errors import LedgerBehind, RecordsInvalid
from node.client.ledger_client import LedgerClient
from tests.client.small_bank import SealedLedger
from tests.ledger.chain import Chain


@dataclass
class Lists:
    """The lists of a bank, as its client reads them: in pages of three."""

    ledger: SealedLedger
    dropped_notes: int = 0
    dropped_nullifiers: int = 0
    closed_bins_altered: bool = False

    async def _pages(self, items: Sequence[Any]) -> AsyncGenerator[Sequence[Any], None]:
        for start in range(0, len(items), 3):
            yield items[start : start + 3]

    def notes(self, begin: int, limit: int) -> AsyncGenerator[Sequence[Any], None]:
        kept = self.ledger.notes[: len(self.ledger.notes) - self.dropped_notes]
        return self._pages(kept[begin : begin + limit])

    def nullifiers(self, begin: int, limit: int) -> AsyncGenerator[Sequence[Any], None]:
        kept = self.ledger.nullifiers[: len(self.ledger.nullifiers) - self.dropped_nullifiers]
        return self._pages(kept[begin : begin + limit])

    def closed_bins(self, begin: int, limit: int) -> AsyncGenerator[Sequence[Any], None]:
        bins = list(self.ledger.closed_bins)
        if self.closed_bins_altered:
            bins[0] = replace(bins[0], digest=bytes(32))
        return self._pages(bins[begin : begin + limit])

    @property
    def client(self) -> LedgerClient:
        return cast(LedgerClient, self)


@pytest.fixture(scope="module")
def ledger() -> SealedLedger:
    sealed = SealedLedger(Chain())
    sealed.seal(sealed.chain.mint([500] * 4))
    sealed.seal(after_ms=3_000)
    sealed.seal(*(sealed.chain.transfer([note]) for note in sealed.chain.mature()[:2]))
    return sealed


async def test_the_lists_of_a_sound_bank(ledger: SealedLedger) -> None:
    state, chain_id = ledger.chain.state, ledger.chain.genesis.chain_id
    certified = await replay_note_lists(Lists(ledger).client, state, chain_id)
    assert {bin_id: item.digest for bin_id, item in certified.items()} == {
        record.bin_id: record.digest for record in ledger.closed_bins
    }
    assert await replay_nullifier_list(Lists(ledger).client, state) == 0


async def test_what_is_left_out_is_missed(ledger: SealedLedger) -> None:
    state, chain_id = ledger.chain.state, ledger.chain.genesis.chain_id
    with pytest.raises(LedgerBehind) as behind:
        await replay_note_lists(Lists(ledger, dropped_notes=1).client, state, chain_id)
    assert str(behind.value) == "the bank listed 7 notes, the sealed state has 8"
    with pytest.raises(LedgerBehind) as behind:
        await replay_nullifier_list(Lists(ledger, dropped_nullifiers=1).client, state)
    assert str(behind.value) == "the bank listed 1 nullifiers, the sealed state has 2"


async def test_what_is_altered_is_refused(ledger: SealedLedger) -> None:
    altered = Lists(ledger, closed_bins_altered=True)
    with pytest.raises(RecordsInvalid) as refused:
        await replay_note_lists(altered.client, ledger.chain.state, ledger.chain.genesis.chain_id)
    assert str(refused.value) == (
        "the bank's closed bins are not those that the sealed state certifies"
    )


async def test_an_empty_ledger_has_empty_lists() -> None:
    empty = SealedLedger(Chain())
    state, chain_id = empty.chain.state, empty.chain.genesis.chain_id
    assert await replay_note_lists(Lists(empty).client, state, chain_id) == {}
    assert await replay_nullifier_list(Lists(empty).client, state) == 0
