"""What came back, in our words: the kept part of an answer, or why there was none."""

import errno
import logging
import ssl
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from tidings.core import limits
from tidings.core.attempt import Answer, ErrorClass
from tidings.core.egress_proxy import OUR_WAY_OUT
from tidings.transport.guarded_socket import AddressRefused
from tidings.transport.resolving import NameNotResolved

_LOG = logging.getLogger(__name__)

HIDDEN: Final = "[hidden]"
_RETRY_AFTER_LENGTH_MAX: Final = 64

# What helps a person to understand an answer, or to find the request in the receiver's records.
_KEPT_HEADERS: Final = frozenset(
    {
        b"age",
        b"allow",
        b"apigw-requestid",
        b"cache-control",
        b"cf-ray",
        b"connection",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"correlation-id",
        b"date",
        b"etag",
        b"fly-request-id",
        b"location",
        b"ratelimit",
        b"ratelimit-limit",
        b"ratelimit-policy",
        b"ratelimit-remaining",
        b"ratelimit-reset",
        b"request-id",
        b"retry-after",
        b"server",
        b"server-timing",
        b"traceparent",
        b"transfer-encoding",
        b"upgrade",
        b"vary",
        b"via",
        b"x-amz-cf-id",
        b"x-amz-request-id",
        b"x-amzn-requestid",
        b"x-amzn-trace-id",
        b"x-azure-ref",
        b"x-cache",
        b"x-cloud-trace-context",
        b"x-correlation-id",
        b"x-envoy-upstream-service-time",
        b"x-github-request-id",
        b"x-ms-request-id",
        b"x-powered-by",
        b"x-ratelimit-limit",
        b"x-ratelimit-remaining",
        b"x-ratelimit-reset",
        b"x-request-id",
        b"x-served-by",
        b"x-trace-id",
        b"x-vercel-id",
    }
)
# That these came is worth knowing; what they hold is between the receiver and nobody else.
_HIDDEN_HEADERS: Final = frozenset(
    {
        b"authentication-info",
        b"authorization",
        b"cookie",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"set-cookie",
        b"set-cookie2",
        b"www-authenticate",
    }
)


def answer_of(status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> Answer:
    """The kept part of an answer."""
    kept: list[tuple[str, str]] = []
    retry_after = None
    for raw_name, raw_value in headers:
        name = raw_name.lower()
        if name in _KEPT_HEADERS:
            value = _readable(raw_value)
            if retry_after is None and name == b"retry-after":
                retry_after = value[:_RETRY_AFTER_LENGTH_MAX]
        elif name in _HIDDEN_HEADERS:
            value = HIDDEN
        else:
            continue
        if len(kept) < limits.ANSWER_HEADERS_KEPT_MAX:
            kept.append((name.decode("ascii"), value))
    return Answer(status_code=status, headers=tuple(kept), body=body, retry_after=retry_after)


def _readable(raw: bytes) -> str:
    """A header's value as text that can be stored and logged: no control characters, not long."""
    text = raw[: limits.ANSWER_HEADER_VALUE_LENGTH_MAX].decode("utf-8", "replace")
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)


# --- why there was no answer ---------------------------------------------------------------------


class AnswerTooLong(Exception):
    """More came than is taken of one answer."""


class WayOutFailed(Exception):
    """Our own network does not let us out; what happened is for our log alone."""


class TunnelRefused(Exception):
    """Our way out works, but does not lead to this receiver."""

    def __init__(self, error_class: ErrorClass, detail: str) -> None:
        super().__init__(detail)
        self.error_class = error_class


NONSENSE: Final = Answer(error_class=ErrorClass.PROTOCOL, error_detail="the answer is not HTTP/1.1")
SPOKE_UNASKED: Final = Answer(
    error_class=ErrorClass.PROTOCOL, error_detail="something came before there was a request"
)
_RESET: Final = (ErrorClass.CONNECTION_RESET, "the connection was closed before an answer")
_UNREACHABLE: Final = (ErrorClass.CONNECTION_REFUSED, "the address cannot be reached")
_OUT_OF_RESOURCES: Final = (ErrorClass.INTERNAL, "Tidings has no sockets or memory left")
_OS_FAULTS: Final[Mapping[int, tuple[ErrorClass, str]]] = {
    errno.ECONNREFUSED: (ErrorClass.CONNECTION_REFUSED, "the connection was refused"),
    errno.ETIMEDOUT: (ErrorClass.TIMEOUT, "the address did not react"),
    errno.EACCES: _UNREACHABLE,
    errno.EHOSTDOWN: _UNREACHABLE,
    errno.EHOSTUNREACH: _UNREACHABLE,
    errno.ENETDOWN: _UNREACHABLE,
    errno.ENETUNREACH: _UNREACHABLE,
    # Ours, not the receiver's: these cost the subscriber no attempt.
    errno.EADDRNOTAVAIL: _OUT_OF_RESOURCES,
    errno.EMFILE: _OUT_OF_RESOURCES,
    errno.ENFILE: _OUT_OF_RESOURCES,
    errno.ENOBUFS: _OUT_OF_RESOURCES,
    errno.ENOMEM: _OUT_OF_RESOURCES,
}
# The first that fits counts. Without a detail here, the fault's own text is fit to be shown.
_FAULTS: Final[Sequence[tuple[type[BaseException], ErrorClass, str | None]]] = (
    (AddressRefused, ErrorClass.BLOCKED_ADDRESS, None),
    (NameNotResolved, ErrorClass.DNS, None),
    (AnswerTooLong, ErrorClass.PROTOCOL, None),
    (WayOutFailed, ErrorClass.INTERNAL, OUR_WAY_OUT),
)
# What OpenSSL says of a certificate that it does not accept (X509_V_ERR_*).
_CERTIFICATE_FAULTS: Final = {
    9: "the certificate is not valid yet",
    10: "the certificate has expired",
    18: "the certificate is self-signed",
    19: "the certificate chain ends in a self-signed certificate that is not trusted",
    20: "the certificate is not signed by an authority that is trusted, or its chain is incomplete",
    21: "the certificate is not signed by an authority that is trusted, or its chain is incomplete",
    62: "the certificate is for another host name",
    64: "the certificate is for another address",
}


def answer_of_deadline(seconds: float) -> Answer:
    """The deadline passed before there was a status."""
    return Answer(error_class=ErrorClass.TIMEOUT, error_detail=f"no answer within {seconds:g} s")


def answer_of_fault(fault: Exception) -> Answer:
    """Why there was no answer, in words that tell nothing about our side of the network."""
    for kind, error_class, detail in _FAULTS:
        if isinstance(fault, kind):
            return Answer(error_class=error_class, error_detail=detail or str(fault))
    if isinstance(fault, TunnelRefused):
        return Answer(error_class=fault.error_class, error_detail=str(fault))
    if isinstance(fault, ssl.SSLCertVerificationError):
        detail = _CERTIFICATE_FAULTS.get(fault.verify_code, "the certificate is not accepted")
        return Answer(error_class=ErrorClass.TLS, error_detail=detail)
    if isinstance(fault, ssl.SSLError):
        return Answer(error_class=ErrorClass.TLS, error_detail="the TLS handshake failed")
    if isinstance(fault, OSError):
        error_class, detail = _OS_FAULTS.get(fault.errno or 0, _RESET)
        return Answer(error_class=error_class, error_detail=detail)
    # Not `internal`: nobody shall get attempts for nothing by confusing us.
    _LOG.warning("an answer could not be read", exc_info=fault)
    return Answer(error_class=ErrorClass.PROTOCOL, error_detail="the answer could not be read")
