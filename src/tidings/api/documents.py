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
    """The OpenAPI document of this API. Its webhooks are the catalogue of event types."""
    return Answer(Encoded(await call.documentation.openapi(call.services.catalogue)))


async def asyncapi(call: Call) -> Answer[dict[str, Any]]:
    """The AsyncAPI document: what is sent to subscribers."""
    return Answer(Encoded(await call.documentation.asyncapi(call.services.catalogue)))


async def page(call: Call) -> Answer[str]:
    """The documentation for people. It needs nothing from elsewhere."""
    page = await call.documentation.page(call.services.catalogue)
    return Answer(Encoded(page, _HTML), (_NOTHING_ELSE,))
