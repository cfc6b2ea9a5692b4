"""Zero-knowledge proofs and issuers' signatures as an oracle: good iff their owner made the bytes.

BFT-12 section 16: the simulator looks for faults of the protocol and of the ledger's rules, not of
the proofs. Governance, which has no proofs, is signed for real. Only this module of the simulator
makes verdicts (`VerifiedTransaction`), and it stands for `node.ledger.proofs.verify_transactions`:
every other rule is the production code's, in the same order.
"""

from __future__ import annotations

from crypto.errors import Rejected
from crypto.merkle import leaf_hash
from crypto.transaction import transaction_id as transaction_id_of
from crypto.validation import check_context, check_uniqueness
from node.ledger import proofs
from node.ledger.genesis import Genesis
from node.ledger.governance import GovernanceTransaction, LedgerTransaction, verify_signatures
from node.ledger.proofs import VerifiedTransaction
from node.ledger.rejection import Reason, Rejection
from node.ledger.rules import AdmissionView, check_expiry, check_not_sealed, check_terms, decode
from node.ledger.types import TransactionId


class ProofOracle:
    """Knows all transactions that were ever made, and which of them their owners made."""

    def __init__(self, genesis: Genesis) -> None:
        self._genesis = genesis
        self._raws: dict[TransactionId, bytes] = {}
        self._owned: set[TransactionId] = set()
        self._decoded: dict[TransactionId, LedgerTransaction] = {}
        self._leaves: dict[TransactionId, bytes] = {}
        self._verified: dict[tuple[object, ...], VerifiedTransaction] = {}

    def register(self, raw: bytes, *, owned: bool) -> TransactionId:
        """Take bytes into the world; `owned` if whoever holds the secrets made them."""
        identifier = TransactionId(transaction_id_of(raw))
        self._raws[identifier] = raw
        if owned:
            self._owned.add(identifier)
        return identifier

    def raw(self, transaction_id: TransactionId) -> bytes:
        """Return the bytes of a known transaction."""
        return self._raws[transaction_id]

    def leaf(self, transaction_id: TransactionId) -> bytes:
        """Return its leaf hash in a block's tree (IDX1 11.1)."""
        leaf = self._leaves.get(transaction_id)
        if leaf is None:
            leaf = self._leaves[transaction_id] = leaf_hash(self._raws[transaction_id])
        return leaf

    def decoded(self, transaction_id: TransactionId) -> LedgerTransaction:
        """Return it decoded; raises `Rejection`."""
        decoded = self._decoded.get(transaction_id)
        if decoded is None:
            decoded = decode(self._raws[transaction_id], self._genesis)
            self._decoded[transaction_id] = decoded
        return decoded

    def owned(self, transaction_id: TransactionId) -> bool:
        """Whether every proof in it is good."""
        return transaction_id in self._owned

    def judge(
        self, transaction_id: TransactionId, view: AdmissionView
    ) -> VerifiedTransaction | Rejection:
        """Return the verdict of admission: by itself, against the parent state."""
        try:
            decoded = self.decoded(transaction_id)
            check_not_sealed(decoded, view.facts)
            check_terms(decoded, view)
            if isinstance(decoded, GovernanceTransaction):
                check_expiry(decoded, view.height)
                return self._governance(transaction_id, decoded)
            bins = check_context(decoded, view)
            check_uniqueness(decoded, view)
        except Rejected as rejected:
            return Rejection.of(rejected)
        except Rejection as rejection:
            return rejection
        if transaction_id not in self._owned:
            reason = Reason.SPEND if decoded.inputs else Reason.ISSUE
            return Rejection(reason, "an equation does not hold")
        bins_read = tuple([(ring.bin_id, ring.digest) for ring in bins])
        key = (transaction_id, bins_read)
        verified = self._verified.get(key)
        if verified is None:
            verified = self._verified[key] = VerifiedTransaction(
                transaction=decoded,
                leaf_hash=self.leaf(transaction_id),
                bins_read=bins_read,
                witness=proofs._VERIFIED,
            )
        return verified

    def _governance(
        self, transaction_id: TransactionId, decoded: GovernanceTransaction
    ) -> VerifiedTransaction:
        """Signatures of governance are real ones, of the simulated banks' own keys."""
        key = (transaction_id,)
        verified = self._verified.get(key)
        if verified is None:
            verify_signatures(decoded, self._genesis)
            verified = self._verified[key] = VerifiedTransaction(
                decoded, self.leaf(transaction_id), (), proofs._VERIFIED
            )
        return verified
