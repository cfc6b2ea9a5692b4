"""Ed25519 verification in the form of IDX1 7.6, computed from RFC 8032 section 5.1.

Accepted if and only if s < L, the key's encoding is canonical, and the encoding of sB - hA equals
the first 32 bytes of the signature. No cofactor is multiplied in.
"""

from __future__ import annotations

from hashlib import sha512

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
SQRT_MINUS_1 = pow(2, (P - 1) // 4, P)

Extended = tuple[int, int, int, int]
NEUTRAL: Extended = (0, 1, 1, 0)


def _add(left: Extended, right: Extended) -> Extended:
    a = (left[1] - left[0]) * (right[1] - right[0]) % P
    b = (left[1] + left[0]) * (right[1] + right[0]) % P
    c = 2 * left[3] * right[3] * D % P
    d = 2 * left[2] * right[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def _multiply(factor: int, point: Extended) -> Extended:
    result = NEUTRAL
    for bit in bin(factor)[2:]:
        result = _add(result, result)
        if bit == "1":
            result = _add(result, point)
    return result


def _recover_x(y: int, sign: int) -> int | None:
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * SQRT_MINUS_1 % P
    if x * x % P != square or (x == 0 and sign == 1):
        return None
    return P - x if x % 2 != sign else x


def _decode(data: bytes) -> Extended | None:
    value = int.from_bytes(data, "little")
    y, sign = value & (1 << 255) - 1, value >> 255
    if y >= P:
        return None
    x = _recover_x(y, sign)
    return None if x is None else (x, y, 1, x * y % P)


def _encode(point: Extended) -> bytes:
    inverse = pow(point[2], -1, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


_BASE_Y = 4 * pow(5, -1, P) % P
_BASE_X = _recover_x(_BASE_Y, 0)
assert _BASE_X is not None
BASE: Extended = (_BASE_X, _BASE_Y, 1, _BASE_X * _BASE_Y % P)


def verifies(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the 64-byte signature is accepted under IDX1 7.6."""
    commitment, response = signature[:32], int.from_bytes(signature[32:], "little")
    key = _decode(public_key)
    if key is None or response >= L:
        return False
    digest = sha512(commitment + public_key + message).digest()
    challenge = int.from_bytes(digest, "little") % L
    minus_key: Extended = (P - key[0], key[1], 1, P - key[3])
    computed = _add(_multiply(response, BASE), _multiply(challenge, minus_key))
    return _encode(computed) == commitment
