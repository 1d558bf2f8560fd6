"""TLS handshakes on sockets that are connected: so many at once, and bounded in bytes."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from tidings.core import limits
from tidings.transport.tls import Tls

_PORTION_BYTES = 16 * 1024


class Handshakes:
    """Lets only so many shake hands at once, so that a burst does not hold up the loop.

    A handshake takes a millisecond of ours, and then it waits for the peer. Whoever takes longer
    than a moment gives the slot back, or a few silent peers would keep all others out.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._slots = asyncio.Semaphore(limits.HANDSHAKES_MAX)

    async def shake(self, made: socket.socket, tls: Tls, early: bytes) -> None:
        """Shake hands over a connected socket, from which `early` has come already.

        Raises `ssl.SSLError` and `OSError`.
        """
        async with self._slot():
            received, received_bytes = early, 0
            while True:
                try:
                    is_over = tls.shake_hands(received)
                except ssl.SSLError:
                    with suppress(OSError):
                        made.send(tls.outgoing())  # the alert, which tells the peer why
                    raise
                if ours := tls.outgoing():
                    await self._loop.sock_sendall(made, ours)
                if is_over:
                    return
                received = await self._loop.sock_recv(made, _PORTION_BYTES)
                received_bytes += len(received)
                if not received:
                    raise ConnectionResetError("the connection was closed in the handshake")
                if received_bytes > limits.HANDSHAKE_BYTES_MAX:
                    raise ssl.SSLError("the handshake does not end")

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        await self._slots.acquire()
        slot = _Slot(self._slots.release)
        timer = self._loop.call_later(limits.HANDSHAKE_SLOT_SECONDS, slot.give_back)
        try:
            yield
        finally:
            timer.cancel()
            slot.give_back()


class _Slot:
    """Something that is given back once, however often it is offered."""

    def __init__(self, release: Callable[[], None]) -> None:
        self._release: Callable[[], None] | None = release

    def give_back(self) -> None:
        if self._release is not None:
            release, self._release = self._release, None
            release()
