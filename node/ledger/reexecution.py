"""Executing a sealed block once more, from its bytes and the parent's state alone.

A bank votes with the whole ledger at hand. Whoever verifies a sealed block later may have nothing
but the state, which holds counts and running hashes in place of notes, nullifiers and bins. It is
enough to execute: what execution asks of the ledger's history (is a nullifier spent, is a one-time
key known, is a transaction sealed, which bins are closed) only ever *refuses* a transaction and
never changes what an accepted one does. So here nothing is spent, known or sealed before, and
every bin is closed:

* a valid block leads to the state root of its header here as it does at every bank;
* a block that is refused here, or leads to another root or active set, is invalid.

What passes here unseen is a note that was spent or made in an earlier block, a bin that is not
closed, and whatever proofs and signatures are false: those are judged apart (`proofs`).
"""

from __future__ import annotations

from collections.abc import Sequence

from crypto.errors import Rejected
from crypto.transaction import Mint, Transfer
from crypto.validation import check_context, check_uniqueness
from node.ledger.ballots import VerifiedBallot
from node.ledger.block_validity import check_links, check_outcome
from node.ledger.blocks import Header
from node.ledger.effects import Transition
from node.ledger.facts import BlockFacts
from node.ledger.genesis import Genesis
from node.ledger.governance import LedgerTransaction
from node.ledger.offences import VerifiedEvidence
from node.ledger.rejection import Rejection
from node.ledger.rules import check_expiry, decode
from node.ledger.state import LedgerState
from node.ledger.transition import Execution

__all__ = ["reexecute"]


def reexecute(
    genesis: Genesis,
    state: LedgerState,
    parent: Header,
    header: Header,
    raws: Sequence[bytes],
    *,
    evidence: Sequence[VerifiedEvidence],
    ballots: Sequence[VerifiedBallot],
) -> Transition:
    """Return the outcome of a sealed block; raises `Rejection` if no valid block has this header.

    `state` is that of `parent`. `raws`, `evidence` and `ballots` are all that the header commits
    to, in order: the caller has compared the roots, verified the evidence and checked the voting
    record.
    """
    check_links(genesis, state, parent, header)
    execution = _Reexecution(
        genesis,
        state,
        height=header.height,
        time_ms=header.time_ms,
        facts=BlockFacts(),
        evidence=evidence,
        ballots=ballots,
    )
    for index, raw in enumerate(raws):
        try:
            execution.apply_sealed(decode(raw, genesis))
        except Rejection as rejection:
            raise rejection.at(index) from rejection
    transition = execution.finish(header.proposer)
    check_outcome(genesis, header, transition)
    return transition


class _Reexecution(Execution):
    """Takes transactions whose proofs nobody looked at."""

    def apply_sealed(self, transaction: LedgerTransaction) -> None:
        """Append one transaction; raises `Rejection` if no block may hold it there."""
        self._check(transaction)
        if isinstance(transaction, Transfer | Mint):
            self._check_without_bins(transaction)
        self._append(transaction)

    def _check_without_bins(self, transaction: Transfer | Mint) -> None:
        try:
            if isinstance(transaction, Mint):
                check_context(transaction, self._view)
            else:
                check_expiry(transaction, self._height)
            check_uniqueness(transaction, self._occupied)
        except Rejected as rejected:
            raise Rejection.of(rejected) from rejected
