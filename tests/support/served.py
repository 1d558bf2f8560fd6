"""An application behind a real HTTP server in the test's own event loop, and who listens to it."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import uvicorn

from tests.support.api_world import ApiWorld, api_world
from tidings.api.bounded_http import BoundedHttp
from tidings.api.event_stream import StreamPace
from tidings.cli.frames import Frame, FrameReader
from tidings.operations.access import Scope

STREAM = "/events/stream"
HEARTBEAT_SECONDS = 0.1
_SECONDS = 40


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[tuple[str, int]]:
    """Serve an application on loopback; answers where."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, http=BoundedHttp, log_config=None, lifespan="off", access_log=False
    )
    config.timeout_graceful_shutdown = 1
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve([listening]))
    host, port = listening.getsockname()
    try:
        yield host, port
    finally:
        server.should_exit = True
        await serving
        listening.close()


class Ear:
    """One stream of events as a client has it."""

    def __init__(self, answer: httpx2.Response) -> None:
        self.answer = answer
        self.text = b""
        self.reader = FrameReader()
        self._waiting: list[Frame] = []
        self._pieces = answer.aiter_bytes()

    async def hear(self, count: int = 1) -> list[Frame]:
        """The next frames with data."""
        while len(self._waiting) < count:
            await self._take()
        heard, self._waiting = self._waiting[:count], self._waiting[count:]
        return heard

    async def until(self, part: bytes) -> None:
        """Wait until the stream has said this."""
        while part not in self.text:
            await self._take()

    async def rest(self) -> list[Frame]:
        """What is left until the stream ends."""
        async with asyncio.timeout(_SECONDS):
            async for piece in self._pieces:
                self._put(piece)
        return self._waiting

    async def _take(self) -> None:
        async with asyncio.timeout(_SECONDS):
            self._put(await anext(self._pieces))

    def _put(self, piece: bytes) -> None:
        self.text += piece
        self._waiting += self.reader.feed(piece)


@asynccontextmanager
async def listening(
    client: httpx2.AsyncClient, last_id: str | None = None, **query: str
) -> AsyncIterator[Ear]:
    """Listen, from now on or from an id on; the first frame has come."""
    headers = {} if last_id is None else {"Last-Event-ID": last_id}
    async with client.stream("GET", STREAM, params=query, headers=headers) as answer:
        if answer.status_code != 200:
            raise AssertionError((await answer.aread()).decode())
        ear = Ear(answer)
        await ear.until(b"\n\n")
        yield ear


class Listening:
    """A served API with keys, and who listens to it."""

    def __init__(self, world: ApiWorld, base_url: str, rest: AsyncExitStack) -> None:
        self.world = world
        self.base_url = base_url
        self._rest = rest

    async def client(self, *scopes: str, tenant_id: str | None = "default") -> httpx2.AsyncClient:
        """A client with a new key, of the tenant `default` unless told."""
        key = await self.world.key(*(scopes or (Scope.EVENTS_READ,)), tenant_id=tenant_id)
        return await self._rest.enter_async_context(
            httpx2.AsyncClient(
                base_url=self.base_url,
                headers={"Authorization": f"Bearer {key}"},
                trust_env=False,
                timeout=15,
                limits=httpx2.Limits(max_connections=None),
            )
        )

    async def listen(
        self, client: httpx2.AsyncClient | None = None, last_id: str | None = None, **query: str
    ) -> Ear:
        """A stream that is open until the end of the test."""
        client = client or await self.client()
        return await self._rest.enter_async_context(listening(client, last_id, **query))


@asynccontextmanager
async def opened(folder: Path, **pace: float) -> AsyncIterator[Listening]:
    """A server with the API on the data in a folder."""
    given = StreamPace(**{"heartbeat_seconds": HEARTBEAT_SECONDS, **pace})
    async with AsyncExitStack() as rest:
        world = await rest.enter_async_context(api_world(folder, is_dev=False, stream_pace=given))
        world.client = world.caller(await world.key())
        host, port = await rest.enter_async_context(served(world.app))
        yield Listening(world, f"http://{host}:{port}", rest)


def event_ids(frames: list[Frame]) -> list[str]:
    """The ids of the events in frames."""
    return [json.loads(frame.data)["eventId"] for frame in frames]
