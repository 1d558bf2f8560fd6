"""A subscriber's own headers: what they may be and hold, so that they can change nothing else.

They are checked here, when they are given, because no HTTP client refuses all of this: some send a
second Transfer-Encoding, some let a custom Host replace the real one.
"""

import re
from collections.abc import Mapping
from typing import Final

from tidings.core import limits
from tidings.core.refusals import Fault

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_VALUE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?", re.ASCII)
_RESERVED: Final = frozenset(
    {
        "accept",
        "accept-charset",
        "accept-encoding",
        "connection",
        "content-digest",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "date",
        "expect",
        "forwarded",
        "host",
        "http2-settings",
        "keep-alive",
        "metadata",
        "metadata-flavor",
        "signature",
        "signature-input",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "via",
    }
)
_RESERVED_PREFIXES: Final = (
    "ce-",
    "proxy-",
    "sec-",
    "webhook-",
    "x-amz-",
    "x-aws-",
    "x-azure-",
    "x-forwarded-",
    "x-goog-",
    "x-google-",
    "x-metadata-",
    "x-ms-",
)


def custom_header_faults(headers: Mapping[str, str]) -> list[Fault]:
    """What is wrong with a subscriber's headers; nothing if they may be sent."""
    faults: list[Fault] = []
    if len(headers) > limits.CUSTOM_HEADERS_MAX:
        faults.append(Fault("/headers", f"at most {limits.CUSTOM_HEADERS_MAX} headers are allowed"))
    seen: set[str] = set()
    for name, value in headers.items():
        lowered = name.lower()
        detail = _name_fault(name, lowered) or _value_fault(value)
        if detail is None and lowered in seen:
            detail = "it is given twice; upper and lower case make no difference"
        if detail is not None:
            escaped = name.replace("~", "~0").replace("/", "~1")
            faults.append(Fault(f"/headers/{escaped}", detail))
        seen.add(lowered)
    return faults


def _name_fault(name: str, lowered: str) -> str | None:
    if not _NAME.fullmatch(name) or len(name) > limits.CUSTOM_HEADER_NAME_LENGTH_MAX:
        return "a header name is made of letters, digits and -, 128 characters at most"
    if lowered in _RESERVED or lowered.startswith(_RESERVED_PREFIXES):
        return "this header is ours or the network's and cannot be set"
    return None


def _value_fault(value: str) -> str | None:
    if len(value) > limits.CUSTOM_HEADER_VALUE_LENGTH_MAX:
        return f"a value has at most {limits.CUSTOM_HEADER_VALUE_LENGTH_MAX} characters"
    if not _VALUE.fullmatch(value):
        return "a value is visible ASCII, with spaces only inside"
    return None
