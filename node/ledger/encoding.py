"""The one canonical encoding of everything that is hashed, signed or stored outside IDX1.

Fields in fixed order, fixed-width big-endian integers, byte strings either of fixed length or
prefixed with their length as u32 (BFT-12 section 2). IDX1 transactions keep their own
little-endian encoding and enter here as opaque byte strings. A reader refuses whatever a writer
would not have produced, so that one value has exactly one encoding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


class MalformedEncoding(ValueError):
    """The bytes are not the canonical encoding of the expected value: the sender's fault."""


class Writer:
    """Appends canonical fields; every method returns the writer, so that fields read as a list."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def u8(self, value: int) -> Writer:
        self._parts.append(value.to_bytes(1, "big"))
        return self

    def u16(self, value: int) -> Writer:
        self._parts.append(value.to_bytes(2, "big"))
        return self

    def u32(self, value: int) -> Writer:
        self._parts.append(value.to_bytes(4, "big"))
        return self

    def u64(self, value: int) -> Writer:
        self._parts.append(value.to_bytes(8, "big"))
        return self

    def u128(self, value: int) -> Writer:
        self._parts.append(value.to_bytes(16, "big"))
        return self

    def i32(self, value: int) -> Writer:
        self._parts.append(value.to_bytes(4, "big", signed=True))
        return self

    def flag(self, value: bool) -> Writer:
        return self.u8(1 if value else 0)

    def fixed(self, value: bytes, length: int) -> Writer:
        """Append exactly `length` bytes; a wrong length is our caller's bug."""
        assert len(value) == length, f"expected {length} bytes, got {len(value)}"
        self._parts.append(value)
        return self

    def blob(self, value: bytes) -> Writer:
        """Append a u32 length and the bytes."""
        self.u32(len(value))
        self._parts.append(value)
        return self

    def text(self, value: str) -> Writer:
        """Append UTF-8 text as a blob."""
        return self.blob(value.encode("utf-8"))

    def many(self, items: Iterable[T], write: Callable[[Writer, T], object]) -> Writer:
        """Append a u32 count and each item as `write` encodes it."""
        materialised = list(items)
        self.u32(len(materialised))
        for item in materialised:
            write(self, item)
        return self

    def optional(self, value: T | None, write: Callable[[Writer, T], object]) -> Writer:
        """Append a presence byte and, if present, the value."""
        self.flag(value is not None)
        if value is not None:
            write(self, value)
        return self

    def finish(self) -> bytes:
        return b"".join(self._parts)


class Reader:
    """Consumes canonical fields; every method raises `MalformedEncoding` on anything else."""

    __slots__ = ("_data", "_offset")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._offset = 0

    def _take(self, length: int) -> bytes:
        end = self._offset + length
        if end > len(self._data):
            raise MalformedEncoding(
                f"{length} bytes wanted at offset {self._offset} of {len(self._data)}"
            )
        taken = self._data[self._offset : end]
        self._offset = end
        return taken

    def u8(self) -> int:
        return self._take(1)[0]

    def u16(self) -> int:
        return int.from_bytes(self._take(2), "big")

    def u32(self) -> int:
        return int.from_bytes(self._take(4), "big")

    def u64(self) -> int:
        return int.from_bytes(self._take(8), "big")

    def u128(self) -> int:
        return int.from_bytes(self._take(16), "big")

    def i32(self) -> int:
        return int.from_bytes(self._take(4), "big", signed=True)

    def flag(self) -> bool:
        value = self.u8()
        if value > 1:
            raise MalformedEncoding(f"a flag is 0 or 1, not {value}")
        return value == 1

    def fixed(self, length: int) -> bytes:
        return self._take(length)

    def blob(self, limit: int) -> bytes:
        """Read a length-prefixed byte string of at most `limit` bytes."""
        length = self.u32()
        if length > limit:
            raise MalformedEncoding(f"byte string of {length} bytes exceeds {limit}")
        return self._take(length)

    def text(self, limit: int) -> str:
        try:
            return self.blob(limit).decode("utf-8")
        except UnicodeDecodeError as error:
            raise MalformedEncoding("text is not UTF-8") from error

    def many(self, limit: int, read: Callable[[Reader], T]) -> tuple[T, ...]:
        """Read a counted list of at most `limit` items."""
        count = self.u32()
        if count > limit:
            raise MalformedEncoding(f"list of {count} items exceeds {limit}")
        return tuple(read(self) for _ in range(count))

    def optional(self, read: Callable[[Reader], T]) -> T | None:
        return read(self) if self.flag() else None

    def finish(self) -> None:
        """Raise unless every byte was consumed."""
        if self._offset != len(self._data):
            raise MalformedEncoding(f"{len(self._data) - self._offset} bytes follow the value")
