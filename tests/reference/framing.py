"""Framed hashing, integers and scalars (IDX1 1.1-1.4, 2.3)."""

from __future__ import annotations

from hashlib import blake2b

R_ORDER = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001


class Refused(Exception):
    """The item is refused; `code` is the reason of IDX1 8 or 9.6."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def u32(value: int) -> bytes:
    return value.to_bytes(4, "little")


def u64(value: int) -> bytes:
    return value.to_bytes(8, "little")


def little(data: bytes) -> int:
    return int.from_bytes(data, "little")


def hash64(tag: str, *parts: bytes) -> bytes:
    framed = bytes([len(tag)]) + tag.encode("ascii")
    for part in parts:
        framed += u32(len(part)) + part
    return blake2b(framed).digest()


def hash32(tag: str, *parts: bytes) -> bytes:
    return hash64(tag, *parts)[:32]


def h2s(tag: str, *parts: bytes) -> int:
    return little(hash64(tag, *parts)) % R_ORDER


def expand(tag: str, seed: bytes, length: int) -> bytes:
    out, counter = b"", 0
    while len(out) < length:
        out += hash64(tag, seed, u32(counter))
        counter += 1
    return out[:length]


def scalar(data: bytes) -> int:
    """A canonical scalar; raises Refused("scalar")."""
    value = little(data)
    if len(data) != 32 or value >= R_ORDER:
        raise Refused("scalar")
    return value


def scalar_bytes(value: int) -> bytes:
    return value.to_bytes(32, "little")
