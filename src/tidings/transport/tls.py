"""TLS between bytes and bytes, without a connection of its own.

The event loops bring a TLS of their own, which keeps a buffer of 256 KiB for each connection and
cannot resume a session. This one keeps what OpenSSL keeps, and resumes.
"""

import ssl
from collections.abc import Hashable
from typing import Final, NamedTuple

from tidings.core import limits

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

    def __init__(
        self, context: ssl.SSLContext, server_name: str, session: ssl.SSLSession | None = None
    ) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=server_name, session=session
        )
        self.outgoing = self._outgoing.read
        self.is_over = False
        self.fault: ssl.SSLError | None = None

    @property
    def session(self) -> ssl.SSLSession | None:
        """What a later connection to the same peer may begin with; ask after the first answer."""
        return self._tls.session

    @property
    def was_resumed(self) -> bool:
        """Whether the handshake was short, and the certificate one that was verified before."""
        return bool(self._tls.session_reused)

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
            while portion := self._tls.read(_RECORD_BYTES):
                portions.append(portion)
            self.is_over = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.is_over = True
        except ssl.SSLError as fault:
            self.is_over, self.fault = True, fault
        return portions[0] if len(portions) == 1 else b"".join(portions)


class _Kept(NamedTuple):
    session: ssl.SSLSession
    until: float


class TlsSessions:
    """What makes the next handshake with the same endpoint short: a session for each.

    A session stands for a certificate that was verified. So that none is trusted long after it has
    expired, sessions that grew out of each other end together, `TLS_SESSION_SECONDS_MAX` after the
    full handshake. Moments are the event loop's.
    """

    def __init__(self) -> None:
        self._kept: dict[Hashable, _Kept] = {}

    def find(self, endpoint: Hashable, now: float) -> ssl.SSLSession | None:
        """The session to begin a handshake with, if there is one that may still be used."""
        kept = self._kept.get(endpoint)
        return kept.session if kept is not None and now < kept.until else None

    def keep(self, endpoint: Hashable, tls: Tls, now: float) -> None:
        """Keep the session of a connection that has brought an answer."""
        session = tls.session
        before = self._kept.pop(endpoint, None)
        if session is None:
            return
        until = now + limits.TLS_SESSION_SECONDS_MAX
        if tls.was_resumed:
            until = before.until if before is not None else now
        if len(self._kept) >= limits.TLS_SESSIONS_KEPT_MAX:
            del self._kept[next(iter(self._kept))]
        self._kept[endpoint] = _Kept(session, until)
