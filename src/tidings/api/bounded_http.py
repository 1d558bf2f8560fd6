"""The HTTP protocol of the server, with bounds on all that comes before anybody has shown a key.

uvicorn takes heads and trailers of any size for as long as they take to come, and queues whatever
requests are sent before they are answered. Here all of that has limits in bytes, in number and in
time. What two servers could read differently is refused, and what is no HTTP at all gets a problem
like every other fault. An answer that is whole goes out in one write, where ASGI takes two,
each of which wakes the client, and looks at every header anew.
"""

import asyncio
import sys
from collections.abc import Sequence
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
from tidings.api.upgrades import framing_of, parser_of_rest
from tidings.api.wire.problems import Problem
from tidings.core import limits

_PROBLEM_TYPE: Final = "about:blank"
# Given twice, one server may follow the first and another the last of them.
_GIVEN_ONCE: Final = frozenset(
    {
        b"authorization",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"host",
        b"idempotency-key",
        b"if-match",
        b"last-event-id",
        b"origin",
        b"transfer-encoding",
        b"webhook-hops",
    }
)


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
        self._data = b""
        self._has_body_come = False
        self._framing_bytes = 0
        self._body_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        self._hidden_framing: Sequence[tuple[bytes, bytes]] = ()

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
        """Forget the timers, and tell whoever is still answering."""
        self._head_arrived()
        self._body_arrived()
        self._reader_goes_on()
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
        self._has_body_come = False
        self._data = data
        super().data_received(data)
        if not self._is_in_head and not self.transport.is_closing():
            self._framing_bytes = 0 if self._has_body_come else self._framing_bytes + len(data)
            if self._framing_bytes > limits.REQUEST_HEAD_BYTES_MAX:
                self._refuse(HeadTooLarge("a body comes with at most 64 KiB that are no body"))
        # Bytes in which a request has ended were mostly its body, and none of them count as a head.
        if not self._is_in_head or self._has_ended or self.transport.is_closing():
            return
        self._head_bytes += len(data)
        if self._head_bytes > limits.REQUEST_HEAD_BYTES_MAX:
            self._refuse(HeadTooLarge("the request line and headers have at most 64 KiB"))
        elif self._head_timer is None:
            self._expect_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take in a header. A trailer is dropped: nobody looks at it, and there may be many."""
        if self._is_in_head:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """Take in a part of a body."""
        self._has_body_come = True
        super().on_body(body)

    def on_headers_complete(self) -> None:
        """Judge a head that is whole. What is raised here, the parser reports as a bad request."""
        self._head_arrived()
        self._is_in_head = False
        self._framing_bytes = 0
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if len(self.headers) > limits.REQUEST_HEADERS_MAX or size > limits.REQUEST_HEAD_BYTES_MAX:
            self._fault = HeadTooLarge("a request has at most 100 headers, 64 KiB in all")
            raise self._fault
        self._check_framing()
        if len(self.pipeline) >= limits.REQUESTS_WAITING_MAX:
            self._fault = MalformedRequest("more requests were sent than may wait for their turn")
            raise self._fault
        if self.parser.should_upgrade():
            self._hidden_framing = framing_of(self.headers)
        super().on_headers_complete()

    def _check_framing(self) -> None:
        """Refuse what is not the same request to every reader."""
        given = dict(self.headers)
        if len(given) != len(self.headers):
            names = [name for name, _ in self.headers]
            if any(name in _GIVEN_ONCE and names.count(name) > 1 for name in given):
                self._fault = MalformedRequest("a header that may come once was given twice")
                raise self._fault
        if given.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
            self._fault = MalformedRequest("the only transfer encoding that is taken is chunked")
            raise self._fault

    def on_message_complete(self) -> None:
        """Begin to wait for the next head, which need not come."""
        if self._hidden_framing:
            return  # The body was left out, and is still to come.
        super().on_message_complete()
        self._body_arrived()
        if self.cycle.response_complete and self._head_timer is None:
            # uvicorn has set its clock for idle connections before these last bytes came.
            self._expect_head()
        self._has_ended = True
        self._is_in_head = True
        self._head_bytes = 0

    def on_response_complete(self) -> None:
        """Begin with the next request, and wait for the end of this one, but not for ever."""
        super().on_response_complete()
        if not self._is_in_head and self._body_timer is None and not self.transport.is_closing():
            # The rest of a body that nobody wants is read away, so that the answer can be read.
            self._body_timer = self.loop.call_later(
                limits.UPLOAD_TIMEOUT_SECONDS, self.transport.abort
            )

    def pause_writing(self) -> None:
        """Wait for a client that takes no more, but not for ever."""
        super().pause_writing()
        self._stall_timer = self.loop.call_later(limits.ANSWER_STALL_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on writing."""
        self._reader_goes_on()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Say what was wrong, and close."""
        self._refuse(self._fault or MalformedRequest(msg))

    def _unsupported_upgrade_warning(self) -> None:
        """Go on with HTTP/1.1 where the parser broke off, at what it counts as its first byte."""
        fault = sys.exception()
        assert fault is not None
        rest = self._data[int(fault.args[0]) :]
        framing, self._hidden_framing = self._hidden_framing, ()
        if framing:
            self.parser = parser_of_rest(self, framing)
        if rest:
            self.data_received(rest)

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

    def _body_arrived(self) -> None:
        if self._body_timer is not None:
            self._body_timer.cancel()
            self._body_timer = None

    def _reader_goes_on(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def _refuse(self, fault: HttpFault) -> None:
        answered = self._answered
        is_amid = answered is not None and (
            answered.response_started and not answered.response_complete
        )
        if self.pipeline or is_amid:
            # A problem here would stand within an answer, or before those that are still owed.
            self.transport.abort()
            return
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
