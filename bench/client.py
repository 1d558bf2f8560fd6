"""What one guarded POST costs, by the client of the engine and by the least that could send it.

Run as a process: ``python -m bench.client KIND PORT POSTS``. KIND is ``guarded`` for the transport
that deliveries go by, or ``floor`` for a protocol that writes one prepared request and parses the
answer. Both send POSTS requests over 32 kept connections on uvloop. Prints microseconds of CPU for
each POST.
"""

import asyncio
import sys
import time

import uvloop

from bench.load import Publisher
from tidings.core.addresses import LOOPBACK_NETWORKS, AddressRules
from tidings.ports.transport import OutboundRequest
from tidings.transport import HttpTransport

_AT_ONCE = 32
_WARM = 200
_BODY = b'{"padding":"' + b"x" * 486 + b'"}'
_HEADERS = (
    ("Content-Type", "application/json"),
    ("User-Agent", "Tidings/0"),
    ("webhook-id", "evt_01ARZ3NDEKTSV4RRFFQ69G5FAV"),
    ("webhook-timestamp", "1764000000"),
    ("webhook-signature", "v1," + "a" * 44),
)


class Floor(Publisher):
    """One connection that sends the same bytes again and again."""

    status_expected = 200


async def guarded(port: int, posts: int) -> float:
    """CPU seconds of so many requests by the transport of the engine."""
    rules = AddressRules(allowed_networks=LOOPBACK_NETWORKS, allow_http=True)
    url = f"http://127.0.0.1:{port}/ok"
    left = iter(range(posts))
    async with HttpTransport(rules) as transport:

        async def post() -> None:
            request = OutboundRequest("sub_1", url, _HEADERS, _BODY, 15.0)
            answer = await transport.send(request)
            if answer.status_code != 200:
                raise SystemExit(f"a request was answered {answer}")

        async def work() -> None:
            for _ in left:
                await post()

        for _ in range(_WARM):
            await post()
        before = time.process_time()
        await asyncio.gather(*(work() for _ in range(_AT_ONCE)))
        return time.process_time() - before


async def floor(port: int, posts: int) -> float:
    """CPU seconds of so many requests by as little code as can send and parse."""
    head = "".join(f"{name}: {value}\r\n" for name, value in _HEADERS)
    raw = (
        f"POST /ok HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept-Encoding: identity\r\n{head}"
        f"Content-Length: {len(_BODY)}\r\n\r\n"
    ).encode() + _BODY
    loop = asyncio.get_running_loop()
    left = iter(range(posts))
    made = [await loop.create_connection(Floor, "127.0.0.1", port) for _ in range(_AT_ONCE)]

    async def work(connection: Floor) -> None:
        for _ in left:
            await connection.publish(raw)

    before = time.process_time()
    await asyncio.gather(*(work(connection) for _, connection in made))
    return time.process_time() - before


if __name__ == "__main__":
    kinds = {"guarded": guarded, "floor": floor}
    count = int(sys.argv[3])
    print(uvloop.run(kinds[sys.argv[1]](int(sys.argv[2]), count)) / count * 1e6)
