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
        """`keys` are those of the banks in the ledger's genesis; the ledger is at genesis."""
        assert ledger.height == 0, "the ballots about an older tip are not known here"
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
        ballots = self._cast(height)
        self._about_tip = ballots
        context = SigningContext.of(ledger.genesis.chain_id, deciding, height)
        block_id = built.block.block_id
        seal = Seal(
            height=height,
            view=FIRST_VIEW,
            block_id=block_id,
            signatures=tuple(
                [
                    SignatureEntry(
                        bank,
                        self._statements[bank].sign(context.commit(FIRST_VIEW, bank, block_id)),
                    )
                    for bank in deciding.banks[: deciding.quorum]
                ]
            ),
            ballots=tuple(sorted([item.raw for item in ballots], key=ballot_tag)),
        )
        return MadeBlock(built.block, seal, built.transition, built.transactions)

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
