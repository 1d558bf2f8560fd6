"""The HTTP server around the services: from the start of the process to its end."""

import asyncio
import gc
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import uvicorn
import uvloop

from tidings import __version__, logs
from tidings.api.app import create_app
from tidings.api.bounded_http import BoundedHttp
from tidings.api.routes import ROUTES, SYSTEM_ROUTES
from tidings.settings import Settings
from tidings.wiring.faults import FAULTS_AT_START, CannotStart
from tidings.wiring.processes import several
from tidings.wiring.running import running
from tidings.wiring.saying import say

_SWITCH_SECONDS = 0.0005
_HTTP_DRAIN_SECONDS = 10
_BACKLOG = 2_048
_ALLOCATIONS_PER_COLLECTION = 50_000
EXIT_OK, EXIT_CANNOT_START = 0, 1


def serve(settings: Settings, *, is_dev: bool, processes: int = 1) -> int:
    """Serve until SIGTERM or SIGINT, in one process or several; answers the exit code."""
    logs.configure(settings.log_level, settings.log_format)
    # The writing thread gives up Python's lock at each step; without this it would wait for 5 ms
    # beside a busy event loop every time it wants it back.
    sys.setswitchinterval(_SWITCH_SECONDS)
    _allow_open_files()
    # Whatever is written holds events or keys: it is for its owner alone.
    os.umask(0o077)
    try:
        # Bound first: a port that is taken must be known before anything is sent.
        listening = _listen(settings)
    except CannotStart as fault:
        return _refused(fault)

    def serve_one(*, is_first: bool) -> int:
        try:
            uvloop.run(_serve(settings, listening, is_dev=is_dev, says_so=is_first))
        except FAULTS_AT_START as fault:
            return _refused(fault)
        return EXIT_OK

    if processes == 1:
        return serve_one(is_first=True)
    return several(processes, serve_one, exit_cannot_start=EXIT_CANNOT_START)


def _refused(fault: Exception) -> int:
    sys.stderr.write(f"tidings: {fault}\n")
    return EXIT_CANNOT_START


async def _serve(
    settings: Settings, listening: socket.socket, *, is_dev: bool, says_so: bool
) -> None:
    is_over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, is_over.set)
    # A worker answers only about itself.
    routes = SYSTEM_ROUTES if settings.role == "worker" else ROUTES

    def greet() -> None:
        if says_so:
            _greet(settings, is_dev=is_dev)

    async with running(settings, is_dev=is_dev) as services:
        server = _Server(
            uvicorn.Config(
                create_app(services, routes),
                http=BoundedHttp,
                ws="none",
                loop="uvloop",
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=_HTTP_DRAIN_SECONDS,
            ),
            on_start=greet,
        )
        _spare_the_collector()
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        stopping = asyncio.create_task(is_over.wait())
        await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        # They would go on for ever; whoever listens is told to come back.
        services.streams.close()
        server.should_exit = True
        await serving


class _Server(uvicorn.Server):
    """uvicorn's server, but for signals: those are ours, because more than it must come to rest."""

    def __init__(self, config: uvicorn.Config, *, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve, and say so."""
        await super().startup(sockets)
        self._on_start()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


def _allow_open_files() -> None:
    """Let the process open as many files and sockets as the system lets it, not the usual 1,024."""
    _, highest = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest, highest))


def _spare_the_collector() -> None:
    """Keep the garbage collector from walking through what lives as long as the process.

    An event makes some dozens of objects and no cycles, so the usual 700 allocations between two
    collections would mean a collection every few events.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS_PER_COLLECTION, 20, 50)


def _listen(settings: Settings) -> socket.socket:
    try:
        return socket.create_server((settings.host, settings.port), backlog=_BACKLOG)
    except OSError as fault:
        raise CannotStart(
            f"cannot listen on {settings.host} port {settings.port}: {fault.strerror}"
        ) from fault


def _greet(settings: Settings, *, is_dev: bool) -> None:
    say(f"Tidings {__version__} listens on {settings.public_url}")
    if is_dev:
        say("DEVELOPMENT MODE: no key is needed, http:// and loopback callback URLs are allowed.")
        say("Never let others reach this server.")
