"""What the API says about itself: the OpenAPI document, and a page of it for people."""

from typing import Any, Final

from tidings.api.answers import Answer, Encoded
from tidings.api.call import Call

_HTML: Final = b"text/html; charset=utf-8"
_NOTHING_ELSE: Final = (
    b"content-security-policy",
    b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
)


async def openapi(call: Call) -> Answer[dict[str, Any]]:
    """The OpenAPI document of this API."""
    return Answer(Encoded(call.documentation.openapi))


async def page(call: Call) -> Answer[str]:
    """The documentation for people. It needs nothing from elsewhere."""
    return Answer(Encoded(call.documentation.page, _HTML), (_NOTHING_ELSE,))
