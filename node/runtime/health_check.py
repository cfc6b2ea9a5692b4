"""Verifying that every bank of a starting consortium is healthy, by its own report."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from node.client.connection import ClientCredentials, Endpoint
from node.client.errors import ClientError
from node.client.operator_client import OperatorClient
from node.ledger.active_set import quorum_size
from node.ledger.genesis import Genesis
from node.ledger.types import BankIndex
from node.runtime.consortium_directory import short_name
from node.wire.operator_records import NodeReport

POLL_INTERVAL_S = 0.25


class StartFailed(Exception):
    """The consortium did not come up; the message says which bank, why, and what to do."""


@dataclass(frozen=True, slots=True)
class Health:
    """A consortium that came up."""

    healthy: Mapping[BankIndex, NodeReport]
    """The reports of the banks that are verified healthy: a quorum at least."""
    out_of_service: Mapping[BankIndex, str]
    """Banks that found that they must not go on, and why; the others do without them."""


def doubt_of(
    report: NodeReport, genesis: Genesis, out_of_service: Collection[BankIndex] = ()
) -> str:
    """Say why a bank is not healthy yet; empty if it is.

    Healthy: it is ready, has this genesis and its database, and is linked both ways with every
    other bank that is in service.
    """
    if report.chain_id != genesis.chain_id:
        return f"it runs another chain, {report.chain_id.hex()[:16]}"
    if not report.database.connected:
        return "it has no database"
    linked = {peer.bank for peer in report.peers if peer.linked_in and peer.linked_out}
    wanted = {bank.index for bank in genesis.banks} - {report.bank} - set(out_of_service)
    missing = wanted - linked
    if missing:
        return f"it is not linked with {', '.join(map(short_name, sorted(missing)))}"
    return "" if report.ready else "it is not ready"


async def wait_healthy(
    endpoints: Sequence[Endpoint],
    credentials: ClientCredentials,
    genesis: Genesis,
    *,
    timeout_s: float,
    progress: Callable[[int, int], None],
    ended_unsafe: Callable[[], Mapping[BankIndex, str]],
) -> Health:
    """Ask every bank again and again until all that are in service are healthy.

    `ended_unsafe` is called every time around and names the banks whose process ended because
    going on would not be safe, with the reason; it raises if waiting has become pointless. A bank
    that reports itself halted is out of service too. Raises `StartFailed` naming the bank that is
    not healthy in time, and why, or if fewer than a quorum are in service.
    """
    deadline_s = time.monotonic() + timeout_s
    healthy: dict[BankIndex, NodeReport] = {}
    halted: dict[BankIndex, str] = {}
    doubts: dict[BankIndex, str] = {}
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(OperatorClient(endpoint, credentials))
            for endpoint in endpoints
        ]
        while True:
            out_of_service = {**ended_unsafe(), **halted}
            for client in clients:
                bank = client.endpoint.bank
                if bank in healthy or bank in out_of_service:
                    continue
                try:
                    report = await client.report()
                except ClientError as error:
                    doubts[bank] = f"it does not answer: {error}"
                    continue
                if report.halted:
                    halted[bank] = report.halted
                    continue
                doubts[bank] = doubt_of(report, genesis, out_of_service)
                if not doubts[bank]:
                    healthy[bank] = report
                    progress(len(healthy), len(clients))
            out_of_service = {**ended_unsafe(), **halted}
            _require_quorum(out_of_service, len(clients))
            if len(healthy.keys() | out_of_service.keys()) == len(clients):
                return Health(healthy, dict(sorted(out_of_service.items())))
            if time.monotonic() > deadline_s:
                raise StartFailed(_describe(doubts))
            await asyncio.sleep(POLL_INTERVAL_S)


def _require_quorum(out_of_service: Mapping[BankIndex, str], bank_count: int) -> None:
    left, quorum = bank_count - len(out_of_service), quorum_size(bank_count)
    if left < quorum:
        named = "; ".join(f"{short_name(bank)}: {why}" for bank, why in out_of_service.items())
        raise StartFailed(f"{quorum} banks are needed, only {left} can go on; {named}")


def _describe(doubts: Mapping[BankIndex, str]) -> str:
    listed = [f"{short_name(bank)}: {doubt}" for bank, doubt in sorted(doubts.items()) if doubt]
    more = f" (and {len(listed) - 1} more)" if len(listed) > 1 else ""
    return f"not every bank became healthy; {listed[0]}{more}"
