"""Ed25519 by the one rule of IDX1 7.6: canonical keys, no cofactor.

OpenSSL recomputes R as sB - hA, compares encodings and refuses s >= L, which is the rule, but it
accepts non-canonical encodings of the key; two verifiers that differ there would split, so those
are refused here.
"""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from crypto.errors import SignatureInvalid

PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64
_FIELD_PRIME = 2**255 - 19
_SIGN_BIT = 1 << 255
_ORDINATES_OF_ZERO_ABSCISSA = (1, _FIELD_PRIME - 1)


def _require_canonical_key(public_key: bytes) -> None:
    encoded = int.from_bytes(public_key, "little")
    ordinate = encoded & ~_SIGN_BIT
    negative_zero = encoded >= _SIGN_BIT and ordinate in _ORDINATES_OF_ZERO_ABSCISSA
    if ordinate >= _FIELD_PRIME or negative_zero:
        raise SignatureInvalid("the public key is not encoded canonically")


def verify_signature(public_key: bytes, signature: bytes, message: bytes) -> None:
    """Raise SignatureInvalid unless `signature` (64 bytes) by `public_key` (32 bytes) is valid.

    Valid means: the key's encoding is canonical, s < L, and the encoding of sB - hA equals the
    first 32 bytes of the signature, which makes R canonical as well (RFC 8032 without its cofactor;
    IDX1 7.6).
    """
    if len(public_key) != PUBLIC_KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        raise SignatureInvalid("the key has 32 bytes and the signature 64")
    _require_canonical_key(public_key)
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise SignatureInvalid("the signature does not verify") from None


def sign(secret_key: bytes, message: bytes) -> bytes:
    """The 64 signature bytes over `message` by the 32-byte Ed25519 seed (RFC 8032)."""
    return Ed25519PrivateKey.from_private_bytes(secret_key).sign(message)


def public_key_of(secret_key: bytes) -> bytes:
    """The 32 bytes of the public key of an Ed25519 seed."""
    public_key = Ed25519PrivateKey.from_private_bytes(secret_key).public_key()
    return public_key.public_bytes(Encoding.Raw, PublicFormat.Raw)
