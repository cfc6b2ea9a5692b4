"""Executing sealed blocks again, and proofs that one leads elsewhere (BFT-12 9, E5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.merkle import EMPTY_ROOT, merkle_root
from crypto.transaction import Kind
from node.ledger.blocks import Header
from node.ledger.encoding import Writer
from node.ledger.execution_proof import ExecutionProof, proof_by_execution
from node.ledger.invalidity import (
    disprove,
    encode_proof_of_sealed,
    needs_sealed_header,
    prove_invalidity,
)
from node.ledger.rejection import Reason, Rejection
from node.ledger.types import BankIndex, Height
from tests.ledger.chain import Chain, make_genesis


class Case:
    """A ledger of three blocks, and a valid fourth one with a transfer in it."""

    def __init__(self) -> None:
        self.chain = Chain(make_genesis(limit=30_000))
        self.chain.seal_matured(self.chain.mint([5_000] * 4))
        self.transfer = self.chain.transfer([self.chain.mature()[0]])
        self.block = self.chain.build(self.chain.verify(self.transfer))

    def header(self, *raws: bytes) -> Header:
        """What q banks sealed without looking at what the transactions do."""
        return replace(
            self.block.block.header,
            transaction_count=len(raws),
            transactions_root=merkle_root(list(raws)) if raws else EMPTY_ROOT,
        )

    def proof(self, header: Header, *raws: bytes) -> bytes | None:
        shown = proof_by_execution(
            self.chain.genesis,
            self.chain.state,
            self.chain.header,
            header,
            ballots=[item.raw for item in self.block.ballots],
            transactions=raws,
        )
        return None if shown is None else encode_proof_of_sealed(shown)

    def reason(self, header: Header, *raws: bytes) -> Reason:
        proof = self.proof(header, *raws)
        assert proof is not None
        assert needs_sealed_header(proof)
        return disprove(self.chain.genesis, header, proof)


@pytest.fixture(scope="module")
def case() -> Case:
    return Case()


def test_section_9_a_valid_block_leads_to_what_its_header_says(case: Case) -> None:
    header = case.block.block.header
    assert case.proof(header, case.transfer) is None
    shown = ExecutionProof(
        case.chain.header,
        case.chain.state.encode(),
        tuple([item.raw for item in case.block.ballots]),
        (case.transfer,),
    )
    with pytest.raises(Rejection, match=r"^evidence: nothing is wrong with what the proof shows$"):
        disprove(case.chain.genesis, header, encode_proof_of_sealed(shown))


WRONG: dict[str, tuple[Callable[[Header], Header], Reason]] = {
    "state root": (lambda h: replace(h, post_state_root=bytes(32)), Reason.STATE_ROOT),
    "next set": (lambda h: replace(h, next_set_hash=bytes(32)), Reason.NEXT_SET),
    "time": (lambda h: replace(h, time_ms=type(h.time_ms)(0)), Reason.TIME),
    "proposer": (lambda h: replace(h, proposer=BankIndex((h.proposer + 1) % 4)), Reason.PROPOSER),
    "height": (lambda h: replace(h, height=Height(h.height + 1)), Reason.HEIGHT),
}


@pytest.mark.parametrize("name", WRONG)
def test_section_9_a_header_that_execution_does_not_lead_to(case: Case, name: str) -> None:
    change, reason = WRONG[name]
    header = change(case.block.block.header)
    assert case.reason(header, case.transfer) is reason
    if name == "height":
        return  # The ballots alone show that.
    rejection = Rejection(reason, "as a voter would see it")
    raws, ballots = [case.transfer], [item.raw for item in case.block.ballots]
    assert prove_invalidity(case.chain.genesis, header, raws, rejection, ballots) is None


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda case: case.chain.mint([40_000]), Reason.ISSUANCE_LIMIT),
        (lambda case: case.chain.mint([700], kind=Kind.PAYOUT), Reason.INSUFFICIENT_ACCOUNT),
        (lambda case: case.transfer[:-1], Reason.LENGTH),
    ],
    ids=["more than may be issued", "more than is in the account", "no transaction"],
)
def test_section_9_rules_that_read_the_state_are_shown_too(
    case: Case, make: Callable[[Case], bytes], reason: Reason
) -> None:
    raw = make(case)
    header = case.header(case.transfer, raw)
    assert case.reason(header, case.transfer, raw) is reason


def test_a_note_spent_in_an_earlier_block_is_not_seen_here(case: Case) -> None:
    """The list of nullifiers is no part of the state; the proofs and that list are judged apart."""
    chain = case.chain.fork()
    chain.seal(case.transfer)
    built = chain.build()
    ballots = [item.raw for item in built.ballots]
    header = replace(
        built.block.header, transaction_count=1, transactions_root=merkle_root([case.transfer])
    )
    shown = ExecutionProof(chain.header, chain.state.encode(), tuple(ballots), (case.transfer,))
    fault = shown.fault(chain.genesis, header)
    assert fault is not None
    led_to = bytes.fromhex(fault.message.rpartition("computed ")[2])
    assert shown.fault(chain.genesis, replace(header, post_state_root=led_to)) is None


def test_nothing_is_shown_by_other_things_than_the_header_commits_to(case: Case) -> None:
    header = replace(case.block.block.header, post_state_root=bytes(32))
    ballots = tuple([item.raw for item in case.block.ballots])
    shown = ExecutionProof(case.chain.header, case.chain.state.encode(), ballots, (case.transfer,))
    assert disprove(case.chain.genesis, header, encode_proof_of_sealed(shown)) is Reason.STATE_ROOT
    other_parent = replace(case.chain.header, time_ms=type(header.time_ms)(1))
    state = case.chain.state.encode()
    for other, why in (
        (replace(shown, parent=other_parent), "the header names another parent"),
        (replace(shown, state=state[:-1] + b"\1"), "the state is not the parent's"),
        (replace(shown, ballots=ballots[1:]), "the ballots are not the header's"),
        (replace(shown, transactions=()), "the transactions are not the header's"),
        (replace(shown, transactions=(case.transfer,) * 2), "the transactions are not the header"),
    ):
        with pytest.raises(Rejection, match=why) as caught:
            disprove(case.chain.genesis, header, encode_proof_of_sealed(other))
        assert caught.value.reason is Reason.EVIDENCE
    with_evidence = replace(header, evidence_root=merkle_root([b"evidence"]))
    with pytest.raises(Rejection, match="the evidence are not the header's"):
        disprove(case.chain.genesis, with_evidence, encode_proof_of_sealed(shown))
    assert case.proof(with_evidence, case.transfer) is None


def test_the_encoding_is_pinned(case: Case) -> None:
    """As the module's table describes it."""
    shown = ExecutionProof(case.chain.header, b"state", (b"a ballot",), (b"one", b"two"))
    writer = Writer().blob(b"consortium/invalidity/1").u8(5)
    expected = writer.fixed(case.chain.header.encode(), len(case.chain.header.encode()))
    expected.blob(b"state").u32(1).blob(b"a ballot").u32(2).blob(b"one").blob(b"two")
    assert encode_proof_of_sealed(shown) == expected.finish()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_change_of_a_byte_turns_a_proof_against_a_valid_block(data: st.DataObject) -> None:
    case = _shared()
    header = case.block.block.header
    shown = ExecutionProof(
        case.chain.header,
        case.chain.state.encode(),
        tuple([item.raw for item in case.block.ballots]),
        (case.transfer,),
    )
    changed = bytearray(encode_proof_of_sealed(shown))
    place = data.draw(st.integers(0, len(changed) - 1))
    changed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Rejection) as caught:
        disprove(case.chain.genesis, header, bytes(changed))
    assert caught.value.reason is Reason.EVIDENCE
    with pytest.raises(Rejection):
        disprove(case.chain.genesis, header, bytes(changed[:place]))


_cases: list[Case] = []


def _shared() -> Case:
    if not _cases:
        _cases.append(Case())
    return _cases[0]
