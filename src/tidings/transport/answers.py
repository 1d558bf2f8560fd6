"""From what the client reports to an `Answer`: bounded, redacted, silent about our side."""

import ssl
from collections.abc import Iterable
from typing import Final

import aiohttp

from tidings.core import limits
from tidings.core.attempt import Answer, ErrorClass
from tidings.transport.guarded_connection import AddressRefused, NameUnresolved

_HIDDEN: Final = frozenset(
    {
        "authentication-info",
        "authorization",
        "cookie",
        "proxy-authenticate",
        "proxy-authorization",
        "set-cookie",
        "set-cookie2",
        "www-authenticate",
    }
)
_RETRY_AFTER_LENGTH_MAX: Final = 64


def answer_of(status: int, headers: Iterable[tuple[str, str]], body: bytes) -> Answer:
    """The answer of a receiver. Names come out in lower case; credentials are hidden."""
    kept: list[tuple[str, str]] = []
    retry_after = None
    for name, value in headers:
        lowered = name.lower()
        if lowered == "retry-after" and retry_after is None:
            retry_after = value[:_RETRY_AFTER_LENGTH_MAX]
        if len(kept) < limits.ANSWER_HEADERS_KEPT_MAX:
            shown = "[hidden]" if lowered in _HIDDEN else _printable(value)
            kept.append((_printable(lowered), shown))
    return Answer(
        status_code=status,
        headers=tuple(kept),
        body=body[: limits.ANSWER_BODY_BYTES_KEPT_MAX],
        retry_after=retry_after,
    )


def answer_of_fault(fault: BaseException) -> Answer:
    """What stood in the way, in words that are safe to show to a subscriber."""
    for cause in _chain(fault):
        for kind, error_class, detail in _FAULTS:
            if isinstance(cause, kind):
                return Answer(error_class=error_class, error_detail=detail)
    return Answer(error_class=ErrorClass.INTERNAL, error_detail="an error in Tidings")


# The first that fits counts, so the special come before the general.
_FAULTS: Final[tuple[tuple[type[BaseException], ErrorClass, str], ...]] = (
    (AddressRefused, ErrorClass.BLOCKED_ADDRESS, "the address may not be called"),
    (NameUnresolved, ErrorClass.DNS, "the host name cannot be resolved"),
    (ssl.SSLCertVerificationError, ErrorClass.TLS, "the certificate is not valid for the host"),
    (aiohttp.ClientConnectorCertificateError, ErrorClass.TLS, "the certificate is not valid"),
    (ssl.SSLError, ErrorClass.TLS, "the TLS handshake failed"),
    (aiohttp.ClientSSLError, ErrorClass.TLS, "the TLS handshake failed"),
    (TimeoutError, ErrorClass.TIMEOUT, "no complete answer came within the deadline"),
    (ConnectionRefusedError, ErrorClass.CONNECTION_REFUSED, "the connection was refused"),
    (ConnectionError, ErrorClass.CONNECTION_RESET, "the connection was closed"),
    (aiohttp.ServerDisconnectedError, ErrorClass.CONNECTION_RESET, "the connection was closed"),
    (aiohttp.ClientResponseError, ErrorClass.PROTOCOL, "the answer is not valid HTTP"),
    (aiohttp.ClientPayloadError, ErrorClass.PROTOCOL, "the answer is not valid HTTP"),
    (aiohttp.http_exceptions.HttpProcessingError, ErrorClass.PROTOCOL, "not valid HTTP"),
    (aiohttp.ClientConnectorError, ErrorClass.CONNECTION_REFUSED, "there is no way to the host"),
    (aiohttp.ClientConnectionError, ErrorClass.CONNECTION_RESET, "the connection was closed"),
    (OSError, ErrorClass.CONNECTION_REFUSED, "there is no way to the host"),
)


def _chain(fault: BaseException) -> Iterable[BaseException]:
    """The fault and what caused it, the innermost first: that is where the reason stands."""
    chain: list[BaseException] = []
    one: BaseException | None = fault
    while one is not None and one not in chain:
        chain.append(one)
        inner = getattr(one, "os_error", None)
        one = inner if isinstance(inner, BaseException) else one.__cause__
    return reversed(chain)


def _printable(text: str) -> str:
    """The text without what could forge a line of a log or offend a database, and not too long."""
    short = text[: limits.ANSWER_HEADER_VALUE_LENGTH_MAX]
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in short)
