"""The API behind a real HTTP server, in a thread of the test's own process."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from tests.support.api_world import api_world
from tidings.api.bounded_http import BoundedHttp


@dataclass
class ApiServer:
    """Where it listens, and a key that may do everything."""

    host: str
    port: int
    key: str

    @property
    def url(self) -> str:
        """Its address as clients write it."""
        return f"http://{self.host}:{self.port}"


@contextmanager
def api_server(folder: Path, *, is_dev: bool = True) -> Iterator[ApiServer]:
    """Serve a fresh API with one subscription."""
    listening = socket.create_server(("127.0.0.1", 0))
    servers: list[uvicorn.Server] = []
    keys: list[str] = []
    is_up = threading.Event()

    async def serve() -> None:
        async with api_world(folder, is_dev=is_dev) as world:
            keys.append(await world.key())
            world.client = world.caller(keys[0])
            await world.subscribe()
            config = uvicorn.Config(
                world.app, http=BoundedHttp, log_config=None, lifespan="off", access_log=False
            )
            servers.append(uvicorn.Server(config))
            is_up.set()
            await servers[0].serve(sockets=[listening])

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert is_up.wait(50)
    host, port = listening.getsockname()
    try:
        yield ApiServer(host, port, keys[0])
    finally:
        servers[0].should_exit = True
        thread.join()
        listening.close()
