"""The table of hostile transactions: what is done to which field, and the answer it must get.

Every case says its gRPC status and its reason in two columns, from IDX1 8 and the table of
`node.rpc.errors` as clients know it. Cases are built from three valid transactions, a TRANSFER
of two inputs, an ISSUE and a PAYOUT, which are sealed at the end: whatever was refused was refused
for what was done to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from crypto.curve import decode_curve, encode_point, hash_to_curve
from crypto.scalar import ORDER
from node.ledger.types import BankIndex
from tests.attacks.transaction_fields import (
    FIELDS,
    MINT_FIELDS,
    POINT,
    SCALAR,
    TRANSFER_FIELDS,
    Field,
    length_of,
)
from tests.crypto.universe import FIELD_PRIME, curve_point, torsion_point
from tests.ledger.chain import GOLD, Chain

INVALID, EXISTS, STATE = "INVALID_ARGUMENT", "ALREADY_EXISTS", "FAILED_PRECONDITION"
U64_MAX = 2**64 - 1
OPEN_BIN, OTHER_BIN, GOLD_BIN, NO_BIN = 3, 1, 2, 9


@dataclass(frozen=True)
class Bases:
    """Three valid transactions, and the ledger that they are valid on."""

    chain: Chain
    transfer: bytes
    issue: bytes
    payout: bytes

    def of(self, kind: str) -> bytes:
        return {"transfer": self.transfer, "issue": self.issue, "payout": self.payout}[kind]


@dataclass(frozen=True)
class Case:
    """One hostile transaction and the answer it gets."""

    name: str
    build: Callable[[Bases], bytes]
    status: str
    reason: str


def u64(value: int) -> bytes:
    return value.to_bytes(8, "little")


def altered(kind: str, name: str, change: Callable[[bytes], bytes]) -> Callable[[Bases], bytes]:
    """The base transaction of a kind with one field changed in place."""
    field = FIELDS[kind][name]
    return lambda bases: field.put(bases.of(kind), change(field.of(bases.of(kind))))


def replaced(kind: str, name: str, value: bytes) -> Callable[[Bases], bytes]:
    return altered(kind, name, lambda _: value)


def flipped(value: bytes) -> bytes:
    """The lowest bit of the first byte, which every field has."""
    return bytes([value[0] ^ 1]) + value[1:]


# --- structure: every field of every kind, cut short and made longer --------------------------


def structural_cases() -> Iterator[Case]:
    for kind in ("transfer", "issue"):  # a PAYOUT is laid out as an ISSUE
        fields = FIELDS[kind]
        blobs_end = fields["attestation length"].end
        for field in fields.values():
            yield from _truncations(kind, field)
            yield _longer(kind, field, blobs_end)
            if field.size >= 4:
                yield _shorter(kind, field, blobs_end)


def _truncations(kind: str, field: Field) -> Iterator[Case]:
    if field.start > 0:
        yield Case(
            f"{kind} ends before {field.name}",
            lambda bases: bases.of(kind)[: field.start],
            INVALID,
            "length",
        )
    if field.size > 1:
        yield Case(
            f"{kind} ends inside {field.name}",
            lambda bases: bases.of(kind)[: field.end - 1],
            INVALID,
            "length",
        )


def _longer(kind: str, field: Field, blobs_end: int) -> Case:
    """Eight bytes 0xff behind the field: what follows moves to where something else is read."""
    if field.name == "version":
        reason = "kind"
    elif field.end <= FIELDS[kind]["input count"].end:
        reason = "count"
    else:
        reason = "reserved" if field.end < blobs_end else "trailing"
    return Case(
        f"{kind} {field.name} too long",
        lambda bases: bases.of(kind)[: field.end] + b"\xff" * 8 + bases.of(kind)[field.end :],
        INVALID,
        reason,
    )


def _shorter(kind: str, field: Field, blobs_end: int) -> Case:
    """Up to eight bytes cut from the field's end."""
    cut = min(8, field.size)
    if field.name in ("chain", "asset"):
        reason = "count"
    else:
        reason = "reserved" if field.end <= blobs_end else "length"
    return Case(
        f"{kind} {field.name} too short",
        lambda bases: bases.of(kind)[: field.end - cut] + bases.of(kind)[field.end :],
        INVALID,
        reason,
    )


# --- bytes of fixed meaning and integers -------------------------------------------------------


def head_cases() -> Iterator[Case]:
    for kind in FIELDS:
        for value in (0, 2, 255):
            yield Case(
                f"{kind} version {value}",
                replaced(kind, "version", bytes([value])),
                INVALID,
                "version",
            )
        for value in (0, 3, 5, 255):
            yield Case(
                f"{kind} kind {value}", replaced(kind, "kind", bytes([value])), INVALID, "kind"
            )
        for value in (0, 5, 255):
            yield Case(
                f"{kind} output count {value}",
                replaced(kind, "output count", bytes([value])),
                INVALID,
                "count",
            )
        for value in (1, 3, 4):
            yield Case(
                f"{kind} output count {value}",
                replaced(kind, "output count", bytes([value])),
                INVALID,
                "reserved",
            )
        for name in ("escrow length", "attestation length"):
            for value in (1, 2**32 - 1):
                yield Case(
                    f"{kind} {name} {value}",
                    replaced(kind, name, value.to_bytes(4, "little")),
                    INVALID,
                    "reserved",
                )
        yield Case(f"{kind} chain altered", altered(kind, "chain", flipped), INVALID, "chain")
        yield Case(f"{kind} chain zero", replaced(kind, "chain", bytes(32)), INVALID, "chain")
        yield Case(f"{kind} asset altered", altered(kind, "asset", flipped), INVALID, "asset")
        yield Case(f"{kind} asset zero", replaced(kind, "asset", bytes(16)), INVALID, "asset")
        for value in (0, 1):
            yield Case(
                f"{kind} expiry {value}", replaced(kind, "expiry", u64(value)), STATE, "expired"
            )
        yield Case(
            f"{kind} expiry of the tip",
            lambda bases, kind=kind: FIELDS[kind]["expiry"].put(
                bases.of(kind), u64(bases.chain.height)
            ),
            STATE,
            "expired",
        )
        yield Case(
            f"{kind} expiry one too far",
            lambda bases, kind=kind: FIELDS[kind]["expiry"].put(
                bases.of(kind), u64(bases.chain.height + 1 + 10_000 + 1)
            ),
            STATE,
            "expiry-too-far",
        )
        yield Case(
            f"{kind} expiry for ever",
            replaced(kind, "expiry", u64(U64_MAX)),
            STATE,
            "expiry-too-far",
        )


def transfer_head_cases() -> Iterator[Case]:
    for value in (0, 5, 255):
        yield Case(
            f"transfer input count {value}",
            replaced("transfer", "input count", bytes([value])),
            INVALID,
            "count",
        )
    for value in (1, 3, 4):
        yield Case(
            f"transfer input count {value}",
            replaced("transfer", "input count", bytes([value])),
            INVALID,
            "reserved",
        )
    for kind, value in (("issue", 2), ("payout", 4)):
        yield Case(
            f"transfer relabelled {kind}",
            replaced("transfer", "kind", bytes([value])),
            INVALID,
            "count",
        )
    for value in (0, 99, 101, U64_MAX):
        yield Case(f"transfer fee {value}", replaced("transfer", "fee", u64(value)), INVALID, "fee")
    yield Case("transfer asset of another", replaced("transfer", "asset", GOLD), INVALID, "fee")
    yield Case("transfer redeem without account", _redeem(1, bytes(32)), INVALID, "field")
    yield Case("transfer account without redeem", _redeem(0, b"\x01" * 32), INVALID, "field")
    yield Case("transfer redeem to nobody", _redeem(1, b"\x01" * 32), INVALID, "account")
    for value in (1, U64_MAX):
        yield Case(f"transfer redeem {value} unproven", _redeem_to_bank(value), INVALID, "range")
    yield Case(
        "transfer expiry later than signed",
        altered("transfer", "expiry", flipped),
        INVALID,
        "range",
    )
    for field in ("bin0", "bin1"):
        yield Case(
            f"transfer {field} unknown",
            replaced("transfer", field, u64(NO_BIN)),
            STATE,
            "bin-unknown",
        )
        yield Case(
            f"transfer {field} beyond every id",
            replaced("transfer", field, u64(U64_MAX)),
            STATE,
            "bin-unknown",
        )
        yield Case(
            f"transfer {field} open", replaced("transfer", field, u64(OPEN_BIN)), STATE, "bin-open"
        )
        yield Case(
            f"transfer {field} of gold",
            replaced("transfer", field, u64(GOLD_BIN)),
            INVALID,
            "bin-asset",
        )
        yield Case(
            f"transfer {field} another closed one",
            replaced("transfer", field, u64(OTHER_BIN)),
            INVALID,
            "range",
        )


def _redeem(value: int, account: bytes) -> Callable[[Bases], bytes]:
    def build(bases: Bases) -> bytes:
        data = TRANSFER_FIELDS["redeem"].put(bases.transfer, u64(value))
        return TRANSFER_FIELDS["account"].put(data, account)

    return build


def _redeem_to_bank(value: int) -> Callable[[Bases], bytes]:
    return lambda bases: _redeem(value, bases.chain.genesis.account_of(BankIndex(1)))(bases)


def mint_head_cases() -> Iterator[Case]:
    for kind, other in (("issue", 4), ("payout", 2)):
        for value in (1, 2, 255):
            yield Case(
                f"{kind} input count {value}",
                replaced(kind, "input count", bytes([value])),
                INVALID,
                "count",
            )
        yield Case(f"{kind} relabelled transfer", replaced(kind, "kind", b"\x01"), INVALID, "count")
        yield Case(
            f"{kind} relabelled mint", replaced(kind, "kind", bytes([other])), INVALID, "signature"
        )
        yield Case(f"{kind} amount 0", replaced(kind, "amount", bytes(8)), INVALID, "field")
        for what, value in (("1", u64(1)), ("all of it", u64(U64_MAX))):
            yield Case(
                f"{kind} amount {what}", replaced(kind, "amount", value), INVALID, "signature"
            )
        yield Case(f"{kind} issuer altered", altered(kind, "issuer", flipped), STATE, "issuer")
        for what, value in (("zero", bytes(32)), ("not canonical", b"\xff" * 32)):
            yield Case(f"{kind} issuer {what}", replaced(kind, "issuer", value), STATE, "issuer")
        yield Case(
            f"{kind} issuer another bank",
            lambda bases, kind=kind: MINT_FIELDS["issuer"].put(
                bases.of(kind), bases.chain.genesis.banks[2].issuer_key
            ),
            INVALID,
            "signature",
        )
        yield Case(
            f"{kind} expiry later than signed",
            altered(kind, "expiry", flipped),
            INVALID,
            "signature",
        )
        for what, change in SIGNATURES.items():
            yield Case(
                f"{kind} signature {what}",
                altered(kind, "signature", change),
                INVALID,
                "signature",
            )
    yield Case("issue asset of another", replaced("issue", "asset", GOLD), INVALID, "signature")
    yield Case(
        "payout asset of another", replaced("payout", "asset", GOLD), INVALID, "payout-asset"
    )


GROUP_ORDER_OF_ED25519 = 2**252 + 27742317777372353535851937790883648493


def _response_above_the_order(signature: bytes) -> bytes:
    response = int.from_bytes(signature[32:], "little") + GROUP_ORDER_OF_ED25519
    return signature[:32] + response.to_bytes(32, "little")


SIGNATURES: dict[str, Callable[[bytes], bytes]] = {
    "altered": flipped,
    "zero": lambda value: bytes(64),
    "halves swapped": lambda value: value[32:] + value[:32],
    "with s + L": _response_above_the_order,
    "of the neutral point": lambda value: b"\x01" + bytes(63),
}


# --- points and scalars ------------------------------------------------------------------------


def _above_the_prime(value: bytes) -> bytes:
    x = int.from_bytes(value[:48], "big") + FIELD_PRIME
    return x.to_bytes(48, "big") + value[48:]


def _negated(value: bytes) -> bytes:
    y = FIELD_PRIME - int.from_bytes(value[48:], "big")
    return value[:48] + y.to_bytes(48, "big")


def _with_torsion(order: int) -> Callable[[bytes], bytes]:
    return lambda value: encode_point(decode_curve(value) + torsion_point(order))


NOT_POINTS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "identity": (lambda value: bytes(POINT), "identity"),
    "off the curve": (lambda value: value[:95] + bytes([value[95] ^ 1]), "point"),
    "x above the prime": (_above_the_prime, "point"),
    "x all ones": (lambda value: b"\xff" * 48 + value[48:], "point"),
    "y all ones": (lambda value: value[:48] + b"\xff" * 48, "point"),
    "with the compression flag": (lambda value: bytes([value[0] | 0x80]) + value[1:], "point"),
    "with the infinity flag": (lambda value: b"\x40" + bytes(95), "point"),
}
"""Refused by both decoders of IDX1 2.2."""

OUTSIDE_THE_SUBGROUP: dict[str, Callable[[bytes], bytes]] = {
    "plus torsion of order 3": _with_torsion(3),
    "plus torsion of order 11": _with_torsion(11),
    "any point of the curve": lambda value: encode_point(curve_point(5)),
}
"""Refused by the strict decoder only."""

OTHER_POINTS: dict[str, Callable[[bytes], bytes]] = {
    "another point": lambda value: encode_point(hash_to_curve(b"another point")),
    "negated": _negated,
}

STRICT_POINTS = {
    "transfer": ("J0", "J1", "P0", "C0", "P1", "C1"),
    "issue": ("P0", "C0", "P1", "C1"),
    "payout": ("P0", "C0"),
}
CURVE_POINTS = {
    "transfer": (
        "C'0",
        "range A",
        "range S",
        "range T",
        "spend0 A",
        "spend0 B",
        "spend0 X0",
        "spend1 X1",
        "spend1 Y0",
        "spend1 Y1",
    ),
    "issue": ("range A", "range S", "range T", "issue R"),
    "payout": ("range A", "issue R"),
}
SCALARS = {
    "transfer": (
        "range f first",
        "range f last",
        "range mu",
        "spend0 f01",
        "spend0 zA",
        "spend1 f13",
        "spend1 zK",
        "spend1 zG",
    ),
    "issue": ("range f first", "range f last", "range mu", "issue z"),
    "payout": ("range mu", "issue z"),
}


def _equation(kind: str, name: str) -> str:
    """Which check an altered but well-formed value runs into first (IDX1 8.6, 8.7)."""
    if kind != "transfer":
        return "signature"
    return "spend" if name.startswith("spend") else "range"


def point_cases() -> Iterator[Case]:
    for kind in FIELDS:
        for name in STRICT_POINTS[kind] + CURVE_POINTS[kind]:
            strict = name in STRICT_POINTS[kind]
            for what, (change, reason) in NOT_POINTS.items():
                yield Case(f"{kind} {name} {what}", altered(kind, name, change), INVALID, reason)
            for what, change in OUTSIDE_THE_SUBGROUP.items():
                yield Case(
                    f"{kind} {name} {what}",
                    altered(kind, name, change),
                    INVALID,
                    "subgroup" if strict else _equation(kind, name),
                )
            for what, change in OTHER_POINTS.items():
                yield Case(
                    f"{kind} {name} {what}",
                    altered(kind, name, change),
                    INVALID,
                    _equation(kind, name),
                )


def _plus_one(value: bytes) -> bytes:
    return ((int.from_bytes(value, "little") + 1) % int(ORDER)).to_bytes(SCALAR, "little")


NOT_SCALARS = {
    "the order": int(ORDER),
    "the order plus one": int(ORDER) + 1,
    "all ones": 2**256 - 1,
}
"""Refused by IDX1 2.3; the order's highest limb alone does not decide."""

OTHER_SCALARS: dict[str, Callable[[bytes], bytes]] = {
    "plus one": _plus_one,
    "zero": lambda value: bytes(SCALAR),
    "the greatest": lambda value: (int(ORDER) - 1).to_bytes(SCALAR, "little"),
}


def scalar_cases() -> Iterator[Case]:
    for kind in FIELDS:
        for name in SCALARS[kind]:
            for what, value in NOT_SCALARS.items():
                yield Case(
                    f"{kind} {name} {what}",
                    replaced(kind, name, value.to_bytes(SCALAR, "little")),
                    INVALID,
                    "scalar",
                )
            for what, change in OTHER_SCALARS.items():
                yield Case(
                    f"{kind} {name} {what}",
                    altered(kind, name, change),
                    INVALID,
                    _equation(kind, name),
                )


def output_cases() -> Iterator[Case]:
    """What only the payee reads is bound by the proofs all the same."""
    for kind in FIELDS:
        for index in (0, 1):
            for name in ("E", "view tag ", "ciphertext "):
                yield Case(
                    f"{kind} {name}{index} altered",
                    altered(kind, f"{name}{index}", flipped),
                    INVALID,
                    _equation(kind, name),
                )
        yield Case(
            f"{kind} whole bytes doubled",
            lambda bases, kind=kind: bases.of(kind) * 2,
            INVALID,
            "trailing",
        )
    yield Case(
        "transfer one byte after the end",
        lambda bases: bases.transfer + b"\x00",
        INVALID,
        "trailing",
    )


def table() -> list[Case]:
    """Every case that is made by altering valid bytes."""
    makers = (
        structural_cases,
        head_cases,
        transfer_head_cases,
        mint_head_cases,
        point_cases,
        scalar_cases,
        output_cases,
    )
    return [case for make in makers for case in make()]


def require_exact_offsets(bases: Bases) -> None:
    """The three transactions have the lengths that the field tables say."""
    for kind, fields in FIELDS.items():
        assert len(bases.of(kind)) == length_of(fields), kind
