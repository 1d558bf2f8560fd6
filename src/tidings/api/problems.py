"""Problems: every way of saying no, as an HTTP status and ``application/problem+json``."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import UNSET

from tidings.api.answers import Headers, Response, encode
from tidings.api.wire.problems import Problem, ProblemPlace
from tidings.core.refusals import (
    Conflict,
    Forbidden,
    Invalid,
    Malformed,
    NotFound,
    Overloaded,
    PreconditionFailed,
    QuotaExceeded,
    Refusal,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
)

STATUSES: Final[Mapping[type[Refusal], int]] = {
    Malformed: 400,
    Unauthorized: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    PreconditionFailed: 412,
    TooLarge: 413,
    UnsupportedMediaType: 415,
    Invalid: 422,
    Overloaded: 429,
    Unavailable: 503,
}
"""The status of each refusal; the nearest of its bases counts."""

MEDIA_TYPE: Final = b"application/problem+json"
_CLOSE: Final = (b"connection", b"close")
_RETRY_AFTER_SECONDS: Final = 1


class HttpFault(Exception):
    """A no that only HTTP knows: it is about the request as such, not about what is asked."""

    status: int
    code: str
    title: str

    def __init__(self, detail: str, headers: Headers = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers = headers


class MethodNotAllowed(HttpFault):
    """The path is known, but not with this method."""

    status = 405
    code = "method_not_allowed"
    title = "Not possible with this method"


class NotAcceptable(HttpFault):
    """The client takes nothing of the form in which this is answered."""

    status = 406
    code = "not_acceptable"
    title = "Not to be had in another form"


class MalformedRequest(HttpFault):
    """What came is not HTTP/1.1 as RFC 9112 has it, or uses a method that nobody knows."""

    status = 400
    code = "malformed_request"
    title = "The request is not valid HTTP"


class HeadTooLarge(HttpFault):
    """The request line and the headers are more than is taken."""

    status = 431
    code = "head_too_large"
    title = "The headers are too large"


class RequestTimeout(HttpFault):
    """The body did not arrive in time."""

    status = 408
    code = "request_timeout"
    title = "The request took too long to arrive"


class TooSlow(HttpFault):
    """A stream was read too slowly and is cut off; it can be taken up where it ended."""

    status = 408
    code = "too_slow"
    title = "The stream was read too slowly"


class ForeignOrigin(HttpFault):
    """In development mode, a request that was not made to or from this computer."""

    status = 403
    code = "foreign_origin"
    title = "Only this computer is answered"


class InternalError(HttpFault):
    """A bug of ours."""

    status = 500
    code = "internal_error"
    title = "An error in Tidings"


Kind = type[Refusal] | type[HttpFault]
"""A way of saying no."""


def status_of(kind: Kind) -> int:
    """The HTTP status of a way of saying no."""
    if issubclass(kind, HttpFault):
        return kind.status
    return next(STATUSES[base] for base in kind.__mro__ if base in STATUSES)


def all_kinds() -> list[Kind]:
    """Every way of saying no, in the order of statuses and codes."""
    kinds = [*_leaves(Refusal), *_leaves(HttpFault)]
    return sorted(kinds, key=lambda kind: (status_of(kind), kind.code))


def _leaves(kind: type[Any]) -> list[type[Any]]:
    narrower = kind.__subclasses__()
    return [leaf for one in narrower for leaf in _leaves(one)] if narrower else [kind]


def _retry_after(refusal: Overloaded) -> Headers:
    """When to come again, if time alone will help."""
    seconds = refusal.retry_after_seconds
    if seconds is None and isinstance(refusal, QuotaExceeded):
        return ()
    return ((b"retry-after", b"%d" % (seconds or _RETRY_AFTER_SECONDS)),)


class Problems:
    """Writes problems. Each has a `type` that leads to its explanation in the documentation."""

    def __init__(self, public_url: str) -> None:
        self._types = f"{public_url}/docs#"

    def of(self, refusal: Refusal) -> Problem:
        """The problem that tells of a refusal."""
        errors = [
            ProblemPlace(pointer=fault.pointer, detail=fault.detail) for fault in refusal.faults
        ]
        return Problem(
            type=self._types + refusal.code,
            title=refusal.title,
            status=status_of(type(refusal)),
            detail=refusal.detail,
            code=refusal.code,
            errors=errors or UNSET,
            error_class=UNSET if refusal.error_class is None else refusal.error_class,
        )

    def answer(self, refusal: Refusal) -> Response:
        """The answer to a request that is refused."""
        headers: Headers = ()
        if isinstance(refusal, Unauthorized):
            headers = ((b"www-authenticate", b"Bearer"),)
        elif isinstance(refusal, TooLarge):
            headers = (_CLOSE,)
        elif isinstance(refusal, Overloaded):
            headers = _retry_after(refusal)
        problem = self.of(refusal)
        return Response(problem.status, encode(problem), MEDIA_TYPE, headers)

    def fault_of(self, fault: HttpFault) -> Problem:
        """The problem that tells of a fault."""
        return Problem(
            type=self._types + fault.code,
            title=fault.title,
            status=fault.status,
            detail=fault.detail,
            code=fault.code,
        )

    def fault(self, fault: HttpFault) -> Response:
        """The answer to a request that is wrong as such."""
        headers = fault.headers
        if isinstance(fault, RequestTimeout):
            headers = (*headers, _CLOSE)
        return Response(fault.status, encode(self.fault_of(fault)), MEDIA_TYPE, headers)
