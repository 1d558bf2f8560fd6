"""What the API says about itself, for programs and for people: written when first asked.

The documents carry the catalogue of the tenant that everybody may read of, and of no other; they
are written anew when it has changed.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from tidings.api.asyncapi import asyncapi_document
from tidings.api.docs_page import docs_page
from tidings.api.openapi import openapi_document
from tidings.api.route import Route
from tidings.api.services import ApiSettings
from tidings.core.catalogue import CataloguedType
from tidings.operations.catalogue import Catalogue

# The numbers in schemas are exact, and stay numbers.
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode
_Write = Callable[[list[CataloguedType]], bytes]


class Documentation:
    """The documents about these routes."""

    def __init__(self, routes: Sequence[Route], settings: ApiSettings) -> None:
        self._routes = routes
        self._settings = settings
        self._revision = -1
        self._written: dict[str, bytes] = {}

    async def openapi(self, catalogue: Catalogue) -> bytes:
        """The OpenAPI document. Raises `StoreUnavailable`."""
        return await self._document(
            "openapi",
            catalogue,
            lambda types: _encode(openapi_document(self._routes, self._settings, types)),
        )

    async def asyncapi(self, catalogue: Catalogue) -> bytes:
        """The AsyncAPI document. Raises `StoreUnavailable`."""
        return await self._document(
            "asyncapi", catalogue, lambda types: _encode(asyncapi_document(self._settings, types))
        )

    async def page(self, catalogue: Catalogue) -> bytes:
        """The page for people. Raises `StoreUnavailable`."""
        return await self._document(
            "page",
            catalogue,
            lambda types: docs_page(openapi_document(self._routes, self._settings, types)),
        )

    async def _document(self, name: str, catalogue: Catalogue, write: _Write) -> bytes:
        revision = catalogue.revision
        if revision == self._revision and name in self._written:
            return self._written[name]
        written = write(await catalogue.list_open())
        if revision != self._revision:
            self._revision, self._written = revision, {}
        self._written[name] = written
        return written
