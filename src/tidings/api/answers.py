"""Answers: what an endpoint gives back, and how it goes over the wire."""

from typing import Any, Final, Generic, TypeVar

import msgspec
from starlette.types import Receive, Scope, Send

T_co = TypeVar("T_co", covariant=True)

Headers = tuple[tuple[bytes, bytes], ...]

NO_STORE: Final = (b"cache-control", b"no-store")
NOSNIFF: Final = (b"x-content-type-options", b"nosniff")
_JSON: Final = b"application/json"
_NO_CONTENT: Final = 204

WHOLE: Final = "tidings.whole"
"""What our server offers by this name takes a whole answer: status, headers, body.

It tells whether it has. Nothing may stand in these headers that has not been checked.
"""

encode: Final = msgspec.json.Encoder().encode


class Encoded(msgspec.Struct, frozen=True, gc=False):
    """Content that is bytes already."""

    body: bytes
    media_type: bytes = _JSON


class Answer(msgspec.Struct, Generic[T_co], frozen=True, gc=False):
    """What an endpoint answers. The status stands with its route, unless it is another one."""

    content: T_co | Encoded
    headers: Headers = ()
    status: int | None = None


NOTHING: Final[Answer[None]] = Answer(None)
"""The answer without content."""


class Response(msgspec.Struct, frozen=True, gc=False):
    """An answer ready to be sent: an ASGI application that says one thing."""

    status: int
    body: bytes
    media_type: bytes = _JSON
    headers: Headers = ()

    @classmethod
    def of(cls, status: int, answer: Answer[Any]) -> "Response":
        """The answer of a route under its status."""
        content = answer.content
        status = answer.status or status
        if isinstance(content, Encoded):
            return cls(status, content.body, content.media_type, answer.headers)
        body = b"" if status == _NO_CONTENT else encode(content)
        return cls(status, body, _JSON, answer.headers)

    @property
    def wire_headers(self) -> Headers:
        """All headers but those that our server adds by itself."""
        if self.status == _NO_CONTENT:
            return (NOSNIFF, *self.headers)
        length = (b"content-length", b"%d" % len(self.body))
        return (NOSNIFF, *self.headers, (b"content-type", self.media_type), length)

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        headers = self.wire_headers
        answer: Any = (scope.get("extensions") or {}).get(WHOLE)
        if answer is not None and answer(self.status, headers, self.body):
            return
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})
