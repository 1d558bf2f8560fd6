"""The proxy through which an operator may let all requests out, and what its answers mean.

The proxy is asked for a tunnel to the receiver (`CONNECT`, RFC 9110). What it answers is either
about the receiver, and then counts like the receiver's own failure; or about the proxy itself, and
then is our fault, which costs no attempt. Where a receiver could bring about an answer, it counts
as the receiver's: nobody shall get attempts for nothing.
"""

from base64 import b64encode
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, urlsplit

from tidings.core.attempt import ErrorClass

OUR_WAY_OUT: Final = "Tidings could not get out of its own network"
"""All that a subscriber is told of a proxy that fails."""
_SUCCESSFUL: Final = range(200, 300)
_FORBIDDEN: Final = 403
_AUTHENTICATION_REQUIRED: Final = 407
_UNREACHABLE: Final = frozenset({502, 503})
_TIMED_OUT: Final = 504
_REFUSED_BY_POLICY: Final = "x-smokescreen-error"
"""Smokescreen refuses a receiver with 407 and this header; whoever wants a password sends none."""


@dataclass(frozen=True, slots=True)
class EgressProxy:
    """Where the proxy is. `authorization` is a secret: the value of `Proxy-Authorization`."""

    host: str
    port: int
    authorization: str | None = field(default=None, repr=False)


def parse_egress_proxy(text: str) -> EgressProxy:
    """The proxy that `http://[user:password@]host:port` names.

    User and password are percent-encoded. Raises `ValueError`, whose text holds nothing of what was
    given.
    """
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("only visible ASCII characters are allowed")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("it is not a URL") from None
    if parts.scheme != "http" or not parts.hostname or port is None or port == 0:
        raise ValueError("it must have the form http://host:port")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("nothing may stand behind the port")
    authorization = None
    if parts.username is not None:
        user, password = unquote(parts.username), unquote(parts.password or "")
        if ":" in user:
            raise ValueError("the name of a user holds no colon")
        authorization = "Basic " + b64encode(f"{user}:{password}".encode()).decode("ascii")
    return EgressProxy(parts.hostname, port, authorization)


def tunnel_fault(status: int, header_names: Collection[str]) -> tuple[ErrorClass, str] | None:
    """Why there is no tunnel, or None if there is one. `header_names` are in lower case."""
    if status in _SUCCESSFUL:
        return None
    if status == _FORBIDDEN or (
        status == _AUTHENTICATION_REQUIRED and _REFUSED_BY_POLICY in header_names
    ):
        return ErrorClass.BLOCKED_ADDRESS, "the way out of this network is closed to this address"
    if status in _UNREACHABLE:
        return ErrorClass.CONNECTION_REFUSED, "the address cannot be reached"
    if status == _TIMED_OUT:
        return ErrorClass.TIMEOUT, "the address did not react"
    return ErrorClass.INTERNAL, OUR_WAY_OUT
