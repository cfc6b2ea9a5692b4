"""Ports: free ones, each once, kept while they are free."""

from __future__ import annotations

import socket

import pytest

from node.runtime import ports as ports_module
from node.runtime.ports import HIGHEST, LOOPBACK, LOWEST, choose_ports, replace_taken
from node.storage import tcp_port


def test_ports_are_consecutive_and_below_those_of_databases_and_outgoing_connections() -> None:
    ports = choose_ports(12)
    assert ports == list(range(ports[0], ports[0] + 12))
    assert ports[0] >= LOWEST
    assert ports[-1] < HIGHEST == tcp_port.LOWEST


def test_only_a_taken_port_is_replaced() -> None:
    ports = choose_ports(4)
    assert replace_taken(ports) == ports
    with socket.socket() as other:
        other.bind((LOOPBACK, ports[2]))
        other.listen()
        replaced = replace_taken(ports)
    assert replaced[:2] + replaced[3:] == ports[:2] + ports[3:]
    assert replaced[2] not in ports


def test_a_port_that_nobody_has_yet_is_chosen() -> None:
    ports = choose_ports(2)
    replaced = replace_taken([*ports, 0, 0])
    assert replaced[:2] == ports
    assert len(set(replaced)) == 4
    assert 0 not in replaced


def test_what_another_bank_keeps_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is as free as any other port until that bank listens."""
    monkeypatch.setattr(ports_module, "is_free", lambda port: True)
    monkeypatch.setattr(ports_module, "LOWEST", HIGHEST - 4)
    first, second, third = range(HIGHEST - 4, HIGHEST - 1)
    assert choose_ports(1, apart_from=(first, third)) == [second]


def test_where_no_row_of_ports_is_free_each_is_chosen_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    offered = iter([7, 7, 8, 9, 8, 10])
    monkeypatch.setattr(ports_module, "is_free", lambda port: False)
    monkeypatch.setattr(ports_module, "free_port", lambda: next(offered))
    assert choose_ports(3, apart_from=[9]) == [7, 8, 10]
