"""A load generator that costs little: publishes over a few kept-alive connections.

Run as a process: ``python -m bench.load PORT EVENTS CONNECTIONS RATE EVENT_TYPE BATCH``. A RATE of
0 means as fast as the answers come; otherwise so many events a second in all, each sent when its
time has come and not when the one before was answered. A BATCH above 1 sends so many events in one
request. Prints a line for each event: its id and the time of its 202 in nanoseconds of the
monotonic clock; then ``took NANOSECONDS``.
"""

import asyncio
import sys
import time
from dataclasses import dataclass
from typing import cast

import httptools
import uvloop

_PADDING = "x" * 380


@dataclass(frozen=True)
class Load:
    """What is to be published, and how."""

    port: int
    events: int
    connections: int
    rate: float
    event_type: str
    batch: int

    def event_id(self, number: int) -> str:
        """The id of an event."""
        return f"{self.event_type.replace('.', '-')}-{number}"

    def request(self, first: int) -> bytes:
        """The publish of the events from this number on, with bodies of about 500 bytes."""
        events = [self._event(number) for number in self.numbers(first)]
        path, body = "/events", events[0]
        if self.batch > 1:
            path, body = "/events/batch", f'{{"events":[{",".join(events)}]}}'
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return (head + body).encode()

    def numbers(self, first: int) -> range:
        """The events that go together with the first."""
        return range(first, min(first + self.batch, self.events))

    def _event(self, number: int) -> str:
        return (
            f'{{"eventId":"{self.event_id(number)}","eventType":"{self.event_type}",'
            f'"data":{{"number":{number},"padding":"{_PADDING}"}}}}'
        )


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

    def connection_lost(self, _fault: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(SystemExit("the server closed a connection"))

    async def publish(self, raw: bytes) -> None:
        assert self._transport is not None
        if self._transport.is_closing():
            raise SystemExit("the server closed an idle connection; use fewer of them")
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(raw)
        status = await self._answered
        if status != self.status_expected:
            raise SystemExit(f"a publish was answered {status}")


async def run(load: Load) -> None:
    """Publish all events and print what came of it."""
    loop = asyncio.get_running_loop()
    firsts = iter(range(0, load.events, load.batch))
    answered: list[tuple[str, int]] = []
    began = time.monotonic_ns()

    async def work() -> None:
        _, publisher = await loop.create_connection(Publisher, "127.0.0.1", load.port)
        for first in firsts:
            if load.rate:
                due = began / 1e9 + first / load.rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            await publisher.publish(load.request(first))
            at = time.monotonic_ns()
            answered.extend((load.event_id(number), at) for number in load.numbers(first))

    await asyncio.gather(*(work() for _ in range(load.connections)))
    took = time.monotonic_ns() - began
    sys.stdout.write("".join(f"{one} {at}\n" for one, at in answered))
    sys.stdout.write(f"took {took}\n")


if __name__ == "__main__":
    port_, events_, connections_, rate_, event_type_, batch_ = sys.argv[1:7]
    uvloop.run(
        run(
            Load(
                int(port_),
                int(events_),
                int(connections_),
                float(rate_),
                event_type_,
                int(batch_),
            )
        )
    )
