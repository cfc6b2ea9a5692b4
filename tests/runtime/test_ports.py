"""Ports: free ones, kept while they are free."""

from __future__ import annotations

import socket

from node.runtime.ports import HIGHEST, LOOPBACK, LOWEST, choose_ports, replace_taken


def test_ports_are_consecutive_and_outside_the_range_of_outgoing_connections() -> None:
    ports = choose_ports(12)
    assert ports == list(range(ports[0], ports[0] + 12))
    assert ports[0] >= LOWEST
    assert ports[-1] < HIGHEST


def test_only_a_taken_port_is_replaced() -> None:
    ports = choose_ports(4)
    assert replace_taken(ports) == ports
    with socket.socket() as other:
        other.bind((LOOPBACK, ports[2]))
        other.listen()
        replaced = replace_taken(ports)
    assert replaced[:2] + replaced[3:] == ports[:2] + ports[3:]
    assert replaced[2] not in ports
