"""Addresses of banks on machines of their own: what is taken, and what is wrong with the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.runtime.hosts import (
    DEFAULT_PORT,
    HostInvalid,
    host_of,
    parse_address,
    parse_hosts,
    read_hosts,
)


@pytest.mark.parametrize(
    ("text", "address", "host"),
    [
        ("10.0.3.1", f"10.0.3.1:{DEFAULT_PORT}", "10.0.3.1"),
        ("10.0.3.1:9000", "10.0.3.1:9000", "10.0.3.1"),
        ("bank3.example:65535", "bank3.example:65535", "bank3.example"),
        ("localhost", f"localhost:{DEFAULT_PORT}", "localhost"),
        ("::1", f"[::1]:{DEFAULT_PORT}", "::1"),
        ("[2001:db8::3]", f"[2001:db8::3]:{DEFAULT_PORT}", "2001:db8::3"),
        ("[2001:0db8::3]:1", "[2001:db8::3]:1", "2001:db8::3"),
    ],
)
def test_an_address_has_a_host_and_a_port(text: str, address: str, host: str) -> None:
    assert parse_address(text) == address
    assert host_of(address) == host
    assert parse_address(address) == address


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "'' is no address or name of a machine"),
        ("10.0.3", "'10.0.3' is no address or name of a machine"),
        ("10.0.3.256", "'10.0.3.256' is no address or name of a machine"),
        ("bank 3", "'bank 3' is no address or name of a machine"),
        ("-bank.example", "'-bank.example' is no address or name of a machine"),
        ("0.0.0.0", "'0.0.0.0' is no address at which other banks could reach one"),
        ("[::]:1", "'[::]:1' is no address at which other banks could reach one"),
        ("224.0.0.1", "'224.0.0.1' is no address at which other banks could reach one"),
        ("10.0.3.1:", "'10.0.3.1:' has no port from 1 to 65535"),
        ("10.0.3.1:0", "'10.0.3.1:0' has no port from 1 to 65535"),
        ("10.0.3.1:65536", "'10.0.3.1:65536' has no port from 1 to 65535"),
        ("10.0.3.1:7a", "'10.0.3.1:7a' has no port from 1 to 65535"),
        ("[::1", "'[::1' is no address or name of a machine"),
    ],
)
def test_what_is_no_address_is_named(text: str, why: str) -> None:
    with pytest.raises(HostInvalid) as refused:
        parse_address(text)
    assert str(refused.value) == why


@given(st.text(max_size=40))
def test_any_text_is_an_address_that_reads_back_or_is_refused(text: str) -> None:
    try:
        address = parse_address(text)
    except HostInvalid:
        return
    assert parse_address(address) == address
    host, _, port = address.rpartition(":")
    assert host and 0 < int(port) < 65_536


def test_banks_are_given_in_any_order_by_index_or_name() -> None:
    assert parse_hosts(["dunmere=d", "1 = b:2", "00=a", "Cedarholm=[::1]:3"]) == (
        f"a:{DEFAULT_PORT}",
        "b:2",
        "[::1]:3",
        f"d:{DEFAULT_PORT}",
    )


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        (["10.0.3.1"], "'10.0.3.1' is not BANK=HOST or BANK=HOST:PORT"),
        (["0=a", "16=b"], "there is no bank '16'; banks are 0 to 15, or their names"),
        (["acme=a"], "there is no bank 'acme'; banks are 0 to 15, or their names"),
        (["0=a", "amberfield=b"], "amberfield has two addresses"),
        (
            ["0=a", "2=c"],
            "2 banks have addresses, but birchmoor (bank 1) has none: banks are numbered from 0 on",
        ),
        (["0=a", "1=a:7440"], "two banks have the address a:7440"),
    ],
)
def test_a_list_with_a_slip_is_refused(entries: list[str], why: str) -> None:
    with pytest.raises(HostInvalid) as refused:
        parse_hosts(entries)
    assert str(refused.value) == why


def test_a_file_lists_a_bank_a_line(tmp_path: Path) -> None:
    path = tmp_path / "banks.txt"
    path.write_text("# where they are\n0 = a:1  # the first\n\n1=b:1\n")
    assert read_hosts(path) == ("a:1", "b:1")
    path.write_text("0=a b\n")
    with pytest.raises(HostInvalid) as refused:
        read_hosts(path)
    assert str(refused.value) == f"{path}: 'a b' is no address or name of a machine"
    with pytest.raises(HostInvalid) as missing:
        read_hosts(tmp_path / "none.txt")
    assert str(missing.value) == f"{tmp_path / 'none.txt'}: No such file or directory"
