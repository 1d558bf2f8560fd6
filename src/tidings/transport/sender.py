"""Sends requests to receivers: one POST each, never again by itself, within one deadline."""

import asyncio
import functools
import io
import ssl
from collections.abc import Iterable
from types import TracebackType
from typing import Final, Self

import aiohttp
from aiohttp import hdrs
from yarl import URL

from tidings.core import limits
from tidings.core.addresses import AddressRules, parse_callback_url
from tidings.core.attempt import Answer, ErrorClass
from tidings.core.refusals import CallbackUrlRefused
from tidings.ports.transport import OutboundRequest
from tidings.transport.answers import answer_of, answer_of_deadline, answer_of_fault
from tidings.transport.guarded_connection import GuardedConnector
from tidings.transport.resolving import Resolver, SystemResolver

_URLS_CACHED_MAX: Final = 10_000
_READ_BUFFER_BYTES: Final = 32 * 1024
_WRITTEN_AT_ONCE_BYTES_MAX: Final = 1024 * 1024
_NO_TIMEOUT: Final = aiohttp.ClientTimeout(total=None)
"""One deadline covers everything, so aiohttp's own are switched off."""
_SHUTTING_DOWN: Final = Answer(
    error_class=ErrorClass.INTERNAL, error_detail="Tidings was shutting down"
)


class AiohttpTransport:
    """The transport port on top of aiohttp. Make it where the event loop runs, and close it."""

    def __init__(
        self,
        rules: AddressRules,
        *,
        resolver: Resolver | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._own_resolver = SystemResolver() if resolver is None else None
        self._url_of = functools.lru_cache(_URLS_CACHED_MAX)(
            lambda text: URL(parse_callback_url(text, rules).url, encoded=True)
        )
        self._session = aiohttp.ClientSession(
            connector=GuardedConnector(
                rules,
                resolver or self._own_resolver or SystemResolver(),
                ssl_context or new_ssl_context(),
            ),
            request_class=_ExactRequest,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            timeout=_NO_TIMEOUT,
            read_bufsize=_READ_BUFFER_BYTES,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections. What is still on its way ends as `internal`."""
        await self._session.close()
        if self._own_resolver is not None:
            await self._own_resolver.close()

    async def send(self, request: OutboundRequest) -> Answer:
        """See `Transport`."""
        if self._session.closed:
            return _SHUTTING_DOWN
        try:
            url = self._url_of(request.url)
        except CallbackUrlRefused as refusal:
            # Good when it was stored, but the rules have become stricter.
            return Answer(error_class=ErrorClass.BLOCKED_ADDRESS, error_detail=refusal.detail)
        response: aiohttp.ClientResponse | None = None
        body = bytearray()
        try:
            async with asyncio.timeout(request.timeout_seconds):
                response = await self._session.post(
                    url,
                    data=_in_portions(request.body),
                    headers=request.headers,
                    allow_redirects=False,
                )
                await _read(response.content, body)
        except TimeoutError:
            if response is None:
                return answer_of_deadline(request.timeout_seconds)
        except (aiohttp.ClientError, aiohttp.EofStream, OSError, ValueError) as fault:
            if response is None:
                return self._answer_of_fault(fault)
        finally:
            if response is not None and not response.closed:
                response.close()
        return answer_of(response.status, response.raw_headers, bytes(body))

    def _answer_of_fault(self, fault: Exception) -> Answer:
        if self._session.closed:
            return _SHUTTING_DOWN
        return answer_of_fault(fault)


class _ExactRequest(aiohttp.ClientRequest):
    """A request with the headers that it was given, and no others of aiohttp's own choice."""

    def update_auto_headers(self, skip_auto_headers: Iterable[str] | None) -> None:
        del skip_auto_headers
        self.headers[hdrs.ACCEPT_ENCODING] = "identity"


def new_ssl_context() -> ssl.SSLContext:
    """TLS as everybody should have it: chain and host name verified, 1.2 at the least."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _in_portions(body: bytes) -> bytes | io.BytesIO:
    """What aiohttp shall write; from a file it takes portions, and lets others in between."""
    return body if len(body) <= _WRITTEN_AT_ONCE_BYTES_MAX else io.BytesIO(body)


async def _read(content: aiohttp.StreamReader, kept: bytearray) -> None:
    """Read a body up to its bound. What is worth keeping is in `kept` even if this fails."""
    left = limits.ANSWER_BODY_BYTES_READ_MAX
    while left > 0:
        portion = await content.readany()
        if not portion:
            return
        left -= len(portion)
        kept += portion[: limits.ANSWER_BODY_BYTES_KEPT_MAX - len(kept)]
