"""Event types of the catalogue on the wire."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tidings.api.wire.base import Page, Shown, ShownMoment, TenantBody
from tidings.core import limits
from tidings.core.catalogue import CataloguedType, Described, Validation
from tidings.core.timestamp import format_timestamp
from tidings.operations.catalogue import History

_SCHEMA = Meta(
    description="A JSON Schema (draft 2020-12) of the data. It refers to nothing outside of "
    "itself, and does not contain itself.",
    examples=[{"type": "object", "properties": {"orderId": {"type": "string"}}}],
    extra_json_schema={"type": ["object", "null"]},
)
_EXAMPLE = Meta(
    description="Data as they are published; they must fit the schema.",
    examples=[{"orderId": "or_12345"}],
    extra_json_schema={"type": ["object", "null"]},
)
_VALIDATION = Meta(
    description="What happens to published data that do not fit: nothing, a warning in log and "
    "metrics, or a refusal."
)


class PutEventTypeRequest(TenantBody):
    """What is said about an event type. What is left out, or null, gets its default."""

    description: Annotated[str, Meta(max_length=limits.DESCRIPTION_LENGTH_MAX)] | None = None
    schema: Annotated[msgspec.Raw, _SCHEMA] | UnsetType = UNSET
    example: Annotated[msgspec.Raw, _EXAMPLE] | UnsetType = UNSET
    validation: Annotated[Validation, _VALIDATION] | None = None
    deprecated: bool | None = None


class EventType(Shown):
    """An event type of the catalogue. `version` rises with each other schema."""

    event_type: str
    tenant_id: str
    description: str | None
    schema: Annotated[msgspec.Raw, _SCHEMA]
    example: Annotated[msgspec.Raw, _EXAMPLE]
    validation: Validation
    deprecated: bool
    version: int
    created_at: ShownMoment
    updated_at: ShownMoment


class EventTypeVersion(Shown):
    """A schema that an event type has, or had."""

    version: int
    schema: Annotated[msgspec.Raw, _SCHEMA]
    created_at: ShownMoment


class EventTypeWithVersions(EventType):
    """An event type with the schemas that it has had, newest first; the last 20 of them."""

    versions: list[EventTypeVersion]


class EventTypePage(Page[EventType]):
    """Event types, newest first."""


def described_of(body: PutEventTypeRequest) -> Described:
    """What the publisher says."""
    return Described(
        body.description,
        _text(body.schema),
        _text(body.example),
        body.validation or Validation.OFF,
        body.deprecated or False,
    )


def shown_type(one: CataloguedType) -> EventType:
    """An event type as it is answered."""
    described = one.described
    return EventType(
        event_type=one.event_type,
        tenant_id=one.tenant_id,
        description=described.description,
        schema=_raw(described.schema),
        example=_raw(described.example),
        validation=described.validation,
        deprecated=described.deprecated,
        version=one.version,
        created_at=format_timestamp(one.created_at_ms),
        updated_at=format_timestamp(one.updated_at_ms),
    )


def shown_type_history(history: History) -> EventTypeWithVersions:
    """An event type with its versions."""
    versions = [
        EventTypeVersion(
            version=one.version,
            schema=_raw(one.schema),
            created_at=format_timestamp(one.created_at_ms),
        )
        for one in history.versions
    ]
    shown = msgspec.structs.asdict(shown_type(history.present))
    return EventTypeWithVersions(**shown, versions=versions)


def _text(given: msgspec.Raw | UnsetType) -> str | None:
    text = "null" if given is UNSET else bytes(given).decode()
    return None if text == "null" else text


def _raw(text: str | None) -> msgspec.Raw:
    return msgspec.Raw((text or "null").encode())
