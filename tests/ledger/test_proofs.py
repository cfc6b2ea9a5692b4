"""Judging transactions by themselves: every rule that needs no block (IDX1 8, BFT-12 18)."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from dataclasses import replace

import pytest

from crypto.build import build_issue
from crypto.curve import decode_curve, encode_point
from crypto.merkle import leaf_hash
from crypto.ring import ClosedBin, close_bin
from crypto.signature import sign
from crypto.transaction import MAX_TRANSACTION_BYTES, Kind, decode_transaction
from crypto.transcript import hash64
from crypto.validation import collect
from node.ledger.ballots import VerifiedBallot, verify_parent_ballots
from node.ledger.governance import GovernanceKind
from node.ledger.proofs import (
    AdmissionView,
    SealedView,
    VerifiedTransaction,
    verify_sealed,
    verify_sealed_block,
    verify_together,
    verify_transactions,
)
from node.ledger.rejection import Reason, Rejection
from node.ledger.rules import decode
from node.ledger.types import BankIndex
from tests.crypto.universe import torsion_point
from tests.ledger import booth
from tests.ledger.chain import BASE, FEE, GOLD, Chain, OwnedNote, issuer_secret, refusal


def flipped(raw: bytes, position: int) -> bytes:
    """The bytes with the lowest bit of one of them flipped."""
    changed = bytearray(raw)
    changed[position] ^= 1
    return bytes(changed)


def test_a_verdict_carries_what_execution_needs(chain: Chain) -> None:
    notes = chain.mature()[:2]
    raw = chain.transfer(notes, redeem=7)
    (verified,) = chain.verify(raw)
    ring = chain.history.closed_bins[notes[0].bin_id]
    decoded = chain.decode(raw)
    assert (
        verified.transaction,
        verified.transaction_id,
        verified.raw,
        verified.size,
        verified.kind,
        verified.leaf_hash,
        verified.bins_read,
        verified.nullifiers,
        verified.one_time_keys,
    ) == (
        decoded,
        decoded.transaction_id,
        raw,
        len(raw),
        Kind.TRANSFER,
        leaf_hash(raw),
        ((ring.bin_id, ring.digest),) * 2,
        (notes[0].nullifier, notes[1].nullifier),
        tuple(output.one_time_key for output in decoded.outputs),
    )


def test_a_verdict_cannot_be_made_without_verification(chain: Chain) -> None:
    (verified,) = chain.verify(chain.mint([5]))
    with pytest.raises(TypeError, match=r"^a VerifiedTransaction comes from verify_transactions"):
        VerifiedTransaction(verified.transaction, verified.leaf_hash, (), object())
    with pytest.raises(TypeError):
        VerifiedTransaction(verified.transaction, verified.leaf_hash, ())  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="witness"):
        replace(verified, bins_read=())


def test_a_verdict_travels_between_the_processes_of_one_bank(chain: Chain) -> None:
    (verified,) = chain.verify(chain.transfer(chain.mature()[:1]))
    assert pickle.loads(pickle.dumps(verified)) == verified


def wrong_chain(chain: Chain) -> bytes:
    return chain.mint([5], chain_id=bytes(32))


def expires_too_late(chain: Chain) -> bytes:
    return chain.mint([5], expiry=10_000 + chain.height + 2)


def expired(chain: Chain) -> bytes:
    return chain.mint([5], expiry=chain.height)


def unknown_asset(chain: Chain) -> bytes:
    return chain.mint([5], asset=b"?" * 16)


def fee_too_low(chain: Chain) -> bytes:
    return chain.transfer(chain.mature()[:1], fee=FEE - 1)


def fee_too_high(chain: Chain) -> bytes:
    return chain.transfer(chain.mature()[:1], fee=FEE + 1)


def fee_in_gold(chain: Chain) -> bytes:
    return chain.transfer(chain.mature(GOLD)[:1], fee=FEE)


def gold_redeemed(chain: Chain) -> bytes:
    return chain.transfer(chain.mature(GOLD)[:1], redeem=5)


def gold_paid_out(chain: Chain) -> bytes:
    return chain.mint([5], asset=GOLD, kind=Kind.PAYOUT)


def unknown_account(chain: Chain) -> bytes:
    return chain.transfer(chain.mature()[:1], redeem=5, account=b"a" * 32)


def issuer_without_limit(chain: Chain) -> bytes:
    return chain.mint([5], asset=GOLD, bank=3)


def stranger_as_issuer(chain: Chain) -> bytes:
    return build_issue(
        kind=Kind.ISSUE,
        chain_id=chain.genesis.chain_id,
        asset=BASE,
        amount=5,
        issuer_secret=hashlib.sha256(b"stranger").digest(),
        payments=chain.payments([5]),
        expiry=100,
        random_bytes=chain.coins.take,
    )


def unknown_bin(chain: Chain) -> bytes:
    raw = chain.transfer(chain.mature()[:1])
    del chain.history.closed_bins[chain.mature()[0].bin_id]
    return raw


def open_bin(chain: Chain) -> bytes:
    """A proof over the notes that an open bin has so far, padded before its time."""
    chain.seal(chain.mint([5_000]))
    note = chain.unspent[-1]
    filling = chain.state.assets[0].open_bin
    assert filling is not None
    return over_false_bin(chain, note, close_bin(filling.bin_id, BASE, filling.notes, 4))


def bin_of_another_asset(chain: Chain) -> bytes:
    """Base notes, presented under the id of a closed bin of gold."""
    note = chain.mature()[0]
    true_bin = chain.history.closed_bins[note.bin_id]
    gold_id = chain.mature(GOLD)[0].bin_id
    false_bin = ClosedBin(gold_id, BASE, true_bin.notes, true_bin.count, true_bin.ring_base)
    return over_false_bin(chain, note, false_bin)


def over_false_bin(chain: Chain, note: OwnedNote, false_bin: ClosedBin) -> bytes:
    wallet = chain.fork()
    wallet.history.closed_bins[false_bin.bin_id] = false_bin
    return wallet.transfer([replace(note, bin_id=false_bin.bin_id)])


def spent_note(chain: Chain) -> bytes:
    note = chain.mature()[0]
    chain.seal(chain.transfer([note]))
    return chain.transfer([note])


def known_note(chain: Chain) -> bytes:
    """Somebody saw the pending transaction and published its one-time key first (IDX1 12.4)."""
    raw = chain.transfer(chain.mature()[:1])
    chain.history.known_notes.add(chain.decode(raw).outputs[1].one_time_key)
    return raw


def sealed_already(chain: Chain) -> bytes:
    raw = chain.transfer(chain.mature()[:1])
    chain.seal(raw)
    return raw


def false_range_proof(chain: Chain) -> bytes:
    raw = chain.transfer(chain.mature()[:1])
    return flipped(raw, chain.decode(raw).layout.proofs - 32)


def false_spend_proof(chain: Chain) -> bytes:
    raw = chain.transfer(chain.mature()[:1])
    return flipped(raw, len(raw) - 32)


def false_issue_proof(chain: Chain) -> bytes:
    """The response is changed and signed by the issuer himself."""
    raw = chain.mint([5])
    view = AdmissionView(chain.genesis, chain.state, chain.facts([chain.decode(raw)]))
    digest = collect(raw, view).digest
    changed = flipped(raw, len(raw) - 96)
    proof = changed[-192:-64]
    return changed[:-64] + sign(issuer_secret(0), hash64("IDX1/issue-sig", digest, proof))


def false_signature(chain: Chain) -> bytes:
    raw = chain.mint([5])
    return flipped(raw, len(raw) - 1)


def key_outside_the_subgroup(chain: Chain) -> bytes:
    """Its proofs do not hold either, but the points come first (IDX1 8.3)."""
    raw = chain.transfer(chain.mature()[:1])
    field = decode_transaction(raw, chain.genesis.parameters.ring_base).layout.points[1]
    key = decode_curve(raw[field.start : field.end]) + torsion_point(3)
    return raw[: field.start] + encode_point(key) + raw[field.end :]


CASES: list[tuple[Callable[[Chain], bytes], Reason, str]] = [
    (wrong_chain, Reason.CHAIN, "made for another ledger"),
    (
        expires_too_late,
        Reason.EXPIRY_TOO_FAR,
        "expires at height 10006, at most 10005 is allowed now",
    ),
    (expired, Reason.EXPIRED, "height 5, valid up to 4"),
    (unknown_asset, Reason.ASSET, f"asset {(b'?' * 16).hex()} does not exist"),
    (fee_too_low, Reason.FEE, "the fee is 99, it must be exactly 100"),
    (fee_too_high, Reason.FEE, "the fee is 101, it must be exactly 100"),
    (fee_in_gold, Reason.FEE, "the fee is 100, it must be exactly 0"),
    (gold_redeemed, Reason.REDEEM_ASSET, "only INR can be redeemed into an account"),
    (gold_paid_out, Reason.PAYOUT_ASSET, "XAU cannot be paid out of an account"),
    (unknown_account, Reason.ACCOUNT, f"{(b'a' * 32).hex()} is no bank's account"),
    (issuer_without_limit, Reason.ISSUER, "the key is not registered for the asset"),
    (stranger_as_issuer, Reason.ISSUER, "the key is not registered for the asset"),
    (unknown_bin, Reason.BIN_UNKNOWN, "bin 0"),
    (open_bin, Reason.BIN_OPEN, "bin 2"),
    (bin_of_another_asset, Reason.BIN_ASSET, "bin 1"),
    (spent_note, Reason.NULLIFIER, "spent before"),
    (known_note, Reason.NOTE, "the one-time key is on the ledger already"),
    (sealed_already, Reason.DUPLICATE_TRANSACTION, "the transaction is sealed already"),
    (key_outside_the_subgroup, Reason.SUBGROUP, "outside the subgroup of prime order"),
    (false_range_proof, Reason.RANGE, "an equation does not hold"),
    (false_spend_proof, Reason.SPEND, "an equation does not hold"),
    (false_issue_proof, Reason.ISSUE, "an equation does not hold"),
    (false_signature, Reason.SIGNATURE, "the signature does not verify"),
]


@pytest.mark.parametrize(
    ("make", "reason", "message"), CASES, ids=[make.__name__ for make, _, _ in CASES]
)
def test_a_bad_transaction_is_named_and_spoils_no_other(
    chain: Chain, make: Callable[[Chain], bytes], reason: Reason, message: str
) -> None:
    """IDX1 10.7: good ones around it in the same batch are verified."""
    bad = make(chain)
    good = [chain.mint([6]), chain.mint([7])]
    verdicts = chain.judge([good[0], bad, good[1]])
    assert isinstance(verdicts[1], Rejection)
    assert refusal(verdicts[1]) == (reason, message, None)
    assert [item.raw for item in verdicts if isinstance(item, VerifiedTransaction)] == good


def test_several_bad_ones_keep_their_places(chain: Chain) -> None:
    raws = [
        false_range_proof(chain),
        chain.mint([6]),
        wrong_chain(chain),
        false_spend_proof(chain),
        chain.mint([7]),
    ]
    verdicts = chain.judge(raws)
    assert [
        verdict.reason.value if isinstance(verdict, Rejection) else verdict.raw
        for verdict in verdicts
    ] == ["range", raws[1], "chain", "spend", raws[4]]


MALFORMED: list[tuple[Callable[[bytes], bytes], Reason, str]] = [
    (lambda raw: b"", Reason.LENGTH, "0 bytes hold no head"),
    (lambda raw: raw[:-1], Reason.LENGTH, "2948 of 2949 bytes"),
    (lambda raw: raw + b"\x00", Reason.TRAILING, "1 bytes after the end"),
    (lambda raw: b"\x02" + raw[1:], Reason.VERSION, "version 2"),
    (lambda raw: raw[:1] + b"\x03" + raw[2:], Reason.KIND, "kind 3 is no transaction"),
    (lambda raw: raw[:51] + b"\x05" + raw[52:], Reason.COUNT, "0 inputs and 5 outputs"),
    (
        lambda raw: bytes(MAX_TRANSACTION_BYTES + 1),
        Reason.SIZE,
        f"{MAX_TRANSACTION_BYTES + 1} bytes exceed the {MAX_TRANSACTION_BYTES} of any transaction",
    ),
]


@pytest.mark.parametrize(("change", "reason", "message"), MALFORMED)
def test_malformed_bytes_are_refused_by_form(
    chain: Chain, change: Callable[[bytes], bytes], reason: Reason, message: str
) -> None:
    """IDX1 8.1, with the size limit before everything."""
    malformed = change(chain.mint([5]))
    with pytest.raises(Rejection) as error:
        decode(malformed, chain.genesis)
    assert refusal(error.value) == (reason, message, None)
    view = AdmissionView(chain.genesis, chain.state, chain.facts([]))
    (verdict,) = verify_transactions([malformed], view, chain.coins.take)
    assert isinstance(verdict, Rejection)
    assert refusal(verdict) == (reason, message, None)


def test_expiry_at_both_ends_of_its_range_is_valid(chain: Chain) -> None:
    """IDX1 5.4: the block's own height is the last; `max_expiry_heights` above it the farthest."""
    height = chain.height + 1
    assert chain.verify(chain.mint([5], expiry=height), chain.mint([5], expiry=height + 10_000))


def test_no_transactions_have_no_verdicts(chain: Chain) -> None:
    assert chain.judge([]) == ()


def test_a_definite_fault_is_named_before_a_missing_bin(chain: Chain) -> None:
    """BFT-12 8: "not yet" is only said of what may be valid later."""
    raw = chain.transfer(chain.mature()[:1], fee=FEE + 1)
    chain.history.closed_bins.clear()
    (verdict,) = chain.judge([raw])
    assert isinstance(verdict, Rejection)
    assert verdict.reason is Reason.FEE


def test_the_view_reads_the_parent_state(chain: Chain) -> None:
    chain.seal(chain.mint([5]))
    note = chain.mature()[0]
    ring = chain.history.closed_bins[note.bin_id]
    raw = chain.transfer([note])
    view = AdmissionView(chain.genesis, chain.state, chain.facts([chain.decode(raw)]))
    filling = view.find_bin(2)
    assert (view.chain_id, view.height, view.ring_base) == (chain.genesis.chain_id, 6, 4)
    assert view.find_bin(ring.bin_id) is ring
    assert filling is not None
    assert (filling.bin_id, filling.asset, type(filling).__name__) == (2, BASE, "OpenBin")
    assert view.find_bin(3) is None
    assert view.is_issuer(GOLD, chain.genesis.banks[2].issuer_key)
    assert not view.is_issuer(GOLD, chain.genesis.banks[3].issuer_key)
    assert not view.is_issuer(b"?" * 16, chain.genesis.banks[2].issuer_key)
    assert chain.genesis.bank_of_account(chain.genesis.account_of(BankIndex(3))) == 3


def together(
    chain: Chain, raws: list[bytes], ballots: list[bytes]
) -> tuple[tuple[VerifiedTransaction | Rejection, ...], tuple[VerifiedBallot | Rejection, ...]]:
    view = AdmissionView(
        chain.genesis, chain.state, chain.facts([chain.decode(raw) for raw in raws])
    )
    return verify_together(
        raws,
        view,
        chain.coins.take,
        ballots=ballots,
        parent=chain.header,
        active_set=chain.parent_set,
    )


def reasons(verdicts: tuple[object, ...]) -> list[Reason | None]:
    return [item.reason if isinstance(item, Rejection) else None for item in verdicts]


def test_section_17_ballots_and_transactions_share_one_batch(chain: Chain) -> None:
    """The same verdicts as apart; the first list is of transactions, the second of ballots."""
    raws = [chain.transfer(chain.mature()[:1]), chain.mint([5]), chain.mint([6])]
    ballots = [booth.cast(chain.parent_set, chain.header, bank) for bank in range(4)]
    transactions, votes = together(chain, raws, ballots)
    assert transactions == chain.verify(*raws)
    assert votes == verify_parent_ballots(ballots, chain.header, chain.parent_set)
    assert together(chain, [], []) == ((), ())
    assert together(chain, raws, []) == (transactions, ())
    assert together(chain, [], ballots) == ((), votes)


def test_section_17_a_shared_batch_names_what_is_bad_on_either_side(chain: Chain) -> None:
    transfer, mint = chain.transfer(chain.mature()[:1]), chain.mint([5])
    raws = [flipped(mint, 1), flipped(transfer, -20), mint, flipped(transfer, 3)]
    ballots = [booth.cast(chain.parent_set, chain.header, bank) for bank in range(4)]
    ballots[0], ballots[2] = ballots[0][:-1], flipped(ballots[2], -1)
    view = AdmissionView(chain.genesis, chain.state, chain.facts([chain.decode(transfer)]))
    transactions, votes = verify_together(
        raws,
        view,
        chain.coins.take,
        ballots=ballots,
        parent=chain.header,
        active_set=chain.parent_set,
    )
    apart = verify_transactions(raws, view, chain.coins.take)
    assert reasons(transactions) == reasons(apart) == [
        Reason.KIND, Reason.SPEND, None, Reason.CHAIN,
    ]  # fmt: skip
    assert reasons(votes) == [Reason.LENGTH, None, Reason.BALLOT, None]


def test_sealed_transactions_are_verified_from_their_bytes_and_rings(funded: Chain) -> None:
    """What reads the state was judged when they were sealed, and is not judged again."""
    transfer = funded.transfer(funded.mature()[:1])
    stake = funded.move_stake(GovernanceKind.STAKE_TOP_UP, 100)
    mint = funded.mint([5])
    view = SealedView(funded.genesis, funded.height, funded.history.closed_bins)
    raws = [transfer, stake, mint, transfer]
    assert verify_sealed(raws, view, funded.coins.take) == (None,) * 4
    bad = [flipped(transfer, -20), flipped(stake, -1), mint, flipped(mint, 60), b"\x01"]
    verdicts = verify_sealed(bad, view, funded.coins.take)
    assert [refusal(item) if item else None for item in verdicts] == [
        (Reason.SPEND, "an equation does not hold", None),
        (Reason.SIGNATURE, "the signature does not verify", None),
        None,
        (Reason.ISSUER, "the key is not registered for the asset", None),
        (Reason.LENGTH, "1 bytes hold no head", None),
    ]
    without_rings = SealedView(funded.genesis, funded.height, {})
    assert reasons(verify_sealed(raws, without_rings, funded.coins.take)) == [
        Reason.BIN_UNKNOWN, None, None, Reason.BIN_UNKNOWN,
    ]  # fmt: skip


def test_section_17_a_stored_block_is_verified_in_one_batch(chain: Chain) -> None:
    """As apart; what is bad in either list is named in it."""
    raws = [chain.transfer(chain.mature()[:1]), chain.mint([5]), b"\x01"]
    ballots = [booth.cast(chain.parent_set, chain.header, bank) for bank in range(4)]
    view = SealedView(chain.genesis, chain.height + 1, chain.history.closed_bins)

    def judged(
        raws: list[bytes], ballots: list[bytes]
    ) -> tuple[list[Reason | None], list[Reason | None]]:
        transactions, votes = verify_sealed_block(
            raws,
            view,
            chain.coins.take,
            ballots=ballots,
            parent=chain.header,
            active_set=chain.parent_set,
        )
        assert reasons(transactions) == reasons(verify_sealed(raws, view, chain.coins.take))
        return reasons(transactions), reasons(votes)

    assert judged(raws, ballots) == ([None, None, Reason.LENGTH], [None] * 4)
    raws[0], ballots[1] = flipped(raws[0], -20), flipped(ballots[1], -1)
    ballots[3] = ballots[3][:-1]
    assert judged(raws, ballots) == (
        [Reason.SPEND, None, Reason.LENGTH],
        [None, Reason.BALLOT, None, Reason.LENGTH],
    )
    assert judged([], []) == ([], [])


def test_sealed_issuers_are_those_of_the_genesis(chain: Chain) -> None:
    view = SealedView(chain.genesis, chain.height, {})
    keys = [bank.issuer_key for bank in chain.genesis.banks]
    assert [view.is_issuer(GOLD, key) for key in keys] == [True, True, True, False]
    assert [view.is_issuer(b"?" * 16, key) for key in keys] == [False] * 4
    assert not view.is_issuer(BASE, b"k" * 32)
