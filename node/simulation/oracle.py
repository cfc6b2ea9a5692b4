"""Signatures that nobody can forge and that cost nothing: a keyed hash known to the oracle alone.

BFT-12 section 16: the simulator looks for faults of the protocol, not of Ed25519. A bank gets a
signer for its own key and nothing else, so a Byzantine bank can sign anything as itself and
nothing as anybody else.
"""

from __future__ import annotations

import hashlib
from functools import cache

from crypto.signature import public_key_of
from node.consensus.signatures import SignatureInvalid
from node.ledger.types import SIGNATURE_BYTES

_SECRET = b"known to the oracle alone"


def _signature(public_key: bytes, message: bytes) -> bytes:
    return hashlib.blake2b(_SECRET + public_key + message, digest_size=SIGNATURE_BYTES).digest()


class OracleSigner:
    """Signs for one bank; satisfies `node.consensus.signatures.Signer`."""

    def __init__(self, public_key: bytes) -> None:
        self._public_key = public_key

    def sign(self, message: bytes) -> bytes:
        """Return the one signature of this key over the message, 64 bytes."""
        return _signature(self._public_key, message)


class OracleVerifier:
    """Satisfies `node.consensus.signatures.Verifier`."""

    def verify(self, public_key: bytes, message: bytes, signature: bytes) -> None:
        """Raise `SignatureInvalid` unless the oracle made the signature."""
        if _signature(public_key, message) != signature:
            raise SignatureInvalid("signature does not verify")


@cache
def secret_key(bank: int) -> bytes:
    """Return the consensus key of a simulated bank as an Ed25519 seed, 32 bytes.

    Statements are signed by the oracle; what the ledger itself verifies is signed with this.
    """
    return hashlib.sha256(b"bank %d" % bank).digest()


@cache
def public_key(bank: int) -> bytes:
    """Return the consensus public key of a simulated bank, 32 bytes."""
    return public_key_of(secret_key(bank))
