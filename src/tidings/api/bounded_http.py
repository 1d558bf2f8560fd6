"""The HTTP protocol of the server, with bounds on what comes before a body.

uvicorn takes heads of any size for as long as they take to come, before anybody has shown a key.
Here a head has limits in bytes, in headers and in time, and what is no HTTP at all gets a problem
like every other fault. An answer that is whole goes out in one write, where ASGI takes two, each of
which wakes the client, and looks at every header anew.
"""

import asyncio
from typing import Any, Final, cast

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from tidings.api.answers import WHOLE, Headers, encode
from tidings.api.bodies import IS_WHOLE
from tidings.api.event_stream import ABORT
from tidings.api.problems import MEDIA_TYPE, HeadTooLarge, HttpFault, MalformedRequest
from tidings.api.wire.problems import Problem
from tidings.core import limits

_PROBLEM_TYPE: Final = "about:blank"


class BoundedHttp(HttpToolsProtocol):
    """One connection of a client."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._is_in_head = True
        self._has_ended = False
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._fault: HttpFault | None = None
        self._extensions: dict[str, Any] = {}
        self._answered: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the first head."""
        super().connection_made(cast("asyncio.Transport", transport))
        self._extensions = {
            ABORT: self.transport.abort,
            IS_WHOLE: self._is_whole,
            WHOLE: self._answer,
        }
        self._expect_head()

    def on_message_begin(self) -> None:
        """Begin with a request, and let whoever answers it cut the connection."""
        super().on_message_begin()
        cast("dict[str, Any]", self.scope)["extensions"] = self._extensions

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer, and tell whoever is still answering."""
        self._head_arrived()
        if self._answered is not None:
            # uvicorn tells only the request that came last, which may wait behind this one.
            self._answered.disconnected = True
            self._answered.message_event.set()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answered = cycle
        super()._start_asgi_task(cycle, app)

    def data_received(self, data: bytes) -> None:
        """Take in a part of a request."""
        self._has_ended = False
        super().data_received(data)
        # Bytes in which a request has ended were mostly its body, and none of them count as a head.
        if not self._is_in_head or self._has_ended or self.transport.is_closing():
            return
        self._head_bytes += len(data)
        if self._head_bytes > limits.REQUEST_HEAD_BYTES_MAX:
            self._refuse(HeadTooLarge("the request line and headers have at most 64 KiB"))
        elif self._head_timer is None:
            self._expect_head()

    def on_headers_complete(self) -> None:
        """Judge a head that is whole. What is raised here, the parser reports as a bad request."""
        self._head_arrived()
        self._is_in_head = False
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if len(self.headers) > limits.REQUEST_HEADERS_MAX or size > limits.REQUEST_HEAD_BYTES_MAX:
            self._fault = HeadTooLarge("a request has at most 100 headers, 64 KiB in all")
            raise self._fault
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Begin to wait for the next head, which need not come."""
        super().on_message_complete()
        self._has_ended = True
        self._is_in_head = True
        self._head_bytes = 0

    def send_400_response(self, msg: str) -> None:
        """Say what was wrong, and close."""
        self._refuse(self._fault or MalformedRequest(msg))

    def _is_whole(self) -> bool:
        """Whether the body of the request that is being answered has arrived."""
        return self._answered is not None and not self._answered.more_body

    def _answer(self, status: int, headers: Headers, body: bytes) -> bool:
        """Write an answer that is whole, if the client takes what we write; else it is False."""
        cycle = self._answered
        assert cycle is not None
        if cycle.flow.write_paused or cycle.disconnected or cycle.response_started:
            return False
        lines = [STATUS_LINE[status]]
        for name, value in (*cycle.default_headers, *headers):
            lines += (name, b": ", value, b"\r\n")
        if not cycle.keep_alive:
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        if cycle.scope["method"] != "HEAD":
            lines.append(body)
        cycle.waiting_for_100_continue = False
        cycle.response_started = cycle.response_complete = True
        self.transport.write(b"".join(lines))
        cycle.message_event.set()
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()
        return True

    def _expect_head(self) -> None:
        self._head_timer = self.loop.call_later(limits.REQUEST_HEAD_SECONDS, self.transport.close)

    def _head_arrived(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, fault: HttpFault) -> None:
        problem = Problem(
            type=_PROBLEM_TYPE,
            title=fault.title,
            status=fault.status,
            detail=fault.detail,
            code=fault.code,
        )
        content = encode(problem)
        head = b"content-type: %b\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(
            STATUS_LINE[fault.status] + head % (MEDIA_TYPE, len(content)) + content
        )
        self.transport.close()
