"""Requests that ask for another protocol, which we answer as if they had not asked (RFC 9110, 7.8).

The parser takes whatever stands behind the head of such a request for the other protocol: it would
leave out the body, and read it as a request of its own when it comes later. So a second parser
reads the body, and all that follows it.
"""

from collections.abc import Sequence

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_FRAMING = (b"content-length", b"transfer-encoding")


def framing_of(headers: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers that say how long a body is; empty if there is none."""
    return [one for one in headers if one[0] in _FRAMING and one[1].strip() != b"0"]


def parser_of_rest(
    connection: HttpToolsProtocol, framing: Sequence[tuple[bytes, bytes]]
) -> httptools.HttpRequestParser:
    """A parser that stands behind a head with this framing, and reads on for the connection."""
    rest = _Rest(connection)
    parser = httptools.HttpRequestParser(rest)
    fields = b"".join(b"%b: %b\r\n" % one for one in framing)
    parser.feed_data(b"POST / HTTP/1.1\r\n" + fields + b"\r\n")
    rest.is_past_head = True
    return parser


class _Rest:
    """Passes on what a parser finds, but for the head that the connection knows already."""

    def __init__(self, connection: HttpToolsProtocol) -> None:
        self.is_past_head = False
        self.on_body = connection.on_body
        self._connection = connection

    def on_message_begin(self) -> None:
        if self.is_past_head:
            self._connection.on_message_begin()

    def on_url(self, url: bytes) -> None:
        if self.is_past_head:
            self._connection.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.is_past_head:
            self._connection.on_header(name, value)

    def on_headers_complete(self) -> None:
        if self.is_past_head:
            self._connection.on_headers_complete()

    def on_message_complete(self) -> None:
        self._connection.on_message_complete()
