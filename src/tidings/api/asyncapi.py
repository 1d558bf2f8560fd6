"""The AsyncAPI 3.0 document: what is sent to subscribers, for tools that think in channels."""

from typing import Any, Final

from tidings.api.outbound import (
    HEADERS,
    HOPS_HEADER,
    HOPS_MEANING,
    JSON_MEDIA_TYPE,
    data_schema,
    event_body_schema,
    example_body,
)
from tidings.api.services import ApiSettings
from tidings.core.catalogue import CataloguedType

Object = dict[str, Any]

_SCHEMA_FORMAT: Final = "application/schema+json;version=draft-2020-12"
_CHANNEL: Final = "callbackUrl"
_ANY_EVENT: Final = "event"


def asyncapi_document(settings: ApiSettings, types: list[CataloguedType]) -> Object:
    """The document for the event types of the catalogue; without any, for events of all types."""
    described = {one.event_type: _described(one) for one in types} or {_ANY_EVENT: _any_event()}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Tidings",
            "version": settings.version,
            "description": "What is sent to the callback URL of a subscription, signed by Standard "
            "Webhooks.",
            "externalDocs": {"url": f"{settings.public_url}/docs"},
        },
        "defaultContentType": JSON_MEDIA_TYPE,
        "channels": {
            _CHANNEL: {
                "address": None,
                "description": "The callback URL that a subscription names.",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in described},
            }
        },
        "operations": {
            "deliver": {
                "action": "send",
                "channel": {"$ref": f"#/channels/{_CHANNEL}"},
                "summary": "Each event is sent to every subscription that wants it.",
                "bindings": {"http": {"method": "POST", "bindingVersion": "0.3.0"}},
            }
        },
        "components": {"messages": described},
    }


def _described(one: CataloguedType) -> Object:
    described: Object = {
        "name": one.event_type,
        "title": one.event_type,
        "contentType": JSON_MEDIA_TYPE,
        "headers": _headers(),
        "payload": _payload(event_body_schema(one.event_type, data_schema(one))),
    }
    if one.described.description is not None:
        described["description"] = one.described.description
    if one.described.deprecated:
        described["tags"] = [{"name": "deprecated"}]
    example = example_body(one)
    if example is not None:
        described["examples"] = [{"name": "example", "payload": example}]
    return described


def _any_event() -> Object:
    body = event_body_schema("", {"type": "object"})
    body["properties"]["eventType"] = {"type": "string"}
    return {
        "name": _ANY_EVENT,
        "title": "Any event",
        "contentType": JSON_MEDIA_TYPE,
        "headers": _headers(),
        "payload": _payload(body),
    }


def _headers() -> Object:
    return {
        "type": "object",
        "required": list(HEADERS),
        "properties": {
            name: {"type": "string", "description": text}
            for name, text in (HEADERS | {HOPS_HEADER: HOPS_MEANING}).items()
        },
    }


def _payload(schema: Object) -> Object:
    return {"schemaFormat": _SCHEMA_FORMAT, "schema": schema}
