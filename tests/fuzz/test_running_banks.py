"""`consortium fuzz` in short, against four whole nodes: nothing comes of any message (IDX-46)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache

import pytest

from node.client.connection import ClientCredentials
from node.client.fuzzing.campaign import run
from node.client.fuzzing.corpus import collect
from node.client.fuzzing.delivery import Delivery
from node.client.fuzzing.generation import EXCHANGE, Generator, methods
from node.client.fuzzing.observation import differences, observe
from node.client.operator_client import OperatorClient
from node.wire.identity import Role
from tests.attacks.consortium import BANKS, Consortium

pytestmark = pytest.mark.postgres
in_module_loop = pytest.mark.asyncio(loop_scope="module")

MESSAGES = 700
NAMES = {Role.CLIENT: "fuzzer", Role.OPERATOR: "fuzzer", Role.REGULATOR: "fuzzer"}


@asynccontextmanager
async def operators_of(consortium: Consortium) -> AsyncIterator[list[OperatorClient]]:
    credentials = consortium.credentials_of(Role.OPERATOR, "observer")
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                OperatorClient(consortium.cluster.endpoint(bank), credentials, deadline_ms=30_000)
            )
            for bank in range(BANKS)
        ]


def delivery_to(consortium: Consortium) -> Delivery:
    @cache
    def credentials_of(role: Role, bank: int) -> ClientCredentials:
        return consortium.credentials_of(role, NAMES.get(role, str(bank)))

    endpoints = [consortium.cluster.endpoint(bank) for bank in range(BANKS)]
    return Delivery(endpoints, consortium.cluster.genesis.chain_id, credentials_of)


def tracebacks(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str | None]]:
    return [
        (record.getMessage(), record.exc_text)
        for record in caplog.get_records("call")
        if record.exc_info is not None or record.getMessage() == "call_failed"
    ]


@in_module_loop
async def test_idx_46_no_hostile_message_stops_or_changes_anything(
    consortium: Consortium, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    chain_id = consortium.cluster.genesis.chain_id
    bank = consortium.credentials_of(Role.BANK, "0")
    corpus = await collect(consortium.clients[0], bank, chain_id, BANKS)
    generator = Generator(corpus, "ci")
    delivery = delivery_to(consortium)
    states = await consortium.snapshots()
    async with operators_of(consortium) as operators:
        before = await observe(operators)
        account = await run(generator, delivery, MESSAGES)
        await delivery.close()
        # Every bank says every second or two where it stands: hostile heights are forgotten.
        await asyncio.sleep(4)
        after = await observe(operators)
    assert [(fault.message.index, fault.text) for fault in account.faults] == []
    assert differences(before, after, (), frozenset(account.transactions)) == []
    assert await consortium.snapshots() == states
    assert {method for method, _ in account.tallies} == set(methods())
    assert len({kind for method, kind in account.tallies if method == EXCHANGE}) == 15
    assert account.sent == MESSAGES
    assert tracebacks(caplog) == []
    await consortium.require_sealing()
    await consortium.require_agreement()


@in_module_loop
async def test_a_message_is_known_by_seed_and_index(consortium: Consortium) -> None:
    chain_id = consortium.cluster.genesis.chain_id
    bank = consortium.credentials_of(Role.BANK, "1")
    corpus = await collect(consortium.clients[1], bank, chain_id, BANKS)
    forwards = [Generator(corpus, "replay").message(index) for index in range(60)]
    generator = Generator(corpus, "replay")
    backwards = [generator.message(index) for index in reversed(range(60))]
    assert backwards[::-1] == forwards
    assert len({message.request for message in forwards}) > 50
