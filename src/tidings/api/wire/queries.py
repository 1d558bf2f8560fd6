"""The query parameters of all requests."""

from typing import Annotated, Literal

from msgspec import Meta

from tidings.api.wire.base import Moment, OwnerId, Patterns, PublicId, Query
from tidings.core import limits
from tidings.core.delivery import DeliveryStatus

TenantId = Annotated[
    OwnerId | None,
    Meta(
        description="Which tenant, for a global key: `default` unless named; `*` for what belongs "
        "to the operator."
    ),
]
TenantIdOrAll = Annotated[
    str | None,
    Meta(
        description="Which tenant, for a global key: `default` unless named, `*` for all.",
        extra_json_schema={"maxLength": limits.ID_LENGTH_MAX},
    ),
]
Limit = Annotated[
    int,
    Meta(ge=1, description=f"How many; more than {limits.PAGE_LIMIT_MAX} count as that many."),
]
Since = Annotated[Moment | None, Meta(description="Created at or after this moment.")]
Until = Annotated[Moment | None, Meta(description="Created before this moment.")]


class NoQuery(Query):
    """No parameters at all."""


class TenantQuery(Query):
    """The tenant of the thing in the path."""

    tenant_id: TenantId = None


class PutEventTypeQuery(TenantQuery):
    """The tenant, and whether a schema is taken that is not compatible."""

    force: Annotated[
        bool,
        Meta(description="Take a schema that is not compatible with the present one."),
    ] = False


class EventDataQuery(TenantQuery):
    """The event in the path, and the signature of its address for those without a key."""

    signature: Annotated[str | None, Meta(description="As it stands in `dataUrl`.")] = None


class ListQuery(Query):
    """What every list takes."""

    limit: Limit = limits.PAGE_LIMIT_DEFAULT
    cursor: Annotated[
        str | None, Meta(description="`nextCursor` of the page before, with the same parameters.")
    ] = None

    @property
    def page_limit(self) -> int:
        """How many items a page has."""
        return min(self.limit, limits.PAGE_LIMIT_MAX)


class TenantListQuery(ListQuery):
    """A list within one tenant or over all."""

    tenant_id: TenantIdOrAll = None


class SubscriptionListQuery(TenantListQuery):
    """Which subscriptions."""

    event_type: Annotated[
        str | None, Meta(description="Only those with exactly this `eventType`.")
    ] = None
    status: Literal["active", "paused", "disabled", "pending_verification"] | None = None
    since: Since = None
    until: Until = None


class EventListQuery(TenantListQuery):
    """Which events."""

    event_type: Patterns | None = None
    since: Since = None
    until: Until = None


class StreamQuery(Query):
    """Which events to follow."""

    tenant_id: TenantIdOrAll = None
    event_type: Patterns | None = None


class OwnDeliveryListQuery(ListQuery):
    """Which deliveries of the event or subscription in the path."""

    tenant_id: TenantId = None
    status: DeliveryStatus | None = None
    since: Since = None
    until: Until = None


class DeliveryListQuery(TenantListQuery):
    """Which deliveries, or which dead letters."""

    status: DeliveryStatus | None = None
    subscription_id: PublicId | None = None
    event_id: PublicId | None = None
    since: Since = None
    until: Until = None
