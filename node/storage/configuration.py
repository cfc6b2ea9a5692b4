"""How a node reaches its own database."""

from __future__ import annotations

from dataclasses import dataclass, field

MINIMUM_SERVER_VERSION = 140000
"""PostgreSQL 14, the oldest release whose behaviour the queries here were written against."""


@dataclass(frozen=True, slots=True)
class DatabaseConfig:
    """Connection, pool and time limits; every field but the URL has a default for one bank alone.

    Behind PgBouncer in transaction mode set `prepare_threshold=None`, give `writer_url` an address
    that bypasses the pooler (the writer's session lock needs a session of its own), and let
    PgBouncer accept the start-up parameter `options`.
    """

    url: str = field(repr=False)
    """`postgresql://role:password@host:port/name`, any libpq parameter allowed in the query."""
    writer_url: str | None = field(default=None, repr=False)
    """URL of the one writing session, if it must differ from `url`."""
    pool_size: int = 20
    """Connections kept open for reading."""
    max_overflow: int = 10
    """Further connections opened under load and closed afterwards."""
    pool_timeout_s: float = 30.0
    """How long a read waits for a connection before `PoolExhausted`."""
    pool_recycle_s: int = 3600
    """Age at which a pooled connection is replaced."""
    pool_pre_ping: bool = True
    """Test a pooled connection before use, so that a restarted server costs no failed request."""
    statement_timeout_ms: int = 30_000
    """The server cancels any statement that runs longer; 0 would be no limit and is refused."""
    connect_timeout_s: int = 10
    prepare_threshold: int | None = 5
    """Executions after which a statement is prepared on the server; None never prepares."""
    lock_check_interval_s: float = 2.0
    """How often an idle writing session is checked; a lost one cannot write in any case."""
    lock_wait_s: float = 5.0
    """How long to wait at open for a predecessor's writing session to end."""
    application_name: str = "consortium"

    def __post_init__(self) -> None:
        if self.statement_timeout_ms <= 0:
            raise ValueError("statement_timeout_ms must be positive: 0 would mean no limit")
        if self.pool_size < 1 or self.max_overflow < 0:
            raise ValueError("pool_size must be at least 1 and max_overflow at least 0")
