"""Bytes of requests and answers, by who is at the other end."""

from __future__ import annotations

from node.rpc.roles import LEDGER, OPERATOR, PEER
from node.rpc.traffic import Traffic


def test_peers_and_clients_are_counted_apart() -> None:
    traffic = Traffic()
    traffic.received(f"/{PEER}/Exchange", 300)
    traffic.received(f"/{LEDGER}/SubmitTransaction", 20)
    traffic.received(f"/{OPERATOR}/GetStatus", 1)
    assert traffic == Traffic(peers_received_bytes=300, clients_received_bytes=21)


def test_answers_are_counted_as_they_leave() -> None:
    traffic = Traffic()
    serialize = traffic.counting(f"/{PEER}/FetchBlock", lambda answer: bytes(answer))
    assert serialize(b"block") == b"block"
    assert traffic.counting(f"/{LEDGER}/GetBlock", None)(b"raw") == b"raw"
    assert traffic == Traffic(peers_sent_bytes=5, clients_sent_bytes=3)
