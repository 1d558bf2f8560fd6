"""Bringing an event to a receiver on this machine, signed as a delivery is."""

from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from tidings import __version__
from tidings.cli.output import refuse
from tidings.core import limits
from tidings.signing import UnusableSecret, key_of_secret, signature_header
from tidings.system import SystemClock

TIMEOUT_SECONDS: Final = limits.TIMEOUT_SECONDS_MAX


class Forwarder:
    """Sends events to one URL. Unlike a delivery, an event is sent once, whatever comes of it."""

    def __init__(self, url: str, secret: str) -> None:
        import httpx2

        self.url = _full_url(url)
        try:
            self._key = key_of_secret(secret)
        except UnusableSecret as fault:
            refuse(f"--secret: {fault}")
        self._clock = SystemClock()
        self._client = httpx2.Client(timeout=TIMEOUT_SECONDS, trust_env=False)
        # As a delivery has them, and no others.
        self._client.headers.clear()
        self._client.headers["Accept-Encoding"] = "identity"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _fault: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def forward(self, event_id: str, body: bytes, hops: int) -> int | str:
        """Send an event; answers the status that came back, or in words why none did."""
        import httpx2

        timestamp = self._clock.now_ms() // 1_000
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"Tidings/{__version__}",
            "webhook-id": event_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature_header([self._key], event_id, timestamp, body),
        }
        if hops:
            headers["webhook-hops"] = str(hops)
        try:
            with self._client.stream("POST", self.url, content=body, headers=headers) as answer:
                received = 0
                for piece in answer.iter_raw():
                    received += len(piece)
                    if received > limits.ANSWER_BODY_BYTES_READ_MAX:
                        break
                return answer.status_code
        except httpx2.ConnectError:
            return "nothing answers there"
        except httpx2.TimeoutException:
            return f"no answer within {TIMEOUT_SECONDS} seconds"
        except httpx2.TransportError as fault:
            return f"the connection broke: {fault}"


def _full_url(text: str) -> str:
    """The URL in what people type: ``localhost:3000/in`` too."""
    url = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url or not url.isprintable() or " " in url:
        refuse(f"--forward-to takes a URL such as http://127.0.0.1:3000/webhooks, not {text!r}")
    return url
