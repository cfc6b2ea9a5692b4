"""Submitting without end: one stream to one bank, opened again whenever it ends.

`LedgerClient.submit_many` hands in a list and fails over; this hands in whatever comes, to one
bank, for as long as anybody likes. What the end of a stream left without an answer is handed in
again, which is safe because submissions are idempotent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio

from node.client.connection import ClientCredentials, Endpoint
from node.client.errors import LedgerFault
from node.client.failover import CALL_FAILURES, Link
from node.client.ledger_client import SubmissionOutcome, submission_outcome
from node.ledger.types import BankIndex
from node.wire import ledger_pb2

STREAM_S = 540.0
"""Length of one stream, a little less than a bank allows."""
RECONNECT_S = 0.5
"""Pause before a broken stream is opened again."""


class SubmissionStream:
    """Transactions by number: `put` them, `run` until cancelled, hear of each by `on_outcome`."""

    def __init__(
        self,
        endpoint: Endpoint,
        credentials: ClientCredentials,
        raw: Callable[[int], bytes],
        on_outcome: Callable[[SubmissionOutcome], None],
    ) -> None:
        """`raw` returns the canonical bytes of an item when it is written."""
        self._link = Link(endpoint, credentials)
        self._raw = raw
        self._on_outcome = on_outcome
        self._queue: asyncio.Queue[int] = asyncio.Queue()
        self._unanswered: set[int] = set()
        self.reconnected = 0
        """Streams that ended and were opened again."""

    @property
    def bank(self) -> BankIndex:
        return self._link.endpoint.bank

    def put(self, item: int) -> None:
        """Queue an item; one that was answered may be put again."""
        self._queue.put_nowait(item)

    def put_later(self, item: int, delay_ms: int) -> None:
        """Queue an item after the pause that a bank asked for."""
        asyncio.get_running_loop().call_later(delay_ms / 1000, self.put, item)

    async def close(self) -> None:
        """Close the connection; `run` must have ended."""
        await self._link.close()

    async def run(self) -> None:
        """Submit until cancelled; a bank that is down is tried again and again."""
        while True:
            for item in sorted(self._unanswered):
                self.put(item)
            self._unanswered.clear()
            try:
                await self._session()
            except CALL_FAILURES as error:
                self.reconnected += 1
                if not _deadline_passed(error):
                    await asyncio.sleep(RECONNECT_S)

    async def _session(self) -> None:
        call = self._link.method("SubmitTransactions")(timeout=STREAM_S)
        writer = asyncio.create_task(self._write(call))
        try:
            while (answer := await call.read()) is not grpc.aio.EOF:
                outcome = submission_outcome(answer, str(self._link.endpoint))
                self._unanswered.discard(outcome.item)
                self._on_outcome(outcome)
            raise LedgerFault("the bank ended the stream")
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
            call.cancel()

    async def _write(self, call: Any) -> None:
        while True:
            item = await self._queue.get()
            self._unanswered.add(item)
            await call.write(
                ledger_pb2.SubmitTransactionsRequest(item=item, transaction=self._raw(item))
            )


def _deadline_passed(error: Exception) -> bool:
    return (
        isinstance(error, grpc.aio.AioRpcError)
        and error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    )
