"""A stream of events as an ASGI application: frames, until one of the two sides has enough."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final

import msgspec
from starlette.types import Receive, Scope, Send

from tidings.api.answers import NO_STORE, NOSNIFF
from tidings.api.pagination import opened_cursor, sealed_cursor
from tidings.api.problems import Problems, TooSlow
from tidings.api.wire.stream import (
    FAREWELL,
    error_frame,
    event_frame,
    gap_frame,
    heartbeat_frame,
    opening_frame,
)
from tidings.core import limits
from tidings.core.event import CommittedEvent
from tidings.core.refusals import Refusal
from tidings.operations.event_streams import Arrived, Ended, Listener, Missed, Quiet

_LOG = logging.getLogger(__name__)

ABORT: Final = "tidings.abort"
"""The extension of a server's scope that cuts a connection, with what was not taken yet."""
_HEADERS: Final = [
    NOSNIFF,
    NO_STORE,
    (b"content-type", b"text/event-stream"),
    # Else some proxies gather what they pass on.
    (b"x-accel-buffering", b"no"),
]
_LAST_WORD_SECONDS: Final = 1.0


class StreamPace(msgspec.Struct, frozen=True):
    """How long a stream may be silent, and how long its reader may take nothing."""

    heartbeat_seconds: float = limits.STREAM_HEARTBEAT_SECONDS
    stall_seconds: float = limits.STREAM_STALL_SECONDS


USUAL_PACE: Final = StreamPace()


class Positions:
    """Places in the log of events as clients of one tenant hold them."""

    def __init__(self, key: bytes, tenant_id: str | None) -> None:
        self._key = key
        self._binding = msgspec.json.encode(("stream", tenant_id))

    def shown(self, seq: int) -> str:
        """A place as a client gets it."""
        return _shown(self._key, self._binding, seq)

    def opened(self, text: str) -> int:
        """The place that a client brings. Raises `InvalidCursor`."""
        return int(opened_cursor(self._key, self._binding, text))


# Whoever listens to the same tenant is shown the same places.
@lru_cache(maxsize=1_024)
def _shown(key: bytes, binding: bytes, seq: int) -> str:
    return sealed_cursor(key, binding, str(seq))


class _ReaderStalled(Exception):
    """The client has taken nothing for too long."""


class EventStream:
    """The answer that goes on for as long as the client listens."""

    def __init__(
        self, listener: Listener, positions: Positions, problems: Problems, pace: StreamPace
    ) -> None:
        self._listener = listener
        self._positions = positions
        self._problems = problems
        self._pace = pace
        self._is_gone = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            if scope["method"] == "HEAD":
                await send({"type": "http.response.body", "body": b""})
                return
            watching = asyncio.create_task(self._watch(receive))
            try:
                await self._converse(scope, send, watching)
            finally:
                watching.cancel()
        finally:
            self._listener.close()

    async def _converse(self, scope: Scope, send: Send, watching: asyncio.Task[None]) -> None:
        try:
            last_word = await self._speak(send)
        except _ReaderStalled:
            _LOG.info("a stream is cut off: its reader takes nothing")
            last_word = error_frame(self._problems.fault_of(_too_slow()))
        if not self._is_gone:
            await self._end(scope, send, watching, last_word)

    async def _speak(self, send: Send) -> bytes:
        """Write frames until it is over; answers the last one, which is not written yet."""
        listener, shown = self._listener, self._positions.shown
        await self._write(send, opening_frame(shown(listener.seq)))
        while True:
            heard = await listener.next(wait_seconds=self._pace.heartbeat_seconds)
            match heard:
                case Arrived(events):
                    for chunk in self._chunks(events):
                        await self._write(send, chunk)
                case Missed(after_seq, through_seq):
                    position = shown(through_seq)
                    await self._write(send, gap_frame(position, after_seq, through_seq))
                case Quiet(through_seq):
                    await self._write(send, heartbeat_frame(shown(through_seq)))
                case Ended(refusal):
                    return FAREWELL if refusal is None else self._refused(refusal)

    def _chunks(self, events: list[CommittedEvent]) -> Iterator[bytes]:
        """The frames of events, joined as far as a write may hold them."""
        waiting: list[bytes] = []
        size = 0
        for event in events:
            position = self._positions.shown(event.seq)
            frame = event_frame(position, event.event_type, event.body, event.hops)
            if waiting and size + len(frame) > limits.STREAM_WRITE_BYTES_MAX:
                yield b"".join(waiting)
                waiting, size = [], 0
            waiting.append(frame)
            size += len(frame)
        yield b"".join(waiting)

    def _refused(self, refusal: Refusal) -> bytes:
        return error_frame(self._problems.of(refusal))

    async def _write(self, send: Send, chunk: bytes) -> None:
        try:
            async with asyncio.timeout(self._pace.stall_seconds):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except TimeoutError:
            raise _ReaderStalled from None

    async def _end(
        self, scope: Scope, send: Send, watching: asyncio.Task[None], last_word: bytes
    ) -> None:
        """Say the last word to whoever still reads, and cut off whoever does not."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORD_SECONDS):
                await send({"type": "http.response.body", "body": last_word})
                return
        abort: Any = (scope.get("extensions") or {}).get(ABORT)
        if abort is not None:
            abort()
            await asyncio.wait([watching], timeout=_LAST_WORD_SECONDS)

    async def _watch(self, receive: Receive) -> None:
        """End the stream when the client goes, or sends more than anybody asked for."""
        body_bytes = 0
        while body_bytes <= limits.REQUEST_BYTES_MAX:
            received = await receive()
            if received["type"] == "http.disconnect":
                self._is_gone = True
                break
            body_bytes += len(received.get("body", b""))
        self._listener.end()


def _too_slow() -> TooSlow:
    return TooSlow("the stream was read too slowly; it goes on from its last id")
