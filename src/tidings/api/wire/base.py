"""The bases of all that goes over the wire, and the texts and numbers that recur in it."""

from typing import Annotated, Final, Generic, TypeVar

import msgspec
from msgspec import Meta

from tidings.core import limits
from tidings.core.refusals import Fault, ValidationFailed
from tidings.core.timestamp import format_timestamp

T = TypeVar("T")


class Body(msgspec.Struct, gc=False, rename="camel", forbid_unknown_fields=True):
    """The body of a request. Unknown members are refused."""


class Query(msgspec.Struct, gc=False, rename="camel", forbid_unknown_fields=True):
    """The query parameters of a request. Unknown ones are refused."""


class Shown(msgspec.Struct, rename="camel"):
    """An answer, or a part of one. What has no value is `null`, so that the shape never changes."""


class Page(Shown, Generic[T]):
    """A part of a list, newest first."""

    items: list[T]
    next_cursor: Annotated[
        str | None, Meta(description="Where the next page begins; null on the last one.")
    ]


PUBLIC_ID_PATTERN: Final = "^[A-Za-z0-9_-]{1,128}$"
_MOMENT: Final = {"format": "date-time"}

PublicId = Annotated[
    str, Meta(extra_json_schema={"pattern": PUBLIC_ID_PATTERN, "minLength": 1, "maxLength": 128})
]
OwnerId = Annotated[
    str,
    Meta(
        extra_json_schema={
            "pattern": r"^([A-Za-z0-9_-]{1,128}|\*)$",
            "minLength": 1,
            "maxLength": 128,
        }
    ),
]
Moment = Annotated[
    str,
    Meta(
        max_length=64,
        description="RFC 3339 with an offset.",
        examples=["2024-05-04T12:00:00Z"],
        extra_json_schema=_MOMENT,
    ),
]
ShownMoment = Annotated[str, Meta(description="In UTC.", extra_json_schema=_MOMENT)]
EventType = Annotated[
    str,
    Meta(
        max_length=limits.EVENT_TYPE_LENGTH_MAX,
        description="Segments of letters, digits, _ and -, separated by dots.",
        examples=["order.shipped"],
        extra_json_schema={
            "minLength": 1,
            "pattern": r"^(?!tidings(\.|$))[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$",
        },
    ),
]
Patterns = Annotated[
    str,
    Meta(
        max_length=limits.PATTERNS_LENGTH_MAX,
        description="Up to 20 event type patterns, separated by commas. A segment may be `*`: one "
        "segment, as the last one or more, alone every event type.",
        examples=["order.shipped"],
        extra_json_schema={"minLength": 1},
    ),
]
Secret = Annotated[
    str,
    Meta(
        max_length=256,
        description="`whsec_` and 24 to 64 bytes in base64, or any 8 to 256 visible ASCII "
        "characters, which then are the key themselves.",
        examples=["whsec_abc123"],
        extra_json_schema={"minLength": 8, "pattern": r"^[\x21-\x7e]+$"},
    ),
]
JsonObject = Annotated[
    msgspec.Raw,
    Meta(description="Any JSON object.", extra_json_schema={"type": "object"}),
]


def data_object(given: msgspec.Raw) -> bytes:
    """The data of an event, byte for byte. Raises `ValidationFailed` for what is no object."""
    data = bytes(given)
    if not data.startswith(b"{"):
        raise ValidationFailed(
            "the body is not valid", faults=[Fault("/data", "it must be a JSON object")]
        )
    return data


class TenantBody(Body):
    """The body of a request about something in the path, or about many things."""

    tenant_id: Annotated[OwnerId | None, Meta(description="The same as the query parameter.")] = (
        None
    )


def moment_or_null(at_ms: int | None) -> str | None:
    """A moment as it is shown, where there is one."""
    return None if at_ms is None else format_timestamp(at_ms)
