"""A route: a method and a path, who may call it, and what may come of it.

What its endpoint takes and gives is read from the endpoint's own signature: a parameter `query`, a
parameter `body`, and the content of its `Answer`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, get_args, get_type_hints

import msgspec

from tidings.api.answers import Answer
from tidings.api.event_stream import EventStream
from tidings.api.problems import InternalError, Kind, NotAcceptable, RequestTimeout, status_of
from tidings.api.wire.queries import ListQuery, NoQuery
from tidings.core.refusals import (
    InvalidCursor,
    MalformedJson,
    MissingScope,
    NotFound,
    RateLimited,
    Refusal,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
    ValidationFailed,
    WrongTenant,
)
from tidings.operations.access import Scope

_CREATED: Final = 201
_OTHER_FORMS: Final = (EventStream, bytes, None)
Endpoint = Callable[..., Awaitable[Answer[Any]]]


@dataclass(frozen=True)
class Route:
    """One row of the table of routes.

    Without a `scope` the route is open to everybody; with `is_signable` also to who comes with an
    address that we signed, which the endpoint checks. `takes` and `gives` name the headers that it
    reads and adds; `refuses` are the refusals that do not follow from its shape. With `may_create`
    201 is answered where something is new.
    """

    method: str
    path: str
    scope: Scope | None
    endpoint: Endpoint
    status: int = 200
    takes: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()
    refuses: tuple[type[Refusal], ...] = ()
    is_signable: bool = False
    may_create: bool = False

    @cached_property
    def query_type(self) -> type[msgspec.Struct]:
        """What the query may hold."""
        kind: type[msgspec.Struct] = self._types.get("query", NoQuery)
        return kind

    @cached_property
    def body_type(self) -> type[msgspec.Struct] | None:
        """What the body holds; None where none is read."""
        return self._types.get("body")

    @cached_property
    def content_type(self) -> Any:
        """What the answer holds; None where it is empty."""
        (content,) = get_args(self._types["return"])
        return None if content is type(None) else content

    @cached_property
    def gives_json(self) -> bool:
        """Whether its answers hold JSON, which a client may not be willing to read."""
        return self.content_type not in _OTHER_FORMS

    @cached_property
    def parameters(self) -> frozenset[str]:
        """Which of query and body the endpoint wants."""
        return frozenset(self._types) & {"query", "body"}

    @cached_property
    def refusals(self) -> tuple[Kind, ...]:
        """Every no that the route may answer."""
        found: list[Kind] = [ValidationFailed, *self.refuses]
        if self.scope is not None:
            found += [Unauthorized, MissingScope, WrongTenant, RateLimited]
            if self.gives_json:
                found.append(NotAcceptable)
        if "{" in self.path:
            found.append(NotFound)
        if self.body_type is not None:
            found += [MalformedJson, RequestTimeout, TooLarge, UnsupportedMediaType]
        if issubclass(self.query_type, ListQuery):
            found.append(InvalidCursor)
        return (*dict.fromkeys(found), InternalError, Unavailable)

    @cached_property
    def statuses(self) -> frozenset[int]:
        """Every status that the route may answer."""
        created = {_CREATED} if self.may_create else set()
        return frozenset({self.status, *created, *map(status_of, self.refusals)})

    @cached_property
    def _types(self) -> dict[str, Any]:
        return get_type_hints(self.endpoint, include_extras=True)
