"""Sends requests to receivers: one POST each, never again by itself, within one deadline."""

import asyncio
import ssl
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Final, Self

from tidings.core.addresses import AddressRules
from tidings.core.attempt import Answer, ErrorClass
from tidings.core.egress_proxy import EgressProxy
from tidings.core.refusals import CallbackUrlRefused
from tidings.ports.transport import OutboundRequest
from tidings.transport.answers import (
    TunnelRefused,
    WayOutFailed,
    answer_of_deadline,
    answer_of_fault,
)
from tidings.transport.connection import Connection
from tidings.transport.deadlines import Deadlines
from tidings.transport.dialing import Destination, Dialer, Dialing
from tidings.transport.endpoints import Endpoint, Endpoints, KeptConnections
from tidings.transport.handshakes import Handshakes
from tidings.transport.proxied import ProxiedDialer
from tidings.transport.resolving import Resolver, SharedLookups, SystemResolver
from tidings.transport.tls import Tls, new_ssl_context

_SHUTTING_DOWN: Final = Answer(
    error_class=ErrorClass.INTERNAL, error_detail="Tidings was shutting down"
)
_TOO_LATE: Final = Answer(
    error_class=ErrorClass.INTERNAL, error_detail="Tidings was held up, and did not send it"
)


class HttpTransport:
    """The transport port over HTTP/1.1. Make it where the event loop runs, and close it."""

    def __init__(
        self,
        rules: AddressRules,
        *,
        proxy: EgressProxy | None = None,
        resolver: Resolver | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._own_resolver = SystemResolver() if resolver is None else None
        self._lookups = SharedLookups(resolver or self._own_resolver or SystemResolver())
        self._dialer: Dialing = (
            Dialer(rules, self._lookups, self._loop)
            if proxy is None
            else ProxiedDialer(proxy, rules, self._lookups, self._loop)
        )
        self._handshakes = Handshakes(self._loop)
        self._ssl_context = ssl_context or new_ssl_context()
        self._endpoints = Endpoints(rules)
        self._kept = KeptConnections(self._loop)
        self._deadlines = Deadlines(self._loop)
        self._in_flight: dict[Connection, Endpoint] = {}
        self._dialing: set[asyncio.Task[Connection]] = set()
        self._is_closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections. What is still on its way ends as `internal`."""
        self._is_closed = True
        for connection in list(self._in_flight):
            connection.give_up(_SHUTTING_DOWN)
        for dialing in self._dialing:
            dialing.cancel()
        await asyncio.gather(*self._dialing, return_exceptions=True)
        self._kept.close()
        self._deadlines.close()
        await self._lookups.close()
        if self._own_resolver is not None:
            await self._own_resolver.close()

    async def send(self, request: OutboundRequest) -> Answer:
        """See `Transport`."""
        if self._is_closed:
            return _SHUTTING_DOWN
        try:
            endpoint = self._endpoints.find(request.subscription_id, request.url)
        except CallbackUrlRefused as refusal:
            # Good when it was stored, but the rules have become stricter.
            return Answer(error_class=ErrorClass.BLOCKED_ADDRESS, error_detail=refusal.detail)
        head = _head(endpoint, request)
        now = self._loop.time()
        deadline = now + request.timeout_seconds
        connection = None
        if endpoint.lacking:
            endpoint.lacking -= 1
        else:
            connection = self._kept.take(endpoint, now)
        if connection is None:
            dialed = await self._dial(endpoint, deadline, request.timeout_seconds)
            if isinstance(dialed, Answer):
                return dialed
            connection = dialed
            if request.may_leave is not None and not request.may_leave():
                connection.abort()
                return _TOO_LATE
        answering: asyncio.Future[Answer] = self._loop.create_future()
        on_answer = partial(_answer, answering)
        connection.deadline, connection.timeout_seconds = deadline, request.timeout_seconds
        self._in_flight[connection] = endpoint
        self._deadlines.watch(connection)
        try:
            connection.begin(head, request.body, on_answer)
            return await answering
        except BaseException:
            connection.cancel(on_answer)
            raise

    def begin(
        self, request: OutboundRequest, on_answer: Callable[[Answer], None]
    ) -> Callable[[], None] | None:
        """See `Transport`."""
        endpoint = self._endpoints.known(request.subscription_id, request.url)
        if endpoint is None or self._is_closed:
            return None
        head = _head(endpoint, request) if endpoint.idle else b""
        now = self._loop.time()
        connection = self._kept.take(endpoint, now)
        if connection is None:
            endpoint.lacking += 1
            return None
        connection.deadline = now + request.timeout_seconds
        connection.timeout_seconds = request.timeout_seconds
        self._in_flight[connection] = endpoint
        self._deadlines.watch(connection)
        try:
            connection.begin(head, request.body, on_answer)
        except BaseException:
            connection.cancel(on_answer)
            raise
        return partial(connection.cancel, on_answer)

    # --- what connections tell -------------------------------------------------------------------

    def ended(self, connection: Connection, *, is_reusable: bool) -> None:
        """See `Owner`."""
        self._deadlines.forget(connection)
        endpoint = self._in_flight.pop(connection)
        if is_reusable and not self._is_closed:
            self._kept.keep(endpoint, connection)

    def lost(self, connection: Connection) -> None:
        """See `Owner`."""
        self._kept.drop(connection)

    # --- new connections -------------------------------------------------------------------------

    async def _dial(
        self, endpoint: Endpoint, deadline: float, timeout_seconds: float
    ) -> Connection | Answer:
        """A new connection, or why there is none."""
        destination = Destination(endpoint.host, endpoint.port)
        try:
            async with asyncio.timeout_at(deadline):
                connection = await self._dialed(endpoint, destination)
        except TimeoutError as fault:
            if fault.errno:  # the kernel's own; ours has no number
                return answer_of_fault(fault)
            if destination.waits_for_us:
                return answer_of_fault(WayOutFailed("the deadline passed"))
            return answer_of_deadline(timeout_seconds)
        except (OSError, ValueError, TunnelRefused, WayOutFailed) as fault:
            return _SHUTTING_DOWN if self._is_closed else answer_of_fault(fault)
        if not self._is_closed:
            return connection
        connection.abort()
        return _SHUTTING_DOWN

    async def _dialed(self, endpoint: Endpoint, destination: Destination) -> Connection:
        """A new connection, made in a task that `close` can end."""
        dialing = self._loop.create_task(self._connection(endpoint, destination))
        self._dialing.add(dialing)
        try:
            return await dialing
        except BaseException as fault:
            # It may have come to its end in the same moment.
            dialing.add_done_callback(_close_unused)
            asked = asyncio.current_task()
            assert asked is not None
            if isinstance(fault, asyncio.CancelledError) and not asked.cancelling():
                raise ConnectionAbortedError("the transport was closed") from None
            raise
        finally:
            self._dialing.discard(dialing)

    async def _connection(self, endpoint: Endpoint, destination: Destination) -> Connection:
        made, early = await self._dialer.connect(destination)
        try:
            tls = None
            if endpoint.is_tls:
                tls = Tls(self._ssl_context, endpoint.host)
                await self._handshakes.shake(made, tls, early)
                early = b""
            connection = Connection(self, tls)
            await self._loop.create_connection(lambda: connection, sock=made)
        except BaseException:
            made.close()
            raise
        if early:
            connection.data_received(early)
        return connection


def _answer(answering: "asyncio.Future[Answer]", answer: Answer) -> None:
    if not answering.done():
        answering.set_result(answer)


def _close_unused(done: asyncio.Task[Connection]) -> None:
    if not done.cancelled() and done.exception() is None:
        done.result().abort()


def _head(endpoint: Endpoint, request: OutboundRequest) -> bytes:
    """The head of a request. What could end a line early is a bug of ours, and not sent."""
    headers = request.headers
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers])
    if lines.count("\n") != len(headers) or lines.count("\r") != len(headers):
        raise ValueError("a header holds a line end")
    return f"{endpoint.head}{lines}Content-Length: {len(request.body)}\r\n\r\n".encode("ascii")
