"""Who asks: the key in ``Authorization``; and in development mode, from where."""

import ipaddress
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from tidings.api.problems import ForeignOrigin, Problems
from tidings.core.refusals import Unauthorized
from tidings.operations.access import DEVELOPER, Access, Principal

_SCHEME: Final = b"bearer"


class Authenticator:
    """Finds the principal of a request. In development mode a key may be missing, but not wrong."""

    def __init__(self, access: Access, *, is_dev: bool) -> None:
        self._access = access
        self._is_dev = is_dev

    def principal(self, headers: Mapping[bytes, bytes]) -> Principal:
        """Who asks. Raises `Unauthorized`."""
        value = headers.get(b"authorization")
        if value is None:
            if self._is_dev:
                return DEVELOPER
            raise Unauthorized("send an API key: Authorization: Bearer <key>")
        scheme, _, key = value.partition(b" ")
        if scheme.lower() != _SCHEME:
            raise Unauthorized("the Authorization header must be: Bearer <key>")
        return self._access.authenticate(key.strip())


class LoopbackOnly:
    """Answers only requests that were made to this computer, and by no page of another origin.

    In development mode nobody needs a key. Without this, any web page that a developer looks at
    could use the server: directly, or by pointing a name of its own at this computer.
    """

    def __init__(self, app: ASGIApp, problems: Problems) -> None:
        self._app = app
        self._problems = problems

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = dict(scope["headers"])
            why = foreign_part(headers.get(b"host", b""), headers.get(b"origin"))
            if why is not None:
                await self._problems.fault(ForeignOrigin(why))(scope, receive, send)
                return
        await self._app(scope, receive, send)


def foreign_part(host: bytes, origin: bytes | None) -> str | None:
    """What about a request is not of this computer; None if all of it is."""
    if not _is_loopback(host):
        return "in development mode the Host must be this computer, such as localhost"
    if origin is not None and origin.lower() != b"http://" + host.lower():
        return "in development mode other origins are not answered"
    return None


@lru_cache(maxsize=256)
def _is_loopback(host: bytes) -> bool:
    text = host.decode("latin-1").lower()
    name, colon, port = text.rpartition(":")
    if not colon or not port.isdigit():
        name = text
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False
