"""Reading server-sent events, as the HTML standard has them, from bytes as they come."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from tidings.core import limits

FRAME_BYTES_MAX: Final = 2 * limits.EVENT_BYTES_MAX_LIMIT
_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
_BOM: Final = b"\xef\xbb\xbf"


class FrameTooLarge(Exception):
    """A frame is larger than any that a server of ours writes."""


class Frame(NamedTuple):
    """One event of a stream: its type, its data, and the id to go on behind it.

    `hops` is how far it has travelled, which servers of ours tell besides.
    """

    event: str
    data: bytes
    last_id: str
    hops: int = 0


class FrameReader:
    """Takes the bytes of a stream in any pieces. What is not whole at its end counts for nothing.

    `last_id` is the id of the last frame that was whole, also of one without data; `retry_ms` is
    after how long the server wants a client to come back.
    """

    def __init__(self) -> None:
        self.last_id = ""
        self.retry_ms: int | None = None
        self._rest = b""
        self._is_first = True
        self._id: str | None = None
        self._size = 0
        self._hops = 0
        self._clear()

    def feed(self, piece: bytes) -> Iterator[Frame]:
        """The frames that end in this piece. Raises `FrameTooLarge`."""
        *lines, self._rest = self._lines(self._rest + piece)
        for line in lines:
            if line:
                self._take(line)
            else:
                yield from self._dispatch()
        if len(self._rest) + self._size > FRAME_BYTES_MAX:
            raise FrameTooLarge

    def _lines(self, text: bytes) -> list[bytes]:
        """The lines of a text; the last one is not ended yet."""
        if self._is_first and len(text) >= len(_BOM):
            self._is_first = False
            text = text.removeprefix(_BOM)
        if not text.endswith(b"\r"):
            return _LINE_END.split(text)
        # The second half of this line end may be on its way.
        *lines, last = _LINE_END.split(text[:-1])
        return [*lines, last + b"\r"]

    def _take(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        match name:
            case b"data":
                self._data.append(value)
                self._size += len(value) + 1
            case b"event":
                self._event = value.decode("utf-8", "replace")
            case b"id" if b"\0" not in value:
                self._id = value.decode("utf-8", "replace")
            case b"webhook-hops" if value.isdigit():
                self._hops = int(value)
            case b"retry" if value.isdigit():
                self.retry_ms = int(value)

    def _dispatch(self) -> Iterator[Frame]:
        if self._id is not None:
            self.last_id = self._id
        if self._data:
            data = b"\n".join(self._data)
            yield Frame(self._event or "message", data, self.last_id, self._hops)
        self._clear()

    def _clear(self) -> None:
        self._event = ""
        self._id = None
        self._data: list[bytes] = []
        self._size = 0
        self._hops = 0
