"""The way to a receiver: one request out, one answer back."""

from collections.abc import Callable
from typing import Protocol

import msgspec

from tidings.core.attempt import Answer


class OutboundRequest(msgspec.Struct, frozen=True, gc=False):
    """One POST. `headers` are complete but for Host and Content-Length.

    `timeout_seconds` is the total deadline: DNS, connecting, TLS, sending, status and headers;
    reading the body gets what is left of it. Requests share a connection only if they agree in
    `subscription_id` and `url`. When there is a connection at last, `may_leave` is asked whether
    the request is still to be sent, for whoever was held up.
    """

    subscription_id: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    timeout_seconds: float
    may_leave: Callable[[], bool] | None = None


class Transport(Protocol):
    """Sends a request once, and only once."""

    async def send(self, request: OutboundRequest) -> Answer:
        """Send and answer within the deadline, whatever the receiver does.

        A failure is an `Answer` too. Nothing is raised but for a bug of ours, no redirect is
        followed, nothing is decompressed, and no address is connected to that the address rules
        refuse.
        """
        ...

    def begin(
        self, request: OutboundRequest, on_answer: Callable[[Answer], None]
    ) -> Callable[[], None] | None:
        """Send a request that has to wait for nothing, as `send` would; nearly all are such.

        `on_answer` is called with the answer, once, perhaps before this returns. The answered
        function gives the request up: then it is not called any more. None says that something
        has to be waited for, such as a connection: nothing was sent, and `send` will do it.
        """
        ...
