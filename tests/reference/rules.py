"""Checks against the ledger's state in the order of 8.2-8.6, and the digests of 5.5 (IDX1 8)."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.reference import ed25519
from tests.reference.framing import Refused, hash32, hash64, scalar, u64
from tests.reference.group import decode_on_curve, decode_strict
from tests.reference.layout import TRANSFER, Parsed, parse
from tests.reference.notes import Bin


@dataclass
class State:
    """What a transaction is checked against; `height` is that of the block being checked."""

    chain: bytes
    height: int
    bins: dict[int, Bin]
    issuers: dict[bytes, set[bytes]]
    spent: set[bytes] = field(default_factory=set)
    notes: set[bytes] = field(default_factory=set)
    n: int = 8


@dataclass(frozen=True)
class Checked:
    """A transaction that passed 8.1-8.6, with its digests and the bins it spends from."""

    parsed: Parsed
    rings: tuple[Bin, ...]
    core: bytes
    digest: bytes
    transaction_id: bytes
    n: int


def check(raw: bytes, state: State) -> Checked:
    """Steps 8.1-8.6; raises Refused with the first failing step's code."""
    parsed = parse(raw, state.n)
    rings = _context(parsed, state)
    _points(parsed)
    _scalars(parsed)
    _uniqueness(parsed, state)
    core, digest = _digests(parsed, rings)
    if parsed.kind != TRANSFER:
        message = hash64("IDX1/issue-sig", digest, parsed.issue_proof)
        if not ed25519.verifies(parsed.issuer, message, parsed.signature):
            raise Refused("signature")
    return Checked(parsed, rings, core, digest, hash32("IDX1/txid", raw), state.n)


def _context(parsed: Parsed, state: State) -> tuple[Bin, ...]:
    if parsed.chain != state.chain:
        raise Refused("chain")
    if state.height > parsed.expiry:
        raise Refused("expired")
    if parsed.kind != TRANSFER and parsed.issuer not in state.issuers.get(parsed.asset, set()):
        raise Refused("issuer")
    rings = []
    for spent in parsed.inputs:
        ring = state.bins.get(spent.bin_id)
        if ring is None:
            raise Refused("bin-unknown")
        if not ring.closed:
            raise Refused("bin-open")
        if ring.asset != parsed.asset:
            raise Refused("bin-asset")
        rings.append(ring)
    return tuple(rings)


def _points(parsed: Parsed) -> None:
    for spent in parsed.inputs:
        decode_strict(spent.J)
        if spent.C:
            decode_on_curve(spent.C)
    for output in parsed.outputs:
        decode_strict(output[:96])
        decode_strict(output[96:192])
    proof_points = [pieces(parsed.range_proof[:288], 96)]
    proof_points += [pieces(proof[:576], 96) for proof in parsed.spend_proofs]
    proof_points += [pieces(parsed.issue_proof[:96], 96)]
    for points in proof_points:
        for point in points:
            decode_on_curve(point)


def _scalars(parsed: Parsed) -> None:
    proofs = [parsed.range_proof[288:], *(proof[576:] for proof in parsed.spend_proofs)]
    proofs.append(parsed.issue_proof[96:])
    for proof in proofs:
        for piece in pieces(proof, 32):
            scalar(piece)


def _uniqueness(parsed: Parsed, state: State) -> None:
    nullifiers = [spent.J for spent in parsed.inputs]
    if len(set(nullifiers)) < len(nullifiers) or state.spent.intersection(nullifiers):
        raise Refused("nullifier")
    keys = [output[:96] for output in parsed.outputs]
    if len(set(keys)) < len(keys) or state.notes.intersection(keys):
        raise Refused("note")


def _digests(parsed: Parsed, rings: tuple[Bin, ...]) -> tuple[bytes, bytes]:
    inputs = [
        u64(spent.bin_id) + ring.digest() + spent.J + spent.C
        for spent, ring in zip(parsed.inputs, rings, strict=True)
    ]
    core = hash64("IDX1/core", parsed.head, *inputs, *parsed.outputs)
    return core, hash64("IDX1/digest", core, b"", b"", parsed.range_proof)


def pieces(data: bytes, length: int) -> list[bytes]:
    return [data[start : start + length] for start in range(0, len(data), length)]
