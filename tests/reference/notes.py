"""Wallets, note encryption, scanning, nullifiers and bins (IDX1 3, 4)."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tests.reference.framing import R_ORDER, h2s, hash32, little, u64
from tests.reference.group import combination, encode, gen, times, value_generator


@dataclass(frozen=True)
class Wallet:
    """One session's keys (3.1): spend secret s and S, view secret v and V."""

    s: int
    S: bytes
    v: bytes
    V: bytes

    @property
    def address(self) -> bytes:
        return self.S + self.V


def derive_wallet(seed: bytes, session: int) -> Wallet:
    s = h2s("IDX1/session-spend", seed, u64(session))
    v = hash32("IDX1/session-view", seed, u64(session))
    return Wallet(s, encode(times(s, gen(b"K/key"))), v, x25519_public(v))


def x25519_public(secret: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def shared_secret(secret: bytes, public: bytes) -> bytes | None:
    """X25519, None for the all-zero result, which `cryptography` refuses by itself."""
    try:
        private = X25519PrivateKey.from_private_bytes(secret)
        return private.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        return None


@dataclass(frozen=True)
class KeyMaterial:
    """okm of 3.2 and its parts."""

    okm: bytes

    @property
    def h(self) -> int:
        return little(self.okm[:64]) % R_ORDER

    @property
    def b(self) -> int:
        return little(self.okm[64:128]) % R_ORDER

    @property
    def aead_key(self) -> bytes:
        return self.okm[128:160]

    @property
    def view_tag(self) -> int:
        return self.okm[160]


def key_material(
    ss: bytes, chain: bytes, asset: bytes, E: bytes, V: bytes, S: bytes, index: int
) -> KeyMaterial:
    info = chain + asset + E + V + S + bytes([index])
    return KeyMaterial(HKDF(SHA256(), 161, b"IDX1/note-kdf", info).derive(ss))


def nullifier(x: int) -> bytes:
    """J = x^-1 U (3.4)."""
    return encode(times(pow(x, -1, R_ORDER), gen(b"U/tag")))


def commitment(value: int, blinding: int, asset: bytes) -> bytes:
    return encode(combination([(value, value_generator(asset)), (blinding, gen(b"G/blind"))]))


@dataclass(frozen=True)
class Received:
    """What a wallet keeps of an output of its own (3.3)."""

    x: int
    value: int
    b: int
    memo: bytes


def scan(output: bytes, index: int, asset: bytes, chain: bytes, wallet: Wallet) -> Received | None:
    """3.3: the received note, or None if the wallet must refuse the output."""
    P, C, E = output[:96], output[96:192], output[192:224]
    ss = shared_secret(wallet.v, E)
    if ss is None:
        return None
    keys = key_material(ss, chain, asset, E, wallet.V, wallet.S, index)
    if keys.view_tag != output[224]:
        return None
    try:
        cipher = ChaCha20Poly1305(keys.aead_key)
        plain = cipher.decrypt(bytes(12), output[225:281], asset + P + C + E)
    except InvalidTag:
        return None
    value, memo = little(plain[:8]), plain[8:]
    # S = sK, so S + hK is (s + h)K.
    x = (wallet.s + keys.h) % R_ORDER
    if x == 0 or encode(times(x, gen(b"K/key"))) != P:
        return None
    if commitment(value, keys.b, asset) != C:
        return None
    return Received(x, value, keys.b, memo)


def seal_ciphertext(
    key: bytes, value: int, memo: bytes, asset: bytes, P: bytes, C: bytes, E: bytes
) -> bytes:
    return ChaCha20Poly1305(key).encrypt(bytes(12), u64(value) + memo, asset + P + C + E)


@dataclass(frozen=True)
class Bin:
    """A bin of 4.1: `notes` are the real ones, (P, C) each in ledger order."""

    bin_id: int
    asset: bytes
    closed: bool
    notes: tuple[tuple[bytes, bytes], ...]
    n: int = 8

    def ring(self) -> list[tuple[bytes, bytes]]:
        """All n^2 notes; position p beyond the real ones holds dummy p-1 (4.1)."""
        size = self.n * self.n
        return [*self.notes, *(dummy(p - 1) for p in range(len(self.notes), size))]

    def digest(self) -> bytes:
        notes = [P + C for P, C in self.ring()]
        return hash32("IDX1/ring", u64(self.bin_id), self.asset, bytes([self.n, 2]), *notes)


def dummy(index: int) -> tuple[bytes, bytes]:
    return encode(gen(b"dummy/P/%d" % index)), encode(gen(b"dummy/C/%d" % index))
