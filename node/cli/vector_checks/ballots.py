"""Checks of vote keys, the ring, ballots in sequence and openings (IDX1 9)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from crypto.ballot import (
    BallotBox,
    BallotKey,
    BallotOpening,
    open_ballot,
    verify_ballot,
    verify_ballot_opening,
    verify_possession,
)
from crypto.curve import encode_point
from crypto.errors import OpeningInvalid, ProofOfPossessionInvalid, Rejected
from node.cli.vector_checks.document import Check, Json, Mismatch, VectorFile, expect, unhex


def ballot_checks(file: VectorFile) -> Iterator[Check]:
    """Everything in the ballots section but its share of the blocks (IDX1 9)."""
    if "ballots" in file.document:
        yield Check("ballots.Y", partial(_check_opener, file))
        yield Check("ballots.ring_digest", partial(_check_ring_digest, file))
        yield Check("ballots.context_base", partial(_check_context_base, file))
    yield from file.checks(_check_possession, "ballots", "keys")
    yield from file.checks(_check_no_possession, "ballots", "bad_pops")
    yield from file.checks(_check_sequence, "ballots", "cases")
    yield from file.checks(_check_opening, "ballots", "openings")


def _check_opener(file: VectorFile) -> None:
    opener = BallotKey.from_bytes(unhex(file.ballots["opener"]))
    expect("Y", opener.public.hex(), file.ballots["Y"])


def _check_ring_digest(file: VectorFile) -> None:
    expect("ring_digest", file.ballot_ring.digest.hex(), file.ballots["ring_digest"])


def _check_context_base(file: VectorFile) -> None:
    base = encode_point(file.ballot_context(file.ballots).base)
    expect("context_base", base.hex(), file.ballots["context_base"])


def _check_possession(file: VectorFile, case: Json) -> None:
    key = BallotKey.from_bytes(unhex(case["x"]))
    expect("P", key.public.hex(), case["P"])
    verify_possession(key.public, file.chain_id, case["index"], unhex(case["pop"]))


def _check_no_possession(_file: VectorFile, case: Json) -> None:
    chain_id, key, proof = unhex(case["chain_id"]), unhex(case["P"]), unhex(case["pop"])
    try:
        verify_possession(key, chain_id, case["index"], proof)
    except ProofOfPossessionInvalid:
        return
    raise Mismatch("the proof of possession is accepted")


def _check_sequence(file: VectorFile, case: Json) -> None:
    ring, context = file.ballot_ring, file.ballot_context(case)
    box = BallotBox(ring, context)
    verdicts: list[str | None] = []
    for data in case["ballots"]:
        try:
            box.add(verify_ballot(unhex(data), ring, context))
        except Rejected as error:
            verdicts.append(error.reason.value)
        else:
            verdicts.append(None)
    expect("verdicts", verdicts, case["expect"])


def _check_opening(file: VectorFile, case: Json) -> None:
    ring, context = file.ballot_ring, file.ballot_context(file.ballots)
    data, opening = unhex(case["ballot"]), BallotOpening(case["index"], unhex(case["proof"]))
    valid = True
    try:
        verify_ballot_opening(data, opening, ring, context)
    except OpeningInvalid:
        valid = False
    expect("valid", valid, case["valid"])
    if valid:
        opener = BallotKey.from_bytes(unhex(file.ballots["opener"]))
        own_opening = open_ballot(verify_ballot(data, ring, context), opener)
        expect("index by our own opening", own_opening.index, case["index"])
        verify_ballot_opening(data, own_opening, ring, context)
