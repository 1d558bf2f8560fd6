"""A receiver that does what it likes with the bytes of its answers, on loopback.

What it does on a path is a function of the exchange; below the class stand those that tests put
together most. Everything ends when the sender goes away or the receiver is closed.
"""

import asyncio
import re
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_SEND_BUFFER_BYTES = 64 * 1024


@dataclass
class Exchange:
    """One request, and the connection on which to answer it. `number` counts on the connection."""

    path: str
    head: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    number: int = 1
    body: bytes = b""
    sent_bytes: int = 0
    was_left: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def header_lines(self) -> list[str]:
        """The header lines of the request, in order."""
        return self.head.decode().split("\r\n")[1:-2]

    async def send(self, data: bytes) -> None:
        """Send, and wait until most of it is on its way."""
        self.writer.write(data)
        await self.writer.drain()
        self.sent_bytes += len(data)

    def reset(self) -> None:
        """End the connection by a reset instead of in peace."""
        made = self.writer.get_extra_info("socket")
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def wait_until_left(self, seconds: float = 40) -> None:
        """Wait until the sender has ended the connection."""
        async with asyncio.timeout(seconds):
            await self.was_left.wait()


Behaviour = Callable[[Exchange], Awaitable[None]]


class HostileReceiver:
    """Listens on 127.0.0.1. `exchanges` are the requests that came, `connections` counts those."""

    def __init__(self, ssl_context: ssl.SSLContext | None = None) -> None:
        self.connections = 0
        self.exchanges: list[Exchange] = []
        self.port = 0
        self.reads_bodies = True
        self.on_connection: Callable[[asyncio.StreamWriter], None] = lambda _: None
        self._scheme = "http" if ssl_context is None else "https"
        self._ssl_context = ssl_context
        self._behaviours: dict[str, Behaviour] = {}
        self._serving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        made = socket.create_server(("127.0.0.1", 0))
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        self.port = made.getsockname()[1]
        self._server = await asyncio.start_server(self._connected, sock=made, ssl=self._ssl_context)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for one in self._serving:
            one.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await self._server.wait_closed()

    def on(self, path: str, *behaviours: Behaviour) -> str:
        """Behave so on a path: request by request, the last for all others. Answers its URL."""
        left = list(behaviours)

        async def behave(exchange: Exchange) -> None:
            await (left.pop(0) if len(left) > 1 else left[0])(exchange)

        self._behaviours[path] = behave
        return self.url(path)

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        """The URL of a path."""
        return f"{self._scheme}://{host}:{self.port}{path}"

    def at(self, path: str) -> list[Exchange]:
        """What came to a path."""
        return [one for one in self.exchanges if one.path == path]

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        running = asyncio.current_task()
        assert running is not None
        self._serving.add(running)
        self.on_connection(writer)
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await self._serve(reader, writer)
        except asyncio.CancelledError:
            pass  # the receiver is being closed
        finally:
            self._serving.discard(running)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = 0
        while not writer.is_closing():
            head = await reader.readuntil(b"\r\n\r\n")
            number += 1
            path = head.split(b" ", 2)[1].decode()
            exchange = Exchange(path, head, reader, writer, number)
            self.exchanges.append(exchange)
            try:
                length = _LENGTH.search(head)
                if length is not None and self.reads_bodies:
                    exchange.body = await reader.readexactly(int(length[1]))
                await self._behaviours[path](exchange)
            except (OSError, asyncio.IncompleteReadError):
                exchange.was_left.set()
                raise


def told(behaviour: Behaviour) -> tuple[asyncio.Event, Behaviour]:
    """The same behaviour, and what is set as soon as it has done all it does."""
    is_done = asyncio.Event()

    async def behave(exchange: Exchange) -> None:
        await behaviour(exchange)
        is_done.set()

    return is_done, behave


def answering(*portions: bytes, pause: float = 0.02) -> Behaviour:
    """Send some bytes, portion by portion, and leave the connection open."""

    async def behave(exchange: Exchange) -> None:
        for index, portion in enumerate(portions):
            if index:
                await asyncio.sleep(pause)
            await exchange.send(portion)

    return behave


def closing(*portions: bytes) -> Behaviour:
    """Send some bytes and close the connection."""

    async def behave(exchange: Exchange) -> None:
        await answering(*portions)(exchange)
        exchange.writer.close()

    return behave


def resetting(*portions: bytes) -> Behaviour:
    """Send some bytes and reset the connection."""

    async def behave(exchange: Exchange) -> None:
        await answering(*portions)(exchange)
        if portions:
            await asyncio.sleep(0.05)  # a reset may overtake what was sent before
        exchange.reset()

    return behave


def repeating(portion: bytes, *, after: bytes = b"", pause: float = 0.0) -> Behaviour:
    """Send something once, and then something else for as long as it is taken."""

    async def behave(exchange: Exchange) -> None:
        await exchange.send(after)
        while not exchange.writer.is_closing():
            await exchange.send(portion)
            await asyncio.sleep(pause)
        raise ConnectionResetError

    return behave


async def silent(exchange: Exchange) -> None:
    """Say nothing until the sender goes away."""
    await exchange.reader.read()
    raise ConnectionResetError


def status(line: str, *headers: str, body: bytes = b"") -> Behaviour:
    """Send a proper answer with this status line."""
    lines = (f"HTTP/1.1 {line}", f"Content-Length: {len(body)}", *headers, "", "")
    return answering("\r\n".join(lines).encode() + body)
