"""The one Ed25519 rule: IDX1 7.6."""

from __future__ import annotations

import pytest

from crypto.errors import SignatureInvalid
from crypto.signature import public_key_of, sign, verify_signature

SECRET = bytes(range(32))
KEY = public_key_of(SECRET)
MESSAGE = b"the message"
SIGNATURE = sign(SECRET, MESSAGE)
ORDER = 2**252 + 27742317777372353535851937790883648493
PRIME = 2**255 - 19
IDENTITY_ENCODED = (1).to_bytes(32, "little")


def _is_refused(key: bytes, signature: bytes, message: bytes) -> str:
    with pytest.raises(SignatureInvalid) as caught:
        verify_signature(key, signature, message)
    return str(caught.value)


def test_an_honest_signature_verifies() -> None:
    verify_signature(KEY, SIGNATURE, MESSAGE)


@pytest.mark.parametrize("bit", [0, 7, 255, 256, 300, 511])
def test_any_changed_bit_is_refused(bit: int) -> None:
    changed = bytearray(SIGNATURE)
    changed[bit // 8] ^= 1 << bit % 8
    assert _is_refused(KEY, bytes(changed), MESSAGE) == "the signature does not verify"
    assert _is_refused(KEY, SIGNATURE, MESSAGE + b"!") == "the signature does not verify"
    assert _is_refused(public_key_of(bytes(32)), SIGNATURE, MESSAGE)


def test_s_from_the_order_up_is_refused() -> None:
    s = int.from_bytes(SIGNATURE[32:], "little")
    for lifted in (s + ORDER, 2**256 - 1):
        signature = SIGNATURE[:32] + (lifted % 2**256).to_bytes(32, "little")
        assert _is_refused(KEY, signature, MESSAGE) == "the signature does not verify"


@pytest.mark.parametrize(
    "encoded",
    [PRIME, PRIME + 1, 2**255 - 1, 1 + 2**255, PRIME - 1 + 2**255, PRIME + 1 + 2**255],
)
def test_keys_not_encoded_canonically_are_refused(encoded: int) -> None:
    key = encoded.to_bytes(32, "little")
    # R = the identity and s = 0 verify under a key that decodes to the identity
    signature = IDENTITY_ENCODED + bytes(32)
    assert _is_refused(key, signature, MESSAGE) == "the public key is not encoded canonically"


def test_small_order_keys_and_points_are_judged_by_the_equation_alone() -> None:
    verify_signature(IDENTITY_ENCODED, IDENTITY_ENCODED + bytes(32), MESSAGE)
    lifted = (PRIME + 1).to_bytes(32, "little")
    assert _is_refused(IDENTITY_ENCODED, lifted + bytes(32), MESSAGE)


@pytest.mark.parametrize(("key", "signature"), [(KEY[:-1], SIGNATURE), (KEY, SIGNATURE + b"\0")])
def test_sizes(key: bytes, signature: bytes) -> None:
    assert _is_refused(key, signature, MESSAGE) == "the key has 32 bytes and the signature 64"
