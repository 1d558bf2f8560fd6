"""The way through the operator's proxy: a tunnel to each receiver, asked for by CONNECT.

The proxy resolves names, and so decides which addresses they may lead to; addresses written into a
URL, and names of the inside, are judged here all the same. The hop to the proxy itself is exempt
from the address rules, and nothing else is.
"""

import asyncio
import logging
import re
import socket
from typing import Final

from tidings.core import limits
from tidings.core.addresses import AddressRules, address_fault
from tidings.core.attempt import ErrorClass
from tidings.core.egress_proxy import EgressProxy, tunnel_fault
from tidings.transport.answers import TunnelRefused, WayOutFailed
from tidings.transport.dialing import Destination, Reached
from tidings.transport.guarded_socket import AddressRefused, set_up
from tidings.transport.racing import family_of, first_connected, in_turns, is_address
from tidings.transport.resolving import SharedLookups

_LOG = logging.getLogger(__name__)

_PORTION_BYTES: Final = 4 * 1024
_END_OF_HEAD: Final = b"\r\n\r\n"
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?")


class ProxiedDialer:
    """Connects to receivers through the proxy."""

    def __init__(
        self,
        proxy: EgressProxy,
        rules: AddressRules,
        lookups: SharedLookups,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._proxy = proxy
        self._rules = rules
        self._lookups = lookups
        self._loop = loop
        self._is_failing = False

    async def connect(self, destination: Destination) -> Reached:
        """See `Dialing`. Raises `AddressRefused`, `TunnelRefused` and `WayOutFailed`."""
        if is_address(destination.host):
            fault = address_fault(destination.host, self._rules, port=destination.port)
            if fault is not None:
                raise AddressRefused(fault)
        destination.waits_for_us = True
        try:
            made = await self._reach_the_proxy()
            try:
                head, early = await self._ask(made, destination)
                refusal = _judged(head)
            except BaseException:
                made.close()
                raise
        except (OSError, WayOutFailed) as fault:
            self._note_failure(fault)
            raise WayOutFailed(str(fault)) from fault
        self._note_success()
        destination.waits_for_us = False
        if refusal is not None:
            made.close()
            raise refusal
        return Reached(made, early)

    async def _reach_the_proxy(self) -> socket.socket:
        host = self._proxy.host
        addresses = (host,) if is_address(host) else await self._lookups.addresses(host)
        if not addresses:
            raise WayOutFailed("its name has no address")
        return await first_connected(in_turns(addresses), self._connect_to)

    async def _connect_to(self, address: str) -> socket.socket:
        made = socket.socket(family_of(address), socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            made.settimeout(0)
            set_up(made)
            await self._loop.sock_connect(made, (address, self._proxy.port))
        except BaseException:
            made.close()
            raise
        return made

    async def _ask(self, made: socket.socket, destination: Destination) -> tuple[bytes, bytes]:
        """Ask for a tunnel; answers the head of the reply, and what came behind it."""
        host = f"[{destination.host}]" if ":" in destination.host else destination.host
        target = f"{host}:{destination.port}"
        secret = self._proxy.authorization
        authorization = f"Proxy-Authorization: {secret}\r\n" if secret is not None else ""
        asking = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{authorization}\r\n"
        await self._loop.sock_sendall(made, asking.encode("ascii"))
        # While the proxy says nothing, it may well be waiting for the receiver.
        destination.waits_for_us = False
        reply = b""
        while _END_OF_HEAD not in reply:
            if len(reply) > limits.PROXY_HEAD_BYTES_MAX:
                raise WayOutFailed("its answer does not end")
            portion = await self._loop.sock_recv(made, _PORTION_BYTES)
            if not portion:
                raise WayOutFailed("it closed the connection instead of an answer")
            destination.waits_for_us = True
            reply += portion
        head, _, early = reply.partition(_END_OF_HEAD)
        return head, early

    def _note_failure(self, fault: Exception) -> None:
        """Say it once, and not for each of thousands of requests."""
        if not self._is_failing:
            self._is_failing = True
            _LOG.error("the egress proxy fails: %s", fault)

    def _note_success(self) -> None:
        if self._is_failing:
            self._is_failing = False
            _LOG.warning("the egress proxy works again")


def _judged(head: bytes) -> TunnelRefused | None:
    """Why there is no tunnel. Raises `WayOutFailed` if that is the proxy's own affair."""
    line, *headers = head.split(b"\r\n")
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise WayOutFailed("its answer is not HTTP/1.1")
    status = int(match[1])
    names = {one.partition(b":")[0].decode("latin-1").lower() for one in headers}
    fault = tunnel_fault(status, names)
    if fault is None:
        return None
    error_class, detail = fault
    if error_class is ErrorClass.INTERNAL:
        raise WayOutFailed(f"it answered {status}")
    return TunnelRefused(error_class, detail)
