"""A TCP proxy before PostgreSQL that breaks connections around a COMMIT, as a test asks it to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

Where = Literal["before", "after"]

_PORTION_BYTES = 64 * 1024
_COMMIT = b"; COMMIT\0"
"""As the writer's connection says it; who reads only rolls back."""
_TERMINATE = b"X\0\0\0\4"


class CuttingProxy:
    """Passes on every byte, until a COMMIT comes that is to be cut.

    Cut `before`, it never reaches the server; cut `after`, the server has committed, and its answer
    is lost. Then so many further connections are closed at once.
    """

    def __init__(self, url: str) -> None:
        self._there = urlsplit(url)
        self._where: Where | None = None
        self._refusals = 0
        self._passing: set[asyncio.Task[None]] = set()
        self.cuts = 0
        self.refused = 0
        self.url = ""

    def cut_next_commit(self, where: Where, *, then_refuse: int = 0) -> None:
        """Break the connection on which the next COMMIT comes."""
        self._where = where
        self._refusals = then_refuse

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        if self.cuts and self._where is None and self.refused < self._refusals:
            self.refused += 1
            writer.transport.abort()
            return
        running = asyncio.current_task()
        assert running is not None
        self._passing.add(running)
        there = writer
        with suppress(OSError, asyncio.CancelledError):
            answers, there = await asyncio.open_connection(self._there.hostname, self._there.port)
            answering = asyncio.create_task(_pass_on(answers, writer))
            await self._pass_on(reader, there, answers, answering)
            answering.cancel()
        for one in (writer, there):
            one.transport.abort()
        self._passing.discard(running)

    async def close(self) -> None:
        """End what goes on."""
        passing = list(self._passing)
        for one in passing:
            one.cancel()
        await asyncio.gather(*passing, return_exceptions=True)

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        there: asyncio.StreamWriter,
        answers: asyncio.StreamReader,
        answering: asyncio.Task[None],
    ) -> None:
        while portion := await reader.read(_PORTION_BYTES):
            where = self._where
            if where is not None and _COMMIT in portion:
                self._where = None
                self.cuts += 1
                if where == "before":
                    return
                # The answer must not get through: from here on nobody passes anything on.
                answering.cancel()
                await asyncio.gather(answering, return_exceptions=True)
                there.write(portion)
                there.write(_TERMINATE)
                # The server commits before it ends the session.
                await answers.read()
                return
            there.write(portion)
            await there.drain()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while portion := await reader.read(_PORTION_BYTES):
            writer.write(portion)
            await writer.drain()


@asynccontextmanager
async def cutting_proxy(url: str) -> AsyncIterator[CuttingProxy]:
    """A proxy before the database at `url`."""
    proxy = CuttingProxy(url)
    server = await asyncio.start_server(proxy.connected, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    parts = urlsplit(url)
    proxy.url = urlunsplit(parts._replace(netloc=f"{parts.username}@127.0.0.1:{port}"))
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
        await server.wait_closed()
