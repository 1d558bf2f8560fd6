"""The ways the platform says no, as one tree.

    Refusal
    ├── NotFound                    an unknown id of any shape, or another tenant's
    ├── Unauthorized                no key, or one that does not hold
    ├── Forbidden
    │   ├── MissingScope            the key may not do this
    │   └── WrongTenant             the key belongs to another tenant
    ├── Malformed
    │   ├── MalformedJson           the body is not the JSON we take
    │   └── InvalidCursor           the cursor is not ours, or belongs to another list
    ├── Invalid
    │   ├── ValidationFailed        well-formed, but a value is not allowed
    │   ├── CallbackUrlRefused      we will not call that address
    │   ├── IdempotencyKeyReused    the same key with other content
    │   └── NotAvailable            documented, but not built yet
    ├── Conflict
    │   ├── InvalidState            not possible in the state it is in
    │   ├── EventIdConflict         the same event id with other content
    │   ├── AttemptInFlight         one of its attempts is on its way
    │   └── TooManySecrets          the limit of live signing secrets is reached
    ├── PreconditionFailed          somebody else changed it first
    ├── TooLarge                    more bytes than we take
    ├── UnsupportedMediaType        not JSON
    └── Overloaded
        ├── RateLimited             too many requests in too short a time
        ├── QuotaExceeded           the tenant has used what it may
        └── Unavailable             we cannot do it now; try again

Each leaf has a code, the word that clients may rely on. How a code becomes an HTTP status stands
in `tidings.api.problems`; how it becomes an exit code, in `tidings.cli.output`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

__all__ = [
    "AttemptInFlight",
    "CallbackUrlRefused",
    "Conflict",
    "EventIdConflict",
    "Fault",
    "Forbidden",
    "IdempotencyKeyReused",
    "Invalid",
    "InvalidCursor",
    "InvalidState",
    "Malformed",
    "MalformedJson",
    "MissingScope",
    "NotAvailable",
    "NotFound",
    "Overloaded",
    "PreconditionFailed",
    "QuotaExceeded",
    "RateLimited",
    "Refusal",
    "TooLarge",
    "TooManySecrets",
    "Unauthorized",
    "Unavailable",
    "UnsupportedMediaType",
    "ValidationFailed",
    "WrongTenant",
]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a request: where (a JSON pointer) and what."""

    pointer: str
    detail: str


class Refusal(Exception):
    """The platform says no. `detail` tells a person what to do about it.

    `error_class` is set where a request to a receiver came to nothing, in the words of attempts.
    """

    code: ClassVar[str] = ""
    title: ClassVar[str] = ""

    def __init__(
        self,
        detail: str,
        *,
        faults: Sequence[Fault] = (),
        retry_after_seconds: int | None = None,
        error_class: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.faults = tuple(faults)
        self.retry_after_seconds = retry_after_seconds
        self.error_class = error_class


class NotFound(Refusal):
    """There is no such thing here."""

    code = "not_found"
    title = "Not found"


class Unauthorized(Refusal):
    """No valid API key came with the request."""

    code = "unauthorized"
    title = "A valid API key is needed"


class Forbidden(Refusal):
    """The key is valid but does not allow this."""


class MissingScope(Forbidden):
    """The key lacks the scope."""

    code = "missing_scope"
    title = "The API key lacks a scope"


class WrongTenant(Forbidden):
    """The key belongs to another tenant."""

    code = "wrong_tenant"
    title = "The API key belongs to another tenant"


class Malformed(Refusal):
    """The request cannot be read."""


class MalformedJson(Malformed):
    """The body is not JSON as RFC 8259 and I-JSON define it, or is nested too deeply."""

    code = "malformed_json"
    title = "The body is not valid JSON"


class InvalidCursor(Malformed):
    """The cursor was not made by this list."""

    code = "invalid_cursor"
    title = "The cursor is not valid here"


class Invalid(Refusal):
    """The request can be read but asks for something that is not allowed."""


class ValidationFailed(Invalid):
    """A value is missing, of the wrong type or out of bounds."""

    code = "validation_failed"
    title = "The request is not valid"


class CallbackUrlRefused(Invalid):
    """We will not call that address."""

    code = "callback_url_refused"
    title = "The callback URL is refused"


class IdempotencyKeyReused(Invalid):
    """The same Idempotency-Key came with other content before."""

    code = "idempotency_key_reused"
    title = "The Idempotency-Key was used for something else"


class NotAvailable(Invalid):
    """Documented, but this version cannot do it; nothing was stored."""

    code = "not_available"
    title = "Not available yet"


class Conflict(Refusal):
    """It does not fit the state that things are in."""


class InvalidState(Conflict):
    """Not possible in its present state."""

    code = "invalid_state"
    title = "Not possible in its present state"


class EventIdConflict(Conflict):
    """The event id is taken by an event with other content."""

    code = "event_id_conflict"
    title = "The event id is taken by another event"


class AttemptInFlight(Conflict):
    """One of its attempts is on its way."""

    code = "attempt_in_flight"
    title = "An attempt is in flight"


class TooManySecrets(Conflict):
    """The limit of live signing secrets is reached."""

    code = "too_many_secrets"
    title = "Too many live secrets"


class PreconditionFailed(Refusal):
    """The ETag in If-Match is not the present one."""

    code = "precondition_failed"
    title = "It was changed meanwhile"


class TooLarge(Refusal):
    """More bytes than we take."""

    code = "too_large"
    title = "The request is too large"


class UnsupportedMediaType(Refusal):
    """The body is not declared as JSON."""

    code = "unsupported_media_type"
    title = "The media type is not supported"


class Overloaded(Refusal):
    """Not now: the same request may succeed later."""


class RateLimited(Overloaded):
    """Too many requests in too short a time."""

    code = "rate_limited"
    title = "Too many requests"


class QuotaExceeded(Overloaded):
    """The tenant has used what it may."""

    code = "quota_exceeded"
    title = "A quota of the tenant is used up"


class Unavailable(Overloaded):
    """We cannot do it at the moment, through no fault of the request."""

    code = "unavailable"
    title = "Not possible at the moment"
