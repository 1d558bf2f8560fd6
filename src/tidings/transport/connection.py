"""One connection to a receiver: a request goes out, and one answer comes back, bounded.

What a receiver sends is trusted with nothing. The head decides, by itself, whatever stands behind
it. All that is taken of one answer is counted: interim responses, head, body and framing. And a
connection is offered for another request only after an answer that came to its proper end, to a
request that had gone out in full, with not one byte behind it.
"""

import asyncio
import logging
import re
import ssl
from collections.abc import Callable
from typing import Final, Protocol, cast

import httptools

from tidings.core import limits
from tidings.core.attempt import Answer
from tidings.transport.answers import (
    NONSENSE,
    SPOKE_UNASKED,
    AnswerTooLong,
    answer_of,
    answer_of_deadline,
    answer_of_fault,
)
from tidings.transport.tls import Tls

_LOG = logging.getLogger(__name__)

_SWITCHING_PROTOCOLS: Final = 101
_INTERIM: Final = range(100, 200)
_KEEP_ALIVE: Final = b"keep-alive"
_KEEP_ALIVE_LENGTH: Final = len(_KEEP_ALIVE)
_KEEP_ALIVE_TIMEOUT: Final = re.compile(rb"timeout=([0-9]{1,6})")
_FIRST_BYTES: Final = b"H\r\n"
"""How an answer may begin. The parser would also take the protocols of cameras and radios."""


class Owner(Protocol):
    """Whom a connection belongs to."""

    def ended(self, connection: "Connection", *, is_reusable: bool) -> None:
        """Its request has its answer."""
        ...

    def lost(self, connection: "Connection") -> None:
        """It is of no use any more."""
        ...


class _Unasked(Exception):
    """Something stands behind the answer."""


class Connection(asyncio.Protocol):
    """Sends requests and reads their answers, one at a time."""

    def __init__(self, owner: Owner, tls: Tls | None) -> None:
        self._owner = owner
        self._tls = tls
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._on_answer: Callable[[Answer], None] | None = None
        self._unsent: memoryview | None = None
        self._is_paused = False
        self._begin_reading()
        self.is_open = True
        self.deadline = 0.0
        self.timeout_seconds = 0.0

    def _begin_reading(self) -> None:
        self._status: int | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = b""
        self._body_bytes = 0
        self._wire_bytes = 0
        self._head_bytes = 0
        self._interim_count = 0
        self._has_begun = False
        self._is_complete = False
        self._may_be_kept = False
        self.idle_seconds = limits.CONNECTION_IDLE_SECONDS_MAX

    # --- sending ---------------------------------------------------------------------------------

    @property
    def is_usable(self) -> bool:
        """Whether a request may be sent; the end of a connection may be known but not told yet."""
        return self.is_open and self._transport is not None and not self._transport.is_closing()

    def begin(self, head: bytes, body: bytes, on_answer: Callable[[Answer], None]) -> None:
        """Send a request; `on_answer` gets its answer, whatever happens."""
        self._on_answer = on_answer
        if not self.is_open:
            self._finish(SPOKE_UNASKED if self._has_begun else answer_of_fault(_reset()))
            return
        self._begin_reading()
        if len(body) <= limits.WRITTEN_AT_ONCE_BYTES_MAX:
            self._write(head + body)
        else:
            self._write(head)
            self._unsent = memoryview(body)
            self._write_on()

    def _write(self, data: bytes | memoryview) -> None:
        assert self._transport is not None
        if self._tls is None:
            self._transport.write(data)
            return
        try:
            self._transport.write(self._tls.encrypt(data))
        except ssl.SSLError as fault:
            self._fail(fault)

    def _write_on(self) -> None:
        """Send as much as the kernel takes, and leave the rest until it takes more."""
        while self._unsent is not None and not self._is_paused and self.is_open:
            portion = self._unsent[: limits.WRITTEN_AT_ONCE_BYTES_MAX]
            rest = self._unsent[limits.WRITTEN_AT_ONCE_BYTES_MAX :]
            self._unsent = rest or None
            self._write(portion)

    def pause_writing(self) -> None:
        """The kernel takes no more for now."""
        self._is_paused = True

    def resume_writing(self) -> None:
        """The kernel takes more again."""
        self._is_paused = False
        self._write_on()

    # --- what comes in ---------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The way is there."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take in a part of an answer."""
        if not self.is_open:
            return
        self._wire_bytes += len(data)
        if self._tls is not None:
            data = self._decrypted(data)
        if data:
            if self._on_answer is None:
                self._has_begun = True
                self.abort()
                return
            self._parse(data)
        if self._tls is not None and self._tls.is_over:
            self._lost(self._tls.fault)
        elif self._wire_bytes > limits.ANSWER_WIRE_BYTES_MAX:
            self._fail(AnswerTooLong("the answer does not end"))

    def eof_received(self) -> bool | None:
        """The receiver will say nothing more."""
        self._lost(None)
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        self._lost(exc)

    def _decrypted(self, data: bytes) -> bytes:
        assert self._tls is not None
        assert self._transport is not None
        plain = self._tls.decrypt(data)
        if ours := self._tls.outgoing():
            self._transport.write(ours)
        return plain

    def _parse(self, data: bytes) -> None:
        if not self._has_begun:
            self._has_begun = True
            if data[0] not in _FIRST_BYTES:
                self._finish(NONSENSE)
                return
        while self._status is None and data:
            # The head gets so much and no more, even if its end has come along already.
            room = limits.ANSWER_HEAD_BYTES_MAX - self._head_bytes
            if room <= 0:
                self._fail(AnswerTooLong("the head of the answer is too long"))
                return
            portion, data = data[:room], data[room:]
            self._head_bytes += len(portion)
            if not self._feed(portion, is_all=not data):
                return
        if data:
            self._feed(data)

    def _feed(self, data: bytes, *, is_all: bool = True) -> bool:
        """Let the parser read; answers whether there is anything left to wait for."""
        assert self._parser is not None
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as fault:
            self._broke_off(fault)
            return False
        if self._is_complete:
            self._finish(self._answer(), is_reusable=is_all and self._is_reusable())
            return False
        if self._body_bytes >= limits.ANSWER_BODY_BYTES_READ_MAX:
            self._finish(self._answer())
            return False
        return True

    def _broke_off(self, fault: Exception) -> None:
        """What stands behind a head that was whole cannot change what the head said."""
        cause = fault.__context__
        if isinstance(fault, httptools.HttpParserCallbackError) and not isinstance(
            cause, (AnswerTooLong, _Unasked)
        ):
            _LOG.error("reading an answer failed", exc_info=cause or fault)
        if self._status is not None:
            self._finish(self._answer())
        elif isinstance(cause, AnswerTooLong):
            self._finish(answer_of_fault(cause))
        else:
            self._finish(NONSENSE)

    # --- what the parser finds -------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """An answer begins: the one that we wait for, or one too many."""
        if self._is_complete:
            raise _Unasked

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which nobody looks at."""
        if self._status is not None:
            return
        self._headers.append((name, value))
        if len(self._headers) > limits.ANSWER_HEADERS_MAX:
            raise AnswerTooLong("the answer has too many headers")
        if len(name) == _KEEP_ALIVE_LENGTH and name.lower() == _KEEP_ALIVE:
            self._keep_no_longer_than(value)

    def on_headers_complete(self) -> None:
        """A head is whole: the one that counts, or one of an interim response."""
        assert self._parser is not None
        status = self._parser.get_status_code()
        if status in _INTERIM and status != _SWITCHING_PROTOCOLS:
            self._interim_count += 1
            if self._interim_count > limits.INTERIM_ANSWERS_MAX:
                raise AnswerTooLong("the answer does not begin")
            self._headers.clear()
            self._head_bytes = 0
            return
        self._status = status

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._body_bytes += len(body)
        left = limits.ANSWER_BODY_BYTES_KEPT_MAX - len(self._body)
        if left > 0:
            self._body += body[:left]

    def on_message_complete(self) -> None:
        """An answer has come to its end."""
        if self._status is not None:
            assert self._parser is not None
            self._is_complete = True
            self._may_be_kept = self._parser.should_keep_alive()

    # --- ending ----------------------------------------------------------------------------------

    def cancel(self, on_answer: Callable[[Answer], None]) -> None:
        """Whoever asked wants no answer any more, unless another request is in flight by now."""
        if self._on_answer is on_answer:
            self._on_answer = None
            self._owner.ended(self, is_reusable=False)
            self.abort()

    def time_out(self) -> None:
        """The deadline has passed."""
        late = self._status is None
        self._finish(answer_of_deadline(self.timeout_seconds) if late else self._answer())

    def give_up(self, answer: Answer) -> None:
        """End what is in flight with this answer, unless a status has come."""
        self._finish(answer if self._status is None else self._answer())

    def abort(self) -> None:
        """Close at once. Closing politely would wait until the peer has read our request."""
        if self.is_open:
            self.is_open = False
            self._parser = None  # which holds on to us
            self._unsent = None
            self._owner.lost(self)
            if self._transport is not None:
                self._transport.abort()

    def _lost(self, fault: Exception | None) -> None:
        self._fail(fault or _reset())

    def _fail(self, fault: Exception) -> None:
        if self._on_answer is None:
            self.abort()
        else:
            self._finish(answer_of_fault(fault) if self._status is None else self._answer())

    def _answer(self) -> Answer:
        assert self._status is not None
        return answer_of(self._status, self._headers, self._body)

    def _keep_no_longer_than(self, announced: bytes) -> None:
        """Leave an idle connection before the receiver does, if it says when that will be."""
        found = _KEEP_ALIVE_TIMEOUT.search(announced)
        if found is not None:
            seconds = int(found[1]) - limits.CONNECTION_IDLE_MARGIN_SECONDS
            self.idle_seconds = min(self.idle_seconds, seconds)

    def _is_reusable(self) -> bool:
        assert self._transport is not None
        return (
            self._may_be_kept
            and self.idle_seconds > 0
            and self._unsent is None
            and (self._tls is None or not self._tls.is_over)
            and not self._transport.is_closing()
            and not self._transport.get_write_buffer_size()
        )

    def _finish(self, answer: Answer, *, is_reusable: bool = False) -> None:
        """Hand over the answer, and the connection to whoever comes next, or to nobody."""
        on_answer, self._on_answer = self._on_answer, None
        self._owner.ended(self, is_reusable=is_reusable)
        if not is_reusable:
            self.abort()
        if on_answer is not None:
            on_answer(answer)


def _reset() -> ConnectionResetError:
    return ConnectionResetError("the connection was closed before an answer")
