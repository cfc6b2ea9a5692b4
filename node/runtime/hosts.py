"""Addresses of banks that run on machines of their own: reading them, and what is wrong with them.

A host is an IPv4 address, an IPv6 address in brackets if a port follows, or a DNS name.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from pathlib import Path

from node.runtime.config import ConfigurationError
from node.runtime.consortium_directory import BANK_NAMES, short_name

DEFAULT_PORT = 7_440
HIGHEST_PORT = 65_535

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DNS_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_NUMBERS = re.compile(r"[0-9.]+")
_BRACKETED = re.compile(r"\[([^\]]*)\](?::(.*))?")


class HostInvalid(ConfigurationError):
    """An address or a list of addresses that cannot be used; the message says which and why."""


def parse_address(text: str) -> str:
    """Return `host:port` in the form that servers and links take; raises `HostInvalid`."""
    bracketed = _BRACKETED.fullmatch(text)
    if bracketed is not None:
        host, port = bracketed.group(1), bracketed.group(2)
    elif text.count(":") > 1:
        host, port = text, None
    else:
        host, colon, rest = text.partition(":")
        port = rest if colon else None
    number = DEFAULT_PORT if port is None else _port(port, text)
    return f"{_host(host, text)}:{number}"


def host_of(address: str) -> str:
    """Return the host of a `host:port`, without brackets."""
    return address.rpartition(":")[0].strip("[]")


def parse_hosts(entries: Sequence[str]) -> tuple[str, ...]:
    """Return the banks' addresses in bank order, from entries `BANK=HOST[:PORT]`.

    A bank is named by its index or its name; as many banks as entries, each once. Raises
    `HostInvalid`.
    """
    addresses: dict[int, str] = {}
    for entry in entries:
        name, equals, text = (part.strip() for part in entry.partition("="))
        if not equals:
            raise HostInvalid(f"{entry!r} is not BANK=HOST or BANK=HOST:PORT")
        bank = _bank(name)
        if bank in addresses:
            raise HostInvalid(f"{short_name(bank)} has two addresses")
        addresses[bank] = parse_address(text)
    missing = [bank for bank in range(len(addresses)) if bank not in addresses]
    if missing:
        raise HostInvalid(
            f"{len(addresses)} banks have addresses, but {short_name(missing[0])} "
            f"(bank {missing[0]}) has none: banks are numbered from 0 on"
        )
    ordered = tuple(addresses[bank] for bank in range(len(addresses)))
    if len(set(ordered)) < len(ordered):
        twice = next(item for item in ordered if ordered.count(item) > 1)
        raise HostInvalid(f"two banks have the address {twice}")
    return ordered


def read_hosts(path: Path) -> tuple[str, ...]:
    """Return the addresses that a file lists, an entry a line; `#` begins a comment.

    Raises `HostInvalid`.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise HostInvalid(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise HostInvalid(f"{path} is not text") from None
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    try:
        return parse_hosts([line for line in lines if line])
    except HostInvalid as error:
        raise HostInvalid(f"{path}: {error}") from error


def _bank(name: str) -> int:
    names = [item.lower() for item in BANK_NAMES]
    if name.lower() in names:
        return names.index(name.lower())
    if name.isascii() and name.isdecimal() and len(name) <= 2 and int(name) < len(names):
        return int(name)
    raise HostInvalid(f"there is no bank {name!r}; banks are 0 to {len(names) - 1}, or their names")


def _port(text: str, whole: str) -> int:
    if text.isascii() and text.isdecimal() and 0 < int(text) <= HIGHEST_PORT:
        return int(text)
    raise HostInvalid(f"{whole!r} has no port from 1 to {HIGHEST_PORT}")


def _host(host: str, whole: str) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        # Four numbers that are no address are a slip, not a name.
        if _DNS_NAME.fullmatch(host) and not _NUMBERS.fullmatch(host):
            return host
        raise HostInvalid(f"{whole!r} is no address or name of a machine") from None
    if address.is_unspecified or address.is_multicast:
        raise HostInvalid(f"{whole!r} is no address at which other banks could reach one")
    return f"[{address}]" if address.version == 6 else str(address)
