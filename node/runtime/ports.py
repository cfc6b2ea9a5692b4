"""TCP ports for the banks of one machine: chosen once, remembered, chosen again if taken."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence

from node.storage import tcp_port
from node.storage.tcp_port import free_port, is_free

LOOPBACK = "127.0.0.1"

LOWEST = 10_000
HIGHEST = tcp_port.LOWEST
"""Below the ports of embedded database servers, which start while no bank listens yet, and so
below those of outgoing connections."""

ATTEMPTS = 100


def choose_ports(count: int, apart_from: Collection[int] = ()) -> list[int]:
    """Return free ports, consecutive if possible, from a random beginning; none of `apart_from`.

    Random, so that two consortia that are made at the same moment hardly ever meet.
    """
    kept = set(apart_from)
    for _ in range(ATTEMPTS):
        first = LOWEST + secrets.randbelow(HIGHEST - LOWEST - count)
        ports = list(range(first, first + count))
        if kept.isdisjoint(ports) and all(map(is_free, ports)):
            return ports
    chosen: list[int] = []
    while len(chosen) < count:
        port = free_port()
        if port not in kept and port not in chosen:
            chosen.append(port)
    return chosen


def replace_taken(ports: Sequence[int]) -> list[int]:
    """Return the same ports if all are free; otherwise, in place of those taken, other ones.

    0 stands for a port that is still to be chosen.
    """
    taken = [index for index, port in enumerate(ports) if port == 0 or not is_free(port)]
    fresh = iter(choose_ports(len(taken), apart_from=ports) if taken else ())
    return [next(fresh) if index in taken else port for index, port in enumerate(ports)]
