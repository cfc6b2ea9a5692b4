"""Wallet keys, notes and their encryption (IDX1 3).

A note pays an address (S, V): its one-time key is P = S + hK, its commitment C = vH + bG, and h and
b come from a key agreement between an ephemeral key of the payer and the payee's view key. The
payer knows h but not s, so only the payee can spend.
"""

from dataclasses import dataclass, field
from functools import cached_property

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from crypto.curve import POINT_BYTES, Point, decode_strict, encode_point, multiply
from crypto.encoding import U64_BYTES, U64_MAX, read_u64, u64
from crypto.errors import AddressInvalid, IdentityPoint, NotMine, ProvingError, Rejected
from crypto.generators import key_generator
from crypto.layout import KEY_BYTES, MEMO_BYTES
from crypto.pedersen import encode_commitment
from crypto.randomness import SYSTEM_RANDOMNESS, RandomBytes
from crypto.scalar import ORDER
from crypto.spend import nullifier_point
from crypto.transaction import Output
from crypto.transcript import h2s, hash32

ADDRESS_BYTES = POINT_BYTES + KEY_BYTES
_NONCE = bytes(12)
"""Every AEAD key encrypts one plaintext only, so the nonce may be constant (IDX1 3.2)."""

_KDF_SALT = b"IDX1/note-kdf"
_KDF_BYTES = 161


@dataclass(frozen=True, slots=True)
class Address:
    """Where to pay: S (96 bytes) and V (32 bytes)."""

    spend_public: bytes
    view_public: bytes

    def encode(self) -> bytes:
        """The 128 bytes S || V."""
        return self.spend_public + self.view_public

    @classmethod
    def decode(cls, data: bytes) -> "Address":
        """Split 128 bytes; S has to be in G1 (IDX1 3.1). Raises AddressInvalid."""
        if len(data) != ADDRESS_BYTES:
            raise AddressInvalid(f"an address has {ADDRESS_BYTES} bytes, not {len(data)}")
        address = cls(data[:POINT_BYTES], data[POINT_BYTES:])
        _ = address.spend_point
        return address

    @property
    def spend_point(self) -> Point:
        """S, decoded by `strict`; raises AddressInvalid."""
        try:
            return decode_strict(self.spend_public)
        except Rejected as error:
            raise AddressInvalid(f"the spend key is no valid point ({error.reason})") from None


@dataclass(frozen=True)
class SessionKeys:
    """The keys of one wallet session; make them with `derive` (IDX1 3.1)."""

    spend_secret: int = field(repr=False)
    spend_public: bytes
    view_secret: bytes = field(repr=False)
    view_public: bytes

    @classmethod
    def derive(cls, seed: bytes, session: int) -> "SessionKeys":
        """The keys of session number `session` (u64) of a wallet's secret seed.

        Raises ProvingError if the spend key comes out zero, which no seed anybody meets does.
        """
        spend_secret = h2s("IDX1/session-spend", seed, u64(session))
        if spend_secret == 0:
            raise ProvingError("the spend key is zero")
        view_secret = hash32("IDX1/session-view", seed, u64(session))
        spend_public = encode_point(multiply(key_generator(), spend_secret))
        view_public = _raw_public(X25519PrivateKey.from_private_bytes(view_secret))
        return cls(spend_secret, spend_public, view_secret, view_public)

    @property
    def address(self) -> Address:
        """The session's address."""
        return Address(self.spend_public, self.view_public)

    @cached_property
    def _view_key(self) -> X25519PrivateKey:
        return X25519PrivateKey.from_private_bytes(self.view_secret)

    def agree(self, ephemeral_key: bytes) -> bytes:
        """The X25519 secret shared with an output's payer; raises ValueError if it is all zero."""
        return _exchange(self._view_key, ephemeral_key)


@dataclass(frozen=True, slots=True)
class SealedOutput:
    """An output as its payer made it, with the blinding of its commitment."""

    output: Output
    blinding: int = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReceivedNote:
    """A note the scanning wallet owns and can spend."""

    value: int
    memo: bytes
    spend_key: int = field(repr=False)
    """x = s + h, the logarithm of P to K."""
    blinding: int = field(repr=False)
    """b of C = vH + bG."""
    nullifier: bytes
    """J, the entry its spend makes in the spent set."""


@dataclass(frozen=True, slots=True)
class _NoteSecrets:
    key_offset: int
    blinding: int
    cipher_key: bytes
    view_tag: int


def _raw_public(private_key: X25519PrivateKey) -> bytes:
    return private_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def _exchange(private_key: X25519PrivateKey, public_key: bytes) -> bytes:
    """The shared secret; raises ValueError if it is all zero (RFC 7748 6.1)."""
    return private_key.exchange(X25519PublicKey.from_public_bytes(public_key))


def _expand_key(secret: bytes, info: bytes) -> bytes:
    return HKDF(hashes.SHA256(), _KDF_BYTES, _KDF_SALT, info).derive(secret)


def _derive_note_secrets(
    shared: bytes, chain_id: bytes, asset: bytes, ephemeral_key: bytes, address: Address, index: int
) -> _NoteSecrets:
    info = b"".join(
        (
            chain_id,
            asset,
            ephemeral_key,
            address.view_public,
            address.spend_public,
            bytes((index,)),
        )
    )
    okm = _expand_key(shared, info)
    return _NoteSecrets(
        key_offset=int.from_bytes(okm[:64], "little") % ORDER,
        blinding=int.from_bytes(okm[64:128], "little") % ORDER,
        cipher_key=okm[128:160],
        view_tag=okm[160],
    )


def _one_time_key(spend_point: Point, key_offset: int) -> bytes:
    return encode_point(spend_point + multiply(key_generator(), key_offset))


def seal_output(
    *,
    address: Address,
    value: int,
    memo: bytes,
    index: int,
    asset: bytes,
    chain_id: bytes,
    random_bytes: RandomBytes = SYSTEM_RANDOMNESS,
) -> SealedOutput:
    """Make output `index` of a transaction, with a fresh ephemeral key (IDX1 3.2).

    A second attempt at the same payment calls this again: an ephemeral key used twice would give
    two notes one P, and the ledger refuses the second. Raises ProvingError for a value outside u64
    or a memo that is not 32 bytes, AddressInvalid for an address that cannot be paid.
    """
    if not 0 <= value <= U64_MAX:
        raise ProvingError("the value lies outside 0 .. 2^64 - 1")
    if len(memo) != MEMO_BYTES:
        raise ProvingError(f"a memo has {MEMO_BYTES} bytes, not {len(memo)}")
    spend_point = address.spend_point
    ephemeral_secret = X25519PrivateKey.from_private_bytes(random_bytes(KEY_BYTES))
    ephemeral_key = _raw_public(ephemeral_secret)
    try:
        shared = _exchange(ephemeral_secret, address.view_public)
    except ValueError:
        raise AddressInvalid("the view key has small order or a wrong size") from None
    secrets = _derive_note_secrets(shared, chain_id, asset, ephemeral_key, address, index)
    one_time_key = _one_time_key(spend_point, secrets.key_offset)
    commitment = encode_commitment(asset, value, secrets.blinding)
    ciphertext = ChaCha20Poly1305(secrets.cipher_key).encrypt(
        _NONCE, u64(value) + memo, asset + one_time_key + commitment + ephemeral_key
    )
    output = Output(one_time_key, commitment, ephemeral_key, secrets.view_tag, ciphertext)
    return SealedOutput(output, secrets.blinding)


def scan_output(
    output: Output, index: int, asset: bytes, chain_id: bytes, keys: SessionKeys
) -> ReceivedNote:
    """Open output `index` of a transaction with the keys of a session (IDX1 3.3).

    Raises NotMine for everything that is not a payment to these keys, exact in P and C: an output
    that opens but does not match its own ciphertext is nobody's money.
    """
    try:
        shared = keys.agree(output.ephemeral_key)
    except ValueError:
        raise NotMine("the ephemeral key has small order or a wrong size") from None
    secrets = _derive_note_secrets(
        shared, chain_id, asset, output.ephemeral_key, keys.address, index
    )
    if secrets.view_tag != output.view_tag:
        raise NotMine("another view tag")
    associated_data = asset + output.one_time_key + output.commitment + output.ephemeral_key
    try:
        plaintext = ChaCha20Poly1305(secrets.cipher_key).decrypt(
            _NONCE, output.ciphertext, associated_data
        )
    except InvalidTag:
        raise NotMine("the ciphertext does not open") from None
    if len(plaintext) != U64_BYTES + MEMO_BYTES:
        raise NotMine("the plaintext has a wrong size")
    value, memo = read_u64(plaintext, 0), plaintext[U64_BYTES:]
    return _own(output, asset, value, memo, secrets, keys)


def _own(
    output: Output,
    asset: bytes,
    value: int,
    memo: bytes,
    secrets: _NoteSecrets,
    keys: SessionKeys,
) -> ReceivedNote:
    spend_key = (keys.spend_secret + secrets.key_offset) % ORDER
    if spend_key == 0:
        raise NotMine("the one-time key's secret is zero")
    try:
        one_time_key = encode_point(multiply(key_generator(), spend_key))
        commitment = encode_commitment(asset, value, secrets.blinding)
    except IdentityPoint:
        raise NotMine("the note's key or commitment is the identity") from None
    if one_time_key != output.one_time_key:
        raise NotMine("the one-time key is another one")
    if commitment != output.commitment:
        raise NotMine("the commitment is to another value")
    nullifier = encode_point(nullifier_point(spend_key))
    return ReceivedNote(value, memo, spend_key, secrets.blinding, nullifier)
