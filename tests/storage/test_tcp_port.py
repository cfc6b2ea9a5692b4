"""The port of an embedded server: free, and of no outgoing connection."""

from __future__ import annotations

import socket

import pytest

from node.storage import tcp_port
from node.storage.postgres_cluster import HOST
from node.storage.tcp_port import HIGHEST, LOWEST, free_port, is_free


def test_a_port_lies_below_those_of_outgoing_connections() -> None:
    ports = [free_port() for _ in range(50)]
    assert all(LOWEST <= port < HIGHEST for port in ports)
    assert all(map(is_free, ports))


def test_a_taken_port_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = sorted({free_port() for _ in range(50)})[:2]
    with socket.create_server((HOST, first)):
        assert not is_free(first)
        offered = iter([first - LOWEST, second - LOWEST])
        monkeypatch.setattr("secrets.randbelow", lambda limit: next(offered))
        assert free_port() == second


def test_where_every_port_is_taken_the_system_names_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp_port, "is_free", lambda port: False)
    assert is_free(free_port())
