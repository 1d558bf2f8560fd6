"""How an answer comes off the wire: bounded, and with its status decided by its head alone.

aiohttp's own protocol trusts receivers in ways that a sender of webhooks cannot: it would read
interim responses for as long as somebody sends them, take what a receiver sent unasked for the
answer to the next request, throw away a good head because of a bad byte behind it, and leave a
connection open until a peer that does not read has read everything.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import aiohttp
from aiohttp.client_proto import ResponseHandler

from tidings.core import limits

ANSWER_WIRE_BYTES_MAX: Final = 4 * limits.ANSWER_BODY_BYTES_READ_MAX
"""All that is taken of one answer: interim responses, head, body and the framing of chunks."""
_END_OF_HEAD: Final = b"\r\n\r\n"


class AnswerTooLong(aiohttp.ClientError):
    """More came than is taken of one answer."""


class BoundedProtocol(ResponseHandler):
    """One connection's incoming side. `is_crowded` says that no more connections shall be kept."""

    def __init__(self, is_crowded: Callable[[], bool], *, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._is_crowded = is_crowded
        self._wire_bytes = 0
        self._last_of_head: bytes | None = b""
        self._has_unasked = False

    @property
    def should_close(self) -> bool:
        """Whether the connection is of no further use; asked when its answer has been read."""
        return super().should_close or self._is_crowded()

    def is_connected(self) -> bool:
        """Whether another request may be sent; asked before a kept connection is used again.

        What came in unasked would be read as the answer to that request.
        """
        return super().is_connected() and not self._has_unasked and not super().should_close

    def set_response_params(self, **parameters: Any) -> None:
        """Begin to wait for an answer."""
        self._wire_bytes = 0
        self._last_of_head = b""
        self._has_unasked = False
        super().set_response_params(**parameters)

    def data_received(self, data: bytes) -> None:
        """Take in a part of the answer."""
        self._wire_bytes += len(data)
        if self._last_of_head is None:
            if data and self._payload is not None and self._payload.is_eof():
                self._has_unasked = True
            super().data_received(data)
        else:
            self._head_received(self._last_of_head, data)
        if self._wire_bytes > ANSWER_WIRE_BYTES_MAX and self.exception() is None:
            self.set_exception(AnswerTooLong("the answer does not end"))
            if self.transport is not None:
                self.transport.abort()
        if self.exception() is not None:
            self._end_body()

    def close(self) -> None:
        """Close at once. Closing politely would wait until the peer has read our request."""
        self.abort()

    def _head_received(self, before: bytes, data: bytes) -> None:
        """Hand on the head by itself: then its status counts, whatever stands behind it."""
        at = (before + data).find(_END_OF_HEAD)
        if at < 0:
            self._last_of_head = (before + data)[-len(_END_OF_HEAD) + 1 :]
            super().data_received(data)
            return
        self._last_of_head = None
        end = at + len(_END_OF_HEAD) - len(before)
        super().data_received(data[:end])
        if end < len(data) and self.exception() is None:
            super().data_received(data[end:])

    def _end_body(self) -> None:
        """Let what was read of the body be all of it, instead of waiting for more."""
        if self._payload is not None and not self._payload.is_eof():
            self._payload.feed_eof()
