"""The one way into every method: identity, role, quota, sizes, time limit, errors, access log.

An interceptor that replaces each handler by a guarded one. Requests reach it as raw bytes, so
that a size is checked before anything is parsed. Exceptions end here: foreseen ones become their
fault (`node.rpc.errors`), others INTERNAL with a correlation id; no text of theirs leaves the
bank.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import secrets
from collections import Counter
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Hashable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import aclosing, asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from time import monotonic
from typing import Any, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from node.ledger.types import BankIndex
from node.rpc.backend import NotReady
from node.rpc.call_rates import CallRates
from node.rpc.errors import (
    STATUS_DETAILS_KEY,
    CallReason,
    CallRefused,
    Fault,
    fault_of,
    refuse,
)
from node.rpc.identity_check import caller_identity, check_role
from node.rpc.revocation import RELOAD_S, Revocations
from node.rpc.roles import METHODS, MethodRule
from node.rpc.traffic import Traffic
from node.wire.identity import Identity, IdentityInvalid, Role

CALL_QUOTAS = {Role.BANK: 256, Role.REGULATOR: 64, Role.CLIENT: 256, Role.OPERATOR: 64}
"""Calls that one party may have open at a time."""
CALLS_BUT_BANKS = 1_536
"""Calls that all others together may have open: three quarters of what the server takes, so that
there is always room for banks."""
TOO_MANY_CALLS_RETRY_MS = 250
CERTIFICATE = "x509_pem_cert"

_log = logging.getLogger(__name__)
_caller: ContextVar[Identity] = ContextVar("caller")
_stream: ContextVar[RunningStream] = ContextVar("stream")

Context = Any
"""A `grpc.aio.ServicerContext`; gRPC ships no types."""
K = TypeVar("K", bound=Hashable)
T = TypeVar("T")
_END = object()


def caller() -> Identity:
    """Return who makes the call being served."""
    return _caller.get()


@dataclass(frozen=True, slots=True)
class Admittance:
    """Whom a server lets in."""

    consortium: str
    """Slug of the consortium's name."""
    operators: Collection[str] | None = None
    """Names of this bank's operators; None: any operator of the consortium."""
    operators_from_anywhere: bool = False
    """Whether operators may call from other machines."""
    banks: Collection[BankIndex] | None = None
    """Banks of the genesis; None: any bank that the authority certified."""


class RunningStream:
    """A streaming call under way, which this bank may have to end.

    The task that gRPC runs a handler in is never cancelled by us: cancelled while it writes, gRPC
    would send no status, and the caller would hold a stream for ever that nobody reads. Instead
    the handler waits for its next response in a task of its own, which may be left.
    """

    def __init__(self, certificate: bytes, *, endless: bool) -> None:
        self.certificate = certificate
        self.endless = endless
        self._ended: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()

    def end(self, why: Exception) -> None:
        """Have the call end with this error; the first reason stays."""
        if not self._ended.done():
            self._ended.set_result(why)

    async def wait(self, work: Awaitable[T]) -> T:
        """Await `work` unless the stream is ended first; then raise why."""

        async def run() -> T:
            return await work

        task = asyncio.create_task(run())
        try:
            await asyncio.wait((task, self._ended), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise self._ended.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)


def running_stream() -> RunningStream:
    """Return the streaming call being served."""
    return _stream.get()


class Gate(grpc.aio.ServerInterceptor):
    """Guards every method of a server."""

    def __init__(
        self,
        admittance: Admittance,
        revocations: Revocations,
        methods: Mapping[str, MethodRule] = METHODS,
        traffic: Traffic | None = None,
    ) -> None:
        self.traffic = traffic or Traffic()
        self._admittance = admittance
        self._revocations = revocations
        self._methods = methods
        self._rates = CallRates()
        self._open_calls: Counter[str] = Counter()
        self._open_by_method: Counter[tuple[str, str]] = Counter()
        self._open_but_banks = 0
        self._streams: set[RunningStream] = set()
        self.stopping = False

    async def intercept_service(
        self,
        continuation: Callable[[Any], Awaitable[Any]],
        handler_call_details: Any,
    ) -> Any:
        """Return the guarded handler; None (UNIMPLEMENTED) for a method outside the table."""
        handler = await continuation(handler_call_details)
        rule = self._methods.get(handler_call_details.method)
        if handler is None or rule is None:
            return None
        return _Guarded(self, handler_call_details.method, rule, handler).handler()

    def admit(self, context: Context, method: str, rule: MethodRule) -> Identity:
        """Return the caller if it may make this call and counts it; raises what refuses it."""
        identity = caller_identity(context.auth_context(), self._admittance.consortium)
        if self._revocations.revoked(certificate_of(context)):
            raise _revoked()
        banks = self._admittance.banks
        if identity.role is Role.BANK and banks is not None and identity.bank not in banks:
            raise IdentityInvalid(f"bank {identity.bank} is not in the genesis")
        check_role(
            identity,
            rule,
            context.peer(),
            operators=self._admittance.operators,
            operators_from_anywhere=self._admittance.operators_from_anywhere,
        )
        self._count(identity, method, rule)
        return identity

    def _count(self, identity: Identity, method: str, rule: MethodRule) -> None:
        """Take a place for the call; raises `CallRefused` if the caller has none left."""
        wait_ms = self._rates.take(identity)
        if wait_ms:
            raise _too_many("these are too many calls in so short a time", wait_ms)
        called = identity.uri, method
        if self._open_calls[identity.uri] >= CALL_QUOTAS[identity.role]:
            raise _too_many(f"the limit of {CALL_QUOTAS[identity.role]} open calls is reached")
        if rule.calls_at_once is not None and self._open_by_method[called] >= rule.calls_at_once:
            raise _too_many(f"the limit of {rule.calls_at_once} such calls is reached")
        if identity.role is not Role.BANK:
            if self._open_but_banks >= CALLS_BUT_BANKS:
                raise _too_many("the bank has no room for more calls")
            self._open_but_banks += 1
        self._open_calls[identity.uri] += 1
        self._open_by_method[called] += 1

    def release(self, identity: Identity, method: str) -> None:
        """Give the caller's place back."""
        _decrement(self._open_calls, identity.uri)
        _decrement(self._open_by_method, (identity.uri, method))
        if identity.role is not Role.BANK:
            self._open_but_banks -= 1

    def end_streams(self) -> None:
        """End the streams that would live on, so that a stopping server need not wait for them."""
        self.stopping = True
        for stream in self._streams:
            if stream.endless:
                stream.end(NotReady("the bank is stopping"))

    async def watch_revocations(self) -> None:
        """Take up new revocation lists until cancelled, and end the streams of who is on them."""
        while True:
            await asyncio.sleep(RELOAD_S)
            if self._revocations.reload():
                self.end_revoked_streams()

    def end_revoked_streams(self) -> None:
        """End what runs under a certificate that has been revoked since it began."""
        for stream in self._streams:
            if self._revocations.revoked(stream.certificate):
                stream.end(_revoked())

    @contextmanager
    def streaming(self, context: Context, rule: MethodRule) -> Iterator[RunningStream]:
        """Keep the present call among those that may have to be ended."""
        endless = rule.time_limit_s is None
        if endless and self.stopping:
            raise NotReady("the bank is stopping")
        stream = RunningStream(certificate_of(context), endless=endless)
        _stream.set(stream)
        self._streams.add(stream)
        try:
            yield stream
        finally:
            self._streams.discard(stream)


def certificate_of(context: Context) -> bytes:
    """Return the caller's certificate in PEM, as TLS has verified it."""
    found: Sequence[bytes] = context.auth_context().get(CERTIFICATE, ())
    if len(found) != 1:
        raise IdentityInvalid("the connection shows no certificate")
    return found[0]


def _revoked() -> CallRefused:
    return refuse(
        grpc.StatusCode.UNAUTHENTICATED, CallReason.REVOKED, "the certificate has been revoked"
    )


def _too_many(message: str, retry_delay_ms: int = TOO_MANY_CALLS_RETRY_MS) -> CallRefused:
    return refuse(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        CallReason.TOO_MANY_CALLS,
        message,
        retry_delay_ms=retry_delay_ms,
    )


def _decrement(counter: Counter[K], key: K) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]


class _Call:
    """One call under way: who made it, and what ended it."""

    def __init__(self, gate: Gate, method: str, rule: MethodRule, context: Context) -> None:
        self._gate = gate
        self._method = method
        self._rule = rule
        self._context = context
        self._identity: Identity | None = None
        self._began = monotonic()
        self._outcome = "OK"

    @property
    def deadline(self) -> float | None:
        """Event-loop time at which the method's own limit passes."""
        if self._rule.time_limit_s is None:
            return None
        return asyncio.get_running_loop().time() + self._rule.time_limit_s

    def begin(self) -> None:
        self._identity = self._gate.admit(self._context, self._method, self._rule)
        _caller.set(self._identity)

    async def fail(self, error: Exception) -> None:
        """End the call with the fault that the error stands for; always raises."""
        fault = self._fault(error)
        self._outcome = f"{fault.code.name} {fault.reason}"
        status = fault.to_status()
        await self._context.abort(
            fault.code,
            status.message,
            trailing_metadata=((STATUS_DETAILS_KEY, status.SerializeToString()),),
        )

    def cancelled(self) -> None:
        self._outcome = "CANCELLED"

    def end(self) -> None:
        if self._identity is not None:
            self._gate.release(self._identity, self._method)
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug(
                "call",
                extra={
                    "method": self._method,
                    "caller": str(self._identity or "unknown"),
                    "peer": self._context.peer(),
                    "outcome": self._outcome,
                    "duration_ms": round((monotonic() - self._began) * 1_000, 1),
                },
            )

    def _fault(self, error: Exception) -> Fault:
        fault = fault_of(error)
        if fault is not None and fault.code is not grpc.StatusCode.INTERNAL:
            return fault
        correlation_id = secrets.token_hex(8)
        _log.error(
            "call_failed",
            exc_info=error,
            extra={
                "method": self._method,
                "caller": str(self._identity),
                "correlation_id": correlation_id,
            },
        )
        return Fault(
            grpc.StatusCode.INTERNAL,
            CallReason.INTERNAL.value,
            f"internal error; the bank's log has it under {correlation_id}",
        ).with_metadata(correlation_id=correlation_id)


class _Guarded:
    """A method handler with the gate in front of it."""

    def __init__(self, gate: Gate, method: str, rule: MethodRule, handler: Any) -> None:
        self._gate = gate
        self._method = method
        self._rule = rule
        self._inner = handler

    def handler(self) -> Any:
        """Return the handler that gRPC is given: raw requests, the inner one's responses."""
        inner = self._inner
        shape = (inner.request_streaming, inner.response_streaming)
        make, behaviour = {
            (False, False): (grpc.unary_unary_rpc_method_handler, self._respond),
            (True, False): (grpc.stream_unary_rpc_method_handler, self._respond),
            (False, True): (grpc.unary_stream_rpc_method_handler, self._stream),
            (True, True): (grpc.stream_stream_rpc_method_handler, self._stream),
        }[shape]
        serializer = self._gate.traffic.counting(self._method, inner.response_serializer)
        return make(behaviour, request_deserializer=None, response_serializer=serializer)

    async def _respond(self, request: Any, context: Context) -> Any:
        call = _Call(self._gate, self._method, self._rule, context)
        try:
            call.begin()
            behaviour = self._inner.unary_unary or self._inner.stream_unary
            async with _until(call.deadline):
                return await behaviour(self._request(request), context)
        except asyncio.CancelledError:
            call.cancelled()
            raise
        except grpc.aio.AbortError:
            raise
        except Exception as error:  # edge: nothing of an unforeseen error may leave the bank
            await call.fail(error)
        finally:
            call.end()

    async def _stream(self, request: Any, context: Context) -> AsyncGenerator[Any, None]:
        call = _Call(self._gate, self._method, self._rule, context)
        try:
            call.begin()
            behaviour = self._inner.unary_stream or self._inner.stream_stream
            with self._gate.streaming(context, self._rule) as stream:
                async with aclosing(
                    _responses(behaviour, self._request(request), context, call.deadline, stream)
                ) as responses:
                    async for response in responses:
                        yield response
        except (asyncio.CancelledError, GeneratorExit):
            call.cancelled()
            raise
        except grpc.aio.AbortError:
            raise
        except Exception as error:  # edge: nothing of an unforeseen error may leave the bank
            await call.fail(error)
        finally:
            call.end()

    def _request(self, raw: Any) -> Any:
        if self._inner.request_streaming:
            return self._requests(raw)
        return self._parse(raw)

    async def _requests(self, raws: AsyncIterator[bytes]) -> AsyncGenerator[Any, None]:
        async for raw in raws:
            yield self._parse(raw)

    def _parse(self, raw: bytes) -> Any:
        self._gate.traffic.received(self._method, len(raw))
        if len(raw) > self._rule.request_limit_bytes:
            raise refuse(
                grpc.StatusCode.INVALID_ARGUMENT,
                CallReason.TOO_LARGE,
                f"a request of {len(raw)} bytes exceeds {self._rule.request_limit_bytes}",
            )
        try:
            return self._inner.request_deserializer(raw)
        except DecodeError:
            raise refuse(
                grpc.StatusCode.INVALID_ARGUMENT,
                CallReason.MALFORMED,
                "the request is not an encoded message of this method",
            ) from None


@asynccontextmanager
async def _until(deadline: float | None) -> AsyncGenerator[None, None]:
    """Limit the body; a time-out inside it that is not this one stays the defect that it is."""
    limit = asyncio.timeout_at(deadline)
    try:
        async with limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise refuse(
            grpc.StatusCode.DEADLINE_EXCEEDED,
            CallReason.DEADLINE,
            "the method's own time limit has passed",
        ) from None


async def _responses(
    behaviour: Any, request: Any, context: Context, deadline: float | None, stream: RunningStream
) -> AsyncGenerator[Any, None]:
    """Yield a method's responses, each wait for the next one within the deadline.

    The deadline surrounds the waits only: a limit around the whole would fire inside gRPC's
    sending, where nobody could turn it into a fault.
    """
    if not inspect.isasyncgenfunction(behaviour):
        # Handlers of the health service write their responses themselves.
        async with _until(deadline):
            await stream.wait(behaviour(request, context))
        return
    async with aclosing(behaviour(request, context)) as responses:
        while True:
            async with _until(deadline):
                response = await stream.wait(anext(responses, _END))
            if response is _END:
                return
            yield response
