"""The equations (R), (E1)-(E3) and (I), each by itself as written (IDX1 6.3, 7.4, 7.6, 8.7)."""

from __future__ import annotations

from dataclasses import dataclass

from tests.reference.framing import (
    R_ORDER,
    Refused,
    expand,
    h2s,
    hash64,
    little,
    scalar,
    scalar_bytes,
)
from tests.reference.group import (
    Point,
    Term,
    combination,
    decode_on_curve,
    encode,
    gen,
    negative,
    total,
    value_generator,
    vanishes,
)
from tests.reference.layout import TRANSFER
from tests.reference.rules import Checked, pieces


@dataclass(frozen=True)
class RangeChallenges:
    h1: bytes
    y: list[int]
    z: list[int]
    x: int


@dataclass(frozen=True)
class SpendChallenges:
    mu: int
    xi: int


def check_equations(checked: Checked) -> None:
    """8.7; raises Refused with "range", "spend" or "issue", the first in this order."""
    _check_range(checked)
    for index in range(len(checked.parsed.inputs)):
        _check_spend(checked, index)
    if checked.parsed.kind != TRANSFER:
        _check_issue(checked)


def range_challenges(checked: Checked) -> RangeChallenges:
    parsed = checked.parsed
    m = len(parsed.outputs)
    A, S, T = pieces(parsed.range_proof[:288], 96)
    commitments = [output[96:192] for output in parsed.outputs]
    h1 = hash64("IDX1/range-1", checked.core, bytes([m]), *commitments, A)
    stream = expand("IDX1/range-yz", h1, 16 * (64 * m + m))
    integers = [little(piece) for piece in pieces(stream, 16)]
    x = h2s("IDX1/range-2", h1, S, T)
    return RangeChallenges(h1, integers[: 64 * m], integers[64 * m :], x)


def _check_range(checked: Checked) -> None:
    parsed = checked.parsed
    m = len(parsed.outputs)
    challenges = range_challenges(checked)
    y, z, x = challenges.y, challenges.z, challenges.x
    if x == 0:
        raise Refused("range")
    A, S, T = (decode_on_curve(piece) for piece in pieces(parsed.range_proof[:288], 96))
    *f, mu = (scalar(piece) for piece in pieces(parsed.range_proof[288:], 32))
    Q = sum(y[i] * f[i] * (1 - f[i]) + z[i // 64] * 2 ** (i % 64) * f[i] for i in range(64 * m))
    terms: list[Term] = [(1, A), (x, S), (x * x, T)]
    terms += [(z[j], decode_on_curve(parsed.outputs[j][96:192])) for j in range(m)]
    terms += [(-f[i], gen(b"range/%d" % i)) for i in range(64 * m)]
    terms += [(-Q, value_generator(parsed.asset)), (-mu, gen(b"G/blind"))]
    _must_vanish(terms, "range")


def spend_challenges(checked: Checked, index: int) -> SpendChallenges:
    spent = checked.parsed.inputs[index]
    ring_digest = checked.rings[index].digest()
    mu = h2s("IDX1/spend-mu", checked.digest, ring_digest, spent.J, bytes([index]) + spent.C)
    points = pieces(checked.parsed.spend_proofs[index][:576], 96)
    xi = h2s("IDX1/spend-xi", scalar_bytes(mu), checked.digest, *points)
    return SpendChallenges(mu, xi)


def _input_commitment(checked: Checked, index: int) -> Point:
    """C'_i as sent, or the last one, derived (7.1)."""
    parsed = checked.parsed
    if parsed.inputs[index].C:
        return decode_on_curve(parsed.inputs[index].C)
    public = combination([(parsed.public_amount, value_generator(parsed.asset))])
    paid = [decode_on_curve(output[96:192]) for output in parsed.outputs]
    others = [negative(decode_on_curve(other.C)) for other in parsed.inputs[:-1]]
    return total([*paid, public, *others])


def _check_spend(checked: Checked, index: int) -> None:
    challenges = spend_challenges(checked, index)
    mu, xi = challenges.mu, challenges.xi
    if mu == 0 or xi == 0:
        raise Refused("spend")
    n = checked.n
    proof = checked.parsed.spend_proofs[index]
    A, B, X0, X1, Y0, Y1 = (decode_on_curve(piece) for piece in pieces(proof[:576], 96))
    *sent, zA, zK, zG = (scalar(piece) for piece in pieces(proof[576:], 32))
    f = [_complete_row(sent[: n - 1], xi), _complete_row(sent[n - 1 :], xi)]
    G, K = gen(b"G/blind"), gen(b"K/key")

    bits: list[Term] = [(1, A), (xi, B), (-zA, G)]
    for j in range(2):
        for i in range(n):
            bits.append((-f[j][i], gen(b"M/a/%d/%d" % (j, i))))
            bits.append((-f[j][i] * (xi - f[j][i]), gen(b"M/b/%d/%d" % (j, i))))
    _must_vanish(bits, "spend")

    membership: list[Term] = [(-1, X0), (-xi, X1), (-zK, K), (-zG, G)]
    membership.append((-mu * xi * xi, _input_commitment(checked, index)))
    for k, (P, C) in enumerate(checked.rings[index].ring()):
        product = f[0][k % n] * f[1][k // n]
        membership.append((product, decode_on_curve(P)))
        membership.append((mu * product, decode_on_curve(C)))
    _must_vanish(membership, "spend")

    J = decode_on_curve(checked.parsed.inputs[index].J)
    _must_vanish([(xi * xi, gen(b"U/tag")), (-1, Y0), (-xi, Y1), (-zK, J)], "spend")


def _complete_row(sent: list[int], xi: int) -> list[int]:
    return [(xi - sum(sent)) % R_ORDER, *sent]


def issue_challenge(checked: Checked) -> int:
    return h2s("IDX1/issue-c", checked.digest, checked.parsed.issue_proof[:96])


def _check_issue(checked: Checked) -> None:
    parsed = checked.parsed
    c = issue_challenge(checked)
    if c == 0:
        raise Refused("issue")
    z = scalar(parsed.issue_proof[96:])
    terms: list[Term] = [(1, decode_on_curve(parsed.issue_proof[:96])), (-z, gen(b"G/blind"))]
    terms += [(c, decode_on_curve(output[96:192])) for output in parsed.outputs]
    terms.append((-c * parsed.public_amount, value_generator(parsed.asset)))
    _must_vanish(terms, "issue")


def _must_vanish(terms: list[Term], code: str) -> None:
    if not vanishes(combination(terms)):
        raise Refused(code)


def encoded_input_commitment(checked: Checked, index: int) -> bytes:
    return encode(_input_commitment(checked, index))
