"""Receivers as a process of their own, which outlives every kill and forgets nothing.

Run it: ``python -m tests.crashes.receiver PORT LOG SEED``. Each request gets a number and a line in
the log before it is answered: number, path, event id, when it came (milliseconds of the system's
clock) and the status that it gets. The number is also the body of the answer, which Tidings keeps
with the attempt: so every attempt on record names the very request that it was.
"""

import asyncio
import os
import random
import sys
import time
from typing import NamedTuple, cast

import httptools
import uvloop

STEADY, FLAKY, SLOW, ORDERED = "/steady", "/flaky", "/slow", "/ordered"
_FAILING_SHARE = {FLAKY: 0.2, ORDERED: 0.05}
_SLOW_SECONDS = (0.02, 0.3)


class Request(NamedTuple):
    """A line of the log."""

    number: int
    path: str
    event_id: str
    at_ms: int
    status: int


class Log:
    """What came, in order; one write for each line, so that a kill of ours tears none."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._count = 0

    def note(self, path: str, event_id: str, status: int) -> int:
        """Put down a request; answers its number."""
        self._count += 1
        one = Request(self._count, path, event_id, round(time.time() * 1_000), status)
        os.write(self._descriptor, " ".join(map(str, one)).encode() + b"\n")
        return self._count


class Connection(asyncio.Protocol):
    """One kept-alive connection from the server under test."""

    def __init__(self, log: Log, draw: random.Random) -> None:
        self._log = log
        self._draw = draw
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._path = ""
        self._event_id = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._path = url.decode()

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"webhook-id":
            self._event_id = value.decode()

    def on_message_complete(self) -> None:
        fails = self._draw.random() < _FAILING_SHARE.get(self._path, 0)
        status = 500 if fails else 200
        number = self._log.note(self._path, self._event_id, status)
        body = str(number).encode()
        answer = b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)
        seconds = self._draw.uniform(*_SLOW_SECONDS) if self._path == SLOW else 0
        asyncio.get_running_loop().call_later(seconds, self._answer, answer)

    def _answer(self, answer: bytes) -> None:
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.write(answer)


async def serve(port: int, log: Log, draw: random.Random) -> None:
    """Serve until killed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(log, draw), "127.0.0.1", port, backlog=1_024
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), Log(sys.argv[2]), random.Random(int(sys.argv[3]))))
