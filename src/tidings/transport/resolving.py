"""Names to addresses: asynchronously, one look-up per name at a time, within a limit."""

import asyncio
import socket
from collections.abc import Sequence
from typing import Final, Protocol

import aiodns
import pycares

from tidings.core import limits

_TRY_SECONDS: Final = 1.5
_TRIES: Final = 3
# Names are absolute: no search domain of this machine is appended, no alias of its user followed.
_FLAGS: Final = pycares.ARES_FLAG_EDNS | pycares.ARES_FLAG_NOSEARCH | pycares.ARES_FLAG_NOALIASES
_UNKNOWN_NAME: Final = frozenset({aiodns.error.ARES_ENOTFOUND, aiodns.error.ARES_ENODATA})


class NameNotResolved(OSError):
    """A name has no address, or the servers that know did not say."""


class Resolver(Protocol):
    """Finds the addresses of a name."""

    async def resolve(self, host: str) -> Sequence[str]:
        """All addresses of a name, or `OSError`."""
        ...


class SystemResolver:
    """Asks the servers that this machine is configured to ask, without a thread per question.

    Answers are kept by c-ares as long as their time to live allows. Nothing is started before the
    first question.
    """

    def __init__(self) -> None:
        self._dns: aiodns.DNSResolver | None = None

    async def resolve(self, host: str) -> list[str]:
        """See `Resolver`."""
        if self._dns is None:
            self._dns = aiodns.DNSResolver(flags=_FLAGS, timeout=_TRY_SECONDS, tries=_TRIES)
        try:
            found = await self._dns.getaddrinfo(
                host, family=socket.AF_UNSPEC, type=socket.SOCK_STREAM
            )
        except aiodns.error.DNSError as error:
            if error.args and error.args[0] in _UNKNOWN_NAME:
                raise NameNotResolved("the name has no address") from error
            raise NameNotResolved("the name could not be looked up") from error
        return [node.addr[0].decode("ascii") for node in found.nodes]

    async def close(self) -> None:
        """Let go of the sockets and the thread that waits on them."""
        if self._dns is not None:
            await self._dns.close()


class SharedLookups:
    """Those who ask for a name while it is being looked up wait for the same answer."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._running: dict[str, asyncio.Task[Sequence[str]]] = {}

    async def addresses(self, host: str) -> Sequence[str]:
        """All addresses of a name. Raises `NameNotResolved`, also when it takes too long."""
        running = self._running.get(host)
        if running is None:
            running = asyncio.create_task(self._look_up(host))
            self._running[host] = running
            running.add_done_callback(lambda done: self._finished(host, done))
        # Whoever gives up leaves the others their answer.
        return await asyncio.shield(running)

    async def close(self) -> None:
        """Give up what is being looked up."""
        running = list(self._running.values())
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _look_up(self, host: str) -> Sequence[str]:
        try:
            async with asyncio.timeout(limits.LOOKUP_SECONDS_MAX):
                return await self._resolver.resolve(host)
        except TimeoutError as error:
            raise NameNotResolved("looking up the name took too long") from error
        except NameNotResolved:
            raise
        except OSError as error:
            raise NameNotResolved("the name could not be looked up") from error

    def _finished(self, host: str, done: asyncio.Task[Sequence[str]]) -> None:
        del self._running[host]
        if not done.cancelled():
            done.exception()  # seen, even if everybody who asked has given up
