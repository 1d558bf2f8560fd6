"""New connections: names are resolved and judged, and only judged addresses are connected to."""

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from tidings.core.addresses import AddressRules, address_fault
from tidings.transport.guarded_socket import AddressRefused, GuardedSocket
from tidings.transport.racing import family_of, first_connected, in_turns, is_address
from tidings.transport.resolving import NameNotResolved, SharedLookups


@dataclass(slots=True)
class Destination:
    """Where to go. `waits_for_us` says that our own network holds us up at this moment."""

    host: str
    port: int
    waits_for_us: bool = False


class Reached(NamedTuple):
    """A way to a receiver, and what has come over it already."""

    socket: socket.socket
    early: bytes = b""


class Dialing(Protocol):
    """A way to make connections."""

    async def connect(self, destination: Destination) -> Reached:
        """Connect, or raise `OSError`; or what `answers` has an answer for."""
        ...


class Dialer:
    """Connects to receivers directly."""

    def __init__(
        self, rules: AddressRules, lookups: SharedLookups, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._rules = rules
        self._lookups = lookups
        self._loop = loop

    async def connect(self, destination: Destination) -> Reached:
        """See `Dialing`. Raises `AddressRefused`, `NameNotResolved` and `OSError`."""
        host, port = destination.host, destination.port
        addresses = await self.addresses(host, port)
        return Reached(
            await first_connected(addresses, lambda address: self._connect_to(address, port))
        )

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """The addresses of a host, if all of them may be called; not more than will be tried."""
        if is_address(host):
            return (host,)  # the socket judges it
        found = await self._lookups.addresses(host)
        if not found:
            raise NameNotResolved("the name has no address")
        for address in found:
            fault = address_fault(address, self._rules, host=host, port=port)
            if fault is not None:
                raise AddressRefused(f"the name leads to a wrong address: {fault}")
        return in_turns(found)

    async def _connect_to(self, address: str, port: int) -> socket.socket:
        made = GuardedSocket(self._rules, family_of(address))
        try:
            await self._loop.sock_connect(made, (address, port))
            made.judge_peer()
        except BaseException:
            made.close()
            raise
        return made
