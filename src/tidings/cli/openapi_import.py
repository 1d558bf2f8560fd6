"""From the section `webhooks` of an OpenAPI 3.1 document to what the catalogue is told.

Pure: a document in, event types out. References to other parts of the document are taken along, so
that each schema stands by itself.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

_JSON_MEDIA_TYPE: Final = "application/json"
_REFERENCE: Final = "#/components/schemas/"
_ENVELOPE: Final = frozenset({"eventId", "eventType", "data"})


class NoWebhooks(Exception):
    """The document describes nothing that is sent."""


@dataclass(frozen=True)
class Imported:
    """An event type as a document describes it, or `fault`: why it is left out."""

    event_type: str
    description: str | None = None
    schema: Any = None
    example: Any = None
    deprecated: bool = False
    fault: str | None = None


def imported(document: Any) -> Iterator[Imported]:
    """The event types that a document tells of. Raises `NoWebhooks`."""
    section = document.get("webhooks") if isinstance(document, dict) else None
    if not isinstance(section, dict):
        raise NoWebhooks("it has no section `webhooks`; OpenAPI 3.1 has one")
    for name, item in section.items():
        operation = item.get("post") if isinstance(item, dict) else None
        if not isinstance(operation, dict):
            yield Imported(name, fault="it has no post operation")
            continue
        yield _event_type(name, operation, document)


def _event_type(name: str, operation: Mapping[str, Any], document: Mapping[str, Any]) -> Imported:
    content = _part(operation, "requestBody", "content")
    media: dict[str, Any] = next(
        (one for key, one in content.items() if key.startswith(_JSON_MEDIA_TYPE)), {}
    )
    schema, example = media.get("schema"), _example(media)
    envelope = _resolved(schema, document)
    members = envelope.get("properties") if isinstance(envelope, dict) else None
    if isinstance(members, dict) and members.keys() >= _ENVELOPE:
        if "const" not in _part(members, "eventType"):
            return Imported(name, fault="it stands for events of any type")
        schema = members["data"]
        example = example.get("data") if isinstance(example, dict) else None
    text = operation.get("description") or operation.get("summary")
    return Imported(
        name,
        description=text if isinstance(text, str) else None,
        schema=_standing_alone(schema, document) if isinstance(schema, dict) else None,
        example=example if isinstance(example, dict) else None,
        deprecated=operation.get("deprecated") is True,
    )


def _part(value: Any, *names: str) -> dict[str, Any]:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _example(media: Mapping[str, Any]) -> Any:
    if "example" in media:
        return media["example"]
    first = next(iter(_part(media, "examples").values()), None)
    return _part(first).get("value")


def _resolved(schema: Any, document: Mapping[str, Any]) -> Any:
    """A schema, or the one that it is a mere reference to."""
    name = _name(_part(schema).get("$ref"))
    return schema if name is None else _part(document, "components", "schemas").get(name)


def _name(reference: Any) -> str | None:
    if not isinstance(reference, str) or not reference.startswith(_REFERENCE):
        return None
    return reference.removeprefix(_REFERENCE)


def _standing_alone(schema: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with all parts of the document that it refers to, as definitions of its own."""
    parts = _part(document, "components", "schemas")
    wanted = list(_names(schema))
    definitions: dict[str, Any] = {}
    while wanted:
        name = wanted.pop()
        if name not in definitions and name in parts:
            definitions[name] = parts[name]
            wanted += _names(parts[name])
    alone = json.loads(json.dumps(schema).replace(_REFERENCE, "#/$defs/"))
    if not definitions:
        return dict(alone)
    moved = json.loads(json.dumps(definitions).replace(_REFERENCE, "#/$defs/"))
    return {**alone, "$defs": {**_part(alone, "$defs"), **moved}}


def _names(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        name = _name(schema.get("$ref"))
        if name is not None:
            yield name
        for inner in schema.values():
            yield from _names(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _names(inner)
