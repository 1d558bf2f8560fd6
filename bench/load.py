"""A load generator that costs little: publishes over a few kept-alive connections.

Run as a process: ``python -m bench.load PORT EVENTS CONNECTIONS RATE EVENT_TYPE``. A RATE of 0
means as fast as the answers come; otherwise so many events a second in all, each sent when its
time has come and not when the one before was answered. Prints a line for each event: its id and
the time of its 202 in nanoseconds of the monotonic clock; then ``took NANOSECONDS``.
"""

import asyncio
import sys
import time
from typing import cast

import httptools
import uvloop

_PADDING = "x" * 380


def request(number: int, event_type: str) -> tuple[str, bytes]:
    """The id of an event and its publish, with a body of about 500 bytes."""
    event_id = f"{event_type.replace('.', '-')}-{number}"
    body = (
        f'{{"eventId":"{event_id}","eventType":"{event_type}",'
        f'"data":{{"number":{number},"padding":"{_PADDING}"}}}}'
    ).encode()
    head = (
        "POST /events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode()
    return event_id, head + body


class Publisher(asyncio.Protocol):
    """One connection; one publish at a time."""

    status_expected = 202

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._answered: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        assert self._answered is not None
        self._answered.set_result(self._parser.get_status_code())
        self._parser = httptools.HttpResponseParser(self)

    async def publish(self, raw: bytes) -> None:
        assert self._transport is not None
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(raw)
        status = await self._answered
        if status != self.status_expected:
            raise SystemExit(f"a publish was answered {status}")


async def run(port: int, events: int, connections: int, rate: float, event_type: str) -> None:
    """Publish all events and print what came of it."""
    loop = asyncio.get_running_loop()
    numbers = iter(range(events))
    answered: list[tuple[str, int]] = []
    began = time.monotonic_ns()

    async def work() -> None:
        _, publisher = await loop.create_connection(Publisher, "127.0.0.1", port)
        for number in numbers:
            if rate:
                due = began / 1e9 + number / rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            event_id, raw = request(number, event_type)
            await publisher.publish(raw)
            answered.append((event_id, time.monotonic_ns()))

    await asyncio.gather(*(work() for _ in range(connections)))
    took = time.monotonic_ns() - began
    sys.stdout.write("".join(f"{one} {at}\n" for one, at in answered))
    sys.stdout.write(f"took {took}\n")


if __name__ == "__main__":
    port_, events_, connections_, rate_, event_type_ = sys.argv[1:6]
    uvloop.run(run(int(port_), int(events_), int(connections_), float(rate_), event_type_))
