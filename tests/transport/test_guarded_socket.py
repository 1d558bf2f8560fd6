"""Each wall holds by itself: here the ones behind it, or before it, are taken away."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import uvloop

from tests.support.hostile_receiver import HostileReceiver
from tidings.core import limits
from tidings.core.addresses import LOOPBACK_NETWORKS, AddressRules
from tidings.transport.dialing import Destination, Dialer
from tidings.transport.guarded_socket import AddressRefused, GuardedSocket
from tidings.transport.resolving import SharedLookups

STRICT = AddressRules(allow_http=True)
LOOPBACK = AddressRules(allowed_networks=LOOPBACK_NETWORKS, allow_http=True)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Try what depends on the event loop on both."""
    if "new_loop" in metafunc.fixturenames:
        metafunc.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])


class Fixed:
    """Leads every name to the same addresses."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    async def resolve(self, host: str) -> Sequence[str]:
        return self.addresses


def dialer(rules: AddressRules, *addresses: str) -> Dialer:
    return Dialer(rules, SharedLookups(Fixed(*addresses)), asyncio.get_running_loop())


async def connect(one: Dialer, port: int, host: str = "receiver.example.com") -> socket.socket:
    return (await one.connect(Destination(host, port))).socket


def test_the_socket_has_the_last_word(new_loop: Callable[[], Any]) -> None:
    # No name is resolved for an address in a URL, and here nobody has read the URL before.
    async def check() -> None:
        async with HostileReceiver() as receiver:
            for host in ("127.0.0.1", "::ffff:127.0.0.1"):
                with pytest.raises(AddressRefused):
                    await connect(dialer(STRICT), receiver.port, host)
            assert receiver.connections == 0

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(check())


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["::1", "127.0.0.1"], ["127.1"]])
async def test_the_dialer_has_a_word_of_its_own(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str]
) -> None:
    monkeypatch.setattr(GuardedSocket, "_judge", lambda *_: None)
    async with HostileReceiver() as receiver:
        with pytest.raises(AddressRefused):
            await connect(dialer(STRICT, *addresses), receiver.port)
        assert receiver.connections == 0


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "0.0.0.0"])
def test_a_socket_does_not_connect_where_it_must_not(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.2)
        target = (address, listening.getsockname()[1])
        for way in ("connect", "connect_ex"):
            with GuardedSocket(STRICT, family) as one, pytest.raises(AddressRefused):
                getattr(one, way)(target)
        with pytest.raises(TimeoutError):
            listening.accept()


async def test_a_peer_that_is_not_the_one_we_asked_for_is_left() -> None:
    async with HostileReceiver() as receiver:
        with GuardedSocket(STRICT, socket.AF_INET) as one:
            one.settimeout(5)
            socket.socket.connect(one, ("127.0.0.1", receiver.port))
            with pytest.raises(AddressRefused):
                one.judge_peer()


async def test_a_bounded_number_of_addresses_is_tried() -> None:
    many = [f"127.0.1.{last}" for last in range(200)]
    found = await dialer(LOOPBACK, *many).addresses("many.example.com", 80)
    assert len(found) == limits.ADDRESSES_TRIED_MAX
    assert set(found) <= set(many)


async def test_addresses_of_both_families_are_tried_in_turn() -> None:
    found = await dialer(LOOPBACK, "::1", "127.0.0.1", "127.0.0.2").addresses("a.example.com", 80)
    assert found == ["::1", "127.0.0.1", "127.0.0.2"]
    found = await dialer(LOOPBACK, "127.0.0.1", "127.0.0.2", "::1").addresses("a.example.com", 80)
    assert found == ["127.0.0.1", "::1", "127.0.0.2"]


def test_an_address_that_refuses_leaves_it_to_the_next(new_loop: Callable[[], Any]) -> None:
    async def check() -> None:
        async with HostileReceiver() as receiver:
            several = dialer(LOOPBACK, "::1", "127.0.0.2", "127.0.0.1")
            with await connect(several, receiver.port) as made:
                assert made.getpeername() == ("127.0.0.1", receiver.port)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(check())


async def test_an_address_that_is_silent_holds_up_the_next_for_a_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connect_to_one = Dialer._connect_to
    tried: list[str] = []

    async def connect_to(self: Dialer, address: str, port: int) -> socket.socket:
        tried.append(address)
        if address == "127.0.0.2":
            await asyncio.Event().wait()
        return await connect_to_one(self, address, port)

    monkeypatch.setattr(Dialer, "_connect_to", connect_to)
    async with HostileReceiver() as receiver:
        several = dialer(LOOPBACK, "127.0.0.2", "127.0.0.1")
        with await connect(several, receiver.port) as made:
            assert made.getpeername() == ("127.0.0.1", receiver.port)
    assert tried == ["127.0.0.2", "127.0.0.1"]


async def test_if_no_address_can_be_reached_the_first_fault_is_told() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionRefusedError):
            await connect(dialer(LOOPBACK, "127.0.0.1", "127.0.0.2"), bound.getsockname()[1])
