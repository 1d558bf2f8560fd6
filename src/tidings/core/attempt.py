"""What an answer means, and whose fault it was."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec


class Outcome(StrEnum):
    """What an attempt means for its delivery and its endpoint."""

    DELIVERED = "delivered"
    FAILED = "failed"
    THROTTLED = "throttled"
    GONE = "gone"
    BLOCKED = "blocked"
    OUR_FAULT = "our_fault"


class ErrorClass(StrEnum):
    """Where an attempt broke, in words that tell a subscriber nothing about our network."""

    TIMEOUT = "timeout"
    CONNECTION_REFUSED = "connection_refused"
    CONNECTION_RESET = "connection_reset"
    DNS = "dns"
    TLS = "tls"
    PROTOCOL = "protocol"
    HTTP_STATUS = "http_status"
    BLOCKED_ADDRESS = "blocked_address"
    INTERNAL = "internal"


THROTTLING_STATUSES: Final = frozenset({429, 502, 503, 504})
HOLDING_STATUSES: Final = frozenset({429, 503})
"""With `Retry-After`, these hold back everything for the endpoint, not this delivery alone."""
_OUTCOMES_WITHOUT_ANSWER: Final[Mapping[ErrorClass | None, Outcome]] = {
    ErrorClass.INTERNAL: Outcome.OUR_FAULT,
    ErrorClass.BLOCKED_ADDRESS: Outcome.BLOCKED,
}
_GONE: Final = 410
_STATUS_MIN: Final = 200
_STATUS_MAX: Final = 599


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What came back from a receiver, or what stood in the way.

    Without `status_code` there was no answer and `error_class` says why. `headers` are the kept
    part, names in lower case; `body` is the kept part of the body.
    """

    status_code: int | None = None
    error_class: ErrorClass | None = None
    error_detail: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    retry_after: str | None = None


class Attempt(msgspec.Struct, frozen=True, gc=False):
    """One request made for a delivery and what came of it: a record that never changes.

    `number` counts the delivery's attempts from 1 over all its rounds. `sent_by` is the version
    that sent it, `custom_header_names` the subscriber's own headers that went along.
    """

    attempt_id: str
    delivery_id: str
    round: int
    number: int
    started_at_ms: int
    duration_ms: int
    outcome: Outcome
    status_code: int | None
    error_class: ErrorClass | None
    error_detail: str | None
    sent_by: str
    custom_header_names: tuple[str, ...]
    response_headers: tuple[tuple[str, str], ...]
    response_body: bytes


def outcome_of(answer: Answer) -> Outcome:
    """What an answer means. Only the status line counts, whatever the body did afterwards."""
    status = answer.status_code
    if status is None:
        return _OUTCOMES_WITHOUT_ANSWER.get(answer.error_class, Outcome.FAILED)
    if _STATUS_MIN <= status < 300:  # noqa: PLR2004 - the class of success
        return Outcome.DELIVERED
    if status == _GONE:
        return Outcome.GONE
    if status in THROTTLING_STATUSES:
        return Outcome.THROTTLED
    return Outcome.FAILED


def error_class_of(answer: Answer) -> ErrorClass | None:
    """The error class that an answer is recorded with; None for success."""
    if answer.error_class is not None:
        return answer.error_class
    if outcome_of(answer) is Outcome.DELIVERED:
        return None
    assert answer.status_code is not None
    is_http = _STATUS_MIN <= answer.status_code <= _STATUS_MAX
    return ErrorClass.HTTP_STATUS if is_http else ErrorClass.PROTOCOL
