"""Connections that lead only where the address rules allow.

Three walls, each of which would do alone. The resolver hands on the addresses of a name only if
all of them may be called, and exactly these are connected to: nobody resolves a second time. The
socket judges the very address that is given to the kernel, which also covers addresses written
into a URL, for which aiohttp asks no resolver. And TLS, where it is used, checks the name.
"""

import asyncio
import functools
import socket
import ssl
import weakref
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler

from tidings.core.addresses import AddressRules, address_fault
from tidings.transport.receiving import BoundedProtocol
from tidings.transport.resolving import NameNotResolved, Resolver, SharedLookups

KEPT_ALIVE_SECONDS: Final = 30.0
"""How long an unused connection is kept. Short, so that changes of a name's address are seen."""
CONNECTIONS_KEPT_MAX: Final = 2_048
"""Beyond so many open connections, none is kept after its answer."""
ADDRESSES_TRIED_MAX: Final = 8
RECEIVE_BUFFER_BYTES: Final = 64 * 1024
"""What the kernel takes of an answer before we do; no honest answer is longer."""
HANDSHAKES_MAX: Final = 8
HANDSHAKE_SLOT_SECONDS: Final = 0.1


class AddressRefused(OSError):
    """The address rules forbid this connection. Its text may be shown to a subscriber."""


class GuardedResolver(AbstractResolver):
    """Resolves names for aiohttp, and judges every address before it hands on any."""

    def __init__(self, rules: AddressRules, resolver: Resolver) -> None:
        self._rules = rules
        self._lookups = SharedLookups(resolver)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a name. Raises `AddressRefused` if one of them may not be called."""
        del family  # both are wanted, whatever aiohttp's default
        addresses = await self._lookups.addresses(host)
        if not addresses:
            raise NameNotResolved("the name has no address")
        for address in addresses:
            fault = address_fault(address, self._rules, host=host, port=port)
            if fault is not None:
                raise AddressRefused(f"the name leads to a wrong address: {fault}")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in addresses[:ADDRESSES_TRIED_MAX]
        ]

    async def close(self) -> None:
        """Give up what is being looked up."""
        await self._lookups.close()


class GuardedSocket(socket.socket):
    """A socket that refuses to connect where the rules do not allow it."""

    def __init__(
        self,
        rules: AddressRules,
        family: int,
        on_close: Callable[["GuardedSocket"], None] = lambda _: None,
    ) -> None:
        super().__init__(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._rules = rules
        self._on_close = on_close
        self.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)

    def connect(self, address: Any) -> None:
        """Connect, or raise `AddressRefused`."""
        self._judge(address)
        super().connect(address)

    def connect_ex(self, address: Any) -> int:
        """Connect, or raise `AddressRefused`."""
        self._judge(address)
        return super().connect_ex(address)

    def close(self) -> None:
        """Close, and tell so."""
        self._on_close(self)
        super().close()

    def _judge(self, address: Sequence[Any]) -> None:
        fault = address_fault(str(address[0]), self._rules, port=int(address[1]))
        if fault is not None:
            raise AddressRefused(fault)


class GuardedConnector(aiohttp.TCPConnector):
    """Makes and keeps connections. Those to the same host and port are shared by subscriptions.

    Sharing is safe because a connection goes back only when its answer has been read to the end
    and nothing came behind it, and because what is kept was judged when it was made.
    """

    def __init__(
        self, rules: AddressRules, resolver: Resolver, ssl_context: ssl.SSLContext
    ) -> None:
        self._open: weakref.WeakSet[GuardedSocket] = weakref.WeakSet()
        self._guarded_resolver = GuardedResolver(rules, resolver)
        self._rules = rules
        super().__init__(
            resolver=self._guarded_resolver,
            socket_factory=self._new_socket,
            ssl=ssl_context,
            use_dns_cache=False,  # c-ares keeps answers for as long as their owner allows
            keepalive_timeout=KEPT_ALIVE_SECONDS,
            limit=0,  # the engine bounds what is in flight
        )
        self._factory = functools.partial(self._new_protocol)
        self._handshakes = asyncio.Semaphore(HANDSHAKES_MAX)

    async def close(self, *, abort_ssl: bool = False) -> None:
        """Close every connection and give up every look-up."""
        await super().close(abort_ssl=abort_ssl)
        await self._guarded_resolver.close()

    def _new_socket(self, address_info: tuple[Any, ...]) -> socket.socket:
        made = GuardedSocket(self._rules, address_info[0], self._open.discard)
        self._open.add(made)
        return made

    def _new_protocol(self) -> ResponseHandler:
        return BoundedProtocol(self._is_crowded, loop=self._loop)

    def _is_crowded(self) -> bool:
        return len(self._open) > CONNECTIONS_KEPT_MAX

    async def _wrap_create_connection(
        self, *args: Any, req: aiohttp.ClientRequest, **kwargs: Any
    ) -> Any:
        if not req.is_ssl():
            return await super()._wrap_create_connection(*args, req=req, **kwargs)
        async with self._handshake_slot():
            return await super()._wrap_create_connection(*args, req=req, **kwargs)

    @asynccontextmanager
    async def _handshake_slot(self) -> AsyncIterator[None]:
        """Let only so many shake hands at once, so that a burst does not hold up the loop.

        A handshake takes a millisecond of ours, and then it waits for the peer. Whoever takes
        longer than a moment gives the slot back, or a few silent peers would keep all others out.
        """
        await self._handshakes.acquire()
        slot = _Slot(self._handshakes.release)
        timer = self._loop.call_later(HANDSHAKE_SLOT_SECONDS, slot.give_back)
        try:
            yield
        finally:
            timer.cancel()
            slot.give_back()


class _Slot:
    """Something that is given back once, however often it is offered."""

    def __init__(self, release: Callable[[], None]) -> None:
        self._release: Callable[[], None] | None = release

    def give_back(self) -> None:
        if self._release is not None:
            release, self._release = self._release, None
            release()
