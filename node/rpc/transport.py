"""gRPC options that hold for every server and link of a node."""

from __future__ import annotations

from node.wire.identity import Identity, bank_server_name
from node.wire.limits import MAX_MESSAGE_BYTES

Options = tuple[tuple[str, int | str], ...]

KEEPALIVE_MS = 10_000
"""A peer that vanished without closing is noticed after this and the next time-out."""
KEEPALIVE_TIMEOUT_MS = 5_000
MAX_METADATA_BYTES = 16 << 10
MAX_CONCURRENT_STREAMS = 512
"""Of one connection."""
HANDSHAKE_TIMEOUT_MS = 10_000
"""A connection that has not proven who it is by then is closed."""
MAX_IDLE_MS = 600_000
"""A connection without calls is closed; gRPC connects again when there is one."""

_BOTH: Options = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_metadata_size", MAX_METADATA_BYTES),
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
    ("grpc.keepalive_permit_without_calls", 1),
)

SERVER_OPTIONS: Options = (
    *_BOTH,
    ("grpc.max_concurrent_streams", MAX_CONCURRENT_STREAMS),
    ("grpc.server_handshake_timeout_ms", HANDSHAKE_TIMEOUT_MS),
    ("grpc.max_connection_idle_ms", MAX_IDLE_MS),
    ("grpc.http2.min_ping_interval_without_data_ms", KEEPALIVE_MS // 2),
    # Two nodes on one port would each get some of the connections: refuse the second instead.
    ("grpc.so_reuseport", 0),
)


def link_options(peer: Identity) -> Options:
    """Return the options of a channel to this bank: its certificate must be the bank's own."""
    return (
        *_BOTH,
        ("grpc.ssl_target_name_override", bank_server_name(peer.consortium, peer.bank)),
        ("grpc.http2.max_pings_without_data", 0),
        # The link itself decides when to try again; shared connections would keep old ones.
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.enable_retries", 0),
    )
