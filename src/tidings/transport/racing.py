"""Several addresses of one name: whoever connects first is taken (RFC 8305, Happy Eyeballs)."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from itertools import chain, zip_longest

from tidings.core import limits

Connect = Callable[[str], Awaitable[socket.socket]]


async def first_connected(addresses: Sequence[str], connect: Connect) -> socket.socket:
    """A socket that is connected to one of the addresses.

    They are tried in order, each as soon as the one before has failed, or was slow to answer.
    Raises the `OSError` of the first that failed if all do.
    """
    if len(addresses) == 1:
        return await connect(addresses[0])
    left = iter(addresses)
    running: set[asyncio.Future[socket.socket]] = set()
    fault: BaseException | None = None
    try:
        while True:
            address = next(left, None)
            if address is not None:
                running.add(asyncio.ensure_future(connect(address)))
            elif not running:
                raise fault or OSError("there was no address to try")
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


def in_turns(addresses: Sequence[str]) -> Sequence[str]:
    """Addresses in their order, but of both families in turn, and no more than will be tried."""
    first = family_of(addresses[0])
    same = [one for one in addresses if family_of(one) == first]
    others = [one for one in addresses if family_of(one) != first]
    turns = [one for one in chain.from_iterable(zip_longest(same, others)) if one is not None]
    return turns[: limits.ADDRESSES_TRIED_MAX]


def family_of(address: str) -> int:
    """The address family of an address as text."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def is_address(host: str) -> bool:
    """Whether a host is an address; `parse_callback_url` has seen to it that it is spelled so."""
    try:
        socket.inet_pton(family_of(host), host)
    except OSError:
        return False
    return True


def _close_unused(done: asyncio.Future[socket.socket]) -> None:
    if not done.cancelled() and done.exception() is None:
        done.result().close()
