"""The pinned encodings: tests/vectors/ledger.json, made by tests/ledger/make_vectors.py."""

from __future__ import annotations

import json
from typing import Any

import pytest

from node.ledger.ballots import BallotCertificate, verify_ballot_certificate
from node.ledger.blocks import Block, Header
from node.ledger.genesis import Genesis
from node.ledger.governance import ReadmissionTerms
from node.ledger.invalidity import disprove, prove_invalidity
from node.ledger.rejection import Reason, Rejection
from node.ledger.state import LedgerState, genesis_header, genesis_state
from node.ledger.types import BankIndex, BlockId, Height, View
from tests.ledger import make_vectors
from tests.ledger.chain import Chain, make_genesis


@pytest.fixture(scope="module")
def vectors() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(make_vectors.VECTORS.read_text(encoding="utf-8"))
    return loaded


def test_genesis(vectors: dict[str, Any]) -> None:
    pinned = vectors["genesis"]
    genesis = Genesis.from_json_object(pinned["object"])
    assert {
        "object": genesis.to_json_object(),
        "encoding": genesis.encode().hex(),
        "chain_id": genesis.chain_id.hex(),
        "accounts": [genesis.account_of(bank.index).hex() for bank in genesis.banks],
        "state": genesis_state(genesis).encode().hex(),
        "state_root": genesis_state(genesis).root().hex(),
        "header": genesis_header(genesis).encode().hex(),
        "block_id": genesis_header(genesis).block_id.hex(),
    } == pinned
    assert LedgerState.decode(bytes.fromhex(pinned["state"])) == genesis_state(genesis)


def test_set_hashes(vectors: dict[str, Any]) -> None:
    genesis = {4: make_genesis(), 12: make_genesis(banks=12)}
    for pinned in vectors["sets"]:
        founders = genesis[4 if len(pinned["banks"]) == 4 else 12]
        active = founders.active_set([BankIndex(bank) for bank in pinned["banks"]])
        assert make_vectors.set_object(active) == pinned
    assert [(len(item["banks"]), item["quorum"]) for item in vectors["sets"]] == [
        (4, 4),
        (12, 10),
        (11, 10),
    ]


def test_header(vectors: dict[str, Any]) -> None:
    pinned, header = vectors["header"], make_vectors.example_header()
    assert make_vectors.header_object(header) == pinned["fields"]
    assert header.encode().hex() == pinned["encoding"]
    assert header.block_id.hex() == pinned["block_id"]
    assert Header.decode(bytes.fromhex(pinned["encoding"])) == header


def test_block(vectors: dict[str, Any]) -> None:
    encoding = bytes.fromhex(vectors["block"]["encoding"])
    assert make_vectors.example_block().encode() == encoding
    assert Block.decode(encoding) == make_vectors.example_block()


def test_state(vectors: dict[str, Any]) -> None:
    encoding = bytes.fromhex(vectors["state"]["encoding"])
    state = make_vectors.example_state()
    assert (state.encode(), state.root().hex()) == (encoding, vectors["state"]["root"])
    assert LedgerState.decode(encoding) == state


def test_section_17_a_published_certificate(vectors: dict[str, Any]) -> None:
    """The encoding, and that its ballots verify under the pinned genesis."""
    pinned = vectors["certificate"]
    genesis = Genesis.from_json_object(vectors["genesis"]["object"])
    certificate = BallotCertificate.decode(bytes.fromhex(pinned["encoding"]))
    assert certificate == BallotCertificate(
        Height(pinned["height"]),
        View(pinned["view"]),
        BlockId(bytes.fromhex(pinned["block_id"])),
        tuple([bytes.fromhex(raw) for raw in pinned["ballots"]]),
    )
    assert certificate.encode().hex() == pinned["encoding"]
    active = genesis.active_set([bank.index for bank in genesis.banks])
    verified = verify_ballot_certificate(certificate, genesis.chain_id, active)
    assert [item.raw for item in verified] == list(certificate.ballots)


def test_a_pinned_chain_leads_to_its_pinned_states(vectors: dict[str, Any]) -> None:
    """Proofs verified, blocks validated, every state root reproduced."""
    chain = Chain(Genesis.from_json_object(vectors["genesis"]["object"]), seed="another")
    for pinned in vectors["chain"]:
        block = Block.decode(bytes.fromhex(pinned["block"]))
        verified = chain.verify(*(bytes.fromhex(raw) for raw in pinned["transactions"]))
        chain.apply(block, chain.validate(block, verified, block.header.time_ms))
        assert chain.header.block_id.hex() == pinned["block_id"]
        assert chain.state.root().hex() == pinned["state_root"]


def test_pinned_slashes_stakes_and_a_return_lead_to_their_pinned_states(
    vectors: dict[str, Any],
) -> None:
    """BFT-12 9, 10, 18: from the bytes alone, under the rules of today."""
    chain = Chain(make_genesis(banks=6), seed="another")
    pinned_terms = vectors["governance"]["terms"]
    terms = ReadmissionTerms.decode(bytes.fromhex(pinned_terms["encoding"]))
    assert terms.statement.hex() == pinned_terms["statement"]
    for pinned in vectors["governance"]["blocks"]:
        block = Block.decode(bytes.fromhex(pinned["block"]))
        verified = chain.verify(*(bytes.fromhex(raw) for raw in pinned["transactions"]))
        evidence = [make_vectors.read_evidence(item) for item in pinned["evidence"]]
        assert [make_vectors.evidence_object(item) for item in evidence] == pinned["evidence"]
        time_ms = block.header.time_ms
        chain.apply(block, chain.validate(block, verified, time_ms, evidence))
        assert chain.header.block_id.hex() == pinned["block_id"]
        assert chain.state.root().hex() == pinned["state_root"]
        assert [bank.stake for bank in chain.state.banks] == pinned["stakes"]
        assert list(chain.state.active_set(chain.genesis).banks) == pinned["active"]
    stakes = [pinned["stakes"][5] for pinned in vectors["governance"]["blocks"]]
    assert stakes == [45_005, 15_763, 12_611, 45_505, 45_505, 45_005]
    active = [len(pinned["active"]) for pinned in vectors["governance"]["blocks"]]
    assert active == [6, 6, 5, 5, 6, 6]


def test_pinned_proofs_disprove_their_headers(vectors: dict[str, Any]) -> None:
    """BFT-12 9, E5."""
    genesis = Genesis.from_json_object(vectors["genesis"]["object"])
    reasons = []
    for pinned in vectors["invalidity"]:
        header = Header.decode(bytes.fromhex(pinned["header"]))
        proof = bytes.fromhex(pinned["proof"])
        raws = [bytes.fromhex(raw) for raw in pinned["transactions"]]
        rejection = Rejection(Reason(pinned["reason"]), "", 1)
        ballots = [bytes.fromhex(raw) for raw in pinned["ballots"]]
        assert prove_invalidity(genesis, header, raws, rejection, ballots) == proof
        assert disprove(genesis, header, proof) == pinned["reason"]
        reasons.append(pinned["reason"])
    assert reasons == ["signature", "duplicate-transaction", "transaction-count", "ballots"]
