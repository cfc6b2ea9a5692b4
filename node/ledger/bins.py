"""Bins while they fill: notes enter in ledger order, full or aged bins close (IDX1 4.1).

Within a block all notes enter first; a bin that reaches its ring's size closes at once and the
asset's next note opens another. Only then do bins of age close, so that the block's last notes
still join them: the anonymity set is as large as it can be.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from crypto.ring import ClosedBin, close_bin, ring_size
from crypto.transaction import Output
from node.ledger import accumulators
from node.ledger.effects import ClosedBinRecord, NewNote, OpenedBin
from node.ledger.genesis import Genesis
from node.ledger.state import Accumulated, FillingBin, LedgerState
from node.ledger.types import AssetId, Height, TimeMs, TransactionId


def next_bin_due_ms(state: LedgerState, genesis: Genesis) -> TimeMs | None:
    """Return the header time from which a block closes some open bin; None without open bins."""
    opened = [asset.open_bin.opened_at_ms for asset in state.assets if asset.open_bin is not None]
    return TimeMs(min(opened) + genesis.parameters.bin_age_ms) if opened else None


def due_bins(state: LedgerState, genesis: Genesis, clock_ms: TimeMs) -> bool:
    """Whether a block made now would close a bin: that counts as work (BFT-12 7)."""
    due_ms = next_bin_due_ms(state, genesis)
    return due_ms is not None and due_ms <= clock_ms


@dataclass(slots=True)
class _Filling:
    bin_id: int
    opened_at_ms: TimeMs
    notes: list[tuple[bytes, bytes]]


@dataclass(slots=True)
class BinFiller:
    """The bins of one block under construction; starts from a state and never changes it."""

    genesis: Genesis
    height: Height
    time_ms: TimeMs
    next_bin_id: int
    notes: Accumulated
    closed: Accumulated
    filling: dict[AssetId, _Filling]
    new_notes: list[NewNote] = field(default_factory=list)
    opened_bins: list[OpenedBin] = field(default_factory=list)
    closed_bins: list[ClosedBinRecord] = field(default_factory=list)

    @staticmethod
    def after(state: LedgerState, genesis: Genesis, height: Height, time_ms: TimeMs) -> BinFiller:
        """Start from the bins that `state` left open."""
        return BinFiller(
            genesis=genesis,
            height=height,
            time_ms=time_ms,
            next_bin_id=state.next_bin_id,
            notes=state.notes,
            closed=state.closed_bins,
            filling={
                asset.asset_id: _Filling(
                    asset.open_bin.bin_id, asset.open_bin.opened_at_ms, list(asset.open_bin.notes)
                )
                for asset in state.assets
                if asset.open_bin is not None
            },
        )

    def add(
        self, asset: AssetId, transaction_id: TransactionId, output_index: int, output: Output
    ) -> None:
        """Let one note in; closes its bin if that fills it."""
        filling = self.filling.get(asset) or self._open(asset)
        position = len(filling.notes)
        filling.notes.append((output.one_time_key, output.commitment))
        self.new_notes.append(
            NewNote(
                sequence=self.notes.count,
                asset=asset,
                bin_id=filling.bin_id,
                position=position,
                transaction_id=transaction_id,
                output_index=output_index,
                output=output,
            )
        )
        self.notes = Accumulated(
            self.notes.count + 1,
            accumulators.add_note(
                self.notes.accumulator,
                asset=asset,
                bin_id=filling.bin_id,
                position=position,
                output_index=output_index,
                output=output.encode(),
            ),
        )
        if len(filling.notes) == ring_size(self.genesis.parameters.ring_base):
            self._close(asset)

    def close_aged(self) -> None:
        """Close every open bin whose first note is `bin_age_ms` old by header time."""
        oldest = self.time_ms - self.genesis.parameters.bin_age_ms
        aged = [
            (filling.bin_id, asset)
            for asset, filling in self.filling.items()
            if filling.opened_at_ms <= oldest
        ]
        for _, asset in sorted(aged):
            self._close(asset)

    def open_bin(self, asset: AssetId) -> FillingBin | None:
        """Return the asset's open bin as the state keeps it."""
        filling = self.filling.get(asset)
        if filling is None:
            return None
        return FillingBin(filling.bin_id, filling.opened_at_ms, tuple(filling.notes))

    def _open(self, asset: AssetId) -> _Filling:
        filling = _Filling(self.next_bin_id, self.time_ms, [])
        self.next_bin_id += 1
        self.filling[asset] = filling
        self.opened_bins.append(OpenedBin(filling.bin_id, asset, filling.opened_at_ms))
        return filling

    def _close(self, asset: AssetId) -> None:
        filling = self.filling.pop(asset)
        bin_: ClosedBin = close_bin(
            filling.bin_id, asset, filling.notes, self.genesis.parameters.ring_base
        )
        self.closed_bins.append(ClosedBinRecord(bin_, self.height))
        self.closed = Accumulated(
            self.closed.count + 1,
            accumulators.add_closed_bin(
                self.closed.accumulator, bin_id=bin_.bin_id, count=bin_.count, digest=bin_.digest
            ),
        )
