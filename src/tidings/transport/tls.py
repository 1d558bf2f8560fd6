"""TLS between bytes and bytes, without a connection of its own.

The event loops bring a TLS of their own, with a buffer of 256 KiB for each connection and a second
protocol between the wire and ours. This one keeps what OpenSSL keeps.
"""

import ssl
from typing import Final

_RECORD_BYTES: Final = 16 * 1024
"""What one record holds at most, so that taking in so much at once never fills memory."""


def new_ssl_context() -> ssl.SSLContext:
    """TLS as everybody should have it: chain and host name verified, 1.2 at the least."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


class Tls:
    """Our side of one TLS connection. What goes to the peer is taken by `outgoing`."""

    def __init__(self, context: ssl.SSLContext, server_name: str) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)
        self.outgoing = self._outgoing.read
        self.is_over = False
        self.fault: ssl.SSLError | None = None

    def shake_hands(self, received: bytes) -> bool:
        """Go on with the handshake; True when it is over. Raises `ssl.SSLError`."""
        self._incoming.write(received)
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def encrypt(self, plain: bytes | memoryview) -> bytes:
        """What to send for these bytes."""
        self._tls.write(plain)
        return self._outgoing.read()

    def decrypt(self, received: bytes) -> bytes:
        """What stands in these bytes; nothing if a record is not whole yet. Raises nothing.

        After `is_over` nothing more will come; `fault` says why if that was not in peace.
        """
        if len(received) <= _RECORD_BYTES:
            return self._taken_in(received)
        portions = [
            self._taken_in(received[at : at + _RECORD_BYTES])
            for at in range(0, len(received), _RECORD_BYTES)
        ]
        return b"".join(portions)

    def _taken_in(self, received: bytes) -> bytes:
        if self.is_over:
            return b""
        self._incoming.write(received)
        portions: list[bytes] = []
        try:
            # To ask once more, and be told that there is nothing, would cost an exception.
            while self._incoming.pending or self._tls.pending():
                portions.append(self._tls.read(_RECORD_BYTES))
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.is_over = True
        except ssl.SSLError as fault:
            self.is_over, self.fault = True, fault
        return portions[0] if len(portions) == 1 else b"".join(portions)
