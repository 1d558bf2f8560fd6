"""Receivers as a process of their own, which outlives every kill and forgets nothing.

Run it: ``python -m tests.crashes.receiver PORT LOG SEED``. Each request gets a number and a line in
the log before it is answered: number, path, event id, when it came (milliseconds of the system's
clock), the status that it gets, when it gets it, and the port that it came from. The number is also
the body of the answer, which Tidings keeps with the attempt: so every attempt on record names the
very request that it was. What a path begins with says how it is answered; `PROBE` is answered at
once and leaves no line, after everything that came before it.
"""

import asyncio
import os
import random
import sys
import time
from pathlib import Path
from typing import NamedTuple, cast

import httptools
import uvloop

STEADY, FLAKY, SLOW, ORDERED = "/steady", "/flaky", "/slow", "/ordered"
PROBE = "/probe"
_FAILING_SHARE = {FLAKY: 0.2, ORDERED: 0.05}
_SLOW_SECONDS = (0.02, 0.3)


class Request(NamedTuple):
    """A line of the log."""

    number: int
    path: str
    event_id: str
    at_ms: int
    status: int
    answered_ms: int
    port: int
    sender: int = 0
    """The process that it came from, where somebody looked; 0 if it had gone before."""

    @property
    def line(self) -> str:
        """As the log has it."""
        return " ".join(map(str, self[:-1])) + "\n"


def requests_of(log: Path) -> list[Request]:
    """Every request that came so far, in order."""
    lines = [line.split(" ") for line in log.read_text().splitlines()]
    return [
        Request(int(number), path, event_id, *map(int, rest))
        for number, path, event_id, *rest in lines
    ]


class Log:
    """What came, in order; one write for each line, so that a kill of ours tears none."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._count = 0

    def note(self, path: str, event_id: str, status: int, seconds: float, port: int) -> int:
        """Put down a request that is answered in some seconds; answers its number."""
        self._count += 1
        now_ms, wait_ms = round(time.time() * 1_000), round(seconds * 1_000)
        one = Request(self._count, path, event_id, now_ms, status, now_ms + wait_ms, port)
        os.write(self._descriptor, one.line.encode())
        return self._count


class Connection(asyncio.Protocol):
    """One kept-alive connection from the server under test."""

    def __init__(self, log: Log, draw: random.Random) -> None:
        self._log = log
        self._draw = draw
        self._port = 0
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._path = ""
        self._event_id = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        # It may have gone again.
        self._port = (transport.get_extra_info("peername") or ("", 0))[1]

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._path = url.decode()

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"webhook-id":
            self._event_id = value.decode()

    def on_message_complete(self) -> None:
        if self._path == PROBE:
            self._answer(b"HTTP/1.1 204 x\r\n\r\n")
            return
        kind = "/" + self._path.split("/")[1]
        status = 500 if self._draw.random() < _FAILING_SHARE.get(kind, 0) else 200
        seconds = self._draw.uniform(*_SLOW_SECONDS) if kind == SLOW else 0.0
        number = self._log.note(self._path, self._event_id, status, seconds, self._port)
        body = str(number).encode()
        answer = b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)
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
