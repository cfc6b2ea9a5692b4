"""Four linked banks with money on the ledger, shared by a module's tests."""

from __future__ import annotations

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
    directory = tmp_path_factory.mktemp(request.module.__name__.rpartition(".")[2])
    async with running_consortium(directory, postgres_server) as running:
        await fund(running)
        yield running
