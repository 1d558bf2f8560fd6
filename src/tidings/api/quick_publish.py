"""The publish of one event without ASGI and without a task: most of what a busy server does.

It does what the route does, by the same functions in the same order, for a request that has arrived
whole. What would have to wait for anything but the commit takes the usual way.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from tidings.api.answers import Headers, Response
from tidings.api.authentication import foreign_part
from tidings.api.call import Call
from tidings.api.dispatch import Operation, response_to
from tidings.api.problems import ForeignOrigin, Problems
from tidings.api.publishing import accepted_answer, publication_of
from tidings.core.event import Accepted

METHOD: Final = b"POST"
URL: Final = b"/events"
STATUS: Final = 202
Tell = Callable[[int, Headers, bytes], None]


class QuickPublish:
    """Begins publishes; `tell` gets status, headers and body of each answer, once."""

    def __init__(self, operation: Operation, problems: Problems, *, is_dev: bool) -> None:
        self._operation = operation
        self._publisher = operation.services.publisher
        self._problems = problems
        self._is_dev = is_dev

    def takes(self, method: bytes, url: bytes) -> bool:
        """Whether a request is a publish that has to wait for nothing but its commit."""
        return url == URL and method == METHOD and not self._publisher.is_checking

    def begin(self, headers: Mapping[bytes, bytes], body: bytes, tell: Tell) -> None:
        """Publish what stands in a body that is whole."""
        operation = self._operation
        assert operation.reader is not None
        try:
            if self._is_dev:
                why = foreign_part(headers.get(b"host", b""), headers.get(b"origin"))
                if why is not None:
                    _tell(self._problems.fault(ForeignOrigin(why)), tell)
                    return
            principal = operation.admitted(headers, b"")
            event = operation.reader.read_whole(headers, body)
            call = Call(operation.services, operation.documentation, principal, headers, "")
            publication = publication_of(event, principal, call.idempotency_key, call.hops)
            self._publisher.begin(publication, partial(self._published, call, tell))
        except Exception as fault:  # noqa: BLE001 - told apart there
            self._refuse(fault, tell)

    def _published(self, call: Call, tell: Tell, result: Accepted | Exception) -> None:
        if isinstance(result, Exception):
            self._refuse(result, tell)
        else:
            _tell(Response.of(STATUS, accepted_answer(call, result)), tell)

    def _refuse(self, fault: Exception, tell: Tell) -> None:
        _tell(response_to(fault, self._problems, URL.decode()), tell)


def _tell(response: Response, tell: Tell) -> None:
    tell(response.status, response.wire_headers, response.body)
