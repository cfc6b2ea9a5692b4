"""Bytes of requests and answers at a server, by who is at the other end.

Counted are messages as they are handed to gRPC and as they come from it: without the framing of
HTTP/2 and TLS, which add about one in a hundred to a batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from node.rpc.roles import PEER


@dataclass(slots=True)
class Traffic:
    """Bytes since the start; peers are the other banks, clients everybody else."""

    peers_sent_bytes: int = 0
    peers_received_bytes: int = 0
    clients_sent_bytes: int = 0
    clients_received_bytes: int = 0

    def received(self, method: str, size_bytes: int) -> None:
        """Count a request."""
        if method.startswith(f"/{PEER}/"):
            self.peers_received_bytes += size_bytes
        else:
            self.clients_received_bytes += size_bytes

    def counting(
        self, method: str, serializer: Callable[[Any], bytes] | None
    ) -> Callable[[Any], bytes]:
        """Return a serialiser of a method's answers that counts what it makes."""
        from_peer = method.startswith(f"/{PEER}/")

        def serialize(answer: Any) -> bytes:
            raw = answer if serializer is None else serializer(answer)
            if from_peer:
                self.peers_sent_bytes += len(raw)
            else:
                self.clients_sent_bytes += len(raw)
            return raw

        return serialize
