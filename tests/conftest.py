"""For every test: a real PostgreSQL server with fresh databases, and verdicts without a clock."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from node.storage.embedded_postgres import EmbeddedPostgres

# As the command does (`node.cli.main`): a child that is about to become `initdb` died in gRPC's
# fork handlers, in a process that had channels open.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

TEST_SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "256MB"}
"""The shared server of the tests survives no power failure; the tests of durability start a
server of their own with the settings of production."""

# A verdict must not depend on how busy the machine is.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


LONGEST_FIRST = ("processes", "long", "postgres")
"""Marks of files, by how long they take: one of them left for the end would keep one worker busy
while the others have nothing to do."""
LAST = len(LONGEST_FIRST)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Find what needs the whole machine where scripts/test looks; give workers long files first."""
    ranks: dict[Path, int] = {}
    for item in items:
        marks = {mark.name for mark in item.iter_markers()}
        if "whole_machine" in marks and "scenarios" not in item.path.parts:
            raise pytest.UsageError(f"{item.nodeid}: scripts/test runs it in tests/scenarios alone")
        rank = min((LONGEST_FIRST.index(mark) for mark in marks & {*LONGEST_FIRST}), default=LAST)
        ranks[item.path] = min(rank, ranks.get(item.path, rank))
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: ranks[item.path])


@pytest.fixture
def reachable_directory() -> Iterator[Path]:
    """A temporary directory that PostgreSQL's unprivileged user reaches when the tests run as root.

    pytest's own `tmp_path` lies below a directory of mode 0700.
    """
    with tempfile.TemporaryDirectory(prefix="consortium-test-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[EmbeddedPostgres]:
    """A running server, one for all tests of the session."""
    with tempfile.TemporaryDirectory(prefix="consortium-test-") as name:
        Path(name).chmod(0o711)
        server = EmbeddedPostgres(Path(name) / "postgres", settings=TEST_SETTINGS)
        try:
            server.start()
            yield server
        finally:
            server.destroy()


@pytest.fixture
def make_database_url(postgres_server: EmbeddedPostgres) -> Iterator[Callable[[], str]]:
    """Makes a fresh database with a role of its own at each call; all are dropped at the end."""
    made: list[str] = []

    def make() -> str:
        name, password = f"test_{secrets.token_hex(6)}", secrets.token_hex(12)
        postgres_server.create_database(name, name, password)
        made.append(name)
        return postgres_server.url(name, name, password)

    yield make
    for name in made:
        postgres_server.drop_database(name, name)


@pytest.fixture
def database_url(make_database_url: Callable[[], str]) -> str:
    """URL of a fresh, empty database whose role owns it."""
    return make_database_url()
