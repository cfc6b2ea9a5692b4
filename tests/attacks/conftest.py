"""A consortium under attack, one for each module, and the rule that it stays calm."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from node.storage.embedded_postgres import EmbeddedPostgres
from tests.attacks.consortium import Consortium, fund, running_consortium


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def consortium(
    tmp_path_factory: pytest.TempPathFactory,
    postgres_server: EmbeddedPostgres,
    request: pytest.FixtureRequest,
) -> AsyncIterator[Consortium]:
    """Four linked banks with money on the ledger; the module's tests share them."""
    directory = tmp_path_factory.mktemp(request.module.__name__.rpartition(".")[2])
    async with running_consortium(directory, postgres_server) as running:
        await fund(running)
        yield running


def require_calm(caplog: pytest.LogCaptureFixture, *, alarms: frozenset[str] = frozenset()) -> None:
    """No bank logged a traceback, and nothing that it calls an error but exactly these alarms."""
    raised, loud = set(), []
    for record in caplog.get_records("call"):
        if record.getMessage() == "alarm" and record.exc_info is None:
            raised.add(getattr(record, "kind", ""))
        elif record.exc_info is not None or record.levelno >= logging.ERROR:
            loud.append((record.name, record.getMessage(), record.exc_text))
    assert (loud, raised) == ([], alarms)
