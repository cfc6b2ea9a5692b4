"""Checking offline, from the genesis alone, that something is sealed.

What is published of a seal is its ballot certificate: APPROVE ballots of q banks of the height's
active set, ten of twelve, with distinct tags, which stand for as many different banks without
telling which (BFT-12 section 17, IDX1 9). The set of height 1 stands in the genesis; every later
set is named by the `next_set_hash` of a header sealed by the set before it. A proof therefore
carries the sealed headers at which the set changed, and the verifier walks them: nothing depends on
the bank that answered. Leaving a change out does not help a liar, because every ballot's proof
covers the ring of keys that it was cast under.

What is trusted: the genesis that the verifier was given; that no q banks of an active set ever
approve two blocks of a height, which holds while fewer than 2q-n banks (eight of twelve) lie; the
hardness assumptions of IDX1 12. Nothing is believed of the bank that answers, of the network, or of
the regulator: who knows the opener's key learns who cast a ballot, and cannot cast one.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from crypto.errors import MerkleProofInvalid
from crypto.merkle import leaf_hash
from crypto.merkle import verify_inclusion as verify_merkle_path
from crypto.transaction import transaction_id
from node.client.errors import (
    ActiveSetInvalid,
    HeaderInvalid,
    InclusionInvalid,
    SealInvalid,
    StateInvalid,
)
from node.ledger.active_set import ActiveSet
from node.ledger.ballots import (
    BallotCertificate,
    VerifiedBallot,
    check_approvals,
    verify_ballots,
)
from node.ledger.blocks import Header
from node.ledger.encoding import MalformedEncoding
from node.ledger.genesis import Genesis
from node.ledger.rejection import Rejection
from node.ledger.state import LedgerState, genesis_header
from node.ledger.types import Height, TransactionId, View
from node.wire.records import InclusionProof, PublishedSetChange, PublishedState

REMEMBERED_BALLOTS = 8_192
"""Some 700 heights of twelve banks, at 1.5 kB each."""
LEAF_INDEX_BYTES = 8
"""An inclusion proof begins with the leaf's index as a little-endian u64 (IDX1 11.2)."""


@dataclass(frozen=True, slots=True)
class SealedPlace:
    """Where a transaction was proven to be sealed."""

    transaction_id: TransactionId
    header: Header
    index: int
    """Position in the block, from 0."""


class SealVerifier:
    """Verifies what a consortium with this genesis sealed; ballots found valid are remembered.

    Only successes are remembered, by the hash of ballot and set together, so that a lying bank can
    neither poison the memory nor make it grow.
    """

    def __init__(self, genesis: Genesis, *, remembered_ballots: int = REMEMBERED_BALLOTS) -> None:
        self.genesis = genesis
        self._genesis_set = genesis.active_set([bank.index for bank in genesis.banks])
        self._valid: OrderedDict[bytes, VerifiedBallot] = OrderedDict()
        self._limit = remembered_ballots

    def verify_header(
        self,
        header: bytes,
        certificate: bytes,
        set_changes: Sequence[PublishedSetChange] = (),
    ) -> Header:
        """Check that a header is sealed and return it.

        Height 0 has no certificate: there the header must be the genesis header itself. Raises
        `HeaderInvalid`, `SealInvalid`, `ActiveSetInvalid`.
        """
        decoded = self._decode_header(header)
        if decoded.height == 0:
            if decoded != genesis_header(self.genesis) or certificate or set_changes:
                raise HeaderInvalid("the header of height 0 is not that of this genesis")
            return decoded
        self._verify_certificate(
            decoded, certificate, self.active_set_at(decoded.height, set_changes)
        )
        return decoded

    def verify_parent(self, header: bytes, child: Header) -> Header:
        """Return the header before a verified one, which names it; raises `HeaderInvalid`."""
        decoded = self._decode_header(header)
        if decoded.block_id != child.parent_id:
            raise HeaderInvalid(f"block {child.height} names another block as its parent")
        return decoded

    def verify_inclusion(self, transaction: bytes, proof: InclusionProof) -> SealedPlace:
        """Check that these transaction bytes are sealed, and return where.

        The number of leaves comes from the certified header (IDX1 11.3). Raises what
        `verify_header` raises, and `InclusionInvalid`.
        """
        header = self.verify_header(proof.header, proof.certificate, proof.set_changes)
        if proof.leaf_hash != leaf_hash(transaction):
            raise InclusionInvalid("the proof is about another transaction")
        try:
            verify_merkle_path(
                transaction,
                proof.proof,
                header.transactions_root,
                size=header.transaction_count,
            )
        except MerkleProofInvalid as error:
            raise InclusionInvalid(str(error)) from error
        index = int.from_bytes(proof.proof[:LEAF_INDEX_BYTES], "little")
        return SealedPlace(TransactionId(transaction_id(transaction)), header, index)

    def verify_state(self, sealed: PublishedState) -> tuple[Header, LedgerState]:
        """Check that a ledger state is the one a sealed header commits to, and return both.

        Raises what `verify_header` raises, and `StateInvalid`.
        """
        header = self.verify_header(sealed.header, sealed.certificate, sealed.set_changes)
        if hashlib.sha256(sealed.state).digest() != header.post_state_root:
            raise StateInvalid("the state is not the one the header commits to")
        try:
            state = LedgerState.decode(sealed.state)
        except MalformedEncoding as error:
            raise StateInvalid(f"the state does not decode: {error}") from error
        if state.height != header.height:
            raise StateInvalid(f"the state is of height {state.height}, not {header.height}")
        return header, state

    def _decode_header(self, data: bytes) -> Header:
        try:
            header = Header.decode(data)
        except MalformedEncoding as error:
            raise HeaderInvalid(f"the header does not decode: {error}") from error
        if header.chain_id != self.genesis.chain_id:
            raise HeaderInvalid("the header is of another chain")
        return header

    def verify_votes(
        self, raws: Sequence[bytes], height: Height, view: View, active_set: ActiveSet
    ) -> tuple[VerifiedBallot, ...]:
        """Check the proofs of ballots cast at a height in a view by banks of this set.

        Which block they are about, and repeated tags, are for the caller to judge. Raises
        `SealInvalid`.
        """
        keys = [hashlib.sha256(active_set.set_hash + raw).digest() for raw in raws]
        unknown = [raw for key, raw in zip(keys, raws, strict=True) if key not in self._valid]
        verdicts = iter(
            verify_ballots(
                unknown,
                chain_id=self.genesis.chain_id,
                height=height,
                view=view,
                active_set=active_set,
            )
        )
        ballots: list[VerifiedBallot] = []
        for key in keys:
            ballot = self._valid.get(key) or next(verdicts)
            if isinstance(ballot, Rejection):
                raise SealInvalid(f"a ballot does not verify: {ballot}")
            if (ballot.height, ballot.view) != (height, view):
                raise SealInvalid("a ballot is of another height or view")
            ballots.append(ballot)
        for key, ballot in zip(keys, ballots, strict=True):
            self._valid[key] = ballot
            self._valid.move_to_end(key)
        while len(self._valid) > self._limit:
            self._valid.popitem(last=False)
        return tuple(ballots)

    def _verify_certificate(self, header: Header, data: bytes, active_set: ActiveSet) -> None:
        try:
            certificate = BallotCertificate.decode(data)
        except MalformedEncoding as error:
            raise SealInvalid(f"the ballot certificate does not decode: {error}") from error
        if certificate.height != header.height or certificate.block_id != header.block_id:
            raise SealInvalid("the ballot certificate is of another block")
        try:
            check_approvals(certificate.ballots, certificate.block_id, active_set.quorum)
        except Rejection as rejection:
            raise SealInvalid(str(rejection)) from rejection
        self.verify_votes(
            certificate.ballots, certificate.height, certificate.view, active_set
        )

    def active_set_at(
        self, height: Height, set_changes: Sequence[PublishedSetChange] = ()
    ) -> ActiveSet:
        """Return the active set of `height`: the genesis set after these sealed changes.

        Raises `HeaderInvalid`, `SealInvalid`, `ActiveSetInvalid`.
        """
        active_set = self._genesis_set
        changed_at = Height(0)
        for change in set_changes:
            header = self._decode_header(change.header)
            if not changed_at < header.height < height:
                raise ActiveSetInvalid(
                    f"a set change at height {header.height} is out of order or too late"
                )
            self._verify_certificate(header, change.certificate, active_set)
            if header.next_set_hash == active_set.set_hash:
                raise ActiveSetInvalid(f"the header of height {header.height} changes no set")
            active_set = decode_active_set(change.active_set, header.next_set_hash)
            changed_at = header.height
        return active_set


def verify_inclusion(genesis: Genesis, transaction: bytes, proof: InclusionProof) -> SealedPlace:
    """Check offline that a transaction is sealed; see `SealVerifier.verify_inclusion`."""
    return SealVerifier(genesis).verify_inclusion(transaction, proof)


def decode_active_set(data: bytes, set_hash: bytes) -> ActiveSet:
    """Decode the canonical active set with this hash; raises `ActiveSetInvalid`."""
    if hashlib.sha256(data).digest() != set_hash:
        raise ActiveSetInvalid("the active set is not the one the header names")
    try:
        return ActiveSet.decode(data)
    except MalformedEncoding as error:
        raise ActiveSetInvalid(f"the active set does not decode: {error}") from error
