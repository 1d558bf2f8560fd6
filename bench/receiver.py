"""A receiver that costs little: answers 200 at once and notes when each event came, or is hostile.

Run as a process: ``python -m bench.receiver PORT [CERTIFICATE]``. The beginning of the path says
how a POST is answered: ``/hang`` never, ``/drip`` by a byte a second, ``/reset`` by a reset of the
connection, ``/flood`` by a 500 with a body that does not end, ``/ok`` by a 200, ``/close`` by a 200
and the end of the connection. ``GET /arrivals`` answers what came to the last two, a line for the
first arrival of each event at each path: id, path, and the time in nanoseconds of the monotonic
clock, which all processes of a machine share. ``GET /count`` answers how many lines these are.
"""

import asyncio
import socket
import ssl
import struct
import sys
import time
from typing import cast

import httptools
import uvloop

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_LAST = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_ENDLESS = b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n"
_CHUNK = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
_CHUNKS_MAX = 10_000


class Connection(asyncio.Protocol):
    """One kept-alive connection from the server under test."""

    def __init__(self, arrivals: dict[tuple[str, str], int]) -> None:
        self._arrivals = arrivals
        self._parser = httptools.HttpRequestParser(self)
        self._path = b""
        self._event_id = ""
        self._is_writable = asyncio.Event()
        self._is_writable.set()
        self._answering: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, _fault: Exception | None) -> None:
        if self._answering is not None:
            self._answering.cancel()

    def pause_writing(self) -> None:
        self._is_writable.clear()

    def resume_writing(self) -> None:
        self._is_writable.set()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._path = url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name == b"webhook-id":
            self._event_id = value.decode()

    def on_message_complete(self) -> None:
        path = self._path
        if path.startswith((b"/ok", b"/close")):
            self._arrivals.setdefault((self._event_id, path.decode()), time.monotonic_ns())
            if path.startswith(b"/ok"):
                self._transport.write(_OK)
            else:
                self._transport.write(_LAST)
                self._transport.close()
        elif path.startswith(b"/reset"):
            made = self._transport.get_extra_info("socket")
            made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
        elif path.startswith(b"/flood"):
            self._answering = asyncio.ensure_future(self._flood())
        elif path.startswith(b"/drip"):
            self._answering = asyncio.ensure_future(self._drip())
        elif path == b"/arrivals":
            lines = [f"{one} {path} {at}\n" for (one, path), at in self._arrivals.items()]
            self._tell("".join(lines))
        elif path == b"/count":
            self._tell(str(len(self._arrivals)))

    async def _flood(self) -> None:
        self._transport.write(_ENDLESS)
        for _ in range(_CHUNKS_MAX):
            await self._is_writable.wait()
            self._transport.write(_CHUNK)

    async def _drip(self) -> None:
        for byte in _OK:
            self._transport.write(bytes((byte,)))
            await asyncio.sleep(1)

    def _tell(self, text: str) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text)
        self._transport.write(head + text.encode())


async def serve(port: int, certificate: str | None) -> None:
    """Serve until killed."""
    arrivals: dict[tuple[str, str], int] = {}
    context = None
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(arrivals), "127.0.0.1", port, backlog=4_096, ssl=context
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None))
