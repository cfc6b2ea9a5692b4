"""Sealed blocks from one hand: whoever has the keys of all banks needs nobody's consent.

Transactions are verified, executed and built into blocks by the rules of `node.ledger`; every seal
holds a quorum's commit signatures and a quorum's ballots, all real. Only the agreement is left
out. For measurements that begin on a ledger with a past, which the consensus of a running
consortium would take hours to write.
"""

from __future__ import annotations

from collections.abc import Sequence

from node.consensus.certificates import Seal, SignatureEntry
from node.consensus.signatures import Ed25519Signer, RingBallotSigner
from node.consensus.signing import SigningContext
from node.ledger.active_set import ActiveSet
from node.ledger.ballots import VerifiedBallot, ballot_tag, verify_parent_ballots
from node.ledger.block_validity import build_block
from node.ledger.types import Height, TimeMs, View
from node.runtime.founding import ConsortiumKeys
from node.runtime.ledger_archive import MadeBlock
from node.runtime.memory_ledger import MemoryLedger

FIRST_VIEW = View(0)


class BlockMaker:
    """Writes a ledger block by block, in the first view of each height."""

    def __init__(self, ledger: MemoryLedger, keys: ConsortiumKeys) -> None:
        """`keys` are those of the banks in the ledger's genesis.

        A ledger that is not at genesis needs `seal_tip` first.
        """
        self.ledger = ledger
        chain_id = ledger.genesis.chain_id
        self._statements = [Ed25519Signer(bank.consensus) for bank in keys.banks]
        self._ballots = [RingBallotSigner(bank.ballot, chain_id) for bank in keys.banks]
        self._about_tip: tuple[VerifiedBallot, ...] = ()

    def make(self, transactions: Sequence[bytes], time_ms: TimeMs) -> MadeBlock:
        """Make, seal and apply the next block, which holds exactly these transactions.

        `time_ms` is the header's time, later than the tip's. Raises `Rejection` for a transaction
        that is not valid.
        """
        ledger = self.ledger
        assert self._about_tip or ledger.height == 0, "the ballots about the tip are not known"
        verified = ledger.verify(transactions)
        height = Height(ledger.height + 1)
        built = build_block(
            ledger.genesis,
            ledger.state,
            ledger.header,
            view=FIRST_VIEW,
            proposer=ledger.active_set.leader(height, FIRST_VIEW),
            clock_ms=time_ms,
            candidates=verified,
            facts=ledger.facts(verified),
            ballots=self._about_tip,
        )
        if built.dropped:
            raise built.dropped[0].rejection
        assert len(built.transactions) == len(verified), "they fit into one block"
        deciding = ledger.active_set
        ledger.advance(built.block, built.transition)
        return MadeBlock(built.block, self._seal(deciding), built.transition, built.transactions)

    def seal_tip(self) -> Seal:
        """Seal a tip that was taken over; the next block holds the ballots about it."""
        assert not self._about_tip, "every block that was made here is sealed"
        return self._seal(self.ledger.parent_set)

    def _seal(self, deciding: ActiveSet) -> Seal:
        """Seal the tip in the name of a quorum of the banks that decide it."""
        header = self.ledger.header
        self._about_tip = self._cast(header.height)
        context = SigningContext.of(self.ledger.genesis.chain_id, deciding, header.height)
        return Seal(
            height=header.height,
            view=FIRST_VIEW,
            block_id=header.block_id,
            signatures=tuple(
                [
                    SignatureEntry(
                        bank,
                        self._statements[bank].sign(
                            context.commit(FIRST_VIEW, bank, header.block_id)
                        ),
                    )
                    for bank in deciding.banks[: deciding.quorum]
                ]
            ),
            ballots=tuple(sorted([item.raw for item in self._about_tip], key=ballot_tag)),
        )

    def _cast(self, height: Height) -> tuple[VerifiedBallot, ...]:
        """Approve the tip with a quorum of those who decided it."""
        active_set, header = self.ledger.parent_set, self.ledger.header
        raws = [
            self._ballots[bank].sign_ballot(
                active_set, height, FIRST_VIEW, header.block_id, approve=True
            )
            for bank in active_set.banks[: active_set.quorum]
        ]
        verdicts = verify_parent_ballots(raws, header, active_set)
        approved = tuple([item for item in verdicts if isinstance(item, VerifiedBallot)])
        assert len(approved) == len(raws), "ballots of registered keys hold"
        return approved
