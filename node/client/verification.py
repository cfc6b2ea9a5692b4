"""Checking offline, from the genesis alone, that something is sealed.

A seal is q commit signatures of the active set of its height (BFT-12 P6, section 10). The set of
height 1 stands in the genesis; every later set is named by the `next_set_hash` of a header sealed
by the set before it. A proof therefore carries the sealed headers at which the set changed, and
the verifier walks them: nothing depends on the bank that answered. Leaving a change out does not
help a liar, because every signature covers the hash of the set that it was made under.
"""

from __future__ import annotations

import hashlib
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
from node.consensus.certificates import CertificateInvalid, Seal, verify_seal
from node.consensus.signatures import Ed25519Verifier, Verifier
from node.ledger.active_set import SET_DOMAIN, ActiveSet, Member
from node.ledger.blocks import Header
from node.ledger.definitions import MAX_BANKS
from node.ledger.encoding import MalformedEncoding, Reader
from node.ledger.genesis import Genesis
from node.ledger.state import LedgerState, genesis_header
from node.ledger.types import KEY_BYTES, POINT_BYTES, BankIndex, Height, TransactionId
from node.wire.records import InclusionProof, SealedState, SetChange

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
    """Verifies what a consortium with this genesis sealed; signatures found valid are cached."""

    def __init__(self, genesis: Genesis, verifier: Verifier | None = None) -> None:
        self.genesis = genesis
        self._verifier = verifier or Ed25519Verifier()

    def verify_header(
        self, header: bytes, seal: bytes, set_changes: Sequence[SetChange] = ()
    ) -> Header:
        """Check a header's seal and return the header.

        Height 0 has no seal: there the header must be the genesis header itself. Raises
        `HeaderInvalid`, `SealInvalid`, `ActiveSetInvalid`.
        """
        decoded = self._decode_header(header)
        if decoded.height == 0:
            if decoded != genesis_header(self.genesis) or seal or set_changes:
                raise HeaderInvalid("the header of height 0 is not that of this genesis")
            return decoded
        self._verify_seal(decoded, seal, self._active_set_at(decoded.height, set_changes))
        return decoded

    def verify_inclusion(self, transaction: bytes, proof: InclusionProof) -> SealedPlace:
        """Check that these transaction bytes are sealed, and return where.

        The number of leaves comes from the certified header (IDX1 11.3). Raises what
        `verify_header` raises, and `InclusionInvalid`.
        """
        header = self.verify_header(proof.header, proof.seal, proof.set_changes)
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

    def verify_state(self, sealed: SealedState) -> tuple[Header, LedgerState]:
        """Check that a ledger state is the one a sealed header commits to, and return both.

        Raises what `verify_header` raises, and `StateInvalid`.
        """
        header = self.verify_header(sealed.header, sealed.seal, sealed.set_changes)
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

    def _verify_seal(self, header: Header, data: bytes, active_set: ActiveSet) -> None:
        try:
            seal = Seal.decode(data)
        except MalformedEncoding as error:
            raise SealInvalid(f"the seal does not decode: {error}") from error
        if seal.height != header.height or seal.block_id != header.block_id:
            raise SealInvalid("the seal is of another block")
        try:
            verify_seal(seal, self.genesis.chain_id, active_set, self._verifier)
        except CertificateInvalid as error:
            raise SealInvalid(str(error)) from error

    def _active_set_at(self, height: Height, set_changes: Sequence[SetChange]) -> ActiveSet:
        """Return the active set of `height`: the genesis set after these sealed changes."""
        active_set = self.genesis.active_set([bank.index for bank in self.genesis.banks])
        changed_at = Height(0)
        for change in set_changes:
            header = self._decode_header(change.header)
            if not changed_at < header.height < height:
                raise ActiveSetInvalid(
                    f"a set change at height {header.height} is out of order or too late"
                )
            self._verify_seal(header, change.seal, active_set)
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
    reader = Reader(data)
    try:
        if reader.blob(len(SET_DOMAIN)) != SET_DOMAIN:
            raise ActiveSetInvalid("these bytes are not an active set")
        quorum = reader.u16()
        opener_key = reader.fixed(POINT_BYTES)
        members = reader.many(MAX_BANKS, _read_member)
        reader.finish()
    except MalformedEncoding as error:
        raise ActiveSetInvalid(f"the active set does not decode: {error}") from error
    banks = [member.bank for member in members]
    if banks != sorted(set(banks)):
        raise ActiveSetInvalid("members are not in increasing bank index")
    active_set = ActiveSet(members, opener_key)
    if active_set.quorum != quorum:
        raise ActiveSetInvalid(f"a quorum of {quorum} is not the rule for {len(members)} banks")
    return active_set


def _read_member(reader: Reader) -> Member:
    return Member(BankIndex(reader.u16()), reader.fixed(KEY_BYTES), reader.fixed(POINT_BYTES))
