"""Attacks that worked on earlier systems of this kind, tried on the cryptography of this one.

Each section names its flaw. The attacker here has the whole code: `forge_transfer` commits to any
integer, proves over any other, and spends with any witness.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import random
from collections.abc import Sequence

import pytest

from crypto.ballot import (
    BallotBox,
    BallotContext,
    BallotKey,
    BallotRing,
    CollectedBallot,
    Decision,
    sign_ballot,
    verify_ballot,
)
from crypto.batch import judge_block, verify_transaction
from crypto.build import Payment, SpendableNote, build_transfer
from crypto.curve import Point, encode_point, hash_to_curve, multiply
from crypto.encoding import u64
from crypto.errors import (
    BlockRejected,
    MerkleProofInvalid,
    NotMine,
    ProvingError,
    Reason,
    Rejected,
)
from crypto.generators import blinding_generator, key_generator, value_generator
from crypto.merkle import leaf_hash, merkle_root, node_hash, prove_inclusion, verify_inclusion
from crypto.note import SessionKeys, scan_output, seal_output
from crypto.pedersen import commit, encode_commitment
from crypto.range_proof import prove_range
from crypto.ring import close_bin
from crypto.scalar import ORDER, encode_scalar
from crypto.spend import SpendWitness, nullifier_point, prove_spend
from crypto.transaction import (
    NO_ACCOUNT,
    NO_BLOBS,
    Output,
    Transfer,
    core_digest,
    decode_transaction,
    proof_digest,
    transaction_id,
    transfer_head,
)
from node.cli.vector_checks.document import VectorLedger

CHAIN_ID = b"\x10" * 32
ASSET = b"IDX EUR asset id"
OTHER_ASSET = b"IDX GLD asset id"
ALICE = SessionKeys.derive(b"alice's seed", 1)
BOB = SessionKeys.derive(b"bob's seed", 1)
EXPIRY = 50


def scalar_below_order() -> int:
    return int.from_bytes(os.urandom(64), "little") % int(ORDER)


def notes_of_alice(values: Sequence[int]) -> list[SpendableNote]:
    outputs = [
        seal_output(
            address=ALICE.address,
            value=value,
            memo=bytes(32),
            index=0,
            asset=ASSET,
            chain_id=CHAIN_ID,
        ).output
        for value in values
    ]
    pairs = [(output.one_time_key, output.commitment) for output in outputs]
    closed_bin = close_bin(1, ASSET, pairs, 8)
    received = [scan_output(output, 0, ASSET, CHAIN_ID, ALICE) for output in outputs]
    return [
        SpendableNote(closed_bin, position, note.value, note.spend_key, note.blinding)
        for position, note in enumerate(received)
    ]


NOTES = notes_of_alice([13_000_000, 500, 2**64 - 1])
RING = NOTES[0].closed_bin
LEDGER = VectorLedger(
    chain_id=CHAIN_ID,
    height=7,
    ring_base=8,
    bins={1: RING},
    issuers={},
    known_notes=frozenset(one_time_key for one_time_key, _ in RING.notes),
)


def pay(note: SpendableNote, *values: int) -> bytes:
    return build_transfer(
        chain_id=CHAIN_ID,
        asset=ASSET,
        inputs=[note],
        payments=[Payment(BOB.address, value) for value in values],
        expiry=EXPIRY,
    )


def verdict(data: bytes, ledger: VectorLedger = LEDGER) -> Reason | None:
    try:
        verify_transaction(data, ledger)
    except Rejected as error:
        return error.reason
    return None


def forge_transfer(
    note: SpendableNote,
    values: Sequence[int],
    *,
    claimed_values: Sequence[int] | None = None,
    claimed_blindings: Sequence[int] | None = None,
    proof_commitments: Sequence[bytes] | None = None,
    value_asset: bytes = ASSET,
    nullifier: Point | None = None,
    spend_key: int | None = None,
) -> bytes:
    """A TRANSFER whose outputs commit to `values`, any integers modulo the group order.

    The range proof is made for the claimed values and blindings and, in its hash, for
    `proof_commitments`; everything else is proven as an honest wallet does.
    """
    blindings = [scalar_below_order() for _ in values]
    outputs = [
        Output(
            one_time_key=encode_point(multiply(key_generator(), scalar_below_order())),
            commitment=encode_commitment(value_asset, value % ORDER, blinding),
            ephemeral_key=os.urandom(32),
            view_tag=0,
            ciphertext=os.urandom(56),
        )
        for value, blinding in zip(values, blindings, strict=True)
    ]
    head = transfer_head(
        chain_id=CHAIN_ID,
        asset=ASSET,
        input_count=1,
        output_count=len(values),
        fee=0,
        redeem=0,
        account=NO_ACCOUNT,
        expiry=EXPIRY,
    )
    tag = nullifier or nullifier_point(note.spend_key)
    spent = u64(1) + RING.digest + encode_point(tag)
    encoded = [output.encode() for output in outputs]
    core = core_digest(head, [spent], encoded)
    range_proof = prove_range(
        core=core,
        asset=value_asset,
        values=claimed_values or values,
        blindings=claimed_blindings or blindings,
        commitments=proof_commitments or [output.commitment for output in outputs],
        random_bytes=os.urandom,
    )
    opening = (note.blinding - sum(blindings)) % ORDER
    spend_proof = prove_spend(
        digest=proof_digest(core, range_proof),
        index=0,
        witness=SpendWitness(RING, note.position, spend_key or note.spend_key, opening),
        nullifier=tag,
        commitment=b"",
        random_bytes=os.urandom,
    )
    wire_input = u64(1) + encode_point(tag)
    return b"".join((head, wire_input, *encoded, NO_BLOBS, range_proof, spend_proof))


def test_the_forger_can_make_a_valid_transfer() -> None:
    assert verdict(forge_transfer(NOTES[0], [12_999_990, 10])) is None


# FLAW-01: the logarithm of H to G is public, H = SHA256(label) * G


def public_logarithms(label: bytes) -> list[int]:
    digests = [
        hashlib.new(name, label).digest()
        for name in ("sha256", "sha512", "sha3_256", "blake2b", "blake2s", "sha1", "md5")
    ]
    return [int.from_bytes(digest, order) for digest in digests for order in ("big", "little")]


def second_opening(value: int, blinding: int, other_value: int, logarithm: int) -> int:
    return (blinding + (value - other_value) * logarithm) % ORDER


def test_flaw_01_the_attack_works_where_the_logarithm_is_public() -> None:
    logarithm = public_logarithms(b"IDX.Pedersen.H")[0] % ORDER
    weak_h = multiply(blinding_generator(), logarithm)

    def weak_commit(value: int, blinding: int) -> Point:
        return multiply(weak_h, value) + multiply(blinding_generator(), blinding)

    forged = second_opening(10_000, 5, 9_999_999_900, logarithm)
    assert weak_commit(10_000, 5) == weak_commit(9_999_999_900, forged)


def test_flaw_01_no_public_hash_is_the_logarithm_of_a_value_generator() -> None:
    labels = [b"H/value/" + ASSET, ASSET, b"H", b"H/value/", b"IDX.Pedersen.H", b"G/blind"]
    commitment = commit(ASSET, 10_000, 5)
    for logarithm in (value for label in labels for value in public_logarithms(label)):
        forged = second_opening(10_000, 5, 9_999_999_900, logarithm)
        assert commit(ASSET, 9_999_999_900, forged) != commitment
        for base in (blinding_generator(), key_generator()):
            assert multiply(base, logarithm) != value_generator(ASSET)


def test_flaw_01_generators_come_from_hash_to_curve() -> None:
    assert value_generator(ASSET) == hash_to_curve(b"H/value/" + ASSET)
    assert blinding_generator() == hash_to_curve(b"G/blind")
    assert value_generator(ASSET) != value_generator(OTHER_ASSET)


def test_flaw_01_a_payee_refuses_a_second_opening() -> None:
    sealed = seal_output(
        address=BOB.address, value=100, memo=bytes(32), index=0, asset=ASSET, chain_id=CHAIN_ID
    )
    assert scan_output(sealed.output, 0, ASSET, CHAIN_ID, BOB).value == 100
    lying = dataclasses.replace(
        sealed.output, commitment=encode_commitment(ASSET, 9_999_999_900, sealed.blinding)
    )
    with pytest.raises(NotMine):
        scan_output(lying, 0, ASSET, CHAIN_ID, BOB)


# FLAW-02: the range proof is not compared with the commitment it is about


@pytest.mark.parametrize(
    ("values", "claimed"),
    [
        ([13_000_500, -500], [13_000_500, 500]),
        ([13_000_500, -500], [13_000_500, 2**64 - 500]),
        ([10**15, 13_000_000 - 10**15], [2**24 - 1, 0]),
        ([2**64, 13_000_000 - 2**64], [0, 13_000_000]),
        ([-(2**63), 2**63 + 13_000_000], [2**63, 2**63 + 13_000_000]),
    ],
)
def test_flaw_02_no_range_proof_covers_a_value_outside_the_range(
    values: list[int], claimed: list[int]
) -> None:
    assert sum(values) == 13_000_000
    assert verdict(forge_transfer(NOTES[0], values, claimed_values=claimed)) is Reason.RANGE


@pytest.mark.parametrize("value", [-1, -500, 2**64])
def test_flaw_02_the_prover_itself_refuses(value: int) -> None:
    with pytest.raises(ProvingError, match="outside 0"):
        pay(NOTES[0], 13_000_000 - value, value)
    with pytest.raises(ProvingError, match="outside 0"):
        forge_transfer(NOTES[0], [13_000_000 - value, value])


def test_flaw_02_every_scalar_and_point_of_the_range_proof_counts() -> None:
    data = forge_transfer(NOTES[0], [13_000_000])
    layout = decode_transaction(data).layout
    points = [field for field in layout.points if "range proof" in field.name]
    assert len(points) == 3
    for field in points:
        # a valid point in its place, so that nothing but the equation can refuse it
        other = encode_point(multiply(key_generator(), scalar_below_order()))
        assert verdict(data[: field.start] + other + data[field.end :]) is Reason.RANGE
    start, end = layout.scalars[0]
    for position in (*range(start, end, 32 * 8), end - 32):
        changed = data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
        assert verdict(changed) is Reason.RANGE


# FLAW-03: the published proof carries value, blinding and balance


def test_flaw_03_no_secret_stands_in_the_bytes() -> None:
    note = NOTES[0]
    memo = b"rent for the month of May -- 32b"
    payments = [Payment(BOB.address, 1_234_567, memo), Payment(ALICE.address, 11_765_433, memo)]
    data = build_transfer(
        chain_id=CHAIN_ID, asset=ASSET, inputs=[note], payments=payments, expiry=EXPIRY
    )
    transaction = decode_transaction(data)
    received = [
        scan_output(output, index, ASSET, CHAIN_ID, keys)
        for index, (output, keys) in enumerate(zip(transaction.outputs, (BOB, ALICE), strict=True))
    ]
    amounts = [note.value, *(item.value for item in received)]
    scalars = [note.spend_key, note.blinding, ALICE.spend_secret, BOB.spend_secret]
    scalars += [item.blinding for item in received] + [item.spend_key for item in received]
    secrets = [u64(amount) for amount in amounts] + [encode_scalar(value) for value in scalars]
    secrets += [secret[::-1] for secret in secrets]
    secrets += [str(amount).encode() for amount in amounts]
    secrets += [memo, ALICE.view_secret, BOB.view_secret, note.closed_bin.notes[0][0]]
    for address in (ALICE.address, BOB.address):
        secrets += [address.spend_public, address.view_public]
    assert [secret.hex() for secret in secrets if secret in data] == []


def test_flaw_03_the_size_says_nothing_about_the_amount() -> None:
    sizes = {len(pay(NOTES[0], value, 13_000_000 - value)) for value in (0, 1, 13_000_000)}
    assert sizes == {6318}


def test_flaw_03_secrets_do_not_show_in_logs() -> None:
    note = scan_output(
        seal_output(
            address=BOB.address, value=1, memo=bytes(32), index=0, asset=ASSET, chain_id=CHAIN_ID
        ).output,
        0,
        ASSET,
        CHAIN_ID,
        BOB,
    )
    shown = repr([note, BOB, NOTES[0], BallotKey(4711)])
    for secret in (note.spend_key, note.blinding, BOB.spend_secret, NOTES[0].spend_key, 4711):
        assert str(secret) not in shown
    assert repr(BOB.view_secret) not in shown


# FLAW-04: the range proof is about a fresh commitment, not the transaction's


def test_flaw_04_a_proof_for_fresh_commitments_is_refused() -> None:
    fresh_blinding = scalar_below_order()
    fresh = encode_commitment(ASSET, 13_000_000, fresh_blinding)
    with_fresh_hash = forge_transfer(
        NOTES[0], [13_000_000], claimed_blindings=[fresh_blinding], proof_commitments=[fresh]
    )
    with_own_hash = forge_transfer(NOTES[0], [13_000_000], claimed_blindings=[fresh_blinding])
    assert verdict(with_fresh_hash) is Reason.RANGE
    assert verdict(with_own_hash) is Reason.RANGE


def test_flaw_04_a_valid_proof_of_another_transaction_is_refused() -> None:
    data, other = pay(NOTES[0], 13_000_000), pay(NOTES[0], 13_000_000)
    transaction, donor = decode_transaction(data), decode_transaction(other)
    grafted = data.replace(transaction.range_proof, donor.range_proof)
    assert (verdict(data), verdict(other), verdict(grafted)) == (None, None, Reason.RANGE)


# FLAW-05: what is proven is 2^n, not the balance


def test_flaw_05_a_note_pays_its_value_and_no_unit_more() -> None:
    for paid in ([16_777_215], [13_000_001], [12_999_999], [13_000_000, 1], [2**64 - 1]):
        assert verdict(forge_transfer(NOTES[0], paid)) is Reason.SPEND
        with pytest.raises(ProvingError, match="do not sum"):
            pay(NOTES[0], *paid)
    assert verdict(pay(NOTES[2], 2**64 - 1)) is None


# FLAW-06: a nullifier without a note behind it; two spends, two nullifiers; nobody looks it up


def test_flaw_06_two_spends_of_a_note_have_one_nullifier() -> None:
    first, second = pay(NOTES[0], 13_000_000), pay(NOTES[0], 1, 12_999_999)
    spent = [decode_transaction(data).inputs[0].nullifier for data in (first, second)]
    assert spent[0] == spent[1]
    ledger = dataclasses.replace(LEDGER, spent=frozenset(spent[:1]))
    assert (verdict(second), verdict(second, ledger)) == (None, Reason.NULLIFIER)
    with pytest.raises(BlockRejected) as caught:
        judge_block([first, second], LEDGER)
    assert caught.value.failures == {"1": Reason.NULLIFIER}


def test_flaw_06_a_nullifier_needs_the_note_behind_it() -> None:
    note = NOTES[0]
    honest = nullifier_point(note.spend_key)
    foreign_key = scalar_below_order()
    candidates = [
        multiply(honest, scalar_below_order()),
        honest + blinding_generator(),
        nullifier_point(NOTES[1].spend_key),
        hash_to_curve(b"SHA256(C, sender, fresh random)"),
    ]
    for candidate in candidates:
        forged = forge_transfer(note, [13_000_000], nullifier=candidate)
        assert verdict(forged) is Reason.SPEND
    forged = forge_transfer(
        note, [13_000_000], nullifier=nullifier_point(foreign_key), spend_key=foreign_key
    )
    assert verdict(forged) is Reason.SPEND


# FLAW-17: the group signature is a constant, names its bank, signs too little, is never verified

VOTE_CONTEXT = BallotContext(CHAIN_ID, 7, 0)
VOTE_KEYS = [BallotKey.generate() for _ in range(12)]
VOTE_RING = BallotRing(BallotKey.generate().public, [key.public for key in VOTE_KEYS])
BLOCK_ID = hashlib.sha256(b"block").digest()


def ballot_refusal(data: bytes, context: BallotContext = VOTE_CONTEXT) -> Reason:
    with pytest.raises(Rejected) as caught:
        verify_ballot(data, VOTE_RING, context)
    return caught.value.reason


def test_flaw_17_constants_and_outsiders_sign_nothing() -> None:
    assert ballot_refusal(b"GROUP_SIG_HDFC_batch-1") is Reason.VERSION
    honest = sign_ballot(VOTE_KEYS[0], VOTE_RING, VOTE_CONTEXT, BLOCK_ID, Decision.APPROVE)
    constant = (b"GROUP_SIG_HDFC_" * 100)[: len(honest) - 79]
    assert ballot_refusal(honest[:79] + constant) is Reason.POINT
    outsiders = [BallotKey.generate() for _ in range(12)]
    ring = BallotRing(VOTE_RING.opener, [key.public for key in outsiders])
    forged = sign_ballot(outsiders[0], ring, VOTE_CONTEXT, BLOCK_ID, Decision.APPROVE)
    assert ballot_refusal(forged) is Reason.BALLOT


def test_flaw_17_decision_block_height_round_and_ledger_are_signed() -> None:
    data = sign_ballot(VOTE_KEYS[0], VOTE_RING, VOTE_CONTEXT, BLOCK_ID, Decision.APPROVE)
    assert ballot_refusal(data[:78] + b"R" + data[79:]) is Reason.BALLOT
    other_block = hashlib.sha256(b"another block").digest()
    assert ballot_refusal(data[:46] + other_block + data[78:]) is Reason.BALLOT
    for context in (
        BallotContext(CHAIN_ID, 8, 0),
        BallotContext(CHAIN_ID, 7, 1),
        BallotContext(bytes(32), 7, 0),
    ):
        assert ballot_refusal(data, context) in (Reason.CONTEXT, Reason.CHAIN)
        relabelled = context.encode() + data[46:]
        assert ballot_refusal(relabelled, context) is Reason.BALLOT


def test_flaw_17_a_ballot_names_no_bank() -> None:
    fields = {field.name for field in dataclasses.fields(CollectedBallot)}
    known = {"data", "ring", "context", "points", "digits", "responses", "challenge"}
    assert fields == known
    ballots = [
        sign_ballot(key, VOTE_RING, VOTE_CONTEXT, BLOCK_ID, Decision.APPROVE) for key in VOTE_KEYS
    ]
    assert {len(data) for data in ballots} == {1391}
    assert len({data[:79] for data in ballots}) == 1
    for key in VOTE_KEYS:
        assert not any(key.public in data or key.to_bytes() in data for data in ballots)
    later = BallotContext(CHAIN_ID, 8, 0)
    again = sign_ballot(VOTE_KEYS[0], VOTE_RING, later, BLOCK_ID, Decision.APPROVE)
    points = {again[start : start + 96] for start in range(79, 943, 96)}
    earlier = {data[start : start + 96] for data in ballots for start in range(79, 943, 96)}
    assert points & earlier == set()


def test_flaw_17_the_tally_counts_banks_not_messages() -> None:
    box = BallotBox(VOTE_RING, VOTE_CONTEXT)
    for key in VOTE_KEYS[:9]:
        data = sign_ballot(key, VOTE_RING, VOTE_CONTEXT, BLOCK_ID, Decision.APPROVE)
        box.add(verify_ballot(data, VOTE_RING, VOTE_CONTEXT))
        with pytest.raises(Rejected, match="duplicate"):
            box.add(verify_ballot(data, VOTE_RING, VOTE_CONTEXT))
    assert len(box.counted(BLOCK_ID + b"A")) == 9


# FLAW-19: a duplicated leaf keeps the Merkle root (CVE-2012-2459)


def test_flaw_19_three_leaves_and_four_have_different_roots() -> None:
    a, b, c = (pay(NOTES[1], 500) for _ in range(3))
    doubled_last = node_hash(
        node_hash(leaf_hash(a), leaf_hash(b)), node_hash(leaf_hash(c), leaf_hash(c))
    )
    assert merkle_root([a, b, c, c]) == doubled_last
    assert merkle_root([a, b, c]) != doubled_last
    assert merkle_root([a]) != merkle_root([a, a])
    assert merkle_root([a, b, c, a, b]) != merkle_root([a, b, c, a, b, b])


def test_flaw_19_no_proof_for_a_leaf_that_is_not_there() -> None:
    leaves = [b"a", b"b", b"c"]
    proof_in_four = prove_inclusion([*leaves, b"c"], 3)
    with pytest.raises(MerkleProofInvalid):
        verify_inclusion(b"c", proof_in_four, merkle_root(leaves))
    with pytest.raises(MerkleProofInvalid):
        verify_inclusion(b"c", proof_in_four, merkle_root([*leaves, b"c"]), size=3)


# FLAW-20: the hash covers no private content


def test_flaw_20_identifier_and_root_cover_every_byte() -> None:
    data, neighbour = pay(NOTES[0], 13_000_000), b"another transaction"
    root = merkle_root([data, neighbour])
    dice = random.Random(20)
    for position in {0, len(data) - 1, *dice.sample(range(len(data)), 300)}:
        changed = data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
        assert transaction_id(changed) != transaction_id(data)
        assert merkle_root([changed, neighbour]) != root


def test_flaw_20_the_proofs_bind_the_encrypted_content() -> None:
    data = pay(NOTES[0], 13_000_000)
    start, end = decode_transaction(data).layout.outputs[0]
    for position in (start + 192, start + 224, start + 225, end - 1):
        changed = data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
        assert verdict(changed) is Reason.RANGE


# FLAW-23: range proof and commitment live in different groups, and nothing links them


def test_flaw_23_range_proof_and_balance_speak_of_the_same_commitment() -> None:
    foreign = forge_transfer(NOTES[0], [13_000_000], value_asset=OTHER_ASSET)
    assert verdict(foreign) is Reason.RANGE
    data = pay(NOTES[0], 12_000_000, 1_000_000)
    transaction = decode_transaction(data)
    assert isinstance(transaction, Transfer)
    item = verify_transaction(data, LEDGER)
    commitments = [output.commitment for output in transaction.outputs]
    assert [encode_point(point) for point in item.output_commitments] == commitments
    same_value = encode_commitment(ASSET, 12_000_000, scalar_below_order())
    assert verdict(data.replace(commitments[0], same_value)) is Reason.RANGE
