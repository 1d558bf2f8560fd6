"""The OpenAPI 3.1 document, generated from the table of routes and the types on the wire.

Nothing is described twice: what a route takes and gives is its endpoint's signature, what a member
may hold is the type that decodes it, and what an operation does is its endpoint's docstring.
"""

import inspect
import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, Final

import msgspec

from tidings.api.bodies import JSON, MERGE_PATCH, may_be_left_out
from tidings.api.event_stream import EventStream
from tidings.api.outbound import described_deliveries, described_lifecycle, signed_request
from tidings.api.problems import MEDIA_TYPE, Kind, all_kinds, status_of
from tidings.api.route import Route
from tidings.api.services import ApiSettings
from tidings.api.wire.events import PublishEventRequest, WebhookEvent
from tidings.api.wire.lifecycle import LifecycleEvent
from tidings.api.wire.problems import Problem
from tidings.api.wire.verification import Challenge, VerificationEvent
from tidings.core.catalogue import CataloguedType

Object = dict[str, Any]

_REFERENCE: Final = "#/components/schemas/{name}"
_SECURITY: Final = "apiKey"
_SIGNED: Final = "signedAddress"
_PLAIN_CONTENT: Final[dict[Any, str]] = {
    bytes: "text/plain",
    str: "text/html",
    EventStream: "text/event-stream",
}
_STRING: Final[Object] = {"type": "string"}

_HEADERS: Final[dict[str, str]] = {
    "Idempotency-Key": "Names the request, so that a repeat has no further effect.",
    "webhook-hops": "For an event that tells what was received from here: the `webhook-hops` that "
    "came with it, or `0` if none did. It counts how far events travel, to end circles.",
    "Last-Event-ID": "The `id` of the last frame that was read, to go on behind it.",
    "If-Match": "The ETag that the subscription must still have.",
    "Location": "Where it can be looked up; begins with the public URL of this server.",
    "ETag": "The version of the subscription, for `If-Match`.",
    "Idempotent-Replay": "`true` on the answer to a repeat.",
    "WWW-Authenticate": "`Bearer`.",
    "Retry-After": "After how many seconds a repeat makes sense.",
}
_REFUSAL_HEADERS: Final = {401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}


def openapi_document(
    routes: Sequence[Route], settings: ApiSettings, types: Sequence[CataloguedType] = ()
) -> Object:
    """The document for these routes, with what is sent for these event types."""
    schemas = _Schemas(routes)
    paths: Object = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tidings",
            "version": settings.version,
            "description": "Webhooks: subscribe, publish, deliver, retry, replay.",
        },
        "servers": [{"url": settings.public_url}],
        "paths": paths,
        "webhooks": {
            "verification": {"post": _verification(schemas)},
            "lifecycle": {"post": described_lifecycle(schemas.reference(LifecycleEvent))},
            **described_deliveries(schemas.reference(WebhookEvent), list(types)),
        },
        "components": {
            "schemas": schemas.components,
            "securitySchemes": {
                _SECURITY: {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key. What each operation needs stands as its role.",
                },
                _SIGNED: {
                    "type": "apiKey",
                    "in": "query",
                    "name": "signature",
                    "description": "An address that Tidings made, such as `dataUrl`, as it is.",
                },
            },
        },
    }


class _Schemas:
    """The schemas of all types on the wire, made at once so that they share their parts."""

    def __init__(self, routes: Sequence[Route]) -> None:
        kinds = [PublishEventRequest, Problem, WebhookEvent, LifecycleEvent]
        kinds += [VerificationEvent, Challenge]
        queries = [route.query_type for route in routes]
        bodies = [route.body_type for route in routes if route.body_type is not None]
        answers = [route.content_type for route in routes if _is_json(route.content_type)]
        self._kinds = list(dict.fromkeys([*kinds, *queries, *bodies, *answers]))
        found, components = msgspec.json.schema_components(self._kinds, ref_template=_REFERENCE)
        self._found = dict(zip(self._kinds, found, strict=True))
        self._queries = {query: components.pop(query.__name__) for query in dict.fromkeys(queries)}
        code = components["Problem"]["properties"]["code"]
        code["enum"] = sorted(kind.code for kind in all_kinds())
        self.components = dict(sorted(components.items()))

    def reference(self, kind: Any) -> Object:
        """The schema of a type, by reference."""
        found: Object = self._found[kind]
        return found

    def parameters(self, query: type[msgspec.Struct]) -> list[Object]:
        """The query parameters that a type stands for."""
        return [
            {"name": name, "in": "query", "required": False, **_described(schema)}
            for name, schema in self._queries[query]["properties"].items()
        ]


def _is_json(content: Any) -> bool:
    return content is not None and content not in _PLAIN_CONTENT


def _operation(route: Route, schemas: _Schemas) -> Object:
    summary, _, more = (inspect.getdoc(route.endpoint) or "").partition("\n\n")
    operation: Object = {
        "operationId": _operation_id(route),
        "tags": [route.path.split("/")[1]],
        "summary": summary.rstrip("."),
    }
    if more:
        operation["description"] = more
    operation["security"] = [] if route.scope is None else [{_SECURITY: [route.scope.value]}]
    if route.is_signable:
        operation["security"].append({_SIGNED: []})
    parameters = [
        *(_parameter(name, "path") for name in re.findall(r"{(\w+)}", route.path)),
        *schemas.parameters(route.query_type),
        *(_parameter(name, "header") for name in route.takes),
    ]
    if parameters:
        operation["parameters"] = parameters
    if route.body_type is not None:
        operation["requestBody"] = _request_body(route, schemas)
    operation["responses"] = _responses(route, schemas)
    return operation


def _operation_id(route: Route) -> str:
    words = re.findall(r"\w+", route.path)
    return "-".join((route.method.lower(), *words))


def _parameter(name: str, place: str) -> Object:
    found: Object = {"name": name, "in": place, "required": place == "path", "schema": _STRING}
    if name in _HEADERS:
        found["description"] = _HEADERS[name]
    return found


def _described(schema: Object) -> Object:
    """A schema with its description beside it, where people look for it."""
    inner = dict(schema)
    description = inner.pop("description", None)
    return {"schema": inner} | ({"description": description} if description else {})


def _request_body(route: Route, schemas: _Schemas) -> Object:
    body_type = route.body_type
    assert body_type is not None
    media_types = [JSON, MERGE_PATCH] if route.method == "PATCH" else [JSON]
    content = {"schema": schemas.reference(body_type)}
    return {
        "required": not may_be_left_out(body_type),
        "content": {media_type.decode(): content for media_type in media_types},
    }


def _responses(route: Route, schemas: _Schemas) -> Object:
    responses: Object = {str(route.status): _success(route, schemas)}
    if route.may_create:
        responses["201"] = _success(route, schemas) | {"description": "It is new."}
    by_status = sorted(route.refusals, key=status_of)
    for status, kinds in groupby(by_status, key=status_of):
        responses[str(status)] = _refusal(status, kinds, schemas)
    return responses


def _success(route: Route, schemas: _Schemas) -> Object:
    content = route.content_type
    response: Object = {"description": "Done." if content is None else "As asked."}
    if route.gives:
        response["headers"] = {name: _header(name) for name in route.gives}
    if _is_json(content):
        response["content"] = {JSON.decode(): {"schema": schemas.reference(content)}}
    elif content is not None:
        response["content"] = {_PLAIN_CONTENT[content]: {"schema": _STRING}}
    return response


def _refusal(status: int, kinds: Iterable[Kind], schemas: _Schemas) -> Object:
    meanings = [f"`{kind.code}`: {_first_line(kind)}" for kind in kinds]
    response: Object = {
        "description": "\n".join(meanings),
        "content": {MEDIA_TYPE.decode(): {"schema": schemas.reference(Problem)}},
    }
    if status in _REFUSAL_HEADERS:
        name = _REFUSAL_HEADERS[status]
        response["headers"] = {name: _header(name)}
    return response


def _first_line(kind: Kind) -> str:
    return (inspect.getdoc(kind) or "").split("\n", 1)[0]


def _header(name: str) -> Object:
    return {"description": _HEADERS[name], "schema": _STRING}


def _verification(schemas: _Schemas) -> Object:
    """What an endpoint gets that shall prove that it wants events."""
    said_back = {
        JSON.decode(): {"schema": schemas.reference(Challenge)},
        "text/plain": {"schema": _STRING},
    }
    return {
        "operationId": "verify-endpoint",
        "summary": "A challenge, as `POST …/verify` has it sent to a subscription's callback URL",
        **signed_request({JSON.decode(): {"schema": schemas.reference(VerificationEvent)}}),
        "responses": {
            "2XX": {"description": "Proven, if it says the challenge back.", "content": said_back},
            "default": {"description": "Not proven: nothing changes."},
        },
    }
