"""Proofs that a block is invalid, for whoever has the genesis and nothing else (BFT-12 9, E5).

What a block's header commits to is judged here without any state, so a proof can be checked at any
later height. Seven forms:

    header         the header itself breaks a rule
    transaction    one transaction is invalid by itself
    pair           two transactions exclude each other: equal, or with a nullifier or one-time key
                   in common
    ballots        the list of ballots about the parent is no voting record, whoever the banks are
    execution      the block does not lead from its parent's state to what its header says; of a
                   sealed block alone (`execution_proof`)
    spent          a transaction and one of an earlier block exclude each other, as in a pair; the
                   headers between show that the block follows the earlier one
    rings          one payment is false over the rings it spends from; of a sealed block alone
                   (`ring_proof`)

By itself a transaction is judged by its form, its chain, expiry, asset, fee and account, its points
and scalars, repetitions within it, and the signatures of governance; an ISSUE or PAYOUT by its
issuer's signature, range proof and issue proof as well. Everything else reads the state and is no
matter of this module: bins, spend proofs, issuers, limits, balances, nonces, roots. The range proof
of a TRANSFER is among that, because its challenges hash the digests of the rings (IDX1 5.5, 6.3):
accuser and accused could each name a ring under which they are right. The same holds for ballots'
proofs and their number: they take the active set.

Canonical bytes of a proof:

    domain         blob "consortium/invalidity/1"
    form           u8: 1 header, 2 transaction, 3 pair, 4 ballots, 5 execution, 6 spent,
                   7 rings
    transactions   none, one or two, in increasing index, of: blob raw bytes, blob inclusion proof
                   (IDX1 11.2), whose size is the header's transaction count
    ballots        in form 4 alone and instead of those: list (u32 count) of blob, all ballots
    execution      in form 5 alone and instead of those: as `execution_proof` says
    spent          in form 6 alone and instead of those: the block's transaction as above, list (u32
                   count) of the headers from the parent's down to the earlier block's, fixed length
                   each, and the earlier block's transaction as above
    rings          in form 7 alone and instead of those: as `ring_proof` says
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from crypto.batch import verify_transaction
from crypto.errors import MerkleProofInvalid, Rejected
from crypto.merkle import (
    EMPTY_ROOT,
    claimed_index,
    leaf_hash,
    merkle_root,
    merkle_root_of_hashes,
    prove_inclusion_of_hashes,
    verify_inclusion,
)
from crypto.randomness import Coins
from crypto.transaction import Mint
from crypto.validation import check_points, check_scalars, check_uniqueness
from node.ledger.blocks import HEADER_BYTES, MAX_BALLOT_BYTES, MAX_PARENT_BALLOTS, Header
from node.ledger.encoding import MalformedEncoding, Reader, Writer
from node.ledger.execution_proof import ExecutionProof
from node.ledger.genesis import Genesis
from node.ledger.governance import GovernanceTransaction, LedgerTransaction, verify_signatures
from node.ledger.rejection import Reason, Rejection
from node.ledger.ring_proof import RingProof
from node.ledger.rules import check_expiry, check_terms, decode
from node.ledger.types import Height
from node.ledger.voting_record import check_ballot_list

__all__ = [
    "disprove",
    "encode_proof_of_sealed",
    "needs_sealed_header",
    "prove_invalidity",
    "prove_spent_before",
]

INVALIDITY_DOMAIN = b"consortium/invalidity/1"
WEIGHTS_DOMAIN = b"consortium/invalidity/weights"
MAX_PROVEN_BYTES = 1 << 16
"""A longer transaction is invalid, but not by a proof that carries it."""
MAX_INCLUSION_PROOF_BYTES = 17 + 32 * 64
MAX_ANCESTORS = 3_000
"""Headers between two blocks that a proof may carry, 268 bytes each."""


class Form(IntEnum):
    """What kind of fault a proof shows."""

    HEADER = 1
    TRANSACTION = 2
    PAIR = 3
    BALLOTS = 4
    EXECUTION = 5
    SPENT = 6
    RINGS = 7


_EXECUTION_HEAD = Writer().blob(INVALIDITY_DOMAIN).u8(Form.EXECUTION).finish()
_RINGS_HEAD = Writer().blob(INVALIDITY_DOMAIN).u8(Form.RINGS).finish()
_SPENT_HEAD = Writer().blob(INVALIDITY_DOMAIN).u8(Form.SPENT).finish()


@dataclass(frozen=True, slots=True)
class _Included:
    """A transaction and the proof that the header commits to it."""

    raw: bytes
    inclusion_proof: bytes

    def write(self, writer: Writer) -> Writer:
        return writer.blob(self.raw).blob(self.inclusion_proof)

    @staticmethod
    def read(reader: Reader) -> _Included:
        return _Included(reader.blob(MAX_PROVEN_BYTES), reader.blob(MAX_INCLUSION_PROOF_BYTES))

    def require_in(self, header: Header) -> int:
        """Return the place in the block; raises `MerkleProofInvalid`."""
        verify_inclusion(
            self.raw,
            self.inclusion_proof,
            header.transactions_root,
            size=header.transaction_count,
        )
        return claimed_index(self.inclusion_proof)


@dataclass(frozen=True, slots=True)
class _Stateless:
    """What validation may read without a state; satisfies `crypto.validation.LedgerView`."""

    genesis: Genesis
    height: Height

    @property
    def chain_id(self) -> bytes:
        return self.genesis.chain_id

    @property
    def ring_base(self) -> int:
        return self.genesis.parameters.ring_base

    def find_bin(self, bin_id: int) -> None:
        """Bins belong to the state."""

    def is_issuer(self, asset: bytes, issuer: bytes) -> bool:
        """The registry belongs to the state, so nobody is accused by it."""
        return True

    def is_spent(self, nullifier: bytes) -> bool:
        return False

    def is_known_note(self, one_time_key: bytes) -> bool:
        return False


def prove_invalidity(
    genesis: Genesis,
    header: Header,
    raws: Sequence[bytes],
    rejection: Rejection,
    ballots: Sequence[bytes] = (),
) -> bytes | None:
    """Return a proof that a rejected block is invalid, None if it takes the state to see that.

    `raws` are the bytes of all its transactions in order, decodable or not, `ballots` its ballots
    about the parent. What `disprove` will say of the proof need not be the reason of the rejection:
    another rule may come first.
    """
    if not rejection.reason.is_deterministic:
        return None
    if _header_fault(genesis, header) is not None:
        return _encode(Form.HEADER, ())
    is_list = merkle_root(list(ballots)) == header.ballots_root
    if is_list and _ballots_fault(header, ballots) is not None:
        return _encode_ballots(ballots)
    index = rejection.transaction_index
    leaves = [leaf_hash(raw) for raw in raws]
    is_of_header = (
        len(raws) == header.transaction_count
        and merkle_root_of_hashes(leaves) == header.transactions_root
    )
    if index is None or not is_of_header:
        return None

    def included(place: int) -> _Included:
        return _Included(raws[place], prove_inclusion_of_hashes(leaves, place))

    if len(raws[index]) > MAX_PROVEN_BYTES:
        return None
    if _transaction_fault(genesis, header, raws[index]) is not None:
        return _encode(Form.TRANSACTION, (included(index),))
    for earlier in range(index):
        if _pair_fault(genesis, raws[earlier], raws[index]) is not None:
            return _encode(Form.PAIR, (included(earlier), included(index)))
    return None


def disprove(genesis: Genesis, header: Header, proof: bytes) -> Reason:
    """Return why the block of this header is invalid, as the proof shows.

    Raises `Rejection` with EVIDENCE if it shows nothing. No proof shows anything of a valid block.
    The header of one that `needs_sealed_header` must be sealed: it is for the caller to know.
    """
    if needs_sealed_header(proof):
        return _disprove_sealed(genesis, header, proof)
    if proof.startswith(_SPENT_HEAD):
        return _disprove_spend(genesis, header, proof)
    try:
        form, transactions, ballots = _decode(proof)
        places = [item.require_in(header) for item in transactions]
    except (MalformedEncoding, MerkleProofInvalid) as error:
        raise Rejection(Reason.EVIDENCE, f"proof of an invalid block: {error}") from error
    if form is Form.HEADER:
        reason = _header_fault(genesis, header)
    elif form is Form.BALLOTS:
        if merkle_root(list(ballots)) != header.ballots_root:
            raise Rejection(Reason.EVIDENCE, "the ballots are not the header's")
        reason = _ballots_fault(header, ballots)
    elif form is Form.TRANSACTION:
        reason = _transaction_fault(genesis, header, transactions[0].raw)
    elif places[0] < places[1]:
        reason = _pair_fault(genesis, transactions[0].raw, transactions[1].raw)
    else:
        raise Rejection(Reason.EVIDENCE, "the two transactions are not in the block's order")
    if reason is None:
        raise Rejection(Reason.EVIDENCE, "nothing is wrong with what the proof shows")
    return reason


def prove_spent_before(
    header: Header,
    raws: Sequence[bytes],
    index: int,
    ancestors: Sequence[Header],
    earlier_raws: Sequence[bytes],
    earlier_index: int,
) -> bytes | None:
    """Return the proof that a transaction excludes one of an earlier block.

    `ancestors` are the headers from that of the parent down to the earlier block's; `raws` and
    `earlier_raws` all transactions of the two blocks. None if the blocks are too far apart or a
    transaction is too long.
    """
    later = _Included(raws[index], _path(raws, index))
    earlier = _Included(earlier_raws[earlier_index], _path(earlier_raws, earlier_index))
    if len(ancestors) > MAX_ANCESTORS or max(len(later.raw), len(earlier.raw)) > MAX_PROVEN_BYTES:
        return None
    writer = later.write(Writer().blob(INVALIDITY_DOMAIN).u8(Form.SPENT))
    writer.many(ancestors, lambda out, item: out.fixed(item.encode(), HEADER_BYTES))
    return earlier.write(writer).finish()


def _path(raws: Sequence[bytes], index: int) -> bytes:
    return prove_inclusion_of_hashes([leaf_hash(raw) for raw in raws], index)


def _disprove_spend(genesis: Genesis, header: Header, proof: bytes) -> Reason:
    reader = Reader(proof[len(_SPENT_HEAD) :])
    try:
        later = _Included.read(reader)
        ancestors = reader.many(MAX_ANCESTORS, Header.read)
        earlier = _Included.read(reader)
        reader.finish()
        later.require_in(header)
        child = header
        for ancestor in ancestors:
            if child.parent_id != ancestor.block_id:
                raise MalformedEncoding("the headers are no chain")
            child = ancestor
        if child is header:
            raise MalformedEncoding("no earlier block is shown")
        earlier.require_in(child)
    except (MalformedEncoding, MerkleProofInvalid) as error:
        raise Rejection(Reason.EVIDENCE, f"proof of an invalid block: {error}") from error
    reason = _pair_fault(genesis, earlier.raw, later.raw)
    if reason is None:
        raise Rejection(Reason.EVIDENCE, "the two transactions do not exclude each other")
    return reason


def needs_sealed_header(proof: bytes) -> bool:
    """Whether a proof shows nothing of a header that no quorum sealed: it carries a state."""
    return proof.startswith((_EXECUTION_HEAD, _RINGS_HEAD))


def encode_proof_of_sealed(proof: ExecutionProof | RingProof) -> bytes:
    """Return the canonical bytes of a proof that `needs_sealed_header`."""
    form = Form.EXECUTION if isinstance(proof, ExecutionProof) else Form.RINGS
    return proof.write(Writer().blob(INVALIDITY_DOMAIN).u8(form)).finish()


def _disprove_sealed(genesis: Genesis, header: Header, proof: bytes) -> Reason:
    read = ExecutionProof.read if proof.startswith(_EXECUTION_HEAD) else RingProof.read
    reader = Reader(proof[len(_EXECUTION_HEAD) :])
    try:
        shown = read(reader)
        reader.finish()
        fault = shown.fault(genesis, header)
    except MalformedEncoding as error:
        raise Rejection(Reason.EVIDENCE, f"proof of an invalid block: {error}") from error
    if fault is None:
        raise Rejection(Reason.EVIDENCE, "nothing is wrong with what the proof shows")
    return fault.reason


def _encode(form: Form, transactions: Sequence[_Included]) -> bytes:
    writer = Writer().blob(INVALIDITY_DOMAIN).u8(form)
    for item in transactions:
        item.write(writer)
    return writer.finish()


def _encode_ballots(ballots: Sequence[bytes]) -> bytes:
    writer = Writer().blob(INVALIDITY_DOMAIN).u8(Form.BALLOTS)
    return writer.many(ballots, Writer.blob).finish()


def _decode(proof: bytes) -> tuple[Form, tuple[_Included, ...], tuple[bytes, ...]]:
    reader = Reader(proof)
    if reader.blob(len(INVALIDITY_DOMAIN)) != INVALIDITY_DOMAIN:
        raise MalformedEncoding("not a proof of invalidity")
    value = reader.u8()
    if value not in tuple(Form):
        raise MalformedEncoding(f"form {value} is unknown")
    form = Form(value)
    transactions: tuple[_Included, ...] = ()
    ballots: tuple[bytes, ...] = ()
    if form is Form.BALLOTS:
        ballots = reader.many(MAX_PARENT_BALLOTS, lambda r: r.blob(MAX_BALLOT_BYTES))
    else:
        transactions = tuple([_Included.read(reader) for _ in range(form - 1)])
    reader.finish()
    return form, transactions, ballots


def _header_fault(genesis: Genesis, header: Header) -> Reason | None:
    if header.chain_id != genesis.chain_id:
        return Reason.CHAIN
    if header.transaction_count > genesis.parameters.batch_limit:
        return Reason.TRANSACTION_COUNT
    # Whoever follows the genesis has nobody's votes to carry, and every later block has some.
    if (header.height == 1) != (header.ballots_root == EMPTY_ROOT):
        return Reason.BALLOTS
    return None


def _ballots_fault(header: Header, ballots: Sequence[bytes]) -> Reason | None:
    try:
        check_ballot_list(ballots, header.chain_id, Height(header.height - 1), header.parent_id)
    except Rejection as rejection:
        return rejection.reason
    return None


def _transaction_fault(genesis: Genesis, header: Header, raw: bytes) -> Reason | None:
    try:
        _check_alone(raw, _Stateless(genesis, header.height))
    except Rejection as rejection:
        return rejection.reason
    return None


def _check_alone(raw: bytes, view: _Stateless) -> None:
    transaction = decode(raw, view.genesis)
    check_terms(transaction, view)
    check_expiry(transaction, view.height)
    if isinstance(transaction, GovernanceTransaction):
        verify_signatures(transaction, view.genesis)
        return
    try:
        if isinstance(transaction, Mint):
            # Weights drawn from the bytes that they weigh: every bank gets the same verdict.
            seed = hashlib.sha256(WEIGHTS_DOMAIN + raw).digest()
            verify_transaction(raw, view, Coins(seed).take)
        else:
            check_points(transaction)
            check_scalars(transaction)
            check_uniqueness(transaction, view)
    except Rejected as rejected:
        raise Rejection.of(rejected) from rejected


def _pair_fault(genesis: Genesis, earlier_raw: bytes, later_raw: bytes) -> Reason | None:
    try:
        earlier, later = decode(earlier_raw, genesis), decode(later_raw, genesis)
    except Rejection:
        return None
    if earlier_raw == later_raw:
        return Reason.DUPLICATE_TRANSACTION
    if not _nullifiers(earlier).isdisjoint(_nullifiers(later)):
        return Reason.NULLIFIER
    if not _one_time_keys(earlier).isdisjoint(_one_time_keys(later)):
        return Reason.NOTE
    return None


def _nullifiers(transaction: LedgerTransaction) -> set[bytes]:
    return {item.nullifier for item in transaction.inputs}


def _one_time_keys(transaction: LedgerTransaction) -> set[bytes]:
    return {output.one_time_key for output in transaction.outputs}
