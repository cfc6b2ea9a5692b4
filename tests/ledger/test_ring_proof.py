"""Proofs that a sealed payment is false over its certified rings (BFT-12 9, E5; IDX1 4.4)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.merkle import merkle_root, prove_inclusion
from crypto.ring import ClosedBin
from node.ledger.blocks import HEADER_BYTES, Header
from node.ledger.effects import ClosedBinRecord
from node.ledger.encoding import Writer
from node.ledger.invalidity import disprove, encode_proof_of_sealed, needs_sealed_header
from node.ledger.rejection import Reason, Rejection
from node.ledger.ring_proof import ListedBin, RingProof, ShownRing, proof_over_rings
from tests.ledger.chain import GOLD, Chain


class Case:
    """Three closed bins, and a payment from one of them."""

    def __init__(self) -> None:
        self.chain = chain = Chain()
        records: list[ClosedBinRecord] = []
        for asset in (None, GOLD, None):
            mint = chain.mint([5_000] * 4) if asset is None else chain.mint([7], asset=asset)
            for built in (chain.seal(mint), chain.seal_matured()):
                records += built.transition.closed_bins
        self.bins: list[ClosedBin] = [record.bin for record in records]
        self.listed = [ListedBin(ring.bin_id, ring.count, ring.digest) for ring in self.bins]
        self.payment = chain.transfer([chain.mature()[0]])
        self.false = self.payment[:-1] + bytes((self.payment[-1] ^ 1,))

    def header(self, *raws: bytes) -> Header:
        built = self.chain.build().block.header
        root = merkle_root(list(raws))
        return replace(built, transaction_count=len(raws), transactions_root=root)

    def ring(self, raw: bytes) -> ClosedBin:
        (spend,) = self.chain.decode(raw).inputs
        return next(ring for ring in self.bins if ring.bin_id == spend.bin_id)

    def shown(self, raw: bytes, **other: Any) -> RingProof:
        made = RingProof(
            self.chain.header,
            self.chain.state.encode(),
            raw,
            prove_inclusion([raw], 0),
            tuple(self.listed),
            (ShownRing.of(self.ring(raw)),),
        )
        return replace(made, **other)

    def judge(self, proof: RingProof, header: Header) -> Reason:
        encoded = encode_proof_of_sealed(proof)
        assert needs_sealed_header(encoded)
        return disprove(self.chain.genesis, header, encoded)


@pytest.fixture(scope="module")
def case() -> Case:
    return Case()


def test_the_case_has_bins_of_two_assets(case: Case) -> None:
    assert len(case.bins) == case.chain.state.closed_bins.count == 3


def test_section_9_a_false_payment_is_shown_with_its_rings(case: Case) -> None:
    header = case.header(case.false)
    made = proof_over_rings(
        case.chain.genesis,
        case.chain.state,
        case.chain.header,
        header,
        raw=case.false,
        inclusion_proof=prove_inclusion([case.false], 0),
        closed_bins=case.listed,
        rings=[case.ring(case.false)],
    )
    assert made == case.shown(case.false)
    assert case.judge(made, header).is_deterministic


def test_section_9_a_true_payment_shows_nothing(case: Case) -> None:
    header = case.header(case.payment)
    with pytest.raises(Rejection, match="nothing is wrong") as caught:
        case.judge(case.shown(case.payment), header)
    assert caught.value.reason is Reason.EVIDENCE


def test_section_9_a_true_payment_is_false_over_no_other_ring(case: Case) -> None:
    """Whatever ring or list somebody names, it is not what the sealed state commits to."""
    header, right = case.header(case.payment), ShownRing.of(case.ring(case.payment))
    size = len(right.notes) // 192
    swapped = right.notes[192:384] + right.notes[:192] + right.notes[384:]
    other = next(ring for ring in case.bins if ring.bin_id != right.bin_id)
    renamed = replace(ShownRing.of(other), bin_id=right.bin_id)
    state = case.chain.state.encode()
    false: dict[str, dict[str, Any]] = {
        "is not the certified one": {"rings": (replace(right, notes=swapped),)},
        "is not the certified": {"rings": (renamed,)},
        f"has {192 * (size - 1)} bytes": {"rings": (replace(right, notes=right.notes[192:]),)},
        "the rings are not those": {"rings": ()},
        "the rings are not thos": {"rings": (right, right)},
        "the closed bins are not": {"closed_bins": tuple(case.listed[:-1])},
        "the closed bins are no": {"closed_bins": tuple(case.listed[::-1])},
        "the closed bins are n": {
            "closed_bins": (replace(case.listed[0], count=9), *case.listed[1:])
        },
        "the state is not the parent": {"state": state[:-1] + b"\1"},
        "another parent": {"parent": replace(case.chain.header, time_ms=header.time_ms)},
    }
    for why, change in false.items():
        with pytest.raises(Rejection, match=why) as caught:
            case.judge(case.shown(case.payment, **change), header)
        assert caught.value.reason is Reason.EVIDENCE
    with pytest.raises(Rejection, match="proof of an invalid block"):
        case.judge(case.shown(case.payment), case.header(case.false))


def test_section_9_a_bin_that_is_not_listed_is_not_closed(case: Case) -> None:
    """The payment is from a bin that this block's parent had open."""
    chain = Chain()
    chain.seal(chain.mint([5_000] * 4))
    twin = chain.fork()
    twin.seal_matured()
    raw = twin.transfer([twin.mature()[0]])
    header = replace(
        chain.build().block.header, transaction_count=1, transactions_root=merkle_root([raw])
    )
    made = proof_over_rings(
        chain.genesis,
        chain.state,
        chain.header,
        header,
        raw=raw,
        inclusion_proof=prove_inclusion([raw], 0),
        closed_bins=[],
        rings=[],
    )
    assert made is not None
    assert disprove(chain.genesis, header, encode_proof_of_sealed(made)) is Reason.BIN_UNKNOWN


def test_the_encoding_is_pinned(case: Case) -> None:
    """As the module's table describes it."""
    proof = RingProof(
        case.chain.header,
        b"state",
        b"payment",
        b"path",
        (ListedBin(3, 9, bytes(32)),),
        (ShownRing(3, bytes(16), b"notes"),),
    )
    writer = Writer().blob(b"consortium/invalidity/1").u8(7)
    writer.fixed(case.chain.header.encode(), HEADER_BYTES).blob(b"state")
    writer.blob(b"payment").blob(b"path").u32(1).u64(3).u16(9).fixed(bytes(32), 32)
    writer.u32(1).u64(3).fixed(bytes(16), 16).blob(b"notes")
    assert encode_proof_of_sealed(proof) == writer.finish()


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 1 << 20), difference=st.integers(1, 255))
def test_no_change_of_a_byte_turns_a_proof_against_a_true_payment(
    place: int, difference: int, case: Case
) -> None:
    changed = bytearray(encode_proof_of_sealed(case.shown(case.payment)))
    changed[place % len(changed)] ^= difference
    header = case.header(case.payment)
    for data in (changed, changed[: place % len(changed)]):
        with pytest.raises(Rejection) as caught:
            disprove(case.chain.genesis, header, bytes(data))
        assert caught.value.reason is Reason.EVIDENCE
