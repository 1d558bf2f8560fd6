"""The API behind a real HTTP server, in a thread of the test's own process."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from tests.support.api_world import api_world
from tidings.api.bounded_http import BoundedHttp


@contextmanager
def api_server(folder: Path) -> Iterator[tuple[str, int]]:
    """Serve a fresh API, in development mode, with one subscription; answers where."""
    listening = socket.create_server(("127.0.0.1", 0))
    servers: list[uvicorn.Server] = []
    is_up = threading.Event()

    async def serve() -> None:
        async with api_world(folder) as world:
            await world.subscribe()
            config = uvicorn.Config(
                world.app, http=BoundedHttp, log_config=None, lifespan="off", access_log=False
            )
            servers.append(uvicorn.Server(config))
            is_up.set()
            await servers[0].serve(sockets=[listening])

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert is_up.wait(10)
    host, port = listening.getsockname()
    try:
        yield host, port
    finally:
        servers[0].should_exit = True
        thread.join()
        listening.close()
