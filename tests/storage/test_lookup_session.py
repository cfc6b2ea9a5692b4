"""The session of the look-ups: one at a time, and never the reason that a look-up fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import psycopg
import pytest
import pytest_asyncio

from node.storage.configuration import DatabaseConfig
from node.storage.connection import connect
from node.storage.lookup_session import LookupSession

pytestmark = pytest.mark.postgres

BACKEND = "SELECT pg_backend_pid()"


@pytest_asyncio.fixture
async def session(migrated_url: str) -> AsyncIterator[LookupSession]:
    opened = LookupSession(partial(connect, DatabaseConfig(migrated_url), "reader"))
    yield opened
    await opened.close()


async def test_one_session_answers_again_and_again(session: LookupSession) -> None:
    first = await session.rows(BACKEND, ())
    assert first is not None
    assert [await session.rows(BACKEND, ()) for _ in range(8)] == [first] * 8


async def test_whoever_finds_it_in_use_is_told_so(session: LookupSession) -> None:
    await session.rows(BACKEND, ())
    answers = await asyncio.gather(*(session.rows("SELECT %b::int", (n,)) for n in (1, 2, 3)))
    assert answers == [[(1,)], None, None]


async def test_a_broken_session_is_replaced(session: LookupSession, migrated_url: str) -> None:
    before = await session.rows(BACKEND, ())
    assert before is not None
    async with await psycopg.AsyncConnection.connect(migrated_url) as other:
        await other.execute("SELECT pg_terminate_backend(%s, 5000)", before[0])
    assert await session.rows(BACKEND, ()) is None
    after = await session.rows(BACKEND, ())
    assert after is not None
    assert after != before


async def test_what_is_wrong_with_a_statement_is_raised(session: LookupSession) -> None:
    with pytest.raises(psycopg.errors.UndefinedTable):
        await session.rows("SELECT 1 FROM nothing", ())
    assert await session.rows("SELECT 1", ()) == [(1,)]


async def test_it_reads_only(session: LookupSession) -> None:
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        await session.rows("DELETE FROM notes", ())


async def test_a_closed_session_leaves_it_to_the_pool(session: LookupSession) -> None:
    await session.rows(BACKEND, ())
    await session.close()
    assert await session.rows(BACKEND, ()) is None
