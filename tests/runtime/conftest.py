"""Databases that a whole module of tests shares."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

import pytest

from node.storage.embedded_postgres import EmbeddedPostgres


@pytest.fixture(scope="module")
def module_database_url(postgres_server: EmbeddedPostgres) -> Iterator[Callable[[], str]]:
    """Makes databases that live as long as the module's tests."""
    made: list[str] = []

    def make() -> str:
        name = f"module_{secrets.token_hex(6)}"
        postgres_server.create_database(name, name, name)
        made.append(name)
        return postgres_server.url(name, name, name)

    yield make
    for name in made:
        postgres_server.drop_database(name, name)
