"""Calls that move on to the next bank when one cannot answer.

Down, starting, too late and defective banks are passed over, once each; whatever is an answer,
a refusal included, ends the call. Lists and streams are taken up at the next bank where they
broke off.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, TypeVar

import grpc

from node.client.connection import ClientCredentials, Endpoint
from node.client.errors import LedgerError, LedgerFault, LedgerTimeout, LedgerUnavailable
from node.client.status import error_of_call
from node.wire import ledger_pb2_grpc
from node.wire.fields import MalformedMessage

T = TypeVar("T")


class Link:
    """One bank: its channel is opened when it is first needed."""

    def __init__(self, endpoint: Endpoint, credentials: ClientCredentials) -> None:
        self.endpoint = endpoint
        self._credentials = credentials
        self._channel: grpc.aio.Channel | None = None
        self._stub: Any = None

    def method(self, name: str) -> Any:
        """Return the callable of one RPC of the Ledger service."""
        if self._channel is None:
            self._channel = self._credentials.open_channel(self.endpoint)
            self._stub = ledger_pb2_grpc.LedgerStub(self._channel)
        return getattr(self._stub, name)

    def failure(self, error: Exception, *, submission: bool = False) -> LedgerError:
        """Return the typed error of what went wrong in a call to this bank."""
        if isinstance(error, grpc.aio.AioRpcError):
            return error_of_call(error, str(self.endpoint), submission=submission)
        if isinstance(error, MalformedMessage):
            return LedgerFault(
                f"the bank's answer breaks the contract: {error}", endpoint=str(self.endpoint)
            )
        assert isinstance(error, LedgerError), "only these errors are caught"
        return error

    async def close(self) -> None:
        if self._channel is not None:
            await self._channel.close()
            self._channel = self._stub = None


CALL_FAILURES = (grpc.aio.AioRpcError, MalformedMessage, LedgerFault)
"""What a call to one bank raises when it does not succeed."""


class Attempts:
    """The failures of one call so far; a success in between starts the count again."""

    def __init__(self, links: BankLinks) -> None:
        self._links = links
        self._failures: list[LedgerError] = []

    def made_progress(self) -> None:
        """Forget earlier failures: a stream that advances may fail over again."""
        self._failures.clear()

    def next_bank_or_raise(self, failure: LedgerError, link: Link) -> None:
        """Turn to the next bank; raise if the failure is an answer, or all banks have failed."""
        if not isinstance(failure, LedgerUnavailable | LedgerTimeout | LedgerFault):
            raise failure
        self._failures.append(failure)
        self._links.turn_from(link)
        if len(self._failures) < len(self._links):
            return
        if len(self._failures) == 1:
            raise failure
        listed = "; ".join(str(earlier) for earlier in self._failures)
        if all(isinstance(earlier, LedgerTimeout) for earlier in self._failures):
            raise LedgerTimeout(f"no bank answered in time: {listed}", status=failure.status)
        raise LedgerUnavailable(f"no bank could answer: {listed}", status=failure.status)


class BankLinks:
    """The banks a client may ask, and which of them it asks first at present."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        credentials: ClientCredentials,
        *,
        deadline_ms: int,
        stream_deadline_ms: int,
    ) -> None:
        self._links = [Link(endpoint, credentials) for endpoint in endpoints]
        self._preferred = 0
        self._deadline_s = deadline_ms / 1000
        self.stream_deadline_s = stream_deadline_ms / 1000

    def __len__(self) -> int:
        return len(self._links)

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        return tuple(link.endpoint for link in self._links)

    @property
    def preferred(self) -> Link:
        return self._links[self._preferred]

    def turn_from(self, link: Link) -> None:
        """Prefer the next bank, unless another task has turned from this one already."""
        if self.preferred is link:
            self._preferred = (self._preferred + 1) % len(self._links)

    async def close(self) -> None:
        for link in self._links:
            await link.close()

    async def call(
        self,
        method: str,
        request: Any,
        read: Callable[[Any], T],
        *,
        submission: bool = False,
    ) -> T:
        """Return the answer of the first bank that has one."""
        attempts = Attempts(self)
        while True:
            link = self.preferred
            try:
                return read(await link.method(method)(request, timeout=self._deadline_s))
            except CALL_FAILURES as error:
                attempts.next_bank_or_raise(link.failure(error, submission=submission), link)

    async def pages(
        self,
        method: str,
        request_from: Callable[[int, int | None], Any],
        read: Callable[[Any], Sequence[T]],
        position: int,
        limit: int | None = None,
        *,
        endless: bool = False,
        place: Callable[[T], int] | None = None,
    ) -> AsyncGenerator[Sequence[T], None]:
        """Yield pages of a list from `position` on, at most `limit` items in all.

        `request_from(position, remaining)` builds the request that continues there. `place` tells
        an item's position, for lists with gaps.
        """
        attempts = Attempts(self)
        while limit is None or limit > 0:
            link = self.preferred
            request = request_from(position, limit)
            begin = position
            try:
                async for answer in link.method(method)(request, timeout=self.stream_deadline_s):
                    page = read(answer)
                    if not page:
                        continue
                    attempts.made_progress()
                    position = position + len(page) if place is None else place(page[-1]) + 1
                    limit = None if limit is None else limit - len(page)
                    yield page
                if not endless:
                    return
                if position == begin:
                    raise LedgerFault("the bank ended a stream that has no end")
            except CALL_FAILURES as error:
                failure = link.failure(error)
                # An endless stream that was quiet until its deadline is simply opened again.
                if not (endless and isinstance(failure, LedgerTimeout)):
                    attempts.next_bank_or_raise(failure, link)
