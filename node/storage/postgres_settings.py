"""Server parameters of the embedded PostgreSQL, each group with its reason."""

from __future__ import annotations

from collections.abc import Mapping

from node.storage.postgres_cluster import HOST

SETTINGS: Mapping[str, str] = {
    # Only TCP on this machine; a socket's path would have to stay below 108 bytes.
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    # 16 banks with 8 connections each, and room for operators and backups.
    "max_connections": "200",
    # A block is sealed only when it is on disk.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # Small enough for a laptop; the working set is the newest blocks of every bank.
    "shared_buffers": "192MB",
    "wal_buffers": "16MB",
    # Few checkpoints under load: each one makes every page be written whole once more.
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    # The ledger only grows: what vacuuming after every fifth and analysing after every tenth of
    # growth would find, in the databases of twelve banks, is what the last time found.
    "autovacuum_vacuum_insert_threshold": "100000",
    "autovacuum_vacuum_insert_scale_factor": "1.0",
    "autovacuum_analyze_threshold": "20000",
    "autovacuum_analyze_scale_factor": "1.0",
    # Short statements by primary key gain nothing from compilation or parallel workers.
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    # Statements and their parameters stay out of the log.
    "log_statement": "none",
    "log_min_error_statement": "panic",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}
