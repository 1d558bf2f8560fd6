"""The HTTP protocol of the server, with bounds on all that comes before anybody has shown a key.

uvicorn takes heads and trailers of any size for as long as they take to come, and queues whatever
requests are sent before they are answered. Here all of that has limits in bytes, in number and in
time. What two servers could read differently is refused, and what is no HTTP at all gets a problem
like every other fault. An answer that is whole goes out in one write, where ASGI takes two,
each of which wakes the client, and looks at every header anew.
"""

import asyncio
import sys
from collections.abc import Mapping, Sequence
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
from tidings.api.exchange import Exchange
from tidings.api.problems import MEDIA_TYPE, HeadTooLarge, HttpFault, MalformedRequest
from tidings.api.quick_publish import QuickPublish
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
        self._quick: QuickPublish | None = getattr(self.app, "quick", None)
        self._arriving: Exchange | None = None
        self._arrived: Exchange | None = None
        self._idle_since: float | None = None
        self._idle_timer: asyncio.TimerHandle | None = None

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
        """Begin with a request."""
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers, and tell whoever is still answering."""
        self._head_arrived()
        self._body_arrived()
        self._reader_goes_on()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
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
        self._go_on_quickly()
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
            name = name.lower()
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
            self.headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        """Take in a part of a body."""
        self._has_body_come = True
        if self._arriving is None:
            super().on_body(body)
        else:
            self._arriving.body += body

    def on_headers_complete(self) -> None:
        """Judge a head that is whole. What is raised here, the parser reports as a bad request."""
        self._head_arrived()
        self._is_in_head = False
        self._framing_bytes = 0
        size = len(self.url)
        for name, value in self.headers:
            size += len(name) + len(value) + 4
        if len(self.headers) > limits.REQUEST_HEADERS_MAX or size > limits.REQUEST_HEAD_BYTES_MAX:
            self._fault = HeadTooLarge("a request has at most 100 headers, 64 KiB in all")
            raise self._fault
        given = dict(self.headers)
        self._check_framing(given)
        if self._is_quick(given):
            self._begin_exchange(given)
            return
        if len(self.pipeline) >= limits.REQUESTS_WAITING_MAX:
            self._fault = MalformedRequest("more requests were sent than may wait for their turn")
            raise self._fault
        if self.parser.should_upgrade():
            self._hidden_framing = framing_of(self.headers)
        self._begin_cycle()

    def _begin_cycle(self) -> None:
        """Hand a request to the application, and let it cut the connection."""
        url, headers, is_expecting = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.headers, self.expect_100_continue = url, headers, is_expecting
        scope = cast("dict[str, Any]", self.scope)
        scope["headers"], scope["extensions"] = headers, self._extensions
        super().on_headers_complete()

    def _is_quick(self, given: Mapping[bytes, bytes]) -> bool:
        """Whether a request can be answered without the application, once it is whole."""
        parser = self.parser
        return (
            self._quick is not None
            and self._quick.takes(parser.get_method(), self.url)
            and (self._answered is None or self._answered.response_complete)
            and not self.expect_100_continue
            and b"transfer-encoding" not in given
            and not parser.should_upgrade()
            and parser.should_keep_alive()
            and parser.get_http_version() == "1.1"
        )

    def _begin_exchange(self, given: Mapping[bytes, bytes]) -> None:
        defaults, on_response = self.server_state.default_headers, self.on_response_complete
        exchange = Exchange(given, defaults, self.flow, on_response, self._answer_quickly)
        self._arriving = exchange
        self.cycle = self._answered = cast("RequestResponseCycle", exchange)

    def _go_on_quickly(self) -> None:
        """Begin with a quick request that is whole; one that is not takes the usual way."""
        if self._arrived is not None:
            exchange, self._arrived = self._arrived, None
            assert self._quick is not None
            self._quick.begin(exchange.given, exchange.body, exchange.tell)
        elif self._arriving is not None:
            body, self._arriving = self._arriving.body, None
            if not self.transport.is_closing():
                self.cycle = None  # type: ignore[assignment] # as before the first request
                self._begin_cycle()
                if body:
                    super().on_body(body)

    def _answer_quickly(self, status: int, headers: Headers, body: bytes) -> None:
        """Write the answer to a quick request as soon as the client takes it."""
        if not self._answer(status, headers, body) and self.flow.write_paused:
            later = self.loop.create_task(self._answer_later(status, headers, body))
            later.add_done_callback(self.tasks.discard)
            self.tasks.add(later)

    async def _answer_later(self, status: int, headers: Headers, body: bytes) -> None:
        await self.flow.drain()
        self._answer_quickly(status, headers, body)

    def _check_framing(self, given: Mapping[bytes, bytes]) -> None:
        """Refuse what is not the same request to every reader."""
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
        if self._arriving is None:
            super().on_message_complete()
        else:
            self._arriving.more_body = False
            self._arrived, self._arriving = self._arriving, None
        self._body_arrived()
        if self.cycle.response_complete and self._head_timer is None:
            # uvicorn has set its clock for idle connections before these last bytes came.
            self._expect_head()
        self._has_ended = True
        self._is_in_head = True
        self._head_bytes = 0

    def on_response_complete(self) -> None:
        """Begin with the next request, and wait for the end of this one, but not for ever."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._wait_idly()
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

    def _wait_idly(self) -> None:
        """Close the connection if nothing comes for a while: by one timer, set once in a while."""
        self._idle_since = self.loop.time()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._look_for_idling)

    def _unset_keepalive_if_required(self) -> None:
        self._idle_since = None

    def _look_for_idling(self) -> None:
        self._idle_timer = None
        if self._idle_since is None or self.transport.is_closing():
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._idle_timer = self.loop.call_later(left, self._look_for_idling)
        else:
            self.timeout_keep_alive_handler()

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
