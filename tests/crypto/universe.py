"""A small ledger whose wallets, notes and bins the tests know, and points outside the subgroup."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from crypto.build import Payment, SpendableNote, build_issue, build_transfer
from crypto.curve import Point, decode_curve, identity
from crypto.layout import Kind
from crypto.note import ReceivedNote, SessionKeys, scan_output, seal_output
from crypto.randomness import Coins
from crypto.ring import ClosedBin, OpenBin, close_bin
from crypto.scalar import ORDER
from crypto.signature import public_key_of

VECTORS = Path(__file__).parents[1] / "vectors" / "idx1.json"
CHAIN_ID = bytes(range(32))
EURO = b"asset: euro cash"
GOLD = b"asset: gold cash"
HEIGHT = 10
EXPIRY = 20
ALICE = SessionKeys.derive(b"alice", 0)
BOB = SessionKeys.derive(b"bob", 0)
ISSUER_SECRET = b"issuer secret of the test ledger"
COFACTOR = 0x396C8C005555E1568C00AAAB0000AAAB
FIELD_PRIME = int(
    "1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf"
    "6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab",
    16,
)


@dataclass(frozen=True)
class View:
    """A ledger view with its state in plain sets."""

    bins: dict[int, ClosedBin | OpenBin]
    chain_id: bytes = CHAIN_ID
    height: int = HEIGHT
    ring_base: int = 8
    issuers: frozenset[tuple[bytes, bytes]] = frozenset(
        {(EURO, public_key_of(ISSUER_SECRET)), (GOLD, public_key_of(ISSUER_SECRET))}
    )
    spent: frozenset[bytes] = frozenset()
    known_notes: frozenset[bytes] = frozenset()

    def find_bin(self, bin_id: int) -> ClosedBin | OpenBin | None:
        return self.bins.get(bin_id)

    def is_issuer(self, asset: bytes, issuer: bytes) -> bool:
        return (asset, issuer) in self.issuers

    def is_spent(self, nullifier: bytes) -> bool:
        return nullifier in self.spent

    def is_known_note(self, one_time_key: bytes) -> bool:
        return one_time_key in self.known_notes


@dataclass(frozen=True)
class Universe:
    """Bins 1 and 2 hold notes of Alice in euro, bin 3 in gold; bin 4 is open."""

    view: View
    notes: dict[int, list[SpendableNote]] = field(repr=False)

    def transfer(self, notes: list[SpendableNote], payments: list[Payment], **more: Any) -> bytes:
        """A transfer of these notes in their asset."""
        arguments: dict[str, Any] = {"expiry": EXPIRY, **more}
        return build_transfer(
            chain_id=CHAIN_ID,
            asset=notes[0].closed_bin.asset,
            inputs=notes,
            payments=payments,
            **arguments,
        )

    def pay_bob(self, bin_id: int, position: int, **more: Any) -> bytes:
        """A 1-in-2-out transfer: one unit to Bob, the rest back to Alice."""
        note = self.notes[bin_id][position]
        rest = note.value - 1
        return self.transfer(
            [note], [Payment(BOB.address, 1), Payment(ALICE.address, rest)], **more
        )


def issue(amount: int = 5, kind: Kind = Kind.ISSUE, **more: Any) -> bytes:
    """An issue of euro to Bob."""
    arguments: dict[str, Any] = {"payments": [Payment(BOB.address, amount)], **more}
    return build_issue(
        kind=kind,
        chain_id=CHAIN_ID,
        asset=EURO,
        amount=amount,
        issuer_secret=ISSUER_SECRET,
        expiry=EXPIRY,
        **arguments,
    )


def _receive(asset: bytes, value: int, coins: Coins) -> tuple[tuple[bytes, bytes], ReceivedNote]:
    sealed = seal_output(
        address=ALICE.address,
        value=value,
        memo=bytes(32),
        index=0,
        asset=asset,
        chain_id=CHAIN_ID,
        random_bytes=coins.take,
    )
    output = sealed.output
    received = scan_output(output, 0, asset, CHAIN_ID, ALICE)
    return (output.one_time_key, output.commitment), received


@cache
def universe(ring_base: int = 8) -> Universe:
    """The same universe for every test; nothing changes it."""
    coins = Coins(b"notes of the test universe")
    bins: dict[int, ClosedBin | OpenBin] = {4: OpenBin(4, EURO)}
    notes: dict[int, list[SpendableNote]] = {}
    for bin_id, asset, count in ((1, EURO, 10), (2, EURO, 3), (3, GOLD, 2)):
        received = [_receive(asset, 1000 * bin_id + index, coins) for index in range(count)]
        closed = close_bin(bin_id, asset, [encoded for encoded, _ in received], ring_base)
        bins[bin_id] = closed
        notes[bin_id] = [
            SpendableNote(closed, position, note.value, note.spend_key, note.blinding)
            for position, (_, note) in enumerate(received)
        ]
    return Universe(View(bins, ring_base=ring_base), notes)


def with_state(view: View, **changes: Any) -> View:
    """The view with other fields."""
    return replace(view, **changes)


def double_and_add(point: Point, scalar: int) -> Point:
    """Multiplication that trusts the backend's addition alone; no reduction of the scalar."""
    result = identity()
    for bit in f"{int(scalar):b}":
        result = result + result
        if bit == "1":
            result = result + point
    return result


@cache
def curve_point(start: int) -> Point:
    """The first point of the curve with an abscissa of at least `start`; it lies outside G1."""
    abscissa = start
    while True:
        square = (abscissa**3 + 4) % FIELD_PRIME
        root = pow(square, (FIELD_PRIME + 1) // 4, FIELD_PRIME)
        if root * root % FIELD_PRIME == square:
            return decode_curve(abscissa.to_bytes(48, "big") + root.to_bytes(48, "big"))
        abscissa += 1


@cache
def torsion_point(order: int) -> Point:
    """A point of this prime order, 3 or 11."""
    power = order
    while COFACTOR % (power * order) == 0:
        power *= order
    for start in range(1, 100):
        point = double_and_add(curve_point(start), COFACTOR // power * ORDER)
        while point != identity():
            multiple = double_and_add(point, order)
            if multiple == identity():
                return point
            point = multiple
    raise AssertionError(f"no point of order {order} found")


@cache
def vectors() -> dict[str, Any]:
    """The known-answer vectors of IDX1."""
    document: dict[str, Any] = json.loads(VECTORS.read_text(encoding="utf-8"))
    return document


@cache
def vector_view() -> View:
    """The state that the vectors' transactions are judged against."""
    document = vectors()
    bins: dict[int, ClosedBin | OpenBin] = {}
    known = set()
    for entry in document["bins"]:
        asset = bytes.fromhex(entry["asset"])
        notes = [(bytes.fromhex(note["P"]), bytes.fromhex(note["C"])) for note in entry["notes"]]
        known.update(one_time_key for one_time_key, _ in notes)
        closed = entry["closed"]
        bins[entry["id"]] = (
            close_bin(entry["id"], asset, notes) if closed else OpenBin(entry["id"], asset)
        )
    issuers = frozenset(
        (bytes.fromhex(entry["asset"]), bytes.fromhex(key))
        for entry in document["issuers"]
        for key in entry["keys"]
    )
    return View(
        bins,
        bytes.fromhex(document["chain_id"]),
        document["height"],
        issuers=issuers,
        known_notes=frozenset(known),
    )
