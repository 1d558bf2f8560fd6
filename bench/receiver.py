"""A receiver that costs little: answers 200 at once, or never, and notes when each event came.

Run as a process: ``python -m bench.receiver PORT``. POSTs to ``/hang`` are left without an answer.
``GET /arrivals`` answers what was noted, a line for each event: its id and the time in nanoseconds
of the monotonic clock, which all processes of a machine share.
"""

import asyncio
import sys
import time
from typing import cast

import httptools
import uvloop

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Connection(asyncio.Protocol):
    """One kept-alive connection from the server under test."""

    def __init__(self, arrivals: dict[str, int]) -> None:
        self._arrivals = arrivals
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._path = b""
        self._event_id = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._path = url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name == b"webhook-id":
            self._event_id = value.decode()

    def on_message_complete(self) -> None:
        assert self._transport is not None
        if self._path == b"/arrivals":
            lines = "".join(f"{one} {at}\n" for one, at in self._arrivals.items()).encode()
            head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(lines)
            self._transport.write(head + lines)
        elif self._path != b"/hang":
            self._arrivals.setdefault(self._event_id, time.monotonic_ns())
            self._transport.write(_OK)


async def serve(port: int) -> None:
    """Serve until killed."""
    arrivals: dict[str, int] = {}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(arrivals), "127.0.0.1", port, backlog=4_096
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
