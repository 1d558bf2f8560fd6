"""The HTTP client that sends deliveries: one POST, once, to a judged address, within a deadline."""

import ssl
from functools import lru_cache
from typing import Final, Self

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from tidings.core import limits
from tidings.core.addresses import AddressRules
from tidings.core.attempt import Answer
from tidings.core.callback_url import parse_callback_url
from tidings.core.refusals import CallbackUrlRefused
from tidings.ports.transport import OutboundRequest
from tidings.transport.answers import answer_of, answer_of_fault
from tidings.transport.guarded_connection import (
    AddressRefused,
    Dns,
    GuardedResolver,
    Lookup,
    guarded_sockets,
)

KEEP_ALIVE_SECONDS: Final = 30.0
_URLS_CACHED: Final = 20_000


class AiohttpTransport:
    """The `Transport` port on aiohttp. Use it as an asynchronous context manager.

    Set up so that nothing happens behind our back: no redirects, no decompression, no cookies, no
    proxies or credentials from the environment, and no second send (aiohttp repeats only methods
    that are idempotent, and POST is none).
    """

    def __init__(
        self,
        rules: AddressRules,
        *,
        look_up: Lookup | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._rules = rules
        self._dns = None if look_up is not None else Dns()
        self._timeouts: dict[float, aiohttp.ClientTimeout] = {}
        self._parsed = lru_cache(maxsize=_URLS_CACHED)(self._parse)
        connector = aiohttp.TCPConnector(
            resolver=GuardedResolver(rules, look_up or self._dns or Dns()),
            socket_factory=guarded_sockets(rules),
            ssl=tls or tls_context(),
            use_dns_cache=False,
            limit=0,
            keepalive_timeout=KEEP_ALIVE_SECONDS,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            skip_auto_headers=("User-Agent", "Content-Type", "Accept"),
            headers={"Accept-Encoding": "identity"},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()
        if self._dns is not None:
            await self._dns.close()

    async def send(self, request: OutboundRequest) -> Answer:
        """See `Transport`."""
        try:
            url = self._parsed(request.url)
        except CallbackUrlRefused:
            return answer_of_fault(AddressRefused())
        try:
            async with self._session.post(
                url,
                data=request.body,
                headers=CIMultiDict(request.headers),
                allow_redirects=False,
                timeout=self._timeout(request.timeout_seconds),
            ) as response:
                return answer_of(
                    response.status, response.headers.items(), await _kept_body(response)
                )
        except (aiohttp.ClientError, OSError, ssl.SSLError, ValueError) as fault:
            return answer_of_fault(fault)

    def _parse(self, text: str) -> URL:
        """The URL to send to, rebuilt from its judged parts and sent byte for byte."""
        return URL(parse_callback_url(text, self._rules).url, encoded=True)

    def _timeout(self, seconds: float) -> aiohttp.ClientTimeout:
        timeout = self._timeouts.get(seconds)
        if timeout is None:
            timeout = self._timeouts[seconds] = aiohttp.ClientTimeout(
                total=seconds, ceil_threshold=limits.TIMEOUT_SECONDS_MAX + 1
            )
        return timeout


def tls_context() -> ssl.SSLContext:
    """TLS as everybody should have it: certificate and host name verified, 1.2 at the least."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


async def _kept_body(response: aiohttp.ClientResponse) -> bytes:
    """Read a bounded part of the body. Whatever goes wrong here, the status line has been said."""
    kept = bytearray()
    read = 0
    try:
        while read < limits.ANSWER_BODY_BYTES_READ_MAX:
            chunk = await response.content.readany()
            if not chunk:
                return bytes(kept)
            read += len(chunk)
            kept += chunk[: limits.ANSWER_BODY_BYTES_KEPT_MAX - len(kept)]
    except (TimeoutError, aiohttp.ClientError, OSError):
        pass
    response.close()
    return bytes(kept)
