"""Each wall holds by itself: here the ones behind it, or before it, are taken away."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
import uvloop
from yarl import URL

from tests.support.hostile_receiver import HostileReceiver, status
from tidings.core.addresses import LOOPBACK_NETWORKS, AddressRules
from tidings.core.attempt import ErrorClass
from tidings.ports.transport import OutboundRequest
from tidings.transport import AiohttpTransport, guarded_connection
from tidings.transport.guarded_connection import AddressRefused, GuardedResolver, GuardedSocket

STRICT = AddressRules(allow_http=True)
LOOPBACK = AddressRules(allowed_networks=LOOPBACK_NETWORKS, allow_http=True)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Try what depends on the event loop on both."""
    if "new_loop" in metafunc.fixturenames:
        metafunc.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])


class Trusting:
    """Leads every name to loopback."""

    async def resolve(self, host: str) -> list[str]:
        return ["127.0.0.1"]


def request(url: str) -> OutboundRequest:
    return OutboundRequest("sub_1", url, (("Content-Type", "text/plain"),), b"a", 5)


async def send_unread(url: str) -> ErrorClass | None:
    """Send to a URL that nobody has read, and tell why it was not called."""
    async with AiohttpTransport(STRICT, resolver=Trusting()) as transport:
        transport._url_of = lambda text: URL(text, encoded=True)  # type: ignore[assignment]
        return (await transport.send(request(url))).error_class


def test_the_socket_has_the_last_word(new_loop: Callable[[], Any]) -> None:
    # aiohttp asks no resolver for an address in a URL, and here the URL was not read before.
    async def check() -> None:
        async with HostileReceiver() as receiver:
            for host in ("127.0.0.1", "[::ffff:127.0.0.1]"):
                refused = await send_unread(receiver.url("/", host=host))
                assert refused is ErrorClass.BLOCKED_ADDRESS
            assert receiver.connections == 0

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(check())


def test_the_resolver_has_a_word_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        monkeypatch.setattr(GuardedSocket, "_judge", lambda *_: None)
        async with HostileReceiver() as receiver:
            refused = await send_unread(receiver.url("/", host="receiver.example.com"))
            assert refused is ErrorClass.BLOCKED_ADDRESS
            assert receiver.connections == 0

    asyncio.run(check())


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "0.0.0.0"])
def test_a_socket_does_not_connect_where_it_must_not(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.2)
        target = (address, listening.getsockname()[1])
        for connect in ("connect", "connect_ex"):
            with GuardedSocket(STRICT, family) as one, pytest.raises(AddressRefused):
                getattr(one, connect)(target)
        with pytest.raises(TimeoutError):
            listening.accept()


async def test_a_resolver_hands_on_a_bounded_number_of_addresses() -> None:
    class Generous:
        async def resolve(self, host: str) -> list[str]:
            return [f"127.0.1.{last}" for last in range(200)]

    found = await GuardedResolver(LOOPBACK, Generous()).resolve("many.example.com", 80)
    assert len(found) == guarded_connection.ADDRESSES_TRIED_MAX


def test_beyond_a_number_no_connection_is_kept(
    new_loop: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarded_connection, "CONNECTIONS_KEPT_MAX", 2)

    async def check() -> None:
        receivers = [HostileReceiver() for _ in range(3)]
        async with AsyncExitStack() as open_ones:
            for one in receivers:
                await open_ones.enter_async_context(one)
                one.on("/", status("200 OK"))
            transport = await open_ones.enter_async_context(AiohttpTransport(LOOPBACK))
            for _ in range(3):
                for one in receivers:
                    assert (await transport.send(request(one.url("/")))).status_code == 200
        assert [one.connections for one in receivers] == [1, 1, 3]

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(check())
