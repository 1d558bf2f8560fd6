"""An HTTP proxy on loopback that makes tunnels by CONNECT, or does what a test tells it to.

It resolves names by a table, so that nothing of a test ever leaves the machine.
"""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Self

Behaviour = Callable[["Asked"], Awaitable[None]]
_PORTION_BYTES = 64 * 1024


class Asked:
    """One request for a tunnel, and the connection on which to answer it."""

    def __init__(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.head = head
        self.target = head.split(b" ", 2)[1].decode()
        self.reader = reader
        self.writer = writer

    def header(self, name: str) -> str | None:
        """The value of a header."""
        for line in self.head.decode().split("\r\n")[1:]:
            if line.lower().startswith(f"{name}:"):
                return line.partition(":")[2].strip()
        return None

    async def say(self, data: bytes) -> None:
        """Send some bytes."""
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """End the connection by a reset."""
        made = self.writer.get_extra_info("socket")
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class ConnectProxy:
    """Listens on 127.0.0.1. `asked` are the requests that came; `names` what it knows of DNS."""

    def __init__(self, behaviour: Behaviour | None = None) -> None:
        self.behaviour = behaviour or self.tunnel
        self.asked: list[Asked] = []
        self.names: dict[str, str] = {}
        self.port = 0
        self._serving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for one in self._serving:
            one.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await self._server.wait_closed()

    async def tunnel(self, asked: Asked) -> None:
        """Connect to what was asked for, and pass on every byte both ways."""
        host, _, port = asked.target.rpartition(":")
        try:
            address = self.names.get(host, host.strip("[]"))
            there = await asyncio.open_connection(address, int(port))
        except OSError:
            await asked.say(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            return
        reader, writer = there
        await asked.say(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            await asyncio.wait(
                {
                    asyncio.create_task(_pass_on(asked.reader, writer)),
                    asyncio.create_task(_pass_on(reader, asked.writer)),
                },
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running = asyncio.current_task()
        assert running is not None
        self._serving.add(running)
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                asked = Asked(await reader.readuntil(b"\r\n\r\n"), reader, writer)
                self.asked.append(asked)
                await self.behaviour(asked)
        except asyncio.CancelledError:
            pass  # the proxy is being closed
        finally:
            self._serving.discard(running)
            writer.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while portion := await reader.read(_PORTION_BYTES):
            writer.write(portion)
            await writer.drain()


def saying(*portions: bytes, pause: float = 0.02) -> Behaviour:
    """Answer with some bytes, and leave the connection open."""

    async def behave(asked: Asked) -> None:
        for portion in portions:
            await asked.say(portion)
            await asyncio.sleep(pause)
        await asked.reader.read()

    return behave


def refusing(line: str, *headers: str) -> Behaviour:
    """Answer with this status line and these headers, and close."""

    async def behave(asked: Asked) -> None:
        lines = (f"HTTP/1.1 {line}", "Content-Length: 0", *headers, "", "")
        await asked.say("\r\n".join(lines).encode())

    return behave
