"""Events over HTTP, once they are published: looked up, delivered again, erased."""

from typing import Any

from tidings.api.answers import NO_STORE, NOTHING, Answer, Encoded
from tidings.api.call import Call, moment_ms
from tidings.api.pagination import read_page
from tidings.api.wire.events import (
    ListedEventPage,
    ReplayedEvent,
    ReplayEventRequest,
    ShownEvent,
    listed_event,
    shown_event,
)
from tidings.api.wire.queries import EventDataQuery, EventListQuery, TenantQuery
from tidings.core.grammar import DEFAULT_TENANT
from tidings.operations.access import EVERYBODY
from tidings.ports.records import EventFilter, EventRecord


async def list_all(call: Call, query: EventListQuery) -> Answer[ListedEventPage]:
    """List events, newest first, without their data."""
    wanted = EventFilter(
        call.principal.tenants(query.tenant_id),
        patterns=query.event_type,
        since_ms=moment_ms("since", query.since),
        until_ms=moment_ms("until", query.until),
    )
    end: int | None = None

    async def fetch(before: str | None, limit: int) -> list[EventRecord]:
        nonlocal end
        found, end = await call.services.inspection.events(
            wanted, before=None if before is None else int(before), limit=limit
        )
        return found

    records, cursor = await read_page(
        call.services.settings.cursor_key,
        ("events", wanted),
        query,
        fetch,
        lambda record: str(record.seq),
        place_reached=lambda: None if end is None else str(end),
    )
    return Answer(ListedEventPage(items=[listed_event(one) for one in records], next_cursor=cursor))


async def show(call: Call, query: TenantQuery) -> Answer[ShownEvent]:
    """Get an event with its data."""
    tenant_id = call.tenant(query)
    return Answer(shown_event(await call.services.inspection.event(tenant_id, call.path_id)))


async def replay(call: Call, query: TenantQuery, body: ReplayEventRequest) -> Answer[ReplayedEvent]:
    """Deliver an event again, to one subscription even if it never matched, or to all that do.

    Deliveries of it that are unfinished are left alone.
    """
    deliveries = await call.services.replays.replay_event(
        call.tenant(query, body),
        call.path_id,
        subscription_id=body.subscription_id,
        by=call.principal.key_id,
    )
    return Answer(ReplayedEvent(event_id=call.path_id, deliveries=deliveries))


async def show_data(call: Call, query: EventDataQuery) -> Answer[dict[str, Any]]:
    """Get the data of an event, as they were published.

    With a key, or without one at the `dataUrl` that a thin delivery holds. Answers 404 once the
    data were erased or the event's retention has ended.
    """
    reading = call.services.event_data
    if call.principal is EVERYBODY:
        tenant_id = query.tenant_id or DEFAULT_TENANT
        data = await reading.read_signed(tenant_id, call.path_id, query.signature or "")
    else:
        data = await reading.read(call.tenant(query), call.path_id)
    return Answer(Encoded(data), (NO_STORE,))


async def erase_data(call: Call, query: TenantQuery) -> Answer[None]:
    """Erase an event's data for good. Its unfinished deliveries are cancelled."""
    tenant_id = call.tenant(query)
    await call.services.replays.erase_event_data(tenant_id, call.path_id, by=call.principal.key_id)
    return NOTHING
