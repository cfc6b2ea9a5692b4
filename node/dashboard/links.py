"""Connections to all banks, kept open: a look each second would else shake hands twelve times."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TypeVar

from node.client.connection import ClientCredentials, Endpoint
from node.client.errors import LedgerError
from node.client.ledger_client import LedgerClient
from node.client.operator_client import OperatorClient
from node.ledger.types import BankIndex
from node.runtime.consortium_look import DEADLINE_MS

T = TypeVar("T")

QUESTION_DEADLINE_MS = 3_000
"""For what a browser waits for: then the next bank is asked."""


class BankConnections:
    """Clients of every bank's Operator and Ledger services, for one event loop."""

    def __init__(self, endpoints: Sequence[Endpoint], credentials: ClientCredentials) -> None:
        """`endpoints` are in bank order."""
        self.endpoints = tuple(endpoints)
        self._credentials = credentials
        self._operators: dict[BankIndex, OperatorClient] = {}
        """Made when they are first asked, for a connection belongs to the event loop that runs."""
        self._streams = [
            LedgerClient([endpoint], credentials, deadline_ms=QUESTION_DEADLINE_MS)
            for endpoint in self.endpoints
        ]
        self.ledger = LedgerClient(self.endpoints, credentials, deadline_ms=QUESTION_DEADLINE_MS)
        """Of all banks, with failover."""

    def prefer(self, bank: BankIndex) -> None:
        """Have `ledger` ask this bank first."""
        for _ in self.endpoints:
            if self.ledger.preferred_endpoint.bank == bank:
                return
            self.ledger.prefer_next_endpoint()

    def of_bank(self, bank: BankIndex) -> LedgerClient:
        """Return a client of one bank's ledger, without failover."""
        return self._streams[bank]

    async def ask(
        self,
        question: Callable[[OperatorClient], Awaitable[T]],
        banks: Collection[BankIndex],
    ) -> dict[BankIndex, T | LedgerError]:
        """Ask banks' operators' services at the same time; a failed call is its own answer."""

        async def ask_one(bank: BankIndex) -> T | LedgerError:
            try:
                return await question(self._operator(bank))
            except LedgerError as error:
                return error

        asked = list(banks)
        answers = await asyncio.gather(*map(ask_one, asked))
        return dict(zip(asked, answers, strict=True))

    def _operator(self, bank: BankIndex) -> OperatorClient:
        if bank not in self._operators:
            self._operators[bank] = OperatorClient(
                self.endpoints[bank], self._credentials, deadline_ms=DEADLINE_MS
            )
        return self._operators[bank]

    async def close(self) -> None:
        """Close every connection."""
        ledgers = [*self._streams, self.ledger]
        await asyncio.gather(
            *(client.close() for client in self._operators.values()),
            *(client.close() for client in ledgers),
        )
