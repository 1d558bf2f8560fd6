"""A request and its answer outside of ASGI: what our server notes of it while it is under way."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from uvicorn.protocols.http.flow_control import FlowControl

from tidings.api.answers import Headers

_SCOPE: Final = {"method": "POST"}


class _Nobody:
    """Waits for nothing."""

    def set(self) -> None:
        """Tell nobody."""


_NOBODY: Final = _Nobody()


class Exchange:
    """Stands where uvicorn has a cycle of its own, with as much of it as is looked at."""

    __slots__ = (
        "body",
        "default_headers",
        "disconnected",
        "flow",
        "given",
        "keep_alive",
        "more_body",
        "on_response",
        "response_complete",
        "response_started",
        "tell",
        "waiting_for_100_continue",
    )

    scope = _SCOPE

    def __init__(
        self,
        given: Mapping[bytes, bytes],
        default_headers: list[tuple[bytes, bytes]],
        flow: FlowControl,
        on_response: Callable[[], None],
        tell: Callable[[int, Headers, bytes], Any],
    ) -> None:
        self.given = given
        self.body = b""
        self.more_body = True
        self.default_headers = default_headers
        self.flow = flow
        self.on_response = on_response
        self.tell = tell
        self.keep_alive = True
        self.disconnected = False
        self.response_started = False
        self.response_complete = False
        self.waiting_for_100_continue = False

    @property
    def message_event(self) -> _Nobody:
        """Who is told that more has come: all has."""
        return _NOBODY
