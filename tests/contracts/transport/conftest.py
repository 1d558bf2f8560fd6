"""The transports that keep the contract, on both event loops, and a receiver to try them on.

A new transport is one more line in `TRANSPORTS`.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import cache
from typing import Any

import pytest
import uvloop

from tests.support import tally
from tests.support.hostile_receiver import HostileReceiver
from tidings.core.addresses import LOOPBACK_NETWORKS, AddressRules
from tidings.core.attempt import Answer
from tidings.core.egress_proxy import EgressProxy
from tidings.ports.transport import OutboundRequest, Transport
from tidings.transport import HttpTransport
from tidings.transport.tls import new_ssl_context

TRANSPORTS: Mapping[str, Callable[..., AbstractAsyncContextManager[Transport]]] = {
    "httptools": HttpTransport,
}
LOOPBACK = AddressRules(allowed_networks=LOOPBACK_NETWORKS, allow_http=True)
HEADERS = (
    ("Content-Type", "application/json"),
    ("User-Agent", "Tidings/0"),
    ("webhook-id", "evt_1"),
)


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The server runs on uvloop, and on asyncio's own where there is none."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


# Reading the system's certificates takes longer than most of the tests.
usual_ssl_context = cache(new_ssl_context)


class FixedResolver:
    """Knows a few names, and remembers how often it was asked."""

    def __init__(self, names: Mapping[str, Sequence[str]]) -> None:
        self.names = dict(names)
        self.asked: list[str] = []

    async def resolve(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        if host not in self.names:
            raise OSError(f"{host} is not known")
        return self.names[host]


class Client:
    """Sends as the engine does. `make` replaces the transport by one that was made differently."""

    def __init__(self, made: Callable[..., AbstractAsyncContextManager[Transport]]) -> None:
        self._made = made
        self._current: AbstractAsyncContextManager[Transport] | None = None
        self.transport: Transport

    async def make(
        self,
        rules: AddressRules = LOOPBACK,
        *,
        names: Mapping[str, Sequence[str]] | None = None,
        resolver: Any = None,
        ssl_context: ssl.SSLContext | None = None,
        proxy: EgressProxy | None = None,
    ) -> Transport:
        await self.close()
        resolver = resolver or FixedResolver(names or {})
        ssl_context = ssl_context or usual_ssl_context()
        self._current = self._made(rules, resolver=resolver, ssl_context=ssl_context, proxy=proxy)
        self.transport = await self._current.__aenter__()
        return self.transport

    async def post(
        self,
        url: str,
        body: bytes = b"{}",
        *,
        seconds: float = 10.0,
        headers: Sequence[tuple[str, str]] = (),
        subscription_id: str = "sub_1",
    ) -> Answer:
        answer = await self.transport.send(
            OutboundRequest(subscription_id, url, (*HEADERS, *headers), body, seconds)
        )
        tally.count(answer.error_class or f"a status in the {(answer.status_code or 0) // 100}00s")
        return answer

    async def close(self) -> None:
        if self._current is not None:
            await self._current.__aexit__(None, None, None)
            self._current = None


@pytest.fixture(params=TRANSPORTS)
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    """A client that may call loopback, also by http."""
    one = Client(TRANSPORTS[request.param])
    await one.make()
    yield one
    await one.close()


@pytest.fixture
async def receiver() -> AsyncIterator[HostileReceiver]:
    """A receiver without TLS."""
    async with HostileReceiver() as one:
        yield one
