"""Vote keys, ballots, the rules about tags, and openings (IDX1 9)."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.reference.framing import R_ORDER, Refused, h2s, hash32, hash64, scalar, u32, u64
from tests.reference.group import (
    Point,
    Term,
    combination,
    decode_on_curve,
    decode_strict,
    encode,
    gen,
    vanishes,
)
from tests.reference.rules import pieces

HEAD_BYTES = 79
IDENTITY_BYTES = bytes(96)


@dataclass(frozen=True)
class BallotContext:
    """The expected context and the ring of that height: opener's Y and the keys, encoded."""

    chain: bytes
    height: int
    round: int
    Y: bytes
    keys: tuple[bytes, ...]

    def ring_digest(self) -> bytes:
        return hash32("IDX1/vote-ring", self.Y, *self.keys)

    def base(self) -> Point:
        return context_base(self.chain, self.height, self.round)


def context_base(chain: bytes, height: int, round_number: int) -> Point:
    """Bc of 2.4."""
    return gen(b"vote/ctx/" + chain + u64(height) + u32(round_number))


def possession_holds(chain: bytes, index: int, P: bytes, pop: bytes) -> bool:
    """9.1."""
    if len(pop) != 64:
        return False
    try:
        c, z = scalar(pop[:32]), scalar(pop[32:])
        key = decode_strict(P)
    except Refused:
        return False
    R = encode(combination([(z, gen(b"vote/key")), (-c, key)]))
    return R != IDENTITY_BYTES and c == h2s("IDX1/vote-pop", chain + u32(index), P, R)


def check_ballot(ballot: bytes, context: BallotContext) -> tuple[bytes, bytes]:
    """9.5 in the order of 9.6; returns the tag's bytes and the message, or raises Refused."""
    n = len(context.keys)
    _form(ballot, n, context)
    points_bytes = pieces(ballot[HEAD_BYTES : HEAD_BYTES + 9 * 96], 96)
    points = [decode_strict(piece) for piece in points_bytes[:3]]
    points += [decode_on_curve(piece) for piece in points_bytes[3:]]
    scalars = [scalar(piece) for piece in pieces(ballot[HEAD_BYTES + 9 * 96 :], 32)]
    head = ballot[:HEAD_BYTES]
    st = hash64("IDX1/vote", head, context.ring_digest(), *points_bytes[:3])
    xi = h2s("IDX1/vote-xi", st, *points_bytes[3:])
    if xi == 0:
        raise Refused("ballot")
    for terms in _equations(points, scalars, xi, context):
        if not vanishes(combination(terms)):
            raise Refused("ballot")
    return points_bytes[0], head[-33:]


def _form(ballot: bytes, n: int, context: BallotContext) -> None:
    if len(ballot) < 2:
        raise Refused("length")
    if ballot[0] != 1:
        raise Refused("version")
    if ballot[1] != 3:
        raise Refused("kind")
    whole = HEAD_BYTES + 9 * 96 + 32 * (n + 2)
    if len(ballot) != whole:
        raise Refused("length" if len(ballot) < whole else "trailing")
    if ballot[2:34] != context.chain:
        raise Refused("chain")
    if ballot[34:46] != u64(context.height) + u32(context.round):
        raise Refused("context")
    if ballot[78:79] not in (b"A", b"R"):
        raise Refused("message")


def _equations(
    points: list[Point], scalars: list[int], xi: int, context: BallotContext
) -> list[list[Term]]:
    T, E1, E2, A, B, X1, X2, R2, R3 = points
    *sent, zA, zr, zx = scalars
    f = [(xi - sum(sent)) % R_ORDER, *sent]
    KV, Y = gen(b"vote/key"), decode_strict(context.Y)
    v1: list[Term] = [(1, A), (xi, B), (-zA, gen(b"vote/F"))]
    for i, fi in enumerate(f):
        v1.append((-fi, gen(b"vote/a/%d" % i)))
        v1.append((-fi * (xi - fi), gen(b"vote/b/%d" % i)))
    v2: list[Term] = [(zr, KV), (-xi, E1), (-1, X1)]
    v3: list[Term] = [(zr, Y), (-xi, E2), (-1, X2)]
    v3 += [(fi, decode_strict(P)) for fi, P in zip(f, context.keys, strict=True)]
    v4: list[Term] = [(zx, KV), (zr, Y), (-xi, E2), (-1, R2)]
    v5: list[Term] = [(zx, context.base()), (-xi, T), (-1, R3)]
    return [v1, v2, v3, v4, v5]


@dataclass
class Tally:
    """The rule about tags among ballots of one context (9.6)."""

    context: BallotContext
    messages: dict[bytes, set[bytes]] = field(default_factory=dict)

    def judge(self, ballot: bytes) -> str | None:
        """The code of this ballot in the sequence, None if it is accepted."""
        try:
            tag, message = check_ballot(ballot, self.context)
        except Refused as refused:
            return refused.code
        seen = self.messages.setdefault(tag, set())
        if message in seen:
            return "duplicate"
        seen.add(message)
        return None if len(seen) == 1 else "equivocation"


def opening_holds(ballot: bytes, index: int, proof: bytes, context: BallotContext) -> bool:
    """9.7, the judge's side."""
    try:
        check_ballot(ballot, context)
        if len(proof) != 64 or not 0 <= index < len(context.keys):
            return False
        c, z = scalar(proof[:32]), scalar(proof[32:])
    except Refused:
        return False
    E1, E2 = (decode_strict(piece) for piece in pieces(ballot[79 + 96 : 79 + 288], 96))
    Y, P = decode_strict(context.Y), decode_strict(context.keys[index])
    first = encode(combination([(z, gen(b"vote/key")), (-c, Y)]))
    second = encode(combination([(z, E1), (-c, E2), (c, P)]))
    if IDENTITY_BYTES in (first, second):
        return False
    ballot_hash = hash64("IDX1/ballot", ballot)
    challenge = h2s("IDX1/open", context.ring_digest(), bytes([index]), ballot_hash, first, second)
    return c == challenge
