"""Proofs that a block is invalid, E5 (BFT-12 9), and that none exists against a valid one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.ballot import BallotContext, Decision, sign_ballot
from crypto.curve import decode_curve, encode_point
from crypto.layout import SIGNATURE_BYTES
from crypto.merkle import merkle_root, prove_inclusion
from crypto.scalar import ORDER
from crypto.signature import sign
from crypto.transaction import (
    Kind,
    Mint,
    Transfer,
    core_digest,
    decode_transaction,
    proof_digest,
)
from crypto.transcript import hash64
from node.ledger.ballots import ballot_tag
from node.ledger.blocks import MAX_BALLOT_BYTES, Header
from node.ledger.encoding import Writer
from node.ledger.governance import GovernanceKind
from node.ledger.invalidity import MAX_PROVEN_BYTES, disprove, prove_invalidity
from node.ledger.parameters import Parameters
from node.ledger.rejection import Reason, Rejection
from node.ledger.types import Amount, Height, TimeMs
from tests.crypto.universe import torsion_point
from tests.ledger import booth
from tests.ledger.chain import FEE, GOLD, Chain, issuer_secret, make_genesis
from tests.ledger.settling import voted_year

ANY_FAULT = Rejection(Reason.STATE_ROOT, "whatever the voter saw")


def header_over(chain: Chain, raws: Sequence[bytes]) -> Header:
    """What a faulty leader signs without looking at the transactions."""
    honest = chain.build().block.header
    return replace(honest, transaction_count=len(raws), transactions_root=merkle_root(list(raws)))


def encode_proof(form: int, *items: tuple[bytes, bytes]) -> bytes:
    """The encoding as the module's table describes it."""
    writer = Writer().blob(b"consortium/invalidity/1").u8(form)
    for raw, inclusion in items:
        writer.blob(raw).blob(inclusion)
    return writer.finish()


def included(raws: Sequence[bytes], index: int) -> tuple[bytes, bytes]:
    return raws[index], prove_inclusion(list(raws), index)


def shows_nothing(chain: Chain, header: Header, proof: bytes) -> str:
    with pytest.raises(Rejection) as error:
        disprove(chain.genesis, header, proof)
    assert (error.value.reason, error.value.transaction_index) == (Reason.EVIDENCE, None)
    return error.value.message


def put(raw: bytes, at: int, new: bytes) -> bytes:
    return raw[:at] + new + raw[at + len(new) :]


def flip(raw: bytes, at: int) -> bytes:
    at %= len(raw)
    return put(raw, at, bytes([raw[at] ^ 1]))


def sign_again(raw: bytes, bank: int = 0) -> bytes:
    """A mint after a change, with its issuer's signature made good."""
    mint = decode_transaction(raw, 4)
    assert isinstance(mint, Mint)
    outputs = [raw[start:end] for start, end in mint.layout.outputs]
    core = core_digest(raw[: mint.layout.outputs[0][0]], [], outputs)
    digest = proof_digest(core, mint.range_proof)
    message = hash64("IDX1/issue-sig", digest, mint.issue_proof)
    return raw[:-SIGNATURE_BYTES] + sign(issuer_secret(bank), message)


def transfer_fault(
    change: Callable[[bytes, Transfer], bytes],
) -> Callable[[Chain], bytes]:
    def make(chain: Chain) -> bytes:
        raw = chain.transfer(chain.mature()[:2])
        transfer = decode_transaction(raw, 4)
        assert isinstance(transfer, Transfer)
        return change(raw, transfer)

    return make


def off_curve(raw: bytes, transfer: Transfer) -> bytes:
    return flip(raw, transfer.layout.points[0].end - 1)


def identity(raw: bytes, transfer: Transfer) -> bytes:
    return put(raw, transfer.layout.points[3].start, bytes(96))


def outside_the_subgroup(raw: bytes, transfer: Transfer) -> bytes:
    field = next(field for field in transfer.layout.points if field.strict)
    point = decode_curve(raw[field.start : field.end])
    return put(raw, field.start, encode_point(point + torsion_point(3)))


def scalar_too_large(raw: bytes, transfer: Transfer) -> bytes:
    return put(raw, transfer.layout.scalars[0][0], int(ORDER).to_bytes(32, "little"))


def nullifier_twice(raw: bytes, transfer: Transfer) -> bytes:
    second = transfer.layout.inputs[1][0] + 8
    return put(raw, second, transfer.inputs[0].nullifier)


def key_twice(raw: bytes, transfer: Transfer) -> bytes:
    return put(raw, transfer.layout.outputs[1][0], transfer.outputs[0].one_time_key)


ALONE: list[tuple[str, Reason, Callable[[Chain], bytes]]] = [
    ("no transaction", Reason.VERSION, lambda chain: b"\x07" * 100),
    ("no bytes", Reason.LENGTH, lambda chain: b""),
    ("cut short", Reason.LENGTH, lambda chain: chain.mint([1])[:-1]),
    ("too long", Reason.SIZE, lambda chain: bytes(MAX_PROVEN_BYTES)),
    ("other chain", Reason.CHAIN, lambda chain: chain.mint([1], chain_id=bytes(32))),
    ("expired", Reason.EXPIRED, lambda chain: chain.mint([1], expiry=chain.height)),
    ("expiry", Reason.EXPIRY_TOO_FAR, lambda chain: chain.mint([1], expiry=99_999)),
    ("asset", Reason.ASSET, lambda chain: chain.mint([1], asset=b"no such asset...")),
    ("payout", Reason.PAYOUT_ASSET, lambda chain: chain.mint([1], asset=GOLD, kind=Kind.PAYOUT)),
    ("fee", Reason.FEE, lambda chain: chain.transfer(chain.mature()[:1], fee=FEE + 1)),
    (
        "redeem",
        Reason.REDEEM_ASSET,
        lambda chain: chain.transfer(chain.mature(GOLD)[:1], redeem=1),
    ),
    (
        "account",
        Reason.ACCOUNT,
        lambda chain: chain.transfer(chain.mature()[:1], redeem=1, account=b"a" * 32),
    ),
    ("off the curve", Reason.POINT, transfer_fault(off_curve)),
    ("identity", Reason.IDENTITY, transfer_fault(identity)),
    ("subgroup", Reason.SUBGROUP, transfer_fault(outside_the_subgroup)),
    ("scalar", Reason.SCALAR, transfer_fault(scalar_too_large)),
    ("spent within", Reason.NULLIFIER, transfer_fault(nullifier_twice)),
    ("key within", Reason.NOTE, transfer_fault(key_twice)),
    ("signature", Reason.SIGNATURE, lambda chain: flip(chain.mint([1]), -1)),
    ("other issuer", Reason.SIGNATURE, lambda chain: sign_again(chain.mint([1]), bank=1)),
    (
        "range proof",
        Reason.RANGE,
        lambda chain: sign_again(put(chain.mint([1]), -64 - 96 - 32 - 32, b"\x01")),
    ),
    (
        "issue proof",
        Reason.ISSUE,
        lambda chain: sign_again(put(chain.mint([1]), -64 - 32, bytes(32))),
    ),
    (
        "payout's issue proof",
        Reason.ISSUE,
        lambda chain: sign_again(put(chain.mint([1], kind=Kind.PAYOUT), -64 - 32, bytes(32))),
    ),
    (
        "stake signature",
        Reason.SIGNATURE,
        lambda chain: flip(chain.move_stake(GovernanceKind.STAKE_TOP_UP, 5), -1),
    ),
    (
        "stake of another chain",
        Reason.CHAIN,
        lambda chain: chain.move_stake(GovernanceKind.STAKE_TOP_UP, 5, chain_id=bytes(32)),
    ),
    (
        "stake expired",
        Reason.EXPIRED,
        lambda chain: chain.move_stake(GovernanceKind.STAKE_TOP_UP, 5, expiry=chain.height),
    ),
    (
        "approval signature",
        Reason.SIGNATURE,
        lambda chain: flip(chain.readmission(chain.terms(1)), -1),
    ),
]


@pytest.mark.parametrize(("name", "reason", "make"), ALONE, ids=[case[0] for case in ALONE])
def test_section_9_e5_a_transaction_that_is_invalid_by_itself(
    chain: Chain, name: str, reason: Reason, make: Callable[[Chain], bytes]
) -> None:
    """Header, Merkle path, the offending transaction; anybody with the genesis is convinced."""
    raws = [chain.mint([9]), make(chain), chain.mint([8])]
    header = header_over(chain, raws)
    proof = prove_invalidity(chain.genesis, header, raws, ANY_FAULT.at(1))
    assert proof == encode_proof(2, included(raws, 1))
    assert disprove(chain.genesis, header, proof) is reason
    for honest in (0, 2):
        assert prove_invalidity(chain.genesis, header, raws, ANY_FAULT.at(honest)) is None
        assert shows_nothing(chain, header, encode_proof(2, included(raws, honest))) == (
            "nothing is wrong with what the proof shows"
        )


def test_section_9_e5_a_settlement_that_does_not_count_every_bank() -> None:
    """That its proof is false, in contrast, takes the state to see."""
    chain = voted_year().fork()
    short = chain.settlement(2026, order=(0, 1, 2, 3, 4))
    header = header_over(chain, [short])
    proof = prove_invalidity(chain.genesis, header, [short], ANY_FAULT.at(0))
    assert proof is not None
    assert disprove(chain.genesis, header, proof) is Reason.COUNTS
    false = chain.settlement(2026, {0: 4, 1: 3, 2: 4, 3: 4, 4: 4, 5: 1})
    header = header_over(chain, [false])
    assert prove_invalidity(chain.genesis, header, [false], ANY_FAULT.at(0)) is None


def test_section_9_e5_is_what_the_voters_saw_too(chain: Chain) -> None:
    """The rejection of a vote, with its place, is what a proof is made from."""
    raws = [chain.mint([9]), flip(chain.mint([1]), -1)]
    header = header_over(chain, raws)
    verdicts = chain.judge(raws)
    block = replace(
        chain.build().block,
        header=header,
        transaction_ids=tuple(chain.decode(raw).transaction_id for raw in raws),
    )
    with pytest.raises(Rejection) as error:
        chain.validate(block, verdicts)
    assert (error.value.reason, error.value.transaction_index) == (Reason.SIGNATURE, 1)
    proof = prove_invalidity(chain.genesis, header, raws, error.value)
    assert proof is not None
    assert disprove(chain.genesis, header, proof) is Reason.SIGNATURE


def test_section_9_e5_two_transactions_that_exclude_each_other(chain: Chain) -> None:
    note, other = chain.mature()[:2]
    mint = chain.mint([1, 2])
    first, second = chain.transfer([note]), chain.transfer([other, note])
    raws = [mint, first, chain.mint([7]), second, mint]
    header = header_over(chain, raws)
    for later, earlier, reason in ((3, 1, Reason.NULLIFIER), (4, 0, Reason.DUPLICATE_TRANSACTION)):
        proof = prove_invalidity(chain.genesis, header, raws, ANY_FAULT.at(later))
        assert proof == encode_proof(3, included(raws, earlier), included(raws, later))
        assert disprove(chain.genesis, header, proof) is reason
    stolen = put(raws[2], 100, chain.decode(mint).outputs[0].one_time_key)
    raws = [mint, stolen]
    header = header_over(chain, raws)
    proof = encode_proof(3, included(raws, 0), included(raws, 1))
    assert disprove(chain.genesis, header, proof) is Reason.NOTE


def test_section_9_e5_a_transaction_is_no_duplicate_of_itself(chain: Chain) -> None:
    raws = [chain.mint([1]), chain.transfer(chain.mature()[:1])]
    header = header_over(chain, raws)
    message = "the two transactions are not in the block's order"
    for first, second in ((0, 0), (1, 1), (1, 0)):
        proof = encode_proof(3, included(raws, first), included(raws, second))
        assert shows_nothing(chain, header, proof) == message


def test_section_9_e5_a_header_that_breaks_a_rule_by_itself() -> None:
    parameters = Parameters(ring_base=4, transfer_fee=Amount(FEE), batch_limit=2)
    chain = Chain(make_genesis(parameters=parameters))
    honest = header_over(chain, [chain.mint([1]), chain.mint([2])])
    proof = encode_proof(1)
    assert shows_nothing(chain, honest, proof) == "nothing is wrong with what the proof shows"
    for header, reason in (
        (replace(honest, transaction_count=3), Reason.TRANSACTION_COUNT),
        (replace(honest, chain_id=bytes(32)), Reason.CHAIN),
    ):
        assert prove_invalidity(chain.genesis, header, (), Rejection(reason, "")) == proof
        assert disprove(chain.genesis, header, proof) is reason


def state_faults(chain: Chain) -> Iterator[tuple[Reason, bytes]]:
    """Invalid, but only for who knows the state."""
    note = chain.mature()[0]
    yield Reason.SPEND, flip(chain.transfer([note]), -1)
    transfer = chain.transfer([note])
    layout = decode_transaction(transfer, 4).layout
    yield Reason.RANGE, put(transfer, layout.proofs - 32, bytes(32))
    yield Reason.BIN_UNKNOWN, put(transfer, layout.inputs[0][0], (77).to_bytes(8, "little"))
    yield Reason.ISSUER, chain.mint([1], bank=3, asset=GOLD)
    yield Reason.ISSUANCE_LIMIT, chain.mint([2_000_000])
    yield Reason.INSUFFICIENT_ACCOUNT, chain.mint([2_000_000], kind=Kind.PAYOUT)
    yield Reason.NONCE, chain.move_stake(GovernanceKind.STAKE_TOP_UP, 5, nonce=9)
    yield Reason.APPROVAL_COUNT, chain.readmission(chain.terms(1), approvers=[2])
    yield Reason.APPROVED_SET, chain.readmission(replace(chain.terms(1), set_hash=bytes(32)))


def test_section_9_what_reads_the_state_has_no_proof(chain: Chain) -> None:
    """E6 is for these: a quorum of rejections instead. The range proof of a TRANSFER is among them,
    for its challenges hash the rings (IDX1 5.5)."""
    for reason, raw in state_faults(chain):
        header = header_over(chain, [raw])
        rejection = Rejection(reason, "", 0)
        assert prove_invalidity(chain.genesis, header, [raw], rejection) is None, reason
        assert shows_nothing(chain, header, encode_proof(2, included([raw], 0)))


def test_section_9_nothing_is_made_of_what_does_not_belong_together(chain: Chain) -> None:
    bad = flip(chain.mint([1]), -1)
    header = header_over(chain, [bad])
    for raws, rejection in (
        ([bad], Rejection(Reason.STATE_ROOT, "no place is named")),
        ([bad], Rejection(Reason.CLOCK, "class S is never punished", 0)),
        ([chain.mint([1])], ANY_FAULT.at(0)),
        ([bad, bad], ANY_FAULT.at(0)),
    ):
        assert prove_invalidity(chain.genesis, header, raws, rejection) is None
    huge = bytes(MAX_PROVEN_BYTES + 1)
    header = header_over(chain, [huge])
    assert prove_invalidity(chain.genesis, header, [huge], ANY_FAULT.at(0)) is None


def test_section_9_a_proof_is_about_its_own_header(chain: Chain) -> None:
    bad = flip(chain.mint([1]), -1)
    raws = [chain.mint([2]), bad]
    header = header_over(chain, raws)
    proof = encode_proof(2, included(raws, 1))
    assert disprove(chain.genesis, header, proof) is Reason.SIGNATURE
    for other in (
        replace(header, transactions_root=bytes(32)),
        replace(header, transaction_count=3),
        header_over(chain, raws[:1]),
        header_over(chain, [bad, bad]),
    ):
        assert shows_nothing(chain, other, proof).startswith("proof of an invalid block: ")
    forged = [encode_proof(2, (bad, included(raws, 0)[1])), encode_proof(2, (bad, b""))]
    for other_proof in forged:
        assert shows_nothing(chain, header, other_proof).startswith("proof of an invalid block: ")


@pytest.fixture(scope="module")
def sealed(funded_chain: Chain) -> tuple[Chain, Header, list[bytes]]:
    """A valid block with every kind of transaction but a readmission, and what it followed."""
    chain = funded_chain.fork()
    notes = chain.mature()
    chain.seal(chain.transfer(notes[:1], redeem=900))
    raws = [
        chain.mint([1, 2]),
        chain.transfer(notes[1:2]),
        chain.transfer(chain.mature(GOLD)[:1]),
        chain.mint([70], bank=1, kind=Kind.PAYOUT),
        chain.transfer(notes[2:4], redeem=5),
        chain.move_stake(GovernanceKind.STAKE_TOP_UP, 300),
        chain.move_stake(GovernanceKind.STAKE_WITHDRAWAL, 50, nonce=1),
    ]
    before = chain.fork()
    return before, chain.seal(*raws).block.header, raws


def encode_ballots(ballots: Sequence[bytes]) -> bytes:
    """Form 4, as the module's table describes it."""
    return encode_proof(4) + Writer().many(ballots, Writer.blob).finish()


def header_with(chain: Chain, ballots: Sequence[bytes]) -> Header:
    """What a faulty leader signs without looking at the ballots."""
    return replace(chain.build().block.header, ballots_root=merkle_root(list(ballots)))


def test_section_17_e5_ballots_that_are_no_voting_record(chain: Chain) -> None:
    """What the bytes show to anybody, whoever the banks were."""
    header, active = chain.header, chain.parent_set
    good = sorted([booth.cast(active, header, bank) for bank in range(4)], key=ballot_tag)
    other_block = replace(header, time_ms=TimeMs(header.time_ms + 1))
    other_height = BallotContext(chain.genesis.chain_id, header.height - 1, 0)
    other_chain = BallotContext(bytes(32), header.height, 0)
    replays = [
        sign_ballot(
            booth.ballot_key(3), active.ballot_ring, context, header.block_id, Decision.APPROVE
        )
        for context in (other_height, other_chain)
    ]
    also_rejects = booth.cast(active, header, 0, decision=Decision.REJECT)
    cases: list[tuple[list[bytes], Reason]] = [
        (good[::-1], Reason.BALLOTS),
        ([*good, good[3]], Reason.BALLOTS),
        (sorted([*good, also_rejects], key=ballot_tag), Reason.BALLOTS),
        (sorted([*good[:3], booth.cast(active, header, 0, 5)], key=ballot_tag), Reason.BALLOTS),
        ([booth.cast(active, other_block, 0)], Reason.BALLOTS),
        ([replays[0]], Reason.BALLOTS),
        ([replays[1]], Reason.CHAIN),
        ([b"short"], Reason.LENGTH),
    ]
    for ballots, reason in cases:
        faulty = header_with(chain, ballots)
        proof = encode_ballots(ballots)
        assert prove_invalidity(chain.genesis, faulty, [], ANY_FAULT, ballots) == proof
        assert disprove(chain.genesis, faulty, proof) is reason
        assert shows_nothing(chain, chain.build().block.header, proof) == (
            "the ballots are not the header's"
        )
        assert prove_invalidity(chain.genesis, faulty, [], ANY_FAULT, good) is None


def test_section_17_what_takes_the_active_set_has_no_proof(chain: Chain) -> None:
    """How many ballots there must be, and whether their proofs hold: E6 is for these."""
    votes = [item.raw for item in chain.votes()]
    good = sorted(votes, key=ballot_tag)
    for ballots in (good, good[:3], [*good[:3], flip(good[3], -1)]):
        faulty = header_with(chain, ballots)
        assert prove_invalidity(chain.genesis, faulty, [], ANY_FAULT, ballots) is None
        assert shows_nothing(chain, faulty, encode_ballots(ballots)) == (
            "nothing is wrong with what the proof shows"
        )


def test_section_17_e5_only_the_first_block_has_no_ballots(chain: Chain) -> None:
    """The header shows it: no seal of the genesis, and a seal of every other parent."""
    first = Chain().build().block.header
    assert prove_invalidity(chain.genesis, first, [], ANY_FAULT) is None
    later = chain.build().block.header
    for faulty in (
        replace(first, ballots_root=later.ballots_root),
        replace(later, ballots_root=first.ballots_root),
    ):
        proof = encode_proof(1)
        assert prove_invalidity(chain.genesis, faulty, [], ANY_FAULT) == proof
        assert disprove(chain.genesis, faulty, proof) is Reason.BALLOTS


def test_section_17_a_list_of_ballots_is_bounded(chain: Chain) -> None:
    header = chain.build().block.header
    for ballots in ([b""] * 17, [bytes(MAX_BALLOT_BYTES + 1)]):
        assert shows_nothing(chain, header, encode_ballots(ballots)).startswith(
            "proof of an invalid block: "
        )


def test_section_1_no_proof_exists_against_a_valid_block(
    sealed: tuple[Chain, Header, list[bytes]],
) -> None:
    """No framing: not one transaction, not one pair, not the header, whatever is claimed."""
    chain, header, raws = sealed
    everything = range(len(raws))
    for index in everything:
        assert prove_invalidity(chain.genesis, header, raws, ANY_FAULT.at(index)) is None
    proofs = [encode_proof(1), *(encode_proof(2, included(raws, index)) for index in everything)]
    proofs += [
        encode_proof(3, included(raws, first), included(raws, second))
        for first in everything
        for second in everything
    ]
    ballots = sorted([item.raw for item in chain.votes()], key=ballot_tag)
    assert prove_invalidity(chain.genesis, header, raws, ANY_FAULT, ballots) is None
    proofs += [encode_ballots(ballots), encode_ballots(ballots[::-1]), encode_ballots([])]
    for proof in proofs:
        assert shows_nothing(chain, header, proof)


@given(data=st.data())
def test_section_1_no_forged_proof_convicts_a_valid_block(
    sealed: tuple[Chain, Header, list[bytes]], data: st.DataObject
) -> None:
    """Changed bytes, foreign transactions, wrong places, cut, longer and arbitrary bytes."""
    chain, header, raws = sealed
    indices = st.integers(0, len(raws) - 1)
    paths = st.builds(lambda index: included(raws, index)[1], indices)
    bodies = st.one_of(
        indices.map(lambda index: raws[index]),
        st.builds(flip, indices.map(lambda index: raws[index]), st.integers(0, 10_000)),
        st.binary(max_size=200),
    )
    items = st.tuples(bodies, paths | st.binary(max_size=300))
    votes = [item.raw for item in chain.votes()]
    ballots = st.lists(st.sampled_from(votes) | st.binary(max_size=200), max_size=6)
    proof = data.draw(
        st.one_of(
            st.builds(encode_ballots, ballots),
            st.builds(lambda item: encode_proof(2, item), items),
            st.builds(lambda one, two: encode_proof(3, one, two), items, items),
            st.binary(max_size=100),
        )
    )
    match data.draw(st.sampled_from(("whole", "cut", "longer", "flipped"))):
        case "cut":
            proof = proof[: data.draw(st.integers(0, len(proof)))]
        case "longer":
            proof += data.draw(st.binary(min_size=1, max_size=4))
        case "flipped" if proof:
            proof = flip(proof, data.draw(st.integers(0, len(proof) - 1)))
    assert shows_nothing(chain, header, proof)


def test_section_9_e5_may_be_checked_at_any_later_height(chain: Chain) -> None:
    """The header's own height counts, not the checker's."""
    raw = chain.mint([1], expiry=chain.height + 1)
    honest = header_over(chain, [raw])
    proof = encode_proof(2, included([raw], 0))
    assert shows_nothing(chain, honest, proof)
    late = replace(honest, height=Height(honest.height + 1))
    assert disprove(chain.genesis, late, proof) is Reason.EXPIRED
