"""Which headers a subscriber may add to the requests made for it.

They are held to the grammar of RFC 9110 here, when they come in, because HTTP clients are not:
some send a header without a name, and a `Transfer-Encoding` beside the `Content-Length`.
"""

import re
from collections.abc import Mapping
from typing import Final

from tidings.core import limits
from tidings.core.refusals import Fault

_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE: Final = re.compile(r"(?:[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)?")

# What makes up the request itself, what we sign and send, and what proxies and clouds believe.
_RESERVED: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-digest",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "cookie2",
        "date",
        "expect",
        "forwarded",
        "host",
        "http2-settings",
        "keep-alive",
        "metadata",
        "metadata-flavor",
        "proxy",
        "signature",
        "signature-input",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "via",
        "x-http-method-override",
        "x-original-url",
        "x-real-ip",
        "x-rewrite-url",
    }
)
_RESERVED_PREFIXES: Final = (
    "ce-",
    "proxy-",
    "webhook-",
    "x-amz-",
    "x-aws-",
    "x-azure-",
    "x-forwarded-",
    "x-goog-",
    "x-google-",
)


def custom_header_faults(headers: Mapping[str, str]) -> list[Fault]:
    """What is wrong with a subscriber's headers; nothing, if they may be sent."""
    if len(headers) > limits.CUSTOM_HEADERS_MAX:
        return [Fault("/headers", f"at most {limits.CUSTOM_HEADERS_MAX} headers are allowed")]
    faults = []
    seen: set[str] = set()
    for name, value in headers.items():
        fault = _name_fault(name, seen) or _value_fault(value)
        if fault is not None:
            faults.append(Fault(_pointer(name), fault))
        seen.add(name.lower())
    return faults


def _name_fault(name: str, seen: set[str]) -> str | None:
    if not _NAME.fullmatch(name) or len(name) > limits.CUSTOM_HEADER_NAME_LENGTH_MAX:
        return (
            f"a header name has 1 to {limits.CUSTOM_HEADER_NAME_LENGTH_MAX} letters, digits"
            " and !#$%&'*+-.^_`|~"
        )
    lowered = name.lower()
    # CGI and WSGI know no difference between `-` and `_`, so neither may we.
    spelled = lowered.replace("_", "-")
    if spelled in _RESERVED or spelled.startswith(_RESERVED_PREFIXES):
        return "this header is not for subscribers to set"
    if lowered in seen:
        return "this header is given twice: names differ in more than upper and lower case"
    return None


def _value_fault(value: str) -> str | None:
    if len(value) > limits.CUSTOM_HEADER_VALUE_LENGTH_MAX:
        return f"a header value has at most {limits.CUSTOM_HEADER_VALUE_LENGTH_MAX} characters"
    if not _VALUE.fullmatch(value):
        return "a header value is visible ASCII, with spaces and tabs only in between"
    return None


def _pointer(name: str) -> str:
    """The JSON pointer to a header (RFC 6901)."""
    return "/headers/" + name.replace("~", "~0").replace("/", "~1")
