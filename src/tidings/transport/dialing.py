"""New connections: names are resolved and judged, and only judged addresses are connected to."""

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress
from itertools import chain, zip_longest

from tidings.core import limits
from tidings.core.addresses import AddressRules, address_fault
from tidings.transport.guarded_socket import AddressRefused, GuardedSocket
from tidings.transport.resolving import NameNotResolved, SharedLookups


class Dialer:
    """Connects to receivers."""

    def __init__(
        self, rules: AddressRules, lookups: SharedLookups, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._rules = rules
        self._lookups = lookups
        self._loop = loop

    async def connect(self, host: str, port: int) -> socket.socket:
        """A socket that is connected to a host.

        Raises `AddressRefused`, `NameNotResolved` and `OSError`.
        """
        addresses = await self.addresses(host, port)
        if len(addresses) == 1:
            return await self._connect_to(addresses[0], port)
        return await self._connect_to_first(addresses, port)

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """The addresses of a host, if all of them may be called; not more than will be tried."""
        if _is_address(host):
            return (host,)  # the socket judges it
        found = await self._lookups.addresses(host)
        if not found:
            raise NameNotResolved("the name has no address")
        for address in found:
            fault = address_fault(address, self._rules, host=host, port=port)
            if fault is not None:
                raise AddressRefused(f"the name leads to a wrong address: {fault}")
        return _alternating(found)[: limits.ADDRESSES_TRIED_MAX]

    async def _connect_to(self, address: str, port: int) -> socket.socket:
        made = GuardedSocket(self._rules, _family(address))
        try:
            await self._loop.sock_connect(made, (address, port))
            made.judge_peer()
        except BaseException:
            made.close()
            raise
        return made

    async def _connect_to_first(self, addresses: Sequence[str], port: int) -> socket.socket:
        """Try the addresses in order, each as soon as the one before has failed or is slow."""
        left = iter(addresses)
        running: set[asyncio.Task[socket.socket]] = set()
        fault: BaseException | None = None
        try:
            while True:
                address = next(left, None)
                if address is not None:
                    running.add(self._loop.create_task(self._connect_to(address, port)))
                elif not running:
                    raise fault or OSError("no address was tried")
                done, running = await asyncio.wait(
                    running,
                    timeout=None if address is None else limits.CONNECT_STAGGER_SECONDS,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for one in done:
                    if one.exception() is None:
                        running |= done - {one}
                        return one.result()
                    fault = fault or one.exception()
        finally:
            for one in running:
                one.cancel()
                one.add_done_callback(_close_unused)


def _close_unused(done: asyncio.Task[socket.socket]) -> None:
    if not done.cancelled() and done.exception() is None:
        done.result().close()


def _alternating(addresses: Sequence[str]) -> Sequence[str]:
    """The addresses in their order, but of both families in turn (RFC 8305)."""
    first = _family(addresses[0])
    same = [one for one in addresses if _family(one) == first]
    others = [one for one in addresses if _family(one) != first]
    return [one for one in chain.from_iterable(zip_longest(same, others)) if one is not None]


def _family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _is_address(host: str) -> bool:
    """Whether a host is an address; `parse_callback_url` has seen to it that it is spelled so."""
    with suppress(OSError):
        socket.inet_pton(_family(host), host)
        return True
    return False
