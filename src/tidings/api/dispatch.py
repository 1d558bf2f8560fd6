"""From a request to its endpoint and back: what every route has in its way, in its order.

The key comes first, then its scope, then query and body; so nobody learns from an answer what they
may not ask for, and bytes of strangers are not parsed. All of it is decided here, once.
"""

import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from tidings.api.answers import Response
from tidings.api.authentication import Authenticator
from tidings.api.bodies import IS_WHOLE, BodyReader
from tidings.api.call import Call
from tidings.api.documentation import Documentation
from tidings.api.event_stream import EventStream
from tidings.api.faults import fault_of
from tidings.api.negotiation import takes_json
from tidings.api.problems import HttpFault, InternalError, NotAcceptable, Problems
from tidings.api.route import Route
from tidings.api.services import Services
from tidings.core import limits
from tidings.core.refusals import Refusal, Unavailable, ValidationFailed
from tidings.operations.access import EVERYBODY, Principal
from tidings.ports.store import StoreUnavailable

_LOG = logging.getLogger(__name__)
_ANYTHING = b"*/*"


class Operation:
    """A route made ready to be called."""

    def __init__(
        self,
        route: Route,
        services: Services,
        documentation: Documentation,
        authenticator: Authenticator,
        reader: BodyReader[Any] | None,
    ) -> None:
        self.services = services
        self.documentation = documentation
        self.reader = reader
        self._route = route
        self._authenticator = authenticator
        self._wants_query = "query" in route.parameters

    async def run(self, scope: Scope, receive: Receive) -> ASGIApp:
        """Answer a request. Raises what the endpoint refuses."""
        route = self._route
        headers: dict[bytes, bytes] = dict(scope["headers"])
        query_string: bytes = scope["query_string"]
        principal = self.admitted(headers, query_string)
        given: dict[str, Any] = {}
        if self._wants_query or query_string:
            query = decoded_query(query_string, route.query_type)
            if self._wants_query:
                given["query"] = query
        if self.reader is not None:
            is_whole: Any = (scope.get("extensions") or {}).get(IS_WHOLE)
            given["body"] = await self.reader.read(
                headers, receive, is_whole=is_whole is not None and is_whole()
            )
        path_text = next(iter(scope["path_params"].values()), "")
        call = Call(self.services, self.documentation, principal, headers, path_text)
        answer = await route.endpoint(call, **given)
        if isinstance(answer.content, EventStream):
            return answer.content
        return Response.of(route.status, answer)

    def admitted(self, headers: Mapping[bytes, bytes], query_string: bytes) -> Principal:
        """Who asks, if they may; raises if they may not, or would not take the answer."""
        route = self._route
        if route.scope is None or (route.is_signable and _is_signed(query_string)):
            return EVERYBODY
        principal = self._authenticator.principal(headers)
        principal.require(route.scope)
        accept = headers.get(b"accept", _ANYTHING)
        if accept != _ANYTHING and route.gives_json and not takes_json(accept):
            raise NotAcceptable("this is answered as application/json")
        return principal


def _is_signed(query_string: bytes) -> bool:
    """Whether an address claims to be signed; the endpoint finds out whether it is."""
    return any(part.startswith(b"signature=") for part in query_string.split(b"&"))


class Resource:
    """Everything that can be done at one path, as an ASGI application.

    What stands in front of it lets only methods through that are known here.
    """

    def __init__(self, operations: Mapping[str, Operation], problems: Problems) -> None:
        self._operations = dict(operations)
        if "GET" in self._operations:
            # The server leaves out the body.
            self._operations["HEAD"] = self._operations["GET"]
        self._problems = problems

    @property
    def methods(self) -> list[str]:
        """The methods that are known here."""
        return list(self._operations)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._respond(scope, receive)
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _respond(self, scope: Scope, receive: Receive) -> ASGIApp:
        try:
            return await self._operations[scope["method"]].run(scope, receive)
        except ClientDisconnect:
            raise
        except Exception as fault:  # noqa: BLE001 - a bug is answered too
            return response_to(fault, self._problems, scope["path"])


def response_to(fault: Exception, problems: Problems, path: str) -> Response:
    """The answer to a request that came to nothing. A bug is logged with its trace."""
    if isinstance(fault, Refusal):
        return problems.answer(fault)
    if isinstance(fault, HttpFault):
        return problems.fault(fault)
    if isinstance(fault, StoreUnavailable):
        _LOG.warning("the store is unavailable", exc_info=fault)
        return problems.answer(Unavailable("the database cannot be used at the moment"))
    _LOG.error("a request failed", exc_info=fault, extra={"path": path})
    return problems.fault(
        InternalError("something went wrong on our side; the log of the server tells what")
    )


def decoded_query(query_string: bytes, kind: type[msgspec.Struct]) -> msgspec.Struct:
    """The query parameters. Raises `ValidationFailed` for unknown, repeated and wrong ones."""
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=limits.QUERY_PARAMETERS_MAX,
        )
    except ValueError:
        raise ValidationFailed("the query cannot be read") from None
    given = dict(pairs)
    if len(given) != len(pairs):
        raise ValidationFailed("a query parameter is given twice")
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as fault:
        wrong = fault_of(fault)
        name = wrong.pointer.removeprefix("/")
        raise ValidationFailed(f"the query parameter {name} is not valid: {wrong.detail}") from None
