"""A ledger in memory: what a bank's database answers, without the database.

For making and checking a ledger in one process, with the pure rules of `node.ledger` alone. It
keeps what the rules ask of the history (nullifiers, one-time keys, closed bins, transaction ids)
and nothing else: about 250 bytes a note.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from crypto.randomness import RandomBytes
from crypto.ring import ClosedBin
from node.ledger.active_set import ActiveSet
from node.ledger.block_validity import parent_set
from node.ledger.blocks import Block, Header
from node.ledger.effects import Transition, genesis_transition
from node.ledger.facts import BlockFacts, CarriesTransaction, facts_needed
from node.ledger.genesis import Genesis
from node.ledger.governance import LedgerTransaction
from node.ledger.proofs import AdmissionView, VerifiedTransaction, verify_transactions
from node.ledger.rejection import Rejection
from node.ledger.rules import decode
from node.ledger.state import LedgerState, genesis_header
from node.ledger.types import Height


class MemoryLedger:
    """The tip, and what the rules need to know of everything before it; begins at genesis."""

    def __init__(self, genesis: Genesis, random_bytes: RandomBytes = os.urandom) -> None:
        """`random_bytes` draws the weights of batch verification (IDX1 10.5)."""
        self.genesis = genesis
        self.header: Header = genesis_header(genesis)
        """Of the tip."""
        self.state: LedgerState = genesis_transition(genesis).state
        """After the tip."""
        self._random_bytes = random_bytes
        self._spent: set[bytes] = set()
        self._known_notes: set[bytes] = set()
        self._closed_bins: dict[int, ClosedBin] = {}
        self._sealed: set[bytes] = set()

    def take_over(self, header: Header, state: LedgerState) -> None:
        """Go on from the certified tip of a history that is not known here.

        What the history spent and made, and the bins that it closed, are unknown to `facts`: a
        spend from such a bin is refused, and a nullifier or one-time key that is there already is
        refused by the database that holds them. The rules lose nothing by it that could change
        what an accepted block does (`node.ledger.reexecution`).
        """
        assert self.height == 0, "nothing was made here before"
        self.header, self.state = header, state

    @property
    def height(self) -> Height:
        return self.state.height

    @property
    def active_set(self) -> ActiveSet:
        """The banks that decide the next height."""
        return self.state.active_set(self.genesis)

    @property
    def parent_set(self) -> ActiveSet:
        """The banks that decided the tip."""
        return parent_set(self.genesis, self.state)

    def facts(self, items: Iterable[LedgerTransaction | CarriesTransaction]) -> BlockFacts:
        """Return what the rules ask about these transactions."""
        needed = facts_needed(items)
        return BlockFacts(
            spent=frozenset(self._spent.intersection(needed.nullifiers)),
            known_notes=frozenset(self._known_notes.intersection(needed.one_time_keys)),
            closed_bins={
                bin_id: self._closed_bins[bin_id]
                for bin_id in needed.bin_ids
                if bin_id in self._closed_bins
            },
            sealed_transactions=frozenset(self._sealed.intersection(needed.transaction_ids)),
        )

    def verify(self, raws: Sequence[bytes]) -> tuple[VerifiedTransaction, ...]:
        """Verify transactions as admission does; raises `Rejection` for the first bad one."""
        facts = self.facts([decode(raw, self.genesis) for raw in raws])
        view = AdmissionView(self.genesis, self.state, facts)
        verified = []
        for index, verdict in enumerate(verify_transactions(raws, view, self._random_bytes)):
            if isinstance(verdict, Rejection):
                raise verdict.at(index)
            verified.append(verdict)
        return tuple(verified)

    def advance(self, block: Block, transition: Transition) -> None:
        """Make a valid block on the tip the new tip."""
        assert block.height == self.height + 1, "a block follows the tip"
        self.header = block.header
        self.state = transition.state
        self._spent.update([item.nullifier for item in transition.nullifiers])
        self._known_notes.update([note.output.one_time_key for note in transition.notes])
        self._closed_bins.update({item.bin.bin_id: item.bin for item in transition.closed_bins})
        self._sealed.update(block.transaction_ids)
