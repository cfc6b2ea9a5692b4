"""Many byte strings as one parameter: PostgreSQL reads exactly what was given."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.storage.byte_strings import ByteStrings
from node.storage.configuration import DatabaseConfig
from node.storage.connection import connect

LISTS: list[list[bytes]] = [
    [],
    [b""],
    [b"\x00", b"", b"NULL", b'"', b"\\x41", b"{}"],
    [os.urandom(96) for _ in range(500)],
    [os.urandom(length) for length in (1, 255, 256, 70_000)],
]


@pytest.mark.postgres
async def test_the_server_reads_what_was_given(migrated_url: str) -> None:
    connection = await connect(DatabaseConfig(migrated_url), "reader")
    async with connection, connection.cursor(binary=True) as cursor:
        for items in LISTS:
            await cursor.execute(
                "SELECT %b::bytea[], cardinality(%b::bytea[])",
                (ByteStrings(items), ByteStrings(items)),
            )
            assert await cursor.fetchone() == (items, len(items))
        await cursor.execute(
            "SELECT item FROM unnest(%b::bytea[]) AS item WHERE item = ANY(%b::bytea[])",
            (ByteStrings([b"a", b"b", b"c"]), ByteStrings([b"c", b"a", b"d"])),
        )
        assert await cursor.fetchall() == [(b"a",), (b"c",)]


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=20))
def test_the_encoding_can_be_read_back(items: list[bytes]) -> None:
    encoded = ByteStrings(items).encode()
    head, rest = encoded[:20], encoded[20:]
    assert head == b"".join(
        number.to_bytes(4, "big") for number in (1, 0, 17, len(items), 1)
    )
    read: list[bytes] = []
    while rest:
        length = int.from_bytes(rest[:4], "big")
        read.append(rest[4 : 4 + length])
        rest = rest[4 + length :]
    assert read == items
