"""The catalogue of event types over HTTP."""

from tidings.api.answers import NOTHING, Answer
from tidings.api.call import Call
from tidings.api.pagination import read_page
from tidings.api.wire.event_types import (
    EventType,
    EventTypePage,
    EventTypeWithVersions,
    PutEventTypeRequest,
    described_of,
    shown_type,
    shown_type_history,
)
from tidings.api.wire.queries import PutEventTypeQuery, TenantListQuery, TenantQuery
from tidings.core.catalogue import CataloguedType

_CREATED = 201


async def list_all(call: Call, query: TenantListQuery) -> Answer[EventTypePage]:
    """List the event types that are described, newest first."""
    tenant_id = call.principal.tenants(query.tenant_id)
    found, cursor = await read_page(
        call.services.settings.cursor_key,
        ("event types", tenant_id),
        query,
        lambda before, limit: call.services.catalogue.list_types(
            tenant_id, before=_place(before), limit=limit
        ),
        _text_of_place,
    )
    return Answer(EventTypePage(items=[shown_type(one) for one in found], next_cursor=cursor))


async def show(call: Call, query: TenantQuery) -> Answer[EventTypeWithVersions]:
    """Get what is said about an event type, with the schemas that it has had."""
    history = await call.services.catalogue.get(call.tenant(query), call.path_text)
    return Answer(shown_type_history(history))


async def put(call: Call, query: PutEventTypeQuery, body: PutEventTypeRequest) -> Answer[EventType]:
    """Describe an event type, anew if it is described already.

    A schema under which data may be invalid that were valid is refused, unless `force` is true.
    Each other schema is another version.
    """
    event_type, is_new = await call.services.catalogue.put(
        call.tenant(query, body),
        call.path_text,
        described_of(body),
        is_forced=query.force,
        by=call.principal.key_id,
    )
    return Answer(shown_type(event_type), status=_CREATED if is_new else None)


async def delete(call: Call, query: TenantQuery) -> Answer[None]:
    """Take an event type out of the catalogue. It can be published all the same."""
    await call.services.catalogue.delete(
        call.tenant(query), call.path_text, by=call.principal.key_id
    )
    return NOTHING


def _text_of_place(one: CataloguedType) -> str:
    return f"{one.created_at_ms} {one.tenant_id} {one.event_type}"


def _place(text: str | None) -> tuple[int, str, str] | None:
    if text is None:
        return None
    created_at_ms, tenant_id, event_type = text.split(" ")
    return int(created_at_ms), tenant_id, event_type
