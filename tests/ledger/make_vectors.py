"""Write tests/vectors/ledger.json, which pins every encoding of the ledger that is hashed.

    python -m tests.ledger.make_vectors

The file is made once and then only read: a change of it is a change of the protocol. It holds its
inputs (the genesis, the bytes of proven transactions), so checking it draws no randomness.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from crypto.merkle import merkle_root
from crypto.transaction import Kind
from node.ledger.active_set import ActiveSet
from node.ledger.ballots import BallotCertificate, ballot_tag
from node.ledger.blocks import Block, Header
from node.ledger.governance import GovernanceKind
from node.ledger.invalidity import prove_invalidity
from node.ledger.offences import Offence, VerifiedEvidence
from node.ledger.rejection import Reason, Rejection
from node.ledger.state import (
    Accumulated,
    FillingBin,
    LedgerState,
    Pot,
    PunishedOffence,
    Tally,
    genesis_header,
    genesis_state,
)
from node.ledger.types import (
    Amount,
    BankIndex,
    BlockId,
    FiscalYear,
    Height,
    TimeMs,
    TransactionId,
    View,
)
from tests.ledger.chain import FEE, GOLD, Chain, make_genesis

VECTORS = Path(__file__).parent.parent / "vectors" / "ledger.json"


def example_header() -> Header:
    """Every field different."""
    return Header(
        chain_id=bytes([1]) * 32,
        height=Height(0x0203),
        parent_id=BlockId(bytes([4]) * 32),
        original_view=View(5),
        proposer=BankIndex(6),
        time_ms=TimeMs(0x0708090A0B),
        transactions_root=bytes([12]) * 32,
        evidence_root=bytes([13]) * 32,
        ballots_root=bytes([14]) * 32,
        transaction_count=2,
        post_state_root=bytes([15]) * 32,
        next_set_hash=bytes([16]) * 32,
    )


def example_block() -> Block:
    """Every list with items of different lengths."""
    return Block(
        example_header(),
        (b"ballot", b"another ballot"),
        (b"evidence",),
        (TransactionId(bytes([17]) * 32), TransactionId(bytes([18]) * 32)),
    )


def example_state() -> LedgerState:
    """A state with something in every list, also in those that this version leaves empty."""
    state = genesis_state(make_genesis())
    filling = FillingBin(3, TimeMs(4), ((b"P" * 96, b"C" * 96), (bytes([5]) * 96, bytes([6]) * 96)))
    bank = replace(
        state.banks[1], stake=Amount(7), offences=8, active=False, balance=Amount(1 << 64),
        blocks_created=9, creator_fees=Amount(10), topped_up=Amount(30), withdrawn=Amount(31),
        penalties=Amount(32), stake_nonce=33, rewards=Amount(38),
    )  # fmt: skip
    return replace(
        state,
        height=Height(11),
        time_ms=TimeMs(12),
        banks=(state.banks[0], bank, *state.banks[2:]),
        assets=(replace(state.assets[0], open_bin=filling, paid_out=Amount(13)), state.assets[1]),
        next_bin_id=14,
        transaction_count=15,
        notes=Accumulated(16, bytes([17]) * 32),
        nullifiers=Accumulated(18, bytes([19]) * 32),
        closed_bins=Accumulated(20, bytes([21]) * 32),
        pots=(
            Pot(
                FiscalYear(2026), Amount(22), Amount(23), Amount(35), (BankIndex(36), BankIndex(37))
            ),
        ),
        tallies=(Tally(FiscalYear(2026), b"Y" * 96, bytes([24]) * 192, 25, 26),),
        punished=(PunishedOffence(Height(27), BankIndex(28), 29),),
        governance_nonce=34,
        settled_through=FiscalYear(2025),
        draw_commitment=bytes([39]) * 32,
    )


def jsonable(value: object) -> object:
    return value.hex() if isinstance(value, bytes) else value


def header_object(header: Header) -> dict[str, object]:
    return {field.name: jsonable(getattr(header, field.name)) for field in fields(header)}


def set_object(active: ActiveSet) -> dict[str, object]:
    return {
        "banks": list(active.banks),
        "quorum": active.quorum,
        "set_hash": active.set_hash.hex(),
    }


def example_chain() -> list[dict[str, object]]:
    """Five blocks: issues that fill a bin, transfers, a redemption and payout, an empty block."""
    chain = Chain(make_genesis(), seed="vectors")
    blocks: list[dict[str, object]] = []

    def seal(*raws: bytes, after_ms: int) -> None:
        built = chain.seal(*raws, after_ms=after_ms)
        blocks.append(
            {
                "transactions": [raw.hex() for raw in raws],
                "block": built.block.encode().hex(),
                "block_id": built.block.block_id.hex(),
                "state_root": chain.state.root().hex(),
            }
        )

    issues = [chain.mint([1_000 + index] * 4) for index in range(4)]
    seal(*issues, chain.mint([70], asset=GOLD, bank=1), after_ms=1_000)
    seal(chain.transfer(chain.mature()[:2], redeem=5 * FEE), after_ms=1_500)
    seal(chain.mint([2 * FEE], bank=1, kind=Kind.PAYOUT), after_ms=400)
    seal(after_ms=5_000)
    seal(chain.transfer(chain.mature(GOLD)), chain.transfer(chain.mature()[-1:]), after_ms=1)
    return blocks


def example_certificate(chain: Chain) -> BallotCertificate:
    """What the banks publish about the tip."""
    header, votes = chain.header, chain.votes()
    ballots = sorted([item.raw for item in votes], key=ballot_tag)
    return BallotCertificate(header.height, View(0), header.block_id, tuple(ballots))


def certificate_object() -> dict[str, object]:
    """The certificate of a first block; its ballots are bytes of today's prover."""
    chain = Chain(make_genesis(), seed="certificate vectors")
    chain.seal(chain.mint([1]))
    certificate = example_certificate(chain)
    return {
        "height": certificate.height,
        "view": certificate.view,
        "block_id": certificate.block_id.hex(),
        "ballots": [raw.hex() for raw in certificate.ballots],
        "encoding": certificate.encode().hex(),
    }


def evidence_object(item: VerifiedEvidence) -> dict[str, object]:
    return {
        "raw": item.raw.hex(),
        "evidence_id": item.evidence_id.hex(),
        "offence": item.offence.value,
        "bank": item.bank,
        "height": item.height,
        "set_hash": item.set_hash.hex(),
    }


def read_evidence(pinned: dict[str, Any]) -> VerifiedEvidence:
    return VerifiedEvidence(
        bytes.fromhex(pinned["raw"]),
        Offence(pinned["offence"]),
        BankIndex(pinned["bank"]),
        Height(pinned["height"]),
        bytes.fromhex(pinned["set_hash"]),
    )


def example_governance() -> dict[str, object]:
    """Six banks: bank 5 is slashed seven times and removed, tops its stake up and returns; then it
    withdraws what it topped up too much."""
    chain = Chain(make_genesis(banks=6), seed="governance vectors")
    blocks: list[dict[str, object]] = []

    def seal(*raws: bytes, evidence: Sequence[VerifiedEvidence] = ()) -> None:
        built = chain.seal(*raws, evidence=evidence, after_ms=2_000)
        blocks.append(
            {
                "transactions": [raw.hex() for raw in raws],
                "evidence": [evidence_object(item) for item in built.evidence],
                "block": built.block.encode().hex(),
                "block_id": built.block.block_id.hex(),
                "state_root": chain.state.root().hex(),
                "stakes": [bank.stake for bank in chain.state.banks],
                "active": list(chain.state.active_set(chain.genesis).banks),
            }
        )

    one_of_each_class = (Offence.DOUBLE_BALLOT, *(*Offence,)[1:5], Offence.APPROVED_INVALID)
    account = chain.genesis.account_of(BankIndex(5))
    seal(chain.mint([50_000]))
    seal(evidence=[chain.evidence(5, 1, offence) for offence in one_of_each_class])
    seal(
        chain.transfer(chain.mature(), redeem=45_000, account=account),
        evidence=[chain.evidence(5, 2)],
    )
    bank = chain.state.banks[5]
    missing = bank.initial_stake - bank.stake
    seal(chain.move_stake(GovernanceKind.STAKE_TOP_UP, missing + 500, bank=5))
    terms = chain.terms(5)
    seal(chain.readmission(terms))
    seal(chain.move_stake(GovernanceKind.STAKE_WITHDRAWAL, 500, bank=5))
    return {
        "terms": {"encoding": terms.encode().hex(), "statement": terms.statement.hex()},
        "blocks": blocks,
    }


def example_invalidity() -> list[dict[str, object]]:
    """One proof of each form, with the header that it disproves."""
    chain = Chain(make_genesis(), seed="invalidity vectors")
    good = chain.mint([1])
    forged = good[:-1] + bytes([good[-1] ^ 1])
    faulty = [(Reason.SIGNATURE, [good, forged]), (Reason.DUPLICATE_TRANSACTION, [good, good])]
    honest = chain.build().block.header
    cases = [
        (reason, raws, replace(
            honest, transaction_count=len(raws), transactions_root=merkle_root(raws)
        ))
        for reason, raws in faulty
    ]  # fmt: skip
    cases.append((Reason.TRANSACTION_COUNT, [], replace(honest, transaction_count=101)))
    chain.seal(good)
    ballots = sorted([item.raw for item in chain.votes()], key=ballot_tag)[::-1]
    faulty = replace(chain.build().block.header, ballots_root=merkle_root(ballots))
    return [
        *[invalidity_object(chain, header, reason, raws) for reason, raws, header in cases],
        invalidity_object(chain, faulty, Reason.BALLOTS, [], ballots),
    ]


def invalidity_object(
    chain: Chain,
    header: Header,
    reason: Reason,
    raws: Sequence[bytes],
    ballots: Sequence[bytes] = (),
) -> dict[str, object]:
    rejection = Rejection(reason, "", 1)
    return {
        "header": header.encode().hex(),
        "reason": reason.value,
        "transactions": [raw.hex() for raw in raws],
        "ballots": [raw.hex() for raw in ballots],
        "proof": required(
            prove_invalidity(chain.genesis, header, raws, rejection, ballots)
        ).hex(),
    }


def required(proof: bytes | None) -> bytes:
    assert proof is not None
    return proof


def make() -> dict[str, object]:
    genesis = make_genesis()
    twelve = make_genesis(banks=12)
    return {
        "genesis": {
            "object": genesis.to_json_object(),
            "encoding": genesis.encode().hex(),
            "chain_id": genesis.chain_id.hex(),
            "accounts": [genesis.account_of(bank.index).hex() for bank in genesis.banks],
            "state": genesis_state(genesis).encode().hex(),
            "state_root": genesis_state(genesis).root().hex(),
            "header": genesis_header(genesis).encode().hex(),
            "block_id": genesis_header(genesis).block_id.hex(),
        },
        "sets": [
            set_object(genesis.active_set([bank.index for bank in genesis.banks])),
            set_object(twelve.active_set([bank.index for bank in twelve.banks])),
            set_object(twelve.active_set([bank.index for bank in twelve.banks if bank.index != 5])),
        ],
        "header": {
            "fields": header_object(example_header()),
            "encoding": example_header().encode().hex(),
            "block_id": example_header().block_id.hex(),
        },
        "block": {"encoding": example_block().encode().hex()},
        "state": {
            "encoding": example_state().encode().hex(),
            "root": example_state().root().hex(),
        },
        "certificate": certificate_object(),
        "chain": example_chain(),
        "governance": example_governance(),
        "invalidity": example_invalidity(),
    }


if __name__ == "__main__":
    VECTORS.write_text(json.dumps(make(), indent=1) + "\n", encoding="utf-8")
    print(f"wrote {VECTORS.name}, {VECTORS.stat().st_size} bytes")
