"""Ed25519 against RFC 8032 section 7.1, and the memory of what verified."""

from __future__ import annotations

import pytest

from node.consensus.signatures import Ed25519Signer, Ed25519Verifier, SignatureInvalid

# RFC 8032 section 7.1, TEST 2.
SEED = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
PUBLIC = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
MESSAGE = bytes.fromhex("72")
SIGNATURE = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)


def test_rfc_8032_vector() -> None:
    signer = Ed25519Signer(SEED)
    assert signer.public_key == PUBLIC
    assert signer.sign(MESSAGE) == SIGNATURE
    Ed25519Verifier().verify(PUBLIC, MESSAGE, SIGNATURE)


@pytest.mark.parametrize(
    ("public_key", "message", "signature"),
    [
        (PUBLIC, b"\x73", SIGNATURE),
        (PUBLIC, MESSAGE, SIGNATURE[:-1] + b"\x01"),
        (PUBLIC, MESSAGE, SIGNATURE[:-1]),
        (PUBLIC, MESSAGE, b""),
        (PUBLIC[:-1] + b"\x00", MESSAGE, SIGNATURE),
        (PUBLIC[:-1], MESSAGE, SIGNATURE),
        (PUBLIC + SIGNATURE[:1], MESSAGE, SIGNATURE[1:]),
    ],
    ids=["message", "signature", "short", "empty", "key", "short key", "shifted framing"],
)
def test_everything_else_is_refused_also_after_a_success(
    public_key: bytes, message: bytes, signature: bytes
) -> None:
    verifier = Ed25519Verifier()
    verifier.verify(PUBLIC, MESSAGE, SIGNATURE)
    for _ in range(2):
        with pytest.raises(SignatureInvalid, match=r"^signature does not verify$"):
            verifier.verify(public_key, message, signature)


def test_memory_is_bounded() -> None:
    signer, verifier = Ed25519Signer(SEED), Ed25519Verifier(cached_signatures=3)
    for number in range(10):
        message = bytes([number])
        verifier.verify(PUBLIC, message, signer.sign(message))
    assert len(verifier._valid) == 3


def test_key_is_not_shown() -> None:
    signer = Ed25519Signer(SEED)
    assert SEED.hex() not in repr(signer)
    assert repr(SEED) not in repr(vars(signer))
