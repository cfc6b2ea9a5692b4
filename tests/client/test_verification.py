"""Offline verification: everything altered is refused, with the error that names it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from crypto.merkle import leaf_hash, merkle_root, prove_inclusion
from crypto.transaction import transaction_id
from node.client.errors import (
    ActiveSetInvalid,
    ClientError,
    HeaderInvalid,
    InclusionInvalid,
    SealInvalid,
    StateInvalid,
)
from node.client.verification import (
    SealedPlace,
    SealVerifier,
    decode_active_set,
    verify_inclusion,
)
from node.consensus.certificates import Seal
from node.ledger.active_set import SET_DOMAIN, ActiveSet
from node.ledger.blocks import Header
from node.ledger.encoding import Writer
from node.ledger.genesis import Genesis
from node.ledger.state import genesis_header, genesis_state
from node.ledger.types import BankIndex, BlockId, Height, TimeMs, TransactionId, View
from node.wire.records import InclusionProof, SealedState, SetChange
from tests.client.small_bank import seal_header
from tests.ledger.chain import make_genesis

GENESIS = make_genesis(banks=6)
ALL_SIX = GENESIS.active_set([BankIndex(bank) for bank in range(6)])
FIVE = GENESIS.active_set([BankIndex(bank) for bank in (0, 1, 2, 3, 5)])
LEAVES = [b"transaction %d" % index for index in range(5)]
INDEX = 3


def header_at(height: int, next_set: ActiveSet = ALL_SIX, **changes: object) -> Header:
    header = Header(
        chain_id=GENESIS.chain_id,
        height=Height(height),
        parent_id=BlockId(b"\x07" * 32),
        original_view=View(0),
        proposer=BankIndex(0),
        time_ms=TimeMs(GENESIS.time_ms + height),
        transactions_root=merkle_root(LEAVES),
        evidence_root=bytes(32),
        ballots_root=bytes(32),
        transaction_count=len(LEAVES),
        post_state_root=bytes(32),
        next_set_hash=next_set.set_hash,
    )
    return replace(header, **changes)  # type: ignore[arg-type]


def seal_by(header: Header, active_set: ActiveSet = ALL_SIX, view: int = 0) -> Seal:
    """A seal by just a quorum of the set."""
    return seal_header(header, active_set, active_set.banks[: active_set.quorum], view)


def encode_set(active_set: ActiveSet, quorum: int | None = None) -> bytes:
    writer = Writer().blob(SET_DOMAIN).u16(quorum or active_set.quorum)
    writer.fixed(active_set.opener_key, 96)
    writer.many(
        active_set.members,
        lambda out, member: (
            out.u16(member.bank).fixed(member.consensus_key, 32).fixed(member.ballot_key, 96)
        ),
    )
    return writer.finish()


def change_at(height: int, next_set: ActiveSet = FIVE, signers: ActiveSet = ALL_SIX) -> SetChange:
    header = header_at(height, next_set)
    return SetChange(header.encode(), seal_by(header, signers).encode(), encode_set(next_set))


HEADER = header_at(7)
PROOF = InclusionProof(
    header=HEADER.encode(),
    seal=seal_by(HEADER).encode(),
    proof=prove_inclusion(LEAVES, INDEX),
    leaf_hash=leaf_hash(LEAVES[INDEX]),
)


def refusal(genesis: Genesis, transaction: bytes, proof: InclusionProof) -> tuple[type, str]:
    with pytest.raises(ClientError) as caught:
        verify_inclusion(genesis, transaction, proof)
    return type(caught.value), str(caught.value)


def test_a_sealed_transaction_is_placed() -> None:
    expected = SealedPlace(TransactionId(transaction_id(LEAVES[INDEX])), HEADER, INDEX)
    assert verify_inclusion(GENESIS, LEAVES[INDEX], PROOF) == expected


def test_the_seals_of_one_block_may_differ() -> None:
    """BFT-12 3: signers and view may be others at another bank."""
    for banks, view in (((1, 2, 3, 4, 5), 0), ((0, 1, 2, 3, 4, 5), 3)):
        seal = seal_header(HEADER, ALL_SIX, banks, view).encode()
        verify_inclusion(GENESIS, LEAVES[INDEX], replace(PROOF, seal=seal))


HEADER_CHANGES: dict[str, object] = {
    "height": Height(8),
    "parent_id": BlockId(bytes(32)),
    "original_view": View(1),
    "proposer": BankIndex(1),
    "time_ms": TimeMs(1),
    "transactions_root": bytes(32),
    "evidence_root": b"\x01" * 32,
    "ballots_root": b"\x01" * 32,
    "transaction_count": 6,
    "post_state_root": b"\x01" * 32,
    "next_set_hash": bytes(32),
}


@pytest.mark.parametrize("field", HEADER_CHANGES)
def test_an_altered_header_field_breaks_the_seal(field: str) -> None:
    altered = replace(HEADER, **{field: HEADER_CHANGES[field]})  # type: ignore[arg-type]
    proof = replace(PROOF, header=altered.encode())
    assert refusal(GENESIS, LEAVES[INDEX], proof) == (
        SealInvalid,
        "the seal is of another block",
    )


def test_every_field_of_the_header_was_altered() -> None:
    assert {*HEADER_CHANGES, "chain_id"} == set(Header.__dataclass_fields__)


def test_a_header_of_another_chain_is_refused() -> None:
    other = make_genesis(banks=5)
    assert refusal(other, LEAVES[INDEX], PROOF) == (
        HeaderInvalid,
        "the header is of another chain",
    )


def altered_seal(**changes: object) -> bytes:
    return replace(seal_by(HEADER), **changes).encode()  # type: ignore[arg-type]


GOOD_SEAL = seal_by(HEADER)
SEALS: dict[str, tuple[bytes, str]] = {
    "height": (altered_seal(height=Height(8)), "the seal is of another block"),
    "block": (altered_seal(block_id=BlockId(bytes(32))), "the seal is of another block"),
    "view": (altered_seal(view=View(1)), "signature of bank 0 does not verify"),
    "too few": (
        altered_seal(signatures=GOOD_SEAL.signatures[:-1]),
        "4 signatures where 5 are required",
    ),
    "one twice": (
        altered_seal(signatures=(GOOD_SEAL.signatures[0], *GOOD_SEAL.signatures[:-1])),
        "signers are not in strictly increasing bank index",
    ),
    "order": (
        altered_seal(signatures=GOOD_SEAL.signatures[::-1]),
        "signers are not in strictly increasing bank index",
    ),
    "stranger": (
        altered_seal(
            signatures=(
                *GOOD_SEAL.signatures,
                replace(GOOD_SEAL.signatures[0], bank=BankIndex(9)),
            )
        ),
        "signer 9 is not active at this height",
    ),
    "signature": (
        altered_seal(
            signatures=(
                *GOOD_SEAL.signatures[:-1],
                replace(GOOD_SEAL.signatures[-1], signature=bytes(64)),
            )
        ),
        "signature of bank 4 does not verify",
    ),
    "another's signature": (
        altered_seal(
            signatures=(
                *GOOD_SEAL.signatures[:-1],
                replace(GOOD_SEAL.signatures[-1], bank=BankIndex(5)),
            )
        ),
        "signature of bank 5 does not verify",
    ),
    "empty": (b"", "the seal does not decode: 8 bytes wanted at offset 0 of 0"),
    "trailing": (
        GOOD_SEAL.encode() + b"\x00",
        "the seal does not decode: 1 bytes follow the value",
    ),
}


@pytest.mark.parametrize("name", SEALS)
def test_a_seal_that_is_not_one_is_refused(name: str) -> None:
    """BFT-12 2: sorted, distinct, active, enough, every signature."""
    seal, message = SEALS[name]
    assert refusal(GENESIS, LEAVES[INDEX], replace(PROOF, seal=seal)) == (SealInvalid, message)


def test_every_byte_of_the_path_counts() -> None:
    for position in range(len(PROOF.proof)):
        spoiled = bytearray(PROOF.proof)
        spoiled[position] ^= 1
        kind, _ = refusal(GENESIS, LEAVES[INDEX], replace(PROOF, proof=bytes(spoiled)))
        assert kind is InclusionInvalid


PATHS: dict[str, tuple[InclusionProof, bytes, str]] = {
    "another transaction": (PROOF, LEAVES[0], "the proof is about another transaction"),
    "another transaction with its leaf": (
        replace(PROOF, leaf_hash=leaf_hash(LEAVES[0])),
        LEAVES[0],
        "proof leads to another root",
    ),
    "another leaf hash": (
        replace(PROOF, leaf_hash=bytes(32)),
        LEAVES[INDEX],
        "the proof is about another transaction",
    ),
    "size that the header denies": (
        replace(PROOF, proof=prove_inclusion(LEAVES[:4], INDEX)),
        LEAVES[INDEX],
        "proof is for 4 leaves, the header has 5",
    ),
    "no path": (replace(PROOF, proof=b""), LEAVES[INDEX], "proof of 0 bytes has no header"),
}


@pytest.mark.parametrize("name", PATHS)
def test_a_path_that_does_not_lead_to_the_root_is_refused(name: str) -> None:
    proof, transaction, message = PATHS[name]
    assert refusal(GENESIS, transaction, proof) == (InclusionInvalid, message)


def test_an_inner_node_is_no_transaction() -> None:
    """IDX1 11.1: leaves and nodes are hashed apart."""
    node = leaf_hash(LEAVES[0]) + leaf_hash(LEAVES[1])
    proof = replace(PROOF, leaf_hash=leaf_hash(node))
    assert refusal(GENESIS, node, proof)[0] is InclusionInvalid


# Changes of the active set


def after_change(changes: tuple[SetChange, ...], active_set: ActiveSet) -> InclusionProof:
    header = header_at(9)
    return replace(
        PROOF,
        header=header.encode(),
        seal=seal_by(header, active_set).encode(),
        set_changes=changes,
    )


def test_a_changed_set_is_followed_from_the_genesis() -> None:
    """BFT-12 10: active(h+1) is what header h commits to."""
    verify_inclusion(GENESIS, LEAVES[INDEX], after_change((change_at(4),), FIVE))
    back = change_at(6, ALL_SIX, signers=FIVE)
    verify_inclusion(GENESIS, LEAVES[INDEX], after_change((change_at(4), back), ALL_SIX))


BAD_CHANGES: dict[str, tuple[tuple[SetChange, ...], ActiveSet, type, str]] = {
    "left out": ((), FIVE, SealInvalid, "signature of bank 0 does not verify"),
    "sealed by the wrong set": (
        (change_at(4, signers=FIVE),),
        FIVE,
        SealInvalid,
        "signature of bank 0 does not verify",
    ),
    "old set after the change": (
        (change_at(4),),
        ALL_SIX,
        SealInvalid,
        "signer 4 is not active at this height",
    ),
    "too late": (
        (change_at(9),),
        FIVE,
        ActiveSetInvalid,
        "a set change at height 9 is out of order or too late",
    ),
    "out of order": (
        (change_at(4), change_at(4, ALL_SIX, signers=FIVE)),
        ALL_SIX,
        ActiveSetInvalid,
        "a set change at height 4 is out of order or too late",
    ),
    "no change": (
        (change_at(4, ALL_SIX),),
        ALL_SIX,
        ActiveSetInvalid,
        "the header of height 4 changes no set",
    ),
    "another set than named": (
        (replace(change_at(4), active_set=encode_set(ALL_SIX)),),
        FIVE,
        ActiveSetInvalid,
        "the active set is not the one the header names",
    ),
}


@pytest.mark.parametrize("name", BAD_CHANGES)
def test_a_change_that_was_not_sealed_is_refused(name: str) -> None:
    changes, active_set, error, message = BAD_CHANGES[name]
    proof = after_change(changes, active_set)
    assert refusal(GENESIS, LEAVES[INDEX], proof) == (error, message)


def without_last(data: bytes) -> bytes:
    return data[:-1]


SETS: dict[str, tuple[bytes, str]] = {
    "quorum": (encode_set(FIVE, quorum=3), "a quorum of 3 is not the rule for 5 banks"),
    "domain": (Writer().blob(b"bft12/1/sex").finish(), "these bytes are not an active set"),
    "cut": (
        without_last(encode_set(FIVE)),
        "the active set does not decode: 96 bytes wanted at offset 671 of 766",
    ),
    "trailing": (
        encode_set(FIVE) + b"\x00",
        "the active set does not decode: 1 bytes follow the value",
    ),
}


@pytest.mark.parametrize("name", SETS)
def test_bytes_that_are_no_active_set_are_refused(name: str) -> None:
    data, message = SETS[name]
    with pytest.raises(ActiveSetInvalid) as caught:
        decode_active_set(data, hashlib.sha256(data).digest())
    assert str(caught.value) == message


def test_an_active_set_survives_its_encoding() -> None:
    assert decode_active_set(encode_set(FIVE), FIVE.set_hash) == FIVE


# The state


def sealed_state() -> SealedState:
    state = replace(genesis_state(GENESIS), height=Height(7))
    header = header_at(7, post_state_root=state.root())
    return SealedState(header.encode(), seal_by(header).encode(), state.encode())


def test_a_state_is_the_one_a_sealed_header_commits_to() -> None:
    header, state = SealVerifier(GENESIS).verify_state(sealed_state())
    assert (header.height, state.height, state.root()) == (7, 7, header.post_state_root)


def test_the_genesis_needs_no_seal_but_must_be_the_genesis() -> None:
    header, state = genesis_header(GENESIS), genesis_state(GENESIS)
    verifier = SealVerifier(GENESIS)
    sealed = SealedState(header.encode(), b"", state.encode())
    assert verifier.verify_state(sealed) == (header, state)
    forged = replace(header, time_ms=TimeMs(header.time_ms + 1))
    for wrong in (replace(sealed, header=forged.encode()), replace(sealed, seal=b"\x00")):
        with pytest.raises(HeaderInvalid) as caught:
            verifier.verify_state(wrong)
        assert str(caught.value) == "the header of height 0 is not that of this genesis"


def test_an_altered_state_is_refused() -> None:
    sealed = sealed_state()
    spoil: list[Callable[[bytes], bytes]] = [
        lambda data: data[:-1],
        lambda data: data + b"\x00",
        lambda data: bytes([data[0] ^ 1]) + data[1:],
    ]
    for change in spoil:
        with pytest.raises(StateInvalid) as caught:
            SealVerifier(GENESIS).verify_state(replace(sealed, state=change(sealed.state)))
        assert str(caught.value) == "the state is not the one the header commits to"


def test_a_sealed_root_of_something_else_is_no_state() -> None:
    data = b"not a state"
    header = header_at(7, post_state_root=hashlib.sha256(data).digest())
    sealed = SealedState(header.encode(), seal_by(header).encode(), data)
    with pytest.raises(StateInvalid, match="the state does not decode"):
        SealVerifier(GENESIS).verify_state(sealed)


def test_a_state_of_another_height_is_refused() -> None:
    state = replace(genesis_state(GENESIS), height=Height(6))
    header = header_at(7, post_state_root=state.root())
    sealed = SealedState(header.encode(), seal_by(header).encode(), state.encode())
    with pytest.raises(StateInvalid, match="the state is of height 6, not 7"):
        SealVerifier(GENESIS).verify_state(sealed)
