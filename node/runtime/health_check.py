"""Verifying that every bank of a starting consortium is healthy, by its own report."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack

from node.client.connection import ClientCredentials, Endpoint
from node.client.errors import ClientError
from node.client.operator_client import OperatorClient
from node.ledger.genesis import Genesis
from node.ledger.types import BankIndex
from node.runtime.consortium_directory import short_name
from node.wire.operator_records import NodeReport

POLL_INTERVAL_S = 0.25


class StartFailed(Exception):
    """The consortium did not come up; the message says which bank, why, and what to do."""


def doubt_of(report: NodeReport, genesis: Genesis) -> str:
    """Say why a bank is not healthy yet; empty if it is.

    Healthy: it is ready, has this genesis and its database, and is linked both ways with every
    other bank.
    """
    if report.chain_id != genesis.chain_id:
        return f"it runs another chain, {report.chain_id.hex()[:16]}"
    if not report.database.connected:
        return "it has no database"
    linked = {peer.bank for peer in report.peers if peer.linked_in and peer.linked_out}
    missing = {bank.index for bank in genesis.banks} - linked - {report.bank}
    if missing:
        return f"it is not linked with {', '.join(map(short_name, sorted(missing)))}"
    if not report.ready:
        return report.halted or "it is not ready"
    return ""


async def wait_healthy(
    endpoints: Sequence[Endpoint],
    credentials: ClientCredentials,
    genesis: Genesis,
    *,
    timeout_s: float,
    progress: Callable[[int, int], None],
    require_running: Callable[[], None],
) -> Mapping[BankIndex, NodeReport]:
    """Ask every bank again and again until all are healthy; return their reports.

    `require_running` is called every time around and raises if waiting has become pointless.
    Raises `StartFailed` naming the bank that is not healthy in time, and why.
    """
    deadline_s = time.monotonic() + timeout_s
    healthy: dict[BankIndex, NodeReport] = {}
    doubts: dict[BankIndex, str] = {}
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(OperatorClient(endpoint, credentials))
            for endpoint in endpoints
        ]
        while True:
            require_running()
            for client in clients:
                bank = client.endpoint.bank
                if bank in healthy:
                    continue
                try:
                    report = await client.report()
                except ClientError as error:
                    doubts[bank] = f"it does not answer: {error}"
                    continue
                doubts[bank] = doubt_of(report, genesis)
                if not doubts[bank]:
                    healthy[bank] = report
                    progress(len(healthy), len(clients))
            if len(healthy) == len(clients):
                return healthy
            if time.monotonic() > deadline_s:
                raise StartFailed(_describe(doubts))
            await asyncio.sleep(POLL_INTERVAL_S)


def _describe(doubts: Mapping[BankIndex, str]) -> str:
    listed = [f"{short_name(bank)}: {doubt}" for bank, doubt in sorted(doubts.items()) if doubt]
    more = f" (and {len(listed) - 1} more)" if len(listed) > 1 else ""
    return f"not every bank became healthy; {listed[0]}{more}"
