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
from node.ledger.active_set import SET_DOMAIN, ActiveSet
from node.ledger.ballots import BallotCertificate, Decision, ballot_tag
from node.ledger.blocks import Header
from node.ledger.encoding import Writer
from node.ledger.genesis import Genesis
from node.ledger.state import genesis_header, genesis_state
from node.ledger.types import BankIndex, BlockId, Height, TimeMs, TransactionId, View
from node.wire.records import InclusionProof, PublishedSetChange, PublishedState
from tests.client.small_bank import certify
from tests.ledger import booth
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


def change_at(
    height: int, next_set: ActiveSet = FIVE, signers: ActiveSet = ALL_SIX
) -> PublishedSetChange:
    header = header_at(height, next_set)
    certificate = certify(header, signers).encode()
    return PublishedSetChange(header.encode(), certificate, encode_set(next_set))


HEADER = header_at(7)
PROOF = InclusionProof(
    header=HEADER.encode(),
    certificate=certify(HEADER, ALL_SIX).encode(),
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


def test_section_17_the_certificates_of_one_block_may_differ() -> None:
    """Ballots and view may be others at another bank."""
    for banks, view in (((1, 2, 3, 4, 5), 0), ((0, 1, 2, 3, 4), 3)):
        certificate = certify(HEADER, ALL_SIX, banks, view).encode()
        verify_inclusion(GENESIS, LEAVES[INDEX], replace(PROOF, certificate=certificate))


def test_a_verifier_that_has_seen_a_ballot_still_checks_what_it_is_about() -> None:
    """A remembered ballot counts for its own block, height and view alone."""
    verifier = SealVerifier(GENESIS)
    verifier.verify_inclusion(LEAVES[INDEX], PROOF)
    moved = BallotCertificate.decode(PROOF.certificate)
    for changes, message in (
        ({"view": View(1)}, "a ballot is of another height or view"),
        ({"height": Height(8)}, "the ballot certificate is of another block"),
    ):
        wrong = replace(moved, **changes).encode()  # type: ignore[arg-type]
        with pytest.raises(SealInvalid, match=message):
            verifier.verify_inclusion(LEAVES[INDEX], replace(PROOF, certificate=wrong))
    assert verifier.verify_inclusion(LEAVES[INDEX], PROOF).index == INDEX


def test_a_verifier_remembers_a_bounded_number_of_ballots() -> None:
    verifier = SealVerifier(GENESIS, remembered_ballots=3)
    for _ in range(2):
        assert verifier.verify_inclusion(LEAVES[INDEX], PROOF).index == INDEX


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
        "the ballot certificate is of another block",
    )


def test_every_field_of_the_header_was_altered() -> None:
    assert {*HEADER_CHANGES, "chain_id"} == set(Header.__dataclass_fields__)


def test_a_header_of_another_chain_is_refused() -> None:
    other = make_genesis(banks=5)
    assert refusal(other, LEAVES[INDEX], PROOF) == (
        HeaderInvalid,
        "the header is of another chain",
    )


GOOD = certify(HEADER, ALL_SIX)


def altered(**changes: object) -> bytes:
    return replace(GOOD, **changes).encode()  # type: ignore[arg-type]


def cast(
    *,
    bank: int = 5,
    header: Header = HEADER,
    active_set: ActiveSet = ALL_SIX,
    view: int | None = None,
    decision: Decision = Decision.APPROVE,
) -> bytes:
    return booth.cast(active_set, header, bank, view, decision)


def with_ballot(raw: bytes) -> bytes:
    """The certificate with this ballot in place of that of bank 4."""
    kept = [cast(bank=bank) for bank in range(4)]
    return altered(ballots=tuple(sorted([*kept, raw], key=ballot_tag)))


CONTEXT = "a ballot does not verify: context: ballot for another height or round"
EQUATION = "a ballot does not verify: ballot: an equation does not hold"
OTHER_BLOCK = "ballots: a ballot is not an approval of this block"
ORDER = "ballots: the tags are not in strictly increasing order"
BAD_CERTIFICATES: dict[str, tuple[bytes, str]] = {
    "height": (altered(height=Height(8)), "the ballot certificate is of another block"),
    "block": (altered(block_id=BlockId(bytes(32))), "the ballot certificate is of another block"),
    "view": (altered(view=View(1)), CONTEXT),
    "too few": (
        altered(ballots=GOOD.ballots[:-1]),
        "ballots: 4 ballots, exactly 5 are required",
    ),
    "too many": (
        certify(HEADER, ALL_SIX, range(6)).encode(),
        "ballots: 6 ballots, exactly 5 are required",
    ),
    "one bank twice": (altered(ballots=(GOOD.ballots[0], *GOOD.ballots[:-1])), ORDER),
    "order": (altered(ballots=GOOD.ballots[::-1]), ORDER),
    "another view's": (with_ballot(cast(view=1)), CONTEXT),
    "another block's": (with_ballot(cast(header=header_at(7, time_ms=TimeMs(1)))), OTHER_BLOCK),
    "another height's": (with_ballot(cast(header=header_at(8))), OTHER_BLOCK),
    "a rejection": (with_ballot(cast(decision=Decision.REJECT)), OTHER_BLOCK),
    "another set's": (with_ballot(cast(active_set=FIVE)), "a ballot does not verify: length"),
    "an altered proof": (
        with_ballot(cast()[:-1] + bytes([cast()[-1] ^ 1])),
        EQUATION,
    ),
    "empty": (b"", "the ballot certificate does not decode: 8 bytes wanted at offset 0 of 0"),
    "trailing": (
        GOOD.encode() + b"\x00",
        "the ballot certificate does not decode: 1 bytes follow the value",
    ),
}


@pytest.mark.parametrize("name", BAD_CERTIFICATES)
def test_section_17_what_is_no_certificate_of_the_block_is_refused(name: str) -> None:
    """Exactly q ballots, distinct tags in order, one context, this block, the set's ring."""
    certificate, message = BAD_CERTIFICATES[name]
    error, said = refusal(GENESIS, LEAVES[INDEX], replace(PROOF, certificate=certificate))
    assert (error, said[: len(message)]) == (SealInvalid, message)


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


def after_change(changes: tuple[PublishedSetChange, ...], active_set: ActiveSet) -> InclusionProof:
    header = header_at(9)
    return replace(
        PROOF,
        header=header.encode(),
        certificate=certify(header, active_set).encode(),
        set_changes=changes,
    )


def test_a_changed_set_is_followed_from_the_genesis() -> None:
    """BFT-12 10: active(h+1) is what header h commits to."""
    verify_inclusion(GENESIS, LEAVES[INDEX], after_change((change_at(4),), FIVE))
    back = change_at(6, ALL_SIX, signers=FIVE)
    verify_inclusion(GENESIS, LEAVES[INDEX], after_change((change_at(4), back), ALL_SIX))


BAD_CHANGES: dict[str, tuple[tuple[PublishedSetChange, ...], ActiveSet, type, str]] = {
    "left out": ((), FIVE, SealInvalid, "a ballot does not verify: "),
    "sealed by the wrong set": (
        (change_at(4, signers=FIVE),),
        FIVE,
        SealInvalid,
        "a ballot does not verify: ",
    ),
    "old set after the change": (
        (change_at(4),),
        ALL_SIX,
        SealInvalid,
        "a ballot does not verify: ",
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
    kind, said = refusal(GENESIS, LEAVES[INDEX], proof)
    assert (kind, said[: len(message)]) == (error, message)


def without_last(data: bytes) -> bytes:
    return data[:-1]


SETS: dict[str, tuple[bytes, str]] = {
    "quorum": (
        encode_set(FIVE, quorum=3),
        "the active set does not decode: a quorum of 3 is not the rule for 5 banks",
    ),
    "domain": (
        Writer().blob(b"bft12/1/sex").finish(),
        "the active set does not decode: these bytes are not an active set",
    ),
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


def sealed_state() -> PublishedState:
    state = replace(genesis_state(GENESIS), height=Height(7))
    header = header_at(7, post_state_root=state.root())
    return PublishedState(header.encode(), certify(header, ALL_SIX).encode(), state.encode())


def test_a_state_is_the_one_a_sealed_header_commits_to() -> None:
    header, state = SealVerifier(GENESIS).verify_state(sealed_state())
    assert (header.height, state.height, state.root()) == (7, 7, header.post_state_root)


def test_the_genesis_needs_no_certificate_but_must_be_the_genesis() -> None:
    header, state = genesis_header(GENESIS), genesis_state(GENESIS)
    verifier = SealVerifier(GENESIS)
    sealed = PublishedState(header.encode(), b"", state.encode())
    assert verifier.verify_state(sealed) == (header, state)
    forged = replace(header, time_ms=TimeMs(header.time_ms + 1))
    for wrong in (replace(sealed, header=forged.encode()), replace(sealed, certificate=b"\x00")):
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
    sealed = PublishedState(header.encode(), certify(header, ALL_SIX).encode(), data)
    with pytest.raises(StateInvalid, match="the state does not decode"):
        SealVerifier(GENESIS).verify_state(sealed)


def test_a_state_of_another_height_is_refused() -> None:
    state = replace(genesis_state(GENESIS), height=Height(6))
    header = header_at(7, post_state_root=state.root())
    sealed = PublishedState(header.encode(), certify(header, ALL_SIX).encode(), state.encode())
    with pytest.raises(StateInvalid, match="the state is of height 6, not 7"):
        SealVerifier(GENESIS).verify_state(sealed)
