"""The head of an answer and its body in one write.

uvicorn writes them one after the other, and each write is a call of the kernel that wakes the
client. Whoever knows that a body follows at once has the next write held back until then.
"""

import asyncio
from typing import Any, Final

_JOINED_BYTES_MAX: Final = 64 * 1024


class JoinedWrites:
    """A transport that can hold back one write. What it does not know, the transport beneath does.

    Nothing is held for longer than an answer takes: `flush` is for its end.
    """

    __slots__ = ("_held", "_holds_next", "_transport", "abort", "is_closing")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._holds_next = False
        self._held = b""
        self.abort = transport.abort
        self.is_closing = transport.is_closing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def hold(self) -> None:
        """Keep the next write until something follows it."""
        self._holds_next = True

    def write(self, data: bytes) -> None:
        """Write, after what was held back."""
        if self._holds_next:
            self._holds_next, self._held = False, data
            return
        if self._held:
            held, self._held = self._held, b""
            if len(data) > _JOINED_BYTES_MAX:
                self._transport.write(held)
            else:
                data = held + data
        self._transport.write(data)

    def flush(self) -> None:
        """Write what is still held back."""
        self._holds_next = False
        if self._held:
            held, self._held = self._held, b""
            self._transport.write(held)

    def close(self) -> None:
        """Close when everything is written."""
        self.flush()
        self._transport.close()
