"""The agreed voting record of a ledger: every ballot verified, every year's approvals summed up.

The ballots that a block carries about its parent must be those that its header commits to, follow
the rules of BFT-12 17, and verify in the ring of the parent's banks. Their sums by fiscal year are
what the sealed state and the settlements are held to. All banks carry the same record, so each
block's is verified once, whichever bank shows it first; the bytes are compared at every bank.
"""

from __future__ import annotations

from collections.abc import Sequence

from crypto.merkle import merkle_root
from node.client.errors import VerificationError
from node.client.verification import SealVerifier
from node.ledger.active_set import ActiveSet
from node.ledger.ballots import VerifiedBallot, ballot_view
from node.ledger.blocks import Block, Header
from node.ledger.fiscal_year import fiscal_year, label
from node.ledger.genesis import Genesis
from node.ledger.rejection import Rejection
from node.ledger.state import LedgerState
from node.ledger.state_records import TALLY_BYTES, Tally
from node.ledger.types import BlockId, FiscalYear, View
from node.ledger.voting_record import add_to_tallies, check_voting_record


class RecordCheck:
    """Takes the voting record block by block, from any bank and in any order."""

    def __init__(self, genesis: Genesis, verifier: SealVerifier) -> None:
        self._genesis = genesis
        self._verifier = verifier
        self._faults: dict[tuple[BlockId, bytes], str] = {}
        """By block and set of the parent's height; empty if the record holds."""
        self._tallies: tuple[Tally, ...] = ()
        self.ballots_verified = 0
        self.blocks_recorded = 0
        """Blocks above genesis whose votes were taken."""

    def take(self, parent: Header, block: Block, active_set: ActiveSet) -> str:
        """Return what is wrong with the record that `block` carries, empty if nothing is.

        `active_set` is that of the parent's height.
        """
        if merkle_root(block.parent_ballots) != block.header.ballots_root:
            return "the block's ballots do not have the Merkle root of the header"
        key = block.block_id, active_set.set_hash
        if key not in self._faults:
            self._faults[key] = self._check(parent, block, active_set)
        return self._faults[key]

    def _check(self, parent: Header, block: Block, active_set: ActiveSet) -> str:
        raws = block.parent_ballots
        try:
            # The list is judged before the proofs, and one view is part of it.
            view = ballot_view(raws[0]) if raws else View(0)
            verified: Sequence[VerifiedBallot] = (
                self._verifier.verify_votes(raws, parent.height, view, active_set) if raws else ()
            )
            verified = check_voting_record(
                raws,
                verified,
                root=block.header.ballots_root,
                parent=parent,
                active_set=active_set,
            )
        except (Rejection, VerificationError) as error:
            return f"the votes on the block before it: {error}"
        self._tallies = add_to_tallies(
            self._tallies,
            verified,
            year=self.year_of(parent),
            opener_key=self._genesis.opener_key,
        )
        self.ballots_verified += len(verified)
        self.blocks_recorded += bool(verified)
        return ""

    def year_of(self, header: Header) -> FiscalYear:
        """Return the fiscal year of a block."""
        return fiscal_year(self._genesis.parameters, self._genesis.time_ms, header.time_ms)

    def tally(self, year: FiscalYear) -> Tally:
        """Return what the recorded approvals of a year add up to."""
        empty = Tally(year, self._genesis.opener_key, bytes(TALLY_BYTES), 0, 0)
        return next((item for item in self._tallies if item.year == year), empty)

    @property
    def tallies(self) -> tuple[Tally, ...]:
        """Of every year with a recorded approval, in order."""
        return self._tallies

    def faults(self, state: LedgerState, ended: Sequence[int]) -> list[str]:
        """Say in what the tallies of a certified state are not the sums of the record.

        `ended` are the years whose tally a settlement or a carried pot took out of the state.
        """
        certified = {tally.year: tally for tally in state.tallies}
        computed = {tally.year: tally for tally in self._tallies if tally.year not in ended}
        return [
            f"the tally of {label(year)} is not the sum of the recorded ballots"
            for year in sorted({*certified, *computed})
            if certified.get(year) != computed.get(year)
        ]
