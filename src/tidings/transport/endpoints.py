"""What is kept of each endpoint between two requests: its head, and connections to it.

An endpoint is one subscription's URL. Connections are never shared with another subscription, so
what one receiver does to a connection can reach nobody else.
"""

import asyncio

from tidings.core import limits
from tidings.core.addresses import AddressRules, CallbackUrl, parse_callback_url
from tidings.transport.connection import Connection


class Endpoint:
    """One URL of one subscription. `head` begins every request to it, up to its own headers.

    `lacking` counts the requests that found no connection when they were to leave at once. Each of
    them makes one, even if another has become free meanwhile: so there are soon as many as leave
    together, and no more than that.
    """

    __slots__ = ("head", "host", "idle", "is_tls", "lacking", "port")

    def __init__(self, url: CallbackUrl) -> None:
        authority = url.url.split("/", 3)[2]
        self.host = url.host
        self.port = url.port
        self.is_tls = url.scheme == "https"
        self.head = (
            f"POST {url.target} HTTP/1.1\r\nHost: {authority}\r\nAccept-Encoding: identity\r\n"
        )
        self.idle: list[Connection] = []
        self.lacking = 0


class Endpoints:
    """The endpoints that were used last, by subscription and URL."""

    def __init__(self, rules: AddressRules) -> None:
        self._rules = rules
        self._known: dict[tuple[str, str], Endpoint] = {}

    def known(self, subscription_id: str, url: str) -> Endpoint | None:
        """An endpoint that was used before, if it is not forgotten."""
        return self._known.get((subscription_id, url))

    def find(self, subscription_id: str, url: str) -> Endpoint:
        """An endpoint. Raises `CallbackUrlRefused` for a URL that may not be called."""
        key = (subscription_id, url)
        found = self._known.get(key)
        if found is None:
            found = Endpoint(parse_callback_url(url, self._rules))
            if len(self._known) >= limits.ENDPOINTS_KNOWN_MAX:
                self._forget_some()
            self._known[key] = found
        return found

    def _forget_some(self) -> None:
        """Make room by an eighth: those known longest go, unless a connection to them is kept."""
        left = limits.ENDPOINTS_KNOWN_MAX // 8
        for key, one in list(self._known.items()):
            if not one.idle:
                del self._known[key]
                left -= 1
                if left <= 0:
                    return


class KeptConnections:
    """The unused connections of all endpoints, bounded in number and in time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._kept: dict[Connection, tuple[Endpoint, float]] = {}  # the longest unused comes first
        self._sweeping: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._kept)

    def take(self, endpoint: Endpoint, now: float) -> Connection | None:
        """The connection to an endpoint that was used last, if one is fit to be used again."""
        while endpoint.idle:
            connection = endpoint.idle.pop()
            _, until = self._kept.pop(connection)
            if now < until and connection.is_usable:
                return connection
            connection.abort()
        return None

    def keep(self, endpoint: Endpoint, connection: Connection) -> None:
        """Keep a connection for the next request of its endpoint."""
        if len(self._kept) >= limits.CONNECTIONS_KEPT_MAX:
            next(iter(self._kept)).abort()
        endpoint.idle.append(connection)
        self._kept[connection] = (endpoint, self._loop.time() + connection.idle_seconds)
        if self._sweeping is None:
            self._sweeping = self._loop.call_later(limits.CONNECTION_SWEEP_SECONDS, self._sweep)

    def drop(self, connection: Connection) -> None:
        """Forget a connection that is being closed."""
        found = self._kept.pop(connection, None)
        if found is not None:
            found[0].idle.remove(connection)

    def close(self) -> None:
        """Close all of them."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        for one in list(self._kept):
            one.abort()

    def _sweep(self) -> None:
        now = self._loop.time()
        for one in [one for one, (_, until) in self._kept.items() if until <= now]:
            one.abort()
        self._sweeping = (
            self._loop.call_later(limits.CONNECTION_SWEEP_SECONDS, self._sweep)
            if self._kept
            else None
        )
