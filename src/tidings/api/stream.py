"""The stream of events over HTTP: who may listen, to what, and from where on."""

from tidings.api.answers import Answer
from tidings.api.call import Call
from tidings.api.event_stream import EventStream, Positions
from tidings.api.problems import Problems
from tidings.api.wire.queries import StreamQuery

_LAST_EVENT_ID = b"last-event-id"


async def listen(call: Call, query: StreamQuery) -> Answer[EventStream]:
    """Follow events in the order in which they are accepted, as server-sent events.

    Each frame has the event's type as `event`, the body that receivers get as `data`, and as `id`
    the place in the stream. It begins with what is accepted from now on, or, with `Last-Event-ID`,
    with what was accepted after that event, without a gap. If events between are kept no longer,
    a frame `gap` says so. Erased events are left out. A frame without an event carries an `id` too:
    nothing was missed up to there. When the server ends the stream for a reason, its last frame is
    `error` with a problem. What the server says of the stream has no `eventId` in its data.
    """
    settings = call.services.settings
    tenant_id = call.principal.tenants(query.tenant_id)
    positions = Positions(settings.cursor_key, tenant_id)
    last_id = call.headers.get(_LAST_EVENT_ID, b"").decode("latin-1")
    listener = await call.services.streams.open(
        call.principal,
        tenant_id,
        patterns=query.event_type,
        after_seq=positions.opened(last_id) if last_id else None,
    )
    problems = Problems(settings.public_url)
    return Answer(EventStream(listener, positions, problems, settings.stream_pace))
