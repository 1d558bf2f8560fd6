"""Every connection is judged by the address it goes to, twice and in two places.

The resolver judges what a name resolves to, so that a refusal has a good reason and the connection
goes to the very addresses that were judged (no second look-up). The socket factory judges again,
because the client does not ask the resolver about literal addresses. It has the last word.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from ipaddress import IPv6Address, ip_address
from typing import Final

import aiodns
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import AddrInfoType

from tidings.core.addresses import (
    Address,
    AddressRules,
    address_fault,
    is_exempt,
    name_is_denied,
)

DNS_SECONDS: Final = 5.0
ADDRESSES_MAX: Final = 8

Lookup = Callable[[str], Awaitable[list[Address]]]
"""From a host name to its addresses. Raises `NameUnresolved`."""


class AddressRefused(OSError):
    """The rules do not allow a connection to this address."""


class NameUnresolved(OSError):
    """The host name leads to no address at the moment."""


class Dns:
    """Look-ups that block nobody: asynchronous, bounded in time, one at a time for each name."""

    def __init__(self) -> None:
        # No search domains: a name means the same thing wherever the server runs.
        self._resolver = aiodns.DNSResolver(timeout=DNS_SECONDS / 2, tries=2, domains=[])
        self._asked: dict[str, asyncio.Future[list[Address]]] = {}

    async def __call__(self, host: str) -> list[Address]:
        """The addresses of a name. Raises `NameUnresolved`."""
        asked = self._asked.get(host)
        if asked is None:
            asked = self._asked[host] = asyncio.ensure_future(self._look_up(host))
            asked.add_done_callback(lambda _: self._asked.pop(host, None))
        return await asyncio.shield(asked)

    async def close(self) -> None:
        """Give up what is under way."""
        await self._resolver.close()

    async def _look_up(self, host: str) -> list[Address]:
        try:
            async with asyncio.timeout(DNS_SECONDS):
                found = await self._resolver.getaddrinfo(
                    host, family=socket.AF_UNSPEC, type=socket.SOCK_STREAM
                )
        except (aiodns.error.DNSError, TimeoutError) as fault:
            raise NameUnresolved("the host name cannot be resolved") from fault
        texts = (node.addr[0] for node in found.nodes)
        return [ip_address(text.decode() if isinstance(text, bytes) else text) for text in texts]


class GuardedResolver(AbstractResolver):
    """Answers only addresses that may be called; refuses a name if any of its addresses may not."""

    def __init__(self, rules: AddressRules, look_up: Lookup) -> None:
        self._rules = rules
        self._look_up = look_up

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 - both are asked for
    ) -> list[ResolveResult]:
        """See `AbstractResolver`. Raises `AddressRefused`."""
        addresses = (await self._look_up(host))[:ADDRESSES_MAX]
        if not addresses:
            raise NameUnresolved("the host name has no addresses")
        may_only_be_exempt = name_is_denied(host)
        for address in addresses:
            fault = address_fault(address, self._rules)
            if fault is not None:
                raise AddressRefused(fault)
            if may_only_be_exempt and not is_exempt(address, self._rules):
                raise AddressRefused("the host name belongs to an inner network")
        return [_resolved(host, address, port) for address in addresses]

    async def close(self) -> None:
        """Nothing is held here."""


def guarded_sockets(rules: AddressRules) -> Callable[[AddrInfoType], socket.socket]:
    """A socket factory that makes no socket for an address that the rules refuse."""

    def make_socket(target: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = target
        fault = address_fault(ip_address(address[0].partition("%")[0]), rules)
        if fault is not None:
            raise AddressRefused(fault)
        made = socket.socket(family=family, type=kind, proto=protocol)
        made.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        return made

    return make_socket


def _resolved(host: str, address: Address, port: int) -> ResolveResult:
    family = socket.AF_INET6 if isinstance(address, IPv6Address) else socket.AF_INET
    return ResolveResult(
        hostname=host,
        host=str(address),
        port=port,
        family=family,
        proto=socket.IPPROTO_TCP,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )
