"""Signing and checking, injected into the core as two small protocols; Ed25519 (RFC 8032) here.

A simulator injects an unforgeable oracle instead; the core cannot tell the difference.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from crypto.ballot import BallotContext, BallotKey, Decision, sign_ballot
from node.ledger.active_set import ActiveSet
from node.ledger.types import KEY_BYTES, SIGNATURE_BYTES, BlockId, Height, View

MAX_CACHED_SIGNATURES = 2048
"""About forty heights of twelve banks, 0.4 MB; a certificate repeats signatures seen one by one,
within its height or when it is synchronised."""
MAX_CACHED_KEYS = 64
"""Four times the largest consortium: keys of removed banks age out."""


class SignatureInvalid(Exception):
    """The signature is not one of this key over these bytes: the sender's fault."""


class Signer(Protocol):
    """Holds a bank's consensus key."""

    def sign(self, message: bytes) -> bytes:
        """Return a deterministic 64-byte signature, so that a restart repeats the same bytes."""
        ...


class Verifier(Protocol):
    """Checks signatures of any bank."""

    def verify(self, public_key: bytes, message: bytes, signature: bytes) -> None:
        """Raise `SignatureInvalid` unless `signature` is by `public_key` over `message`."""
        ...


class BallotSigner(Protocol):
    """Holds a bank's ballot key."""

    def sign_ballot(
        self, active_set: ActiveSet, height: Height, view: View, block_id: BlockId, *, approve: bool
    ) -> bytes:
        """Return the ballot of this bank, a function of the arguments (BFT-12 17).

        `active_set` is that of the height, and this bank is in it.
        """
        ...


class RingBallotSigner:
    """A ballot key in memory (IDX1 9.4). Its representation never shows the key."""

    def __init__(self, key: BallotKey, chain_id: bytes) -> None:
        self._key = key
        self._chain_id = chain_id

    def sign_ballot(
        self, active_set: ActiveSet, height: Height, view: View, block_id: BlockId, *, approve: bool
    ) -> bytes:
        context = BallotContext(self._chain_id, height, view)
        decision = Decision.APPROVE if approve else Decision.REJECT
        return sign_ballot(self._key, active_set.ballot_ring, context, block_id, decision)


class Ed25519Signer:
    """A consensus key in memory. Its representation never shows the key."""

    def __init__(self, seed: bytes) -> None:
        """`seed` is the 32-byte private key of RFC 8032."""
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key: bytes = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


class Ed25519Verifier:
    """Checks Ed25519 signatures; remembers parsed keys and signatures already found valid.

    Only successes are remembered, by the hash of key, signature and message together, so that a
    hostile peer can neither poison the memory nor make it grow.
    """

    def __init__(self, cached_signatures: int = MAX_CACHED_SIGNATURES) -> None:
        self._keys: OrderedDict[bytes, Ed25519PublicKey] = OrderedDict()
        self._valid: OrderedDict[bytes, None] = OrderedDict()
        self._limit = cached_signatures

    def verify(self, public_key: bytes, message: bytes, signature: bytes) -> None:
        # Fixed lengths make the concatenation below unambiguous.
        if len(public_key) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
            raise SignatureInvalid("signature does not verify")
        fingerprint = hashlib.sha256(public_key + signature + message).digest()
        if fingerprint in self._valid:
            self._valid.move_to_end(fingerprint)
            return
        try:
            self._key(public_key).verify(signature, message)
        except (InvalidSignature, ValueError) as error:
            raise SignatureInvalid("signature does not verify") from error
        self._valid[fingerprint] = None
        if len(self._valid) > self._limit:
            self._valid.popitem(last=False)

    def _key(self, public_key: bytes) -> Ed25519PublicKey:
        key = self._keys.get(public_key)
        if key is None:
            key = Ed25519PublicKey.from_public_bytes(public_key)
            self._keys[public_key] = key
            if len(self._keys) > MAX_CACHED_KEYS:
                self._keys.popitem(last=False)
        return key
