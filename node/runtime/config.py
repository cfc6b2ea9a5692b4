"""Configuration of one bank's node: a TOML file whose paths are relative to itself.

Everything that all banks must agree on stands in the genesis file instead; this file holds what
is one bank's own business: addresses, key files, its database, its limits.
"""

from __future__ import annotations

import ipaddress
import json
import os
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from node.ledger.genesis import Genesis, GenesisInvalid, verify_genesis_keys
from node.ledger.types import BankIndex
from node.wire.tracing import OTLP

T = TypeVar("T")

REPLAY = "replay"
"""Fetch every block from the first on and execute it."""
SNAPSHOT = "snapshot"
"""Take over the state at another bank's tip, verified from the genesis; leave history to others."""


class ConfigurationError(Exception):
    """The operator's configuration cannot be used; the message names the file and the field."""


DEFAULT_VERIFY_WORKERS = 0
"""Twelve banks on two cores seal more with threads: 17 payments a second against 13."""
MAX_VERIFY_WORKERS = 64


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """Where another bank listens."""

    bank: BankIndex
    address: str
    """`host:port`."""


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """How this bank reaches its own database."""

    url_file: Path
    """File (mode 0600) with a `postgresql://` URL; a password never stands in the configuration."""
    pool_size: int = 20
    max_overflow: int = 10
    statement_timeout_ms: int = 30_000
    server_directory: Path | None = None
    """Of a PostgreSQL server of the bank's own, which its node starts and stops; None: the server
    is somebody else's."""


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """One bank's node."""

    bank: BankIndex
    short_name: str
    """Name used in logs and on the command line, for example `dunmere`."""
    listen: str
    """`host:port` of the gRPC server."""
    peers: tuple[PeerAddress, ...]
    genesis_file: Path
    key_directory: Path
    """Directory with consensus.key, ballot.key, issuer.key, tls.key, tls.crt and ca.crt."""
    guard_file: Path
    """Fsynced monotone record of the last signature (BFT-12 D4)."""
    database: DatabaseSettings
    mempool_transactions: int = 4_000
    mempool_bytes: int = 40 << 20
    log_level: str = "INFO"
    scrub_percent: int = 1
    """Share of one core for reading the stored history again, which finds damage; 0 for never."""
    verify_workers: int = DEFAULT_VERIFY_WORKERS
    """Processes that verify transactions; 0 for threads of the node's own process."""
    join: str = field(default=REPLAY)
    """How an empty database gets the ledger: `REPLAY` or `SNAPSHOT`."""
    supervised: bool = field(default=False)
    """Stop when the process that started this node disappears."""
    allow_faults: bool = field(default=False)
    """Whether this bank's operators may break it on purpose (`consortium fault`)."""
    operators: tuple[str, ...] | None = field(default=None)
    """Names of the certificates that operate this bank, from any machine; None: every operator of
    the consortium does, on the bank's own machine."""
    metrics_listen: str | None = field(default=None)
    """`host:port` of the metrics, plain HTTP; None: they are not served."""
    metrics_from_anywhere: bool = field(default=False)
    """Whether `metrics_listen` may be an address that other machines reach."""
    trace_exporter: str = field(default="")
    """`OTLP`, or empty: no spans are made."""
    trace_ratio: float = field(default=1.0)
    """Share of the transactions that are traced, the same ones at every bank; 0 to 1."""


def _table(document: dict[str, Any], name: str, path: Path) -> dict[str, Any]:
    value = document.get(name)
    if not isinstance(value, dict):
        raise ConfigurationError(f"{path}: section [{name}] is missing")
    return value


def _optional_table(document: dict[str, Any], name: str, path: Path) -> dict[str, Any]:
    value = document.get(name, {})
    if not isinstance(value, dict):
        raise ConfigurationError(f"{path}: section [{name}] is not a table")
    return value


def _required(table: dict[str, Any], key: str, kind: type[T], where: str) -> T:
    value = table.get(key)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ConfigurationError(f"{where}: `{key}` must be given as {kind.__name__}")
    return value


def _optional(table: dict[str, Any], key: str, default: T, where: str) -> T:
    """Return a value of the default's type, the default itself if the key is absent."""
    return _required(table, key, type(default), where) if key in table else default


def _workers(table: dict[str, Any], where: str) -> int:
    value = _optional(table, "verify_workers", DEFAULT_VERIFY_WORKERS, where)
    if not 0 <= value <= MAX_VERIFY_WORKERS:
        raise ConfigurationError(
            f"{where}: `verify_workers` must be from 0 to {MAX_VERIFY_WORKERS}"
        )
    return value


def _percent(table: dict[str, Any], key: str, default: int, where: str) -> int:
    value = _optional(table, key, default, where)
    if not 0 <= value <= 100:
        raise ConfigurationError(f"{where}: `{key}` must be from 0 to 100")
    return value


def _peers(document: dict[str, Any], path: Path) -> tuple[PeerAddress, ...]:
    entries = document.get("peers", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigurationError(f"{path}: `peers` must be a list of tables")
    where = f"{path}: [[peers]]"
    return tuple(
        PeerAddress(
            BankIndex(_required(entry, "bank", int, where)),
            _required(entry, "address", str, where),
        )
        for entry in entries
    )


def _join(table: dict[str, Any], where: str) -> str:
    join = _optional(table, "join", REPLAY, where)
    if join not in (REPLAY, SNAPSHOT):
        raise ConfigurationError(f'{where}: `join` must be "{REPLAY}" or "{SNAPSHOT}"')
    return join


def _operators(table: dict[str, Any], where: str) -> tuple[str, ...] | None:
    if "operators" not in table:
        return None
    names = table["operators"]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ConfigurationError(f"{where}: `operators` must be a list of names")
    return tuple(names)


def _metrics_listen(table: dict[str, Any], where: str) -> str | None:
    """Return where metrics are served; another machine must not reach it by mistake."""
    if "metrics_listen" not in table:
        return None
    listen = _required(table, "metrics_listen", str, where)
    host, colon, port = listen.rpartition(":")
    if not (colon and host and port.isascii() and port.isdecimal() and int(port) < 1 << 16):
        raise ConfigurationError(f"{where}: `metrics_listen` must be given as HOST:PORT")
    if not is_loopback(host) and not _optional(table, "metrics_from_anywhere", False, where):
        raise ConfigurationError(
            f"{where}: `metrics_listen` is an address that other machines reach, and metrics are "
            "plain HTTP that anybody may read; use 127.0.0.1, or say "
            "`metrics_from_anywhere = true`"
        )
    return listen


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host; brackets of IPv6 may be there."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _trace_exporter(table: dict[str, Any], where: str) -> str:
    exporter = _optional(table, "exporter", "", where)
    if exporter not in ("", OTLP):
        raise ConfigurationError(f'{where}: `exporter` must be "{OTLP}", or left out')
    return exporter


def _trace_ratio(table: dict[str, Any], where: str) -> float:
    ratio = table.get("ratio", 1.0)
    if isinstance(ratio, bool) or not isinstance(ratio, int | float) or not 0 <= ratio <= 1:
        raise ConfigurationError(f"{where}: `ratio` must be from 0 to 1")
    return float(ratio)


def load_node_config(path: Path) -> NodeConfig:
    """Read a node's configuration; raises `ConfigurationError` naming the file and the field."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigurationError(f"{path} does not exist; `consortium up` creates it") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
    base = path.resolve().parent
    bank = _table(document, "bank", path)
    network = _table(document, "network", path)
    files = _table(document, "files", path)
    database = _table(document, "database", path)
    limits = _optional_table(document, "limits", path)
    log = _optional_table(document, "log", path)
    tracing = _optional_table(document, "tracing", path)
    in_bank, in_network, in_database, in_limits, in_log, in_tracing = (
        f"{path}: [{section}]"
        for section in ("bank", "network", "database", "limits", "log", "tracing")
    )

    def file(table: dict[str, Any], key: str, section: str) -> Path:
        return base / _required(table, key, str, f"{path}: [{section}]")

    return NodeConfig(
        bank=BankIndex(_required(bank, "index", int, in_bank)),
        short_name=_required(bank, "short_name", str, in_bank),
        listen=_required(network, "listen", str, in_network),
        peers=_peers(document, path),
        genesis_file=file(files, "genesis", "files"),
        key_directory=file(files, "keys", "files"),
        guard_file=file(files, "guard", "files"),
        database=DatabaseSettings(
            url_file=file(database, "url_file", "database"),
            pool_size=_optional(database, "pool_size", 20, in_database),
            max_overflow=_optional(database, "max_overflow", 10, in_database),
            statement_timeout_ms=_optional(database, "statement_timeout_ms", 30_000, in_database),
            server_directory=(
                file(database, "server_directory", "database")
                if "server_directory" in database
                else None
            ),
        ),
        mempool_transactions=_optional(limits, "mempool_transactions", 4_000, in_limits),
        mempool_bytes=_optional(limits, "mempool_bytes", 40 << 20, in_limits),
        log_level=_optional(log, "level", "INFO", in_log),
        scrub_percent=_percent(limits, "scrub_percent", 1, in_limits),
        operators=_operators(network, in_network),
        metrics_listen=_metrics_listen(network, in_network),
        metrics_from_anywhere=_optional(network, "metrics_from_anywhere", False, in_network),
        trace_exporter=_trace_exporter(tracing, in_tracing),
        trace_ratio=_trace_ratio(tracing, in_tracing),
        verify_workers=_workers(limits, in_limits),
        join=_join(bank, in_bank),
        supervised=_optional(bank, "supervised", False, in_bank),
        allow_faults=_optional(bank, "allow_faults", False, in_bank),
    )


def load_genesis(config: NodeConfig) -> Genesis:
    """Read and check the genesis; raises `ConfigurationError`."""
    path = config.genesis_file
    try:
        genesis = Genesis.from_json_object(json.loads(path.read_text(encoding="utf-8")))
        verify_genesis_keys(genesis)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    except (GenesisInvalid, ValueError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
    if not 0 <= config.bank < len(genesis.banks):
        raise ConfigurationError(f"{path} has no bank {config.bank}")
    return genesis


def render_node_config(config: NodeConfig, base: Path) -> str:
    """Return the TOML text of `config`; paths within the consortium are relative to `base`.

    `base` is the bank's directory, two levels below the consortium's, which may thus be moved.
    """
    consortium = base.parent.parent

    def relative(path: Path) -> str:
        inside = path.is_relative_to(consortium)
        return quote(os.path.relpath(path, base) if inside else str(path))

    def quote(text: str) -> str:
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'

    server = config.database.server_directory
    lines = [
        "# Written by `consortium up`. One bank's own business; what all agree on is in genesis.",
        "[bank]",
        f"index = {config.bank}",
        f"short_name = {quote(config.short_name)}",
        f"supervised = {'true' if config.supervised else 'false'}",
        *([f"join = {quote(config.join)}"] if config.join != REPLAY else []),
        *(["allow_faults = true"] if config.allow_faults else []),
        "",
        "[network]",
        f"listen = {quote(config.listen)}",
        *_operator_lines(config.operators, quote),
        *_metrics_lines(config, quote),
        "",
        "[files]",
        f"genesis = {relative(config.genesis_file)}",
        f"keys = {relative(config.key_directory)}",
        f"guard = {relative(config.guard_file)}",
        "",
        "[database]",
        f"url_file = {relative(config.database.url_file)}",
        f"pool_size = {config.database.pool_size}",
        f"max_overflow = {config.database.max_overflow}",
        f"statement_timeout_ms = {config.database.statement_timeout_ms}",
        *([] if server is None else [f"server_directory = {relative(server)}"]),
        "",
        "[limits]",
        f"mempool_transactions = {config.mempool_transactions}",
        f"mempool_bytes = {config.mempool_bytes}",
        f"scrub_percent = {config.scrub_percent}",
        f"verify_workers = {config.verify_workers}",
        "",
        "[log]",
        f"level = {quote(config.log_level)}",
        *_tracing_lines(config, quote),
    ]
    for peer in config.peers:
        lines += ["", "[[peers]]", f"bank = {peer.bank}", f"address = {quote(peer.address)}"]
    return "\n".join(lines) + "\n"


def _operator_lines(names: tuple[str, ...] | None, quote: Callable[[str], str]) -> list[str]:
    return [] if names is None else [f"operators = [{', '.join(map(quote, names))}]"]


def _metrics_lines(config: NodeConfig, quote: Callable[[str], str]) -> list[str]:
    if config.metrics_listen is None:
        return []
    return [
        f"metrics_listen = {quote(config.metrics_listen)}",
        *(["metrics_from_anywhere = true"] if config.metrics_from_anywhere else []),
    ]


def _tracing_lines(config: NodeConfig, quote: Callable[[str], str]) -> list[str]:
    if not config.trace_exporter:
        return []
    return [
        "",
        "[tracing]",
        f"exporter = {quote(config.trace_exporter)}",
        f"ratio = {config.trace_ratio!r}",
    ]
