"""The production verifier and the independent reference give one verdict (IDX1 13).

The reference checks each equation by itself in pure Python, so what it is given here is chosen: of
the published vectors all but blocks and transactions, of these all that are decided before an
equation and, of the others, the first of every reason, kind and shape.
`python -m tests.reference tests/vectors/idx1.json` checks everything. The rest are random cases of
seeded generators: transactions and ballots that the production code builds, whole and damaged.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto import ballot as votes
from crypto import merkle
from crypto.batch import verify_transaction
from crypto.build import Payment, SpendableNote, build_issue, build_transfer
from crypto.curve import decode_curve, encode_point
from crypto.errors import CryptoError, NotMine, ProofOfPossessionInvalid, Rejected
from crypto.layout import Kind
from crypto.note import SessionKeys, scan_output, seal_output
from crypto.ring import close_bin
from crypto.scalar import ORDER
from crypto.signature import public_key_of
from crypto.transaction import decode_transaction
from node.cli.vector_checks import VectorFile
from node.cli.vector_checks.document import VectorLedger
from tests.reference import ballots as reference_ballots
from tests.reference import blocks, notes, tree, vectors
from tests.reference.framing import Refused
from tests.reference.rules import State

pytestmark = pytest.mark.long

DOCUMENT = json.loads((Path(__file__).parent / "vectors" / "idx1.json").read_bytes())
FILE = VectorFile(DOCUMENT)
TRANSACTIONS: dict[str, dict[str, Any]] = {case["name"]: case for case in DOCUMENT["transactions"]}
ORDER_3_POINT = decode_curve(bytes(95) + b"\x02")

EQUATION_REASONS = {None, "range", "spend", "issue"}


def production_verdict(data: bytes, ledger: VectorLedger) -> str | None:
    try:
        verify_transaction(data, ledger)
    except Rejected as error:
        return error.reason.value
    return None


def reference_verdict(data: bytes, state: State) -> str | None:
    try:
        blocks.judge(data, state)
    except Refused as refused:
        return refused.code
    return None


# Published vectors


@pytest.mark.parametrize("section", sorted(set(vectors.SECTIONS) - {"transactions", "blocks"}))
def test_reference_agrees_with_the_vectors(section: str) -> None:
    outcomes = list(vectors.SECTIONS[section](DOCUMENT))
    assert outcomes != []
    assert [name for name, passed in outcomes if not passed] == []


EARLY = [case for case in TRANSACTIONS.values() if case["reason"] not in EQUATION_REASONS]


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in EARLY])
def test_reference_agrees_before_the_equations_8_1_to_8_6(case: dict[str, Any]) -> None:
    assert vectors.early_verdict(DOCUMENT, case) == case["reason"]


def equation_cases() -> Iterator[dict[str, Any]]:
    """The first case of every reason, kind and number of inputs and outputs."""
    seen = set()
    for case in TRANSACTIONS.values():
        if case["reason"] in EQUATION_REASONS:
            data = bytes.fromhex(case["bytes"])
            shape = (case["reason"], data[1], data[50], data[51])
            if shape not in seen:
                seen.add(shape)
                yield case


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in equation_cases()])
def test_reference_agrees_on_the_equations_8_7(case: dict[str, Any]) -> None:
    assert vectors.check_transaction(DOCUMENT, case)


# Damaged transactions


def damage_bit(data: bytearray, dice: random.Random) -> None:
    data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)


def damage_point(data: bytearray, dice: random.Random) -> None:
    field = dice.choice(decode_transaction(bytes(data)).layout.points)
    point = decode_curve(bytes(data[field.start : field.end]))
    other = dice.choice(decode_transaction(bytes(data)).layout.points)
    data[field.start : field.end] = dice.choice(
        [
            bytes(96),
            encode_point(point + ORDER_3_POINT),
            encode_point(-point),
            bytes(data[other.start : other.end]),
            bytes(data[field.start + 48 : field.end]) + bytes(data[field.start : field.start + 48]),
        ]
    )


def damage_scalar(data: bytearray, dice: random.Random) -> None:
    start, end = dice.choice(decode_transaction(bytes(data)).layout.scalars)
    start = dice.randrange(start, end, 32)
    value = int.from_bytes(data[start : start + 32], "little")
    changed = dice.choice([0, 1, ORDER - 1, ORDER, 2**256 - 1, (value + 1) % ORDER, ORDER - value])
    data[start : start + 32] = int(changed).to_bytes(32, "little")


def damage_head(data: bytearray, dice: random.Random) -> None:
    position = dice.choice([1, 2, 34, 50, 51, 52, 60, 68, 99, 100, 107])
    data[position] = dice.choice([0, 1, 2, 3, 4, 5, 255])


def swap_fields(data: bytearray, dice: random.Random) -> None:
    layout = decode_transaction(bytes(data)).layout
    points = [(field.start, field.end) for field in layout.points]
    groups = [points, list(layout.outputs), list(layout.proof_spans)]
    spans = dice.choice([group for group in groups if len(group) > 1])
    (a, a_end), (b, b_end) = dice.sample(spans, 2)
    first, second = bytes(data[a:a_end]), bytes(data[b:b_end])
    data[a:a_end], data[b:b_end] = second, first


def change_length(data: bytearray, dice: random.Random) -> None:
    if dice.random() < 0.5:
        del data[dice.randrange(len(data)) :]
    else:
        data += bytes(dice.randrange(1, 200))


def graft_outputs(data: bytearray, dice: random.Random) -> None:
    donors = [case for case in TRANSACTIONS.values() if case["valid"]]
    donor = decode_transaction(bytes.fromhex(dice.choice(donors)["bytes"]))
    start, end = dice.choice(decode_transaction(bytes(data)).layout.outputs)
    data[start:end] = dice.choice(donor.outputs).encode()


DAMAGES = [
    damage_bit,
    damage_point,
    damage_scalar,
    damage_head,
    swap_fields,
    change_length,
    graft_outputs,
]
VALID = [bytes.fromhex(case["bytes"]) for case in TRANSACTIONS.values() if case["valid"]]
SMALL_VALID = [data for data in VALID if len(data) < 8000]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("damage", DAMAGES)
def test_one_verdict_on_damaged_transactions(
    damage: Callable[[bytearray, random.Random], None], seed: int
) -> None:
    dice = random.Random(f"{damage.__name__} {seed}")
    data = bytearray(dice.choice(SMALL_VALID))
    damage(data, dice)
    expected = reference_verdict(bytes(data), vectors.state(DOCUMENT))
    assert production_verdict(bytes(data), FILE.ledger) == expected


# Fresh transactions, at every ring base

CHAIN_ID = b"\x11" * 32
ASSET = b"\x22" * 16
ISSUER_SECRET = b"\x33" * 32
PAYER = SessionKeys.derive(b"\x44" * 32, 1)
PAYEE = SessionKeys.derive(b"\x55" * 32, 2)


class Ledger:
    """One closed bin of one asset, owned by the payer, seen by both verifiers."""

    def __init__(self, ring_base: int, values: list[int], dice: random.Random) -> None:
        outputs = [
            seal_output(
                address=PAYER.address,
                value=value,
                memo=bytes(32),
                index=0,
                asset=ASSET,
                chain_id=CHAIN_ID,
                random_bytes=dice.randbytes,
            ).output
            for value in values
        ]
        pairs = tuple((output.one_time_key, output.commitment) for output in outputs)
        self.closed_bin = close_bin(9, ASSET, pairs, ring_base)
        self.spendable = []
        for position, output in enumerate(outputs):
            note = scan_output(output, 0, ASSET, CHAIN_ID, PAYER)
            secrets = (note.value, note.spend_key, note.blinding)
            self.spendable.append(SpendableNote(self.closed_bin, position, *secrets))
        issuer = public_key_of(ISSUER_SECRET)
        known = frozenset(P for P, _ in pairs)
        self.production = VectorLedger(
            CHAIN_ID, 7, ring_base, {9: self.closed_bin}, {ASSET: frozenset({issuer})}, known
        )
        reference_bin = notes.Bin(9, ASSET, True, pairs, ring_base)
        self.reference = State(
            CHAIN_ID, 7, {9: reference_bin}, {ASSET: {issuer}}, set(), set(known), ring_base
        )
        assert reference_bin.digest() == self.closed_bin.digest

    def both_verdicts(self, data: bytes) -> tuple[str | None, str | None]:
        return production_verdict(data, self.production), reference_verdict(data, self.reference)


@cache
def ledger_of(ring_base: int) -> Ledger:
    dice = random.Random(ring_base)
    return Ledger(ring_base, [2**64 - 1, 0, 1000, 77, 12345], dice)


@pytest.mark.parametrize(
    ("ring_base", "positions", "payments", "fee", "redeem"),
    [
        (4, [0], 1, 0, 0),
        (4, [2, 3], 2, 3, 0),
        (8, [4], 2, 0, 5),
        (8, [1, 2, 3], 1, 1, 1),
        (16, [3], 1, 7, 0),
    ],
)
def test_the_reference_accepts_what_the_production_code_builds(
    ring_base: int, positions: list[int], payments: int, fee: int, redeem: int
) -> None:
    ledger = ledger_of(ring_base)
    inputs = [ledger.spendable[position] for position in positions]
    paid = sum(note.value for note in inputs) - fee - redeem
    split = [paid // 3] * (payments - 1)
    data = build_transfer(
        chain_id=CHAIN_ID,
        asset=ASSET,
        inputs=inputs,
        payments=[Payment(PAYEE.address, value) for value in [*split, paid - sum(split)]],
        fee=fee,
        redeem=redeem,
        account=b"\x66" * 32 if redeem else bytes(32),
        expiry=7,
    )
    assert ledger.both_verdicts(data) == (None, None)
    damaged = bytearray(data)
    damaged[-32] ^= 1
    assert ledger.both_verdicts(bytes(damaged)) == ("spend", "spend")


@pytest.mark.parametrize("kind", [Kind.ISSUE, Kind.PAYOUT])
def test_the_reference_accepts_mints(kind: Kind) -> None:
    ledger = ledger_of(4)
    data = build_issue(
        kind=kind,
        chain_id=CHAIN_ID,
        asset=ASSET,
        amount=1001,
        issuer_secret=ISSUER_SECRET,
        payments=[Payment(PAYEE.address, 1), Payment(PAYER.address, 1000)],
        expiry=7,
    )
    assert ledger.both_verdicts(data) == (None, None)
    changed = data[:-1] + bytes([data[-1] ^ 1])
    assert ledger.both_verdicts(changed) == ("signature", "signature")


# Notes


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**64 - 1), st.binary(min_size=32, max_size=32), st.integers(0, 3))
def test_one_reading_of_an_output_3_3(value: int, memo: bytes, index: int) -> None:
    output = seal_output(
        address=PAYEE.address,
        value=value,
        memo=memo,
        index=index,
        asset=ASSET,
        chain_id=CHAIN_ID,
    ).output
    wallet = notes.derive_wallet(b"\x55" * 32, 2)
    expected = notes.scan(output.encode(), index, ASSET, CHAIN_ID, wallet)
    found = scan_output(output, index, ASSET, CHAIN_ID, PAYEE)
    assert expected == notes.Received(found.spend_key, value, found.blinding, memo)
    assert found.nullifier == notes.nullifier(int(found.spend_key))
    assert notes.scan(output.encode(), index + 1, ASSET, CHAIN_ID, wallet) is None
    with pytest.raises(NotMine):
        scan_output(output, index + 1, ASSET, CHAIN_ID, PAYEE)


# Ballots


def vote_setting(size: int) -> tuple[votes.BallotRing, reference_ballots.BallotContext]:
    opener = votes.BallotKey(31337)
    keys = [votes.BallotKey(500 + index).public for index in range(size)]
    context = reference_ballots.BallotContext(CHAIN_ID, 3, 1, opener.public, tuple(keys))
    return votes.BallotRing(opener.public, keys), context


def ballot_verdicts(
    data: bytes, ring: votes.BallotRing, context: reference_ballots.BallotContext
) -> tuple[str | None, str | None]:
    production: str | None = None
    reference: str | None = None
    try:
        votes.verify_ballot(data, ring, votes.BallotContext(CHAIN_ID, 3, 1))
    except Rejected as error:
        production = error.reason.value
    try:
        reference_ballots.check_ballot(data, context)
    except Refused as refused:
        reference = refused.code
    return production, reference


@pytest.mark.parametrize("size", [2, 5, 12, 16])
def test_one_verdict_on_ballots_and_openings_9(size: int) -> None:
    dice = random.Random(size)
    ring, context = vote_setting(size)
    signer = dice.randrange(size)
    key, vote_context = votes.BallotKey(500 + signer), votes.BallotContext(CHAIN_ID, 3, 1)
    block_id = dice.randbytes(32)
    data = votes.sign_ballot(key, ring, vote_context, block_id, votes.Decision.APPROVE)
    assert ring.digest == context.ring_digest()
    assert ballot_verdicts(data, ring, context) == (None, None)
    for _ in range(8):
        damaged = bytearray(data)
        damage_bit(damaged, dice)
        production, reference = ballot_verdicts(bytes(damaged), ring, context)
        assert production == reference is not None
    opened = votes.open_ballot(
        votes.verify_ballot(data, ring, vote_context), votes.BallotKey(31337)
    )
    assert opened.index == signer
    assert reference_ballots.opening_holds(data, signer, opened.proof, context)
    other = (signer + 1) % size
    assert not reference_ballots.opening_holds(data, other, opened.proof, context)


@pytest.mark.parametrize("index", [0, 11, 2**32 - 1])
def test_one_verdict_on_possession_9_1(index: int) -> None:
    key = votes.BallotKey(4711)
    proof = votes.prove_possession(key, CHAIN_ID, index)
    assert reference_ballots.possession_holds(CHAIN_ID, index, key.public, proof)
    dice = random.Random(index)
    for _ in range(5):
        damaged = bytearray(proof)
        damage_bit(damaged, dice)
        assert not reference_ballots.possession_holds(CHAIN_ID, index, key.public, bytes(damaged))
        with pytest.raises(ProofOfPossessionInvalid):
            votes.verify_possession(key.public, CHAIN_ID, index, bytes(damaged))


# Merkle


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=8), min_size=1, max_size=70), st.data())
def test_one_tree_and_one_verdict_on_proofs_11(leaves: list[bytes], data: st.DataObject) -> None:
    root = tree.root(leaves)
    index = data.draw(st.integers(0, len(leaves) - 1))
    proof = merkle.prove_inclusion(leaves, index)
    assert merkle.merkle_root(leaves) == root
    assert [proof[s : s + 32] for s in range(17, len(proof), 32)] == tree.path(leaves, index)
    damaged = bytearray(proof)
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(0, 255))
    accepted = True
    try:
        merkle.verify_inclusion(leaves[index], bytes(damaged), root)
    except CryptoError:
        accepted = False
    assert accepted == tree.included(leaves[index], bytes(damaged), root)
