"""Text form of an address, for people to copy: `idx1` and 216 characters of base32.

The payload is the 128-byte address of IDX1 3.1 followed by seven bytes of a SHA-256 checksum:
135 bytes are exactly 216 characters, so no padding and no second spelling exists. A typing error
passes with probability 2^-56. bech32m was not taken because its error-detecting code is designed
for at most 90 characters.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

import crypto.errors
from crypto.note import Address
from node.client.errors import AddressInvalid

PREFIX = "idx1"
CHECKSUM_DOMAIN = b"consortium/address-checksum"
CHECKSUM_BYTES = 7
ADDRESS_BYTES = 128
TEXT_CHARACTERS = len(PREFIX) + (ADDRESS_BYTES + CHECKSUM_BYTES) * 8 // 5


def _checksum(payload: bytes) -> bytes:
    return hashlib.sha256(CHECKSUM_DOMAIN + payload).digest()[:CHECKSUM_BYTES]


def encode_address(address: Address) -> str:
    """Return the text form, `TEXT_CHARACTERS` lower-case characters."""
    payload = address.encode()
    encoded = base64.b32encode(payload + _checksum(payload)).decode("ascii")
    return PREFIX + encoded.lower()


def decode_address(text: str) -> Address:
    """Decode an address, its spend key strictly; raises `AddressInvalid`.

    Upper case is accepted, because some devices shout; mixed case is a sign of a typing error.
    """
    candidate = text.strip()
    if candidate not in (candidate.lower(), candidate.upper()):
        raise AddressInvalid("an address is all lower case or all upper case")
    candidate = candidate.lower()
    if not candidate.startswith(PREFIX):
        raise AddressInvalid(f"an address begins with {PREFIX}")
    if len(candidate) != TEXT_CHARACTERS:
        raise AddressInvalid(f"an address has {TEXT_CHARACTERS} characters, not {len(candidate)}")
    try:
        data = base64.b32decode(candidate[len(PREFIX) :].upper())
    except (binascii.Error, ValueError) as error:
        raise AddressInvalid("an address consists of the letters a-z and the digits 2-7") from error
    payload, checksum = data[:ADDRESS_BYTES], data[ADDRESS_BYTES:]
    if _checksum(payload) != checksum:
        raise AddressInvalid("the checksum does not match: the address has a typing error")
    try:
        return Address.decode(payload)
    except crypto.errors.CryptoError as error:
        raise AddressInvalid(f"the address names no valid key: {error}") from error
