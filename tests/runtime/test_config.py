"""A node's configuration: what is written is read, and what is wrong is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.ledger.types import BankIndex
from node.runtime.config import (
    OTLP,
    REPLAY,
    SNAPSHOT,
    ConfigurationError,
    DatabaseSettings,
    NodeConfig,
    PeerAddress,
    load_node_config,
    render_node_config,
)

GOOD = """
[bank]
index = 3
short_name = "dunmere"

[network]
listen = "127.0.0.1:7003"

[files]
genesis = "../../genesis.json"
keys = "keys"
guard = "/elsewhere/signing.guard"

[database]
url_file = "database.url"

[[peers]]
bank = 0
address = "127.0.0.1:7000"
"""


def written(directory: Path, text: str) -> Path:
    path = directory / "node.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_paths_are_relative_to_the_file_and_the_rest_has_defaults(tmp_path: Path) -> None:
    assert load_node_config(written(tmp_path, GOOD)) == NodeConfig(
        bank=BankIndex(3),
        short_name="dunmere",
        listen="127.0.0.1:7003",
        peers=(PeerAddress(BankIndex(0), "127.0.0.1:7000"),),
        genesis_file=tmp_path / "../../genesis.json",
        key_directory=tmp_path / "keys",
        guard_file=Path("/elsewhere/signing.guard"),
        database=DatabaseSettings(tmp_path / "database.url", 20, 10, 30_000),
        mempool_transactions=4_000,
        mempool_bytes=40 << 20,
        log_level="INFO",
        supervised=False,
    )


NAMES = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=20)


@settings(deadline=None)
@given(
    bank=st.integers(0, 15),
    short_name=NAMES,
    peers=st.lists(st.integers(0, 15), unique=True, max_size=12),
    numbers=st.tuples(*[st.integers(1, 1 << 40)] * 5),
    supervised=st.booleans(),
    allow_faults=st.booleans(),
    join=st.sampled_from([REPLAY, SNAPSHOT]),
    has_own_server=st.booleans(),
    operators=st.none() | st.lists(NAMES, min_size=1, max_size=3).map(tuple),
    metrics=st.sampled_from(
        [(None, False), ("127.0.0.1:9464", False), ("[::1]:1", False), ("0.0.0.0:80", True)]
    ),
    tracing=st.just(("", 1.0)) | st.tuples(st.just(OTLP), st.floats(0, 1)),
)
def test_what_is_rendered_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    bank: int,
    short_name: str,
    peers: list[int],
    numbers: tuple[int, int, int, int, int],
    supervised: bool,
    allow_faults: bool,
    join: str,
    has_own_server: bool,
    operators: tuple[str, ...] | None,
    metrics: tuple[str | None, bool],
    tracing: tuple[str, float],
) -> None:
    base = tmp_path_factory.mktemp("consortium").resolve() / "banks" / "bank-0"
    base.mkdir(parents=True)
    config = NodeConfig(
        bank=BankIndex(bank),
        short_name=short_name,
        listen="127.0.0.1:7001",
        peers=tuple(PeerAddress(BankIndex(peer), f"127.0.0.1:{7_000 + peer}") for peer in peers),
        genesis_file=base / "genesis.json",
        key_directory=base / "keys",
        guard_file=base / "signing.guard",
        database=DatabaseSettings(
            base / "database.url", *numbers[:3], base / "postgres" if has_own_server else None
        ),
        mempool_transactions=numbers[3],
        mempool_bytes=numbers[4],
        log_level="WARNING",
        supervised=supervised,
        allow_faults=allow_faults,
        join=join,
        operators=operators,
        metrics_listen=metrics[0],
        metrics_from_anywhere=metrics[1],
        trace_exporter=tracing[0],
        trace_ratio=tracing[1],
    )
    path = written(base, render_node_config(config, base))
    assert load_node_config(path) == config


def test_a_consortiums_directory_may_be_moved(tmp_path: Path) -> None:
    """Paths inside are written relative to the bank's own directory, others as they are."""
    base = tmp_path / "banks" / "bank-3"
    base.mkdir(parents=True)
    config = load_node_config(written(base, GOOD))
    moved = NodeConfig(
        **{
            **{name: getattr(config, name) for name in NodeConfig.__slots__},
            "genesis_file": tmp_path / "genesis.json",
        }
    )
    text = render_node_config(moved, base)
    assert 'genesis = "../../genesis.json"' in text
    assert 'guard = "/elsewhere/signing.guard"' in text


WRONG = [
    ("[bank]", "[banks]", "{file}: section [bank] is missing"),
    ("[network]", "[net]", "{file}: section [network] is missing"),
    ("[database]", "[db]", "{file}: section [database] is missing"),
    ("index = 3", "index = '3'", "{file}: [bank]: `index` must be given as int"),
    ("index = 3", "index = true", "{file}: [bank]: `index` must be given as int"),
    ("short_name", "name", "{file}: [bank]: `short_name` must be given as str"),
    ("listen", "address", "{file}: [network]: `listen` must be given as str"),
    ("keys =", "key =", "{file}: [files]: `keys` must be given as str"),
    ("url_file", "url", "{file}: [database]: `url_file` must be given as str"),
    ("bank = 0", "index = 0", "{file}: [[peers]]: `bank` must be given as int"),
    ('address = "127.0.0.1:7000"', "", "{file}: [[peers]]: `address` must be given as str"),
    ("[[peers]]", "[peers]", "{file}: `peers` must be a list of tables"),
    (
        'url_file = "database.url"',
        'url_file = "database.url"\npool_size = "many"',
        "{file}: [database]: `pool_size` must be given as int",
    ),
    (
        "[[peers]]",
        "[limits]\nmempool_transactions = 'lots'\n[[peers]]",
        "{file}: [limits]: `mempool_transactions` must be given as int",
    ),
    ("[[peers]]", "[[peers]]\n[limits]\n[[limits]]", None),
    ("index = 3", "index = 3\nindex = 4", None),
    (GOOD, "limits = 3\n" + GOOD, "{file}: section [limits] is not a table"),
    (GOOD, "log = 3\n" + GOOD, "{file}: section [log] is not a table"),
    (
        GOOD,
        "peers = [1]\n" + GOOD.partition("[[peers]]")[0],
        "{file}: `peers` must be a list of tables",
    ),
    (
        'short_name = "dunmere"',
        'short_name = "dunmere"\nsupervised = "yes"',
        "{file}: [bank]: `supervised` must be given as bool",
    ),
    (
        'short_name = "dunmere"',
        'short_name = "dunmere"\njoin = "quickly"',
        '{file}: [bank]: `join` must be "replay" or "snapshot"',
    ),
    (
        'url_file = "database.url"',
        'url_file = "database.url"\nserver_directory = 5432',
        "{file}: [database]: `server_directory` must be given as str",
    ),
    *(
        (
            'listen = "127.0.0.1:7003"',
            f'listen = "127.0.0.1:7003"\noperators = {value}',
            "{file}: [network]: `operators` must be a list of names",
        )
        for value in ('"dunmere"', "[]", "[1]")
    ),
    *(
        (
            'listen = "127.0.0.1:7003"',
            f'listen = "127.0.0.1:7003"\nmetrics_listen = "{value}"',
            "{file}: [network]: `metrics_listen` must be given as HOST:PORT",
        )
        for value in ("127.0.0.1", ":9464", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:65536")
    ),
    *(
        (
            'listen = "127.0.0.1:7003"',
            f'listen = "127.0.0.1:7003"\nmetrics_listen = "{value}"',
            "{file}: [network]: `metrics_listen` is an address that other machines reach, and "
            "metrics are plain HTTP that anybody may read; use 127.0.0.1, or say "
            "`metrics_from_anywhere = true`",
        )
        for value in ("0.0.0.0:9464", "[::]:9464", "10.1.2.3:9464", "bank.example:9464")
    ),
    (
        "[[peers]]",
        '[tracing]\nexporter = "jaeger"\n[[peers]]',
        '{file}: [tracing]: `exporter` must be "otlp", or left out',
    ),
    *(
        (
            "[[peers]]",
            f"[tracing]\nratio = {value}\n[[peers]]",
            "{file}: [tracing]: `ratio` must be from 0 to 1",
        )
        for value in ("-0.1", "2", "true", '"all"', "nan")
    ),
]


@pytest.mark.parametrize(("good", "bad", "message"), WRONG)
def test_what_is_wrong_is_named_with_file_and_field(
    tmp_path: Path, good: str, bad: str, message: str | None
) -> None:
    assert good in GOOD
    path = written(tmp_path, GOOD.replace(good, bad, 1))
    with pytest.raises(ConfigurationError) as caught:
        load_node_config(path)
    if message is None:
        assert str(caught.value).startswith(f"{path}: ")
    else:
        assert str(caught.value) == message.format(file=path)


def test_a_missing_file_says_what_makes_it(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    with pytest.raises(ConfigurationError, match=rf"^{re.escape(str(path))} does not exist;"):
        load_node_config(path)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match=re.escape(str(path))):
        load_node_config(path)
