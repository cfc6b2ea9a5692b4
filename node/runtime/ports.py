"""TCP ports for the banks of one machine: chosen once, remembered, chosen again if taken."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from node.storage.tcp_port import free_port, is_free

LOOPBACK = "127.0.0.1"

LOWEST = 10_000
HIGHEST = 32_000
"""Below the range from which systems take the ports of outgoing connections."""

ATTEMPTS = 100


def choose_ports(count: int) -> list[int]:
    """Return free ports, consecutive if possible, from a random beginning.

    Random, so that two consortia that are made at the same moment hardly ever meet.
    """
    for _ in range(ATTEMPTS):
        first = LOWEST + secrets.randbelow(HIGHEST - LOWEST - count)
        ports = list(range(first, first + count))
        if all(map(is_free, ports)):
            return ports
    return [free_port() for _ in range(count)]


def replace_taken(ports: Sequence[int]) -> list[int]:
    """Return the same ports if all are free; otherwise, in place of those taken, other ones."""
    taken = [index for index, port in enumerate(ports) if not is_free(port)]
    fresh = iter(choose_ports(len(taken)) if taken else ())
    return [next(fresh) if index in taken else port for index, port in enumerate(ports)]
