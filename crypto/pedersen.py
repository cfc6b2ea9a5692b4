"""Pedersen commitments: vH + bG, hiding by b, binding while nobody knows the logarithm of H to G.
"""

from crypto.curve import Point, encode_point, multiply
from crypto.generators import blinding_generator, value_generator


def commit(asset: bytes, value: int, blinding: int) -> Point:
    """C = vH + bG for one asset (IDX1 3.2)."""
    return multiply(value_generator(asset), value) + multiply(blinding_generator(), blinding)


def encode_commitment(asset: bytes, value: int, blinding: int) -> bytes:
    """The 96 bytes of C; raises IdentityPoint if it is the identity."""
    return encode_point(commit(asset, value, blinding))
