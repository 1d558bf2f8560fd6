"""The floor: a relay with the same HTTP server and the same client, which promises nothing.

Run as a process: ``python -m bench.floor PORT URL``. A POST is answered 202 at once and its body
sent on to the URL: no validation, no store, no signature, no retry, no fairness. What it costs is
what the interpreter, the libraries and the kernel cost whoever relays an event.
"""

import asyncio
import json
import sys
from typing import Any

import uvicorn
import uvloop

from tidings.core.addresses import LOOPBACK_NETWORKS, AddressRules
from tidings.ports.transport import OutboundRequest, Transport
from tidings.transport import HttpTransport

_SECONDS = 15.0
_IN_FLIGHT_MAX = 512
_HEADERS = ((b"content-type", b"application/json"), (b"content-length", b"2"))


class Relay:
    """An ASGI application that sends each body on."""

    def __init__(self, transport: Transport, url: str) -> None:
        self._transport = transport
        self._url = url
        self._sending: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(_IN_FLIGHT_MAX)

    async def __call__(self, _scope: Any, receive: Any, send: Any) -> None:
        body = b""
        is_whole = False
        while not is_whole:
            part = await receive()
            body += part.get("body", b"")
            is_whole = not part.get("more_body", False)
        sending = asyncio.ensure_future(self._send(body))
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)
        await send({"type": "http.response.start", "status": 202, "headers": _HEADERS})
        await send({"type": "http.response.body", "body": b"{}"})

    async def _send(self, body: bytes) -> None:
        event_id = json.loads(body)["eventId"]
        headers = (("Content-Type", "application/json"), ("webhook-id", event_id))
        async with self._slots:
            await self._transport.send(OutboundRequest("floor", self._url, headers, body, _SECONDS))


async def serve(port: int, url: str) -> None:
    """Relay until killed."""
    rules = AddressRules(allowed_networks=LOOPBACK_NETWORKS, allow_http=True)
    async with HttpTransport(rules) as transport:
        config = uvicorn.Config(
            Relay(transport, url),
            port=port,
            http="httptools",
            loop="uvloop",
            lifespan="off",
            access_log=False,
            log_config=None,
        )
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), sys.argv[2]))
