"""Signatures that nobody can forge and that cost nothing: a keyed hash known to the tests alone."""

from __future__ import annotations

import hashlib

from node.consensus.signatures import SignatureInvalid

_SECRET = b"known to the oracle alone"


def _signature(public_key: bytes, message: bytes) -> bytes:
    return hashlib.blake2b(_SECRET + public_key + message, digest_size=64).digest()


class OracleSigner:
    def __init__(self, public_key: bytes) -> None:
        self._public_key = public_key

    def sign(self, message: bytes) -> bytes:
        return _signature(self._public_key, message)


class OracleVerifier:
    def verify(self, public_key: bytes, message: bytes, signature: bytes) -> None:
        if _signature(public_key, message) != signature:
            raise SignatureInvalid("signature does not verify")


def public_key(bank: int) -> bytes:
    return hashlib.sha256(b"bank %d" % bank).digest()
