"""Evidence as a simulated bank's host judges it: the production verification over the oracles.

Whether a block is invalid for reasons that everybody can see without the state (BFT-12 E5) is, as
far as proofs are concerned, the proof oracle's to say; so the proof that stands in for
`node.ledger.invalidity` holds the bytes of one transaction and its path to the header's root.
"""

from __future__ import annotations

from crypto.errors import MerkleProofInvalid
from crypto.merkle import prove_inclusion_of_hashes, verify_inclusion
from crypto.transaction import Mint, transaction_id
from node.consensus.evidence_verification import verify_evidence
from node.ledger.blocks import Block, Header
from node.ledger.encoding import MalformedEncoding, Reader, Writer
from node.ledger.genesis import Genesis
from node.ledger.offences import VerifiedEvidence
from node.ledger.rejection import Reason, Rejection
from node.ledger.slashing import check_offence
from node.ledger.state import LedgerState
from node.ledger.types import TransactionId
from node.simulation.ballot_oracle import BallotOracle
from node.simulation.ledger import Examined
from node.simulation.oracle import OracleVerifier
from node.simulation.proof_oracle import ProofOracle

MAX_PROOF_BYTES = 1 << 14

STATELESS = frozenset({Reason.ISSUE})
"""Reasons of the proof oracle that do not depend on the rings, and so not on the state."""


class EvidenceDesk:
    """Verdicts on evidence items, remembered: they depend on the bytes and the set of a height."""

    def __init__(self, genesis: Genesis, oracle: ProofOracle, ballot_oracle: BallotOracle) -> None:
        self._genesis = genesis
        self._oracle = oracle
        self._ballot_oracle = ballot_oracle
        self._verifier = OracleVerifier()
        self._verdicts: dict[tuple[bytes, bytes], VerifiedEvidence] = {}

    def verdict(self, state: LedgerState, item: bytes) -> VerifiedEvidence | Rejection:
        """Verify an item's signatures and proofs under the sets that the state knows."""
        key = (item, state.set_records[-1].set_hash)
        known = self._verdicts.get(key)
        if known is not None and state.active_set_at(self._genesis, known.height) is not None:
            return known
        try:
            verified = verify_evidence(
                item,
                chain_id=self._genesis.chain_id,
                active_set_at=lambda height: state.active_set_at(self._genesis, height),
                verifier=self._verifier,
                disprove=self.disprove,
                ballot_judge=self._ballot_oracle,
            )
        except Rejection as rejection:
            return rejection
        self._verdicts[key] = verified
        return verified

    def examine(self, state: LedgerState, item: bytes) -> Examined:
        """Verify an item and ask the state whether it can still be punished."""
        verdict = self.verdict(state, item)
        if isinstance(verdict, Rejection):
            return Examined(None, str(verdict))
        try:
            check_offence(self._genesis, state, verdict)
        except Rejection as rejection:
            return Examined(None, str(rejection))
        return Examined(verdict.key)

    def prove_invalidity(self, block: Block, rejection: Rejection) -> bytes | None:
        """Return a proof for everybody that the block is invalid, None if the state is needed."""
        index = rejection.transaction_index
        if rejection.reason not in STATELESS or index is None:
            return None
        leaves = [self._oracle.leaf(item) for item in block.transaction_ids]
        path = prove_inclusion_of_hashes(leaves, index)
        raw = self._oracle.raw(block.transaction_ids[index])
        return Writer().blob(raw).blob(path).finish()

    def disprove(self, header: Header, proof: bytes) -> Reason:
        """Return why the block is invalid; raises `Rejection` if the proof shows nothing."""
        try:
            reader = Reader(proof)
            raw, path = reader.blob(MAX_PROOF_BYTES), reader.blob(MAX_PROOF_BYTES)
            reader.finish()
            size = header.transaction_count
            verify_inclusion(raw, path, header.transactions_root, size=size)
            decoded = self._oracle.decoded(TransactionId(transaction_id(raw)))
        except (MalformedEncoding, MerkleProofInvalid, KeyError) as error:
            raise Rejection(Reason.EVIDENCE, f"the proof shows nothing: {error}") from error
        identifier = TransactionId(decoded.transaction_id)
        if not isinstance(decoded, Mint) or self._oracle.owned(identifier):
            raise Rejection(Reason.EVIDENCE, "the transaction is valid by itself")
        return Reason.ISSUE
