"""Proofs that executing a sealed block does not lead where its header says (BFT-12 9, E5).

For whoever has the genesis and nothing else. A header names its parent, the parent's header the
root of its state, and the block's own header everything that is applied to that state: so all of it
can be carried in a proof, and the block be executed again (`reexecution` says why that needs no
more). The proof shows a wrong state root, a wrong active set, and every broken rule that reads the
state and not the ledger's history: limits, balances, stakes, nonces, years.

It holds for a *sealed* header alone. A single bank can sign any header, with a parent and a state
that it made up; what it shows of them concerns nobody, and executing them would be no small favour.
A quorum's ballots stand for the parent as well.

A block that carries evidence has no such proof: judging evidence is the consensus's.

Canonical bytes, after those that `invalidity` puts before every proof:

    parent         header, fixed length
    state          blob, canonical state of the parent
    ballots        list (u32 count) of blob, all of the block
    transactions   list (u32 count) of blob, all of the block
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from crypto.merkle import EMPTY_ROOT, merkle_root
from node.ledger.ballots import verify_parent_ballots
from node.ledger.block_validity import parent_set
from node.ledger.blocks import (
    HEADER_BYTES,
    MAX_BALLOT_BYTES,
    MAX_EVIDENCE_BYTES,
    MAX_PARENT_BALLOTS,
    MAX_TRANSACTIONS,
    Header,
)
from node.ledger.encoding import MalformedEncoding, Reader, Writer
from node.ledger.genesis import Genesis
from node.ledger.reexecution import reexecute
from node.ledger.rejection import Reason, Rejection
from node.ledger.state import LedgerState
from node.ledger.voting_record import check_voting_record

MAX_CARRIED_BYTES = MAX_EVIDENCE_BYTES


@dataclass(frozen=True, slots=True)
class ExecutionProof:
    """Everything that a block is executed from."""

    parent: Header
    state: bytes
    ballots: tuple[bytes, ...]
    transactions: tuple[bytes, ...]

    def write(self, writer: Writer) -> Writer:
        writer.fixed(self.parent.encode(), HEADER_BYTES).blob(self.state)
        return writer.many(self.ballots, Writer.blob).many(self.transactions, Writer.blob)

    @staticmethod
    def read(reader: Reader) -> ExecutionProof:
        """Read what `write` wrote; raises `MalformedEncoding`."""
        return ExecutionProof(
            Header.read(reader),
            reader.blob(MAX_CARRIED_BYTES),
            reader.many(MAX_PARENT_BALLOTS, lambda r: r.blob(MAX_BALLOT_BYTES)),
            reader.many(MAX_TRANSACTIONS, lambda r: r.blob(MAX_CARRIED_BYTES)),
        )

    def fault(self, genesis: Genesis, header: Header) -> Rejection | None:
        """Return why no valid block has this header, None if execution leads to what it says.

        Raises `MalformedEncoding` if something else was carried than the header commits to.
        """
        state = self._certified_state(header)
        try:
            if header.height != self.parent.height + 1:
                return Rejection(Reason.HEIGHT, f"the parent is of height {self.parent.height}")
            active_set = parent_set(genesis, state)
            votes = check_voting_record(
                self.ballots,
                verify_parent_ballots(self.ballots, self.parent, active_set),
                root=header.ballots_root,
                parent=self.parent,
                active_set=active_set,
            )
            reexecute(
                genesis, state, self.parent, header, self.transactions, evidence=(), ballots=votes
            )
        except Rejection as rejection:
            return rejection
        return None

    def _certified_state(self, header: Header) -> LedgerState:
        for name, leaves, root in (
            ("evidence", (), header.evidence_root),
            ("ballots", self.ballots, header.ballots_root),
            ("transactions", self.transactions, header.transactions_root),
        ):
            if (merkle_root(list(leaves)) if leaves else EMPTY_ROOT) != root:
                raise MalformedEncoding(f"the {name} are not the header's")
        if len(self.transactions) != header.transaction_count:
            raise MalformedEncoding("the number of transactions is not the header's")
        return certified_state(self.parent, self.state, header)


def certified_state(parent: Header, encoded: bytes, header: Header) -> LedgerState:
    """Return the state that a header's block is executed on; raises `MalformedEncoding`.

    It is the ledger's if `header` is sealed.
    """
    if parent.block_id != header.parent_id:
        raise MalformedEncoding("the header names another parent")
    if hashlib.sha256(encoded).digest() != parent.post_state_root:
        raise MalformedEncoding("the state is not the parent's")
    state = LedgerState.decode(encoded)
    if state.height != parent.height:
        raise MalformedEncoding("the state is of another height than its header")
    return state


def proof_by_execution(
    genesis: Genesis,
    state: LedgerState,
    parent: Header,
    header: Header,
    *,
    ballots: Sequence[bytes],
    transactions: Sequence[bytes],
) -> ExecutionProof | None:
    """Return what shows that a sealed block was executed wrongly, None if nothing does so."""
    proof = ExecutionProof(parent, state.encode(), tuple(ballots), tuple(transactions))
    try:
        return None if proof.fault(genesis, header) is None else proof
    except MalformedEncoding:
        return None
