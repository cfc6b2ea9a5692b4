"""Choosing a TCP port on the loopback interface for the embedded server."""

from __future__ import annotations

import errno
import secrets
import socket

from node.storage.postgres_cluster import HOST

LOWEST = 28_000
HIGHEST = 32_000
"""Above the ports of banks, and below the range from which systems take the ports of outgoing
connections: one from that range may be in use before the server has it, and a client that calls
while the server is down may be given that very port and hold it, connected to itself."""

ATTEMPTS = 100


def free_port() -> int:
    """A TCP port on this machine that nobody has at this moment."""
    for _ in range(ATTEMPTS):
        port = LOWEST + secrets.randbelow(HIGHEST - LOWEST)
        if is_free(port):
            return port
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        any_port: int = probe.getsockname()[1]
        return any_port


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True
