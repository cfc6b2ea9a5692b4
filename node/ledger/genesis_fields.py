"""Checks of single genesis fields, and the strict reader of the JSON that carries a genesis.

JSON goes between people and programs; it is never hashed or signed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class GenesisInvalid(ValueError):
    """A genesis breaks a rule; `field` is its path, for example `banks[3].issuer_key`."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


def require_length(value: bytes, length: int, path: str) -> None:
    """Raise `GenesisInvalid` unless the byte string has this length."""
    if len(value) != length:
        raise GenesisInvalid(path, f"has {len(value)} bytes, not {length}")


def require_range(value: int, lowest: int, highest: int, path: str) -> None:
    """Raise `GenesisInvalid` unless lowest <= value <= highest."""
    if not lowest <= value <= highest:
        raise GenesisInvalid(path, f"{value} is outside {lowest} .. {highest}")


def require_name(value: str, max_bytes: int, path: str) -> None:
    """Raise `GenesisInvalid` unless the text is printable and short enough in UTF-8."""
    if not value.isprintable() or not 1 <= len(value.encode()) <= max_bytes:
        raise GenesisInvalid(path, f"is not 1 to {max_bytes} bytes of printable text")


def require_distinct(values: Sequence[object], path: str, name: str) -> None:
    """Raise `GenesisInvalid` if a value occurs twice."""
    if len(set(values)) != len(values):
        raise GenesisInvalid(path, f"a {name} is used twice")


class JsonFields:
    """One JSON object whose fields are taken one by one; `path` names it in errors."""

    def __init__(self, value: object, path: str) -> None:
        if not isinstance(value, Mapping):
            raise GenesisInvalid(path or "genesis", "is not an object")
        self._rest = dict(value)
        self._prefix = f"{path}." if path else ""

    def path_of(self, name: str) -> str:
        """Return the full path of a field."""
        return f"{self._prefix}{name}"

    def _take(self, name: str) -> object:
        if name not in self._rest:
            raise GenesisInvalid(self.path_of(name), "is missing")
        return self._rest.pop(name)

    def integer(self, name: str) -> int:
        """Take a whole number; raises `GenesisInvalid`."""
        value = self._take(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise GenesisInvalid(self.path_of(name), "is not a whole number")
        return value

    def optional_integer(self, name: str) -> int | None:
        """Take a whole number or null; raises `GenesisInvalid`."""
        if self._rest.get(name, 0) is None:
            self._take(name)
            return None
        return self.integer(name)

    def flag(self, name: str) -> bool:
        """Take true or false; raises `GenesisInvalid`."""
        value = self._take(name)
        if not isinstance(value, bool):
            raise GenesisInvalid(self.path_of(name), "is neither true nor false")
        return value

    def text(self, name: str) -> str:
        """Take a string; raises `GenesisInvalid`."""
        value = self._take(name)
        if not isinstance(value, str):
            raise GenesisInvalid(self.path_of(name), "is not a string")
        return value

    def hex_bytes(self, name: str) -> bytes:
        """Take a string of lower-case hexadecimal digits; raises `GenesisInvalid`."""
        value = self.text(name)
        try:
            decoded = bytes.fromhex(value)
        except ValueError:
            decoded = b""
        if decoded.hex() != value:
            raise GenesisInvalid(self.path_of(name), "is not lower-case hexadecimal")
        return decoded

    def objects(self, name: str) -> tuple[JsonFields, ...]:
        """Take a list of objects; raises `GenesisInvalid`."""
        value = self._take(name)
        path = self.path_of(name)
        if not isinstance(value, list):
            raise GenesisInvalid(path, "is not a list")
        return tuple(JsonFields(item, f"{path}[{index}]") for index, item in enumerate(value))

    def object(self, name: str) -> JsonFields:
        """Take a nested object; raises `GenesisInvalid`."""
        return JsonFields(self._take(name), self.path_of(name))

    def names(self) -> list[str]:
        """Names of the fields not taken yet, sorted."""
        return sorted(str(name) for name in self._rest)

    def finish(self) -> None:
        """Raise `GenesisInvalid` if a field is left that nobody asked for."""
        for name in self.names():
            raise GenesisInvalid(self.path_of(name), "is not a known field")
