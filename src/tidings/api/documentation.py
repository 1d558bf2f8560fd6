"""What the API says about itself, for programs and for people: written once, when first asked."""

from collections.abc import Sequence
from functools import cached_property

from tidings.api.answers import encode
from tidings.api.docs_page import docs_page
from tidings.api.openapi import openapi_document
from tidings.api.route import Route
from tidings.api.services import ApiSettings


class Documentation:
    """The documents about these routes."""

    def __init__(self, routes: Sequence[Route], settings: ApiSettings) -> None:
        self._routes = routes
        self._settings = settings

    @cached_property
    def openapi(self) -> bytes:
        """The OpenAPI document."""
        return encode(openapi_document(self._routes, self._settings))

    @cached_property
    def page(self) -> bytes:
        """The page for people."""
        return docs_page(openapi_document(self._routes, self._settings))
