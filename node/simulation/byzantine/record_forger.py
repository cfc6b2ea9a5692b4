"""A leader that records other ballots about the parent than it may (BFT-12 17, E5 or E6)."""

from __future__ import annotations

from dataclasses import replace

from crypto.merkle import leaf_hash, merkle_root_of_hashes
from node.consensus.events import BlockBuilt, Event
from node.ledger.blocks import Block
from node.ledger.types import View
from node.simulation.byzantine.ballot_forger import corrupted
from node.simulation.byzantine.invalid_approver import InvalidApprover

ORDER_CHANCE = 0.75
"""Of the lie that only the rules of the record show: any other has a false state root too."""


class RecordForger(InvalidApprover):
    """Leaves ballots out, repeats one, adds one of its own, alters one, or puts them in another
    order, which changes no sum and so leaves the state root true; and finds it valid."""

    def events(self, event: Event) -> list[Event]:
        match event:
            case BlockBuilt(block=Block() as block) if block.parent_ballots:
                return [replace(event, block=self._forged(block))]
            case _:
                return super().events(event)

    def _forged(self, block: Block) -> Block:
        situation, recorded = self.situation, block.parent_ballots
        if situation.chance.random() < ORDER_CHANCE:
            return _recording(block, tuple(reversed(recorded)))
        position = situation.chance.randrange(len(recorded))
        changed = corrupted(recorded[position], len(recorded[position]) - 1)
        another = situation.ballot(View(0), block.header.parent_id, approve=True)
        ballots = situation.chance.choice(
            [
                (),
                recorded[1:],
                (recorded[0], *recorded),
                (*recorded[:position], changed, *recorded[position + 1 :]),
                (*recorded[:-1], another),
            ]
        )
        return _recording(block, ballots)


def _recording(block: Block, ballots: tuple[bytes, ...]) -> Block:
    root = merkle_root_of_hashes([leaf_hash(raw) for raw in ballots])
    return replace(block, header=replace(block.header, ballots_root=root), parent_ballots=ballots)
