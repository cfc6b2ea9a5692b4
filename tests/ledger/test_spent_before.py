"""Proofs that a block spends what an earlier one had spent (BFT-12 9, E5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.merkle import merkle_root
from node.ledger.blocks import HEADER_BYTES, Header
from node.ledger.encoding import Writer
from node.ledger.invalidity import disprove, needs_sealed_header, prove_spent_before
from node.ledger.rejection import Reason, Rejection
from tests.ledger.chain import Chain


class Twice:
    """A note is spent at height 3, and again at height 5 by banks that do not look."""

    def __init__(self) -> None:
        self.chain = chain = Chain()
        chain.seal_matured(chain.mint([5_000] * 4))
        first, other = chain.mature()[:2]
        self.spend, self.again = chain.transfer([first]), chain.transfer([first])
        self.innocent = chain.transfer([other])
        self.headers = [chain.seal(raws).block.header for raws in (self.spend,)]
        self.headers.append(chain.seal().block.header)
        built = chain.build().block.header
        self.raws = [self.innocent, self.again]
        self.header = replace(built, transaction_count=2, transactions_root=merkle_root(self.raws))
        self.ancestors = self.headers[::-1]

    def proof(self, index: int = 1, ancestors: Sequence[Header] | None = None) -> bytes:
        shown = prove_spent_before(
            self.header,
            self.raws,
            index,
            self.ancestors if ancestors is None else ancestors,
            [self.spend],
            0,
        )
        assert shown is not None
        return shown

    def why(self, proof: bytes, header: Header | None = None) -> str:
        with pytest.raises(Rejection) as caught:
            disprove(self.chain.genesis, header or self.header, proof)
        assert caught.value.reason is Reason.EVIDENCE
        return caught.value.message


@pytest.fixture(scope="module")
def twice() -> Twice:
    return Twice()


def test_section_9_a_note_spent_in_an_earlier_block_is_shown(twice: Twice) -> None:
    proof = twice.proof()
    assert disprove(twice.chain.genesis, twice.header, proof) is Reason.NULLIFIER
    assert not needs_sealed_header(proof)


def test_section_9_two_payments_of_different_notes_show_nothing(twice: Twice) -> None:
    assert twice.why(twice.proof(0)) == "the two transactions do not exclude each other"


def test_the_headers_must_lead_from_the_block_to_the_earlier_one(twice: Twice) -> None:
    for ancestors in (twice.ancestors[:1], twice.ancestors[1:], twice.headers, ()):
        assert twice.why(twice.proof(ancestors=ancestors)).startswith("proof of an invalid block")
    other = replace(twice.header, parent_id=twice.headers[0].block_id)
    assert twice.why(twice.proof(), other) == "proof of an invalid block: the headers are no chain"
    assert twice.why(twice.proof(ancestors=())) == (
        "proof of an invalid block: no earlier block is shown"
    )


def test_the_first_spend_is_valid_whatever_comes_after_it(twice: Twice) -> None:
    """The earlier block's creator is accused by nobody: nothing leads from it to the later one."""
    swapped = prove_spent_before(twice.headers[0], [twice.spend], 0, [twice.header], twice.raws, 1)
    assert swapped is not None
    assert "no chain" in twice.why(swapped, twice.headers[0])


def test_blocks_too_far_apart_have_no_proof(twice: Twice) -> None:
    far = [twice.headers[0]] * 3_001
    assert prove_spent_before(twice.header, twice.raws, 1, far, [twice.spend], 0) is None


def test_the_encoding_is_pinned(twice: Twice) -> None:
    proof = twice.proof()
    head = Writer().blob(b"consortium/invalidity/1").u8(6).blob(twice.again).finish()
    assert proof.startswith(head)
    chain = Writer().u32(2)
    for header in twice.ancestors:
        chain.fixed(header.encode(), HEADER_BYTES)
    assert chain.blob(twice.spend).finish() in proof


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 1 << 20), difference=st.integers(1, 255))
def test_every_change_of_a_byte_shows_nothing(place: int, difference: int, twice: Twice) -> None:
    changed = bytearray(twice.proof())
    changed[place % len(changed)] ^= difference
    twice.why(bytes(changed))
    twice.why(bytes(changed[: place % len(changed)]))
