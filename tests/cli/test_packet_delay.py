"""Holding packets back: none early, none lost, none overtaken; and reading where one goes."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.cli.packet_delay import IDLE_S, DelayLine, Router, destination_of

DELAY_NS = 20_000_000
MS_NS = 1_000_000


@given(st.lists(st.tuples(st.integers(0, 10 * MS_NS), st.booleans()), max_size=50))
def test_packets_come_out_in_order_and_never_early(steps: list[tuple[int, bool]]) -> None:
    line = DelayLine(DELAY_NS)
    now_ns, put, taken = 0, [], []
    for number, (passed_ns, is_arrival) in enumerate(steps):
        now_ns += passed_ns
        if is_arrival:
            line.put(now_ns, number, bytes([number]))
            put.append((now_ns, number))
        for target, packet in line.due(now_ns):
            assert packet == bytes([target])
            taken.append((now_ns, target))
    for target, packet in line.due(now_ns + DELAY_NS):
        assert packet == bytes([target])
        taken.append((now_ns + DELAY_NS, target))
    assert [target for _, target in taken] == [target for _, target in put]
    assert all(
        out_ns >= in_ns + DELAY_NS for (in_ns, _), (out_ns, _) in zip(put, taken, strict=True)
    )


def test_it_tells_how_long_to_wait_and_how_late_packets_were() -> None:
    line = DelayLine(DELAY_NS)
    assert line.wait_s(0) == IDLE_S
    assert line.lateness_ms() == (0, 0)
    line.put(0, 1, b"a")
    line.put(5 * MS_NS, 1, b"b")
    assert line.wait_s(5 * MS_NS) == 0.015
    assert list(line.due(DELAY_NS - 1)) == []
    assert list(line.due(27 * MS_NS)) == [(1, b"a"), (1, b"b")]
    assert line.lateness_ms() == (4.5, 7.0)


def packet(target: str, version: int = 4) -> bytes:
    """An offload header and the fixed part of an IP header."""
    header = bytes([version << 4 | 5]) + bytes(15) + ipaddress.IPv4Address(target).packed
    return bytes(10) + header + b"payload"


def test_the_destination_is_read_from_the_ip_header() -> None:
    assert destination_of(packet("10.77.3.1")) == bytes([10, 77, 3, 1])


@pytest.mark.parametrize("raw", [b"", packet("10.77.3.1")[:29], packet("10.77.3.1", version=6)])
def test_what_is_no_ipv4_packet_has_none(raw: bytes) -> None:
    assert destination_of(raw) is None


@pytest.fixture
def wires() -> Iterator[dict[str, tuple[int, socket.socket]]]:
    """In place of devices: pairs of sockets that keep messages apart, by the host's address."""
    pairs = {
        address: socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for address in ("10.77.0.1", "10.77.1.1", "10.77.2.1")
    }
    for ours, theirs in pairs.values():
        ours.setblocking(False)
        theirs.setblocking(False)
    yield {address: (ours.fileno(), theirs) for address, (ours, theirs) in pairs.items()}
    for ours, theirs in pairs.values():
        ours.close()
        theirs.close()


def received(host: socket.socket) -> list[bytes]:
    found = []
    try:
        while raw := os.read(host.fileno(), 65_535):
            found.append(raw)
    except BlockingIOError:
        pass
    return found


def test_packets_reach_whom_they_are_for(wires: dict[str, tuple[int, socket.socket]]) -> None:
    """Those of clients at once, those between banks later, those to nobody not at all."""
    devices = {
        device: ipaddress.IPv4Address(address).packed for address, (device, _) in wires.items()
    }
    hosts = {address: host for address, (_, host) in wires.items()}
    client = wires["10.77.2.1"][0]
    router = Router(devices, client, 5 * MS_NS)
    hosts["10.77.0.1"].send(packet("10.77.1.1"))
    hosts["10.77.0.1"].send(packet("10.77.2.1"))
    hosts["10.77.2.1"].send(packet("10.77.1.1"))
    hosts["10.77.1.1"].send(packet("10.99.9.9"))
    hosts["10.77.1.1"].send(packet("10.77.0.1", version=6))
    seen_first: list[list[bytes]] = []

    def stopped() -> bool:
        if router.routed.packets == 2 and not seen_first:
            seen_first.append(received(hosts["10.77.1.1"]))
        return router.routed.packets == 3

    router.run(stopped)
    assert seen_first == [[packet("10.77.1.1")]]
    assert received(hosts["10.77.1.1"]) == [packet("10.77.1.1")]
    assert received(hosts["10.77.2.1"]) == [packet("10.77.2.1")]
    assert received(hosts["10.77.0.1"]) == []
    assert (router.routed.packets, router.routed.dropped) == (3, 1)
    assert router.routed.bytes == 3 * (len(packet("10.77.1.1")) - 10)
