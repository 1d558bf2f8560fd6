"""What receivers get, described for programs: headers, bodies and answers.

Once for any event, and once for each event type in the catalogue.
"""

from collections.abc import Mapping
from typing import Any, Final

from tidings.core import exact_json
from tidings.core.catalogue import CataloguedType
from tidings.core.event_schema import event_schema
from tidings.core.payload import CLOUDEVENTS_MEDIA_TYPE

Object = dict[str, Any]

JSON_MEDIA_TYPE: Final = "application/json"
CLOUDEVENTS: Final = CLOUDEVENTS_MEDIA_TYPE.partition(";")[0]
HEADERS: Final[dict[str, str]] = {
    "webhook-id": "The event's id: the same on every attempt, retry and replay.",
    "webhook-timestamp": "When this attempt was made, in seconds since 1970.",
    "webhook-signature": "`v1,` and an HMAC-SHA256 over id, timestamp and body in base64; "
    "one for each live secret, separated by spaces.",
}
HOPS_HEADER: Final = "webhook-hops"
HOPS_MEANING: Final = (
    "Only of an event that was published with it: how often the same was received from here and "
    "published anew. Who publishes because of this event passes it on."
)
_ANSWERS: Final[Mapping[str, str]] = {
    "2XX": "Delivered. The body of the answer does not matter.",
    "410": "Nothing more is wanted: the subscription is disabled.",
    "429": "Later, please: tried again, after `Retry-After` if it is given.",
    "default": "Not delivered: tried again by the retry policy.",
}
_STRING: Final[Object] = {"type": "string"}
_MOMENT: Final[Object] = {"type": "string", "format": "date-time"}
_ANY_EVENT: Final = "event"
_GENERIC_DATA: Final[Object] = {"type": "object"}


def described_deliveries(body: Object, types: list[CataloguedType]) -> Object:
    """The section `webhooks` of the OpenAPI document; `body` is the schema of any event."""
    described: Object = {
        _ANY_EVENT: {
            "post": _operation(
                "deliver-event",
                "An event, as it is sent to a subscription's callback URL",
                {
                    JSON_MEDIA_TYPE: {"schema": body},
                    CLOUDEVENTS: {"schema": cloudevent_schema(None, _GENERIC_DATA)},
                },
            )
        }
    }
    for one in types:
        operation = _operation(
            f"deliver-{one.event_type}", f"Events of the type {one.event_type}", _content(one)
        )
        if one.described.description is not None:
            operation["description"] = one.described.description
        if one.described.deprecated:
            operation["deprecated"] = True
        described[one.event_type] = {"post": operation}
    return described


def described_lifecycle(body: Object) -> Object:
    """What is sent of our own events; `body` is their schema."""
    return _operation(
        "deliver-lifecycle-event",
        "A lifecycle event, as it is sent to those who subscribe to `tidings.…`",
        {JSON_MEDIA_TYPE: {"schema": body}},
    )


def _operation(name: str, summary: str, content: Object) -> Object:
    return {
        "operationId": name,
        "summary": summary,
        **signed_request(content),
        "responses": {status: {"description": text} for status, text in _ANSWERS.items()},
    }


def signed_request(content: Object) -> Object:
    """What all requests to receivers have in common."""
    return {
        "security": [],
        "parameters": [
            {"name": name, "in": "header", "required": True, "schema": _STRING, "description": text}
            for name, text in HEADERS.items()
        ]
        + [
            {
                "name": HOPS_HEADER,
                "in": "header",
                "required": False,
                "schema": _STRING,
                "description": HOPS_MEANING,
            }
        ],
        "requestBody": {"required": True, "content": content},
    }


def _content(one: CataloguedType) -> Object:
    data = data_schema(one)
    content: Object = {
        JSON_MEDIA_TYPE: {"schema": event_body_schema(one.event_type, data)},
        CLOUDEVENTS: {"schema": cloudevent_schema(one.event_type, data)},
    }
    example = example_body(one)
    if example is not None:
        content[JSON_MEDIA_TYPE]["example"] = example
    return content


def data_schema(one: CataloguedType) -> Any:
    """The schema of an event type's data, written out so that it can stand anywhere."""
    if one.described.schema is None:
        return _GENERIC_DATA
    return event_schema(one.described.schema).inlined


def event_body_schema(event_type: str, data: Any) -> Object:
    """The schema of the body of an event of a type."""
    return {
        "type": "object",
        "required": ["eventId", "eventType", "occurredAt", "data"],
        "properties": {
            "eventId": _STRING,
            "eventType": {"type": "string", "const": event_type},
            "occurredAt": _MOMENT,
            "data": data,
        },
    }


def cloudevent_schema(event_type: str | None, data: Any) -> Object:
    """The same as a CloudEvent."""
    kind = _STRING if event_type is None else {"type": "string", "const": event_type}
    return {
        "type": "object",
        "required": ["specversion", "id", "source", "type", "time"],
        "properties": {
            "specversion": {"type": "string", "const": "1.0"},
            "id": _STRING,
            "source": {"type": "string", "format": "uri-reference"},
            "type": kind,
            "time": _MOMENT,
            "datacontenttype": {"type": "string", "const": JSON_MEDIA_TYPE},
            "data": data,
            "dataref": {"type": "string", "format": "uri-reference"},
        },
    }


def example_body(one: CataloguedType) -> Object | None:
    """An example of what is sent for an event type, if its publisher gave one."""
    if one.described.example is None:
        return None
    return {
        "eventId": "evt_567",
        "eventType": one.event_type,
        "occurredAt": "2024-05-04T12:00:00Z",
        "data": exact_json.decode(one.described.example),
    }
