"""Publishing over HTTP: one event, or many, each accepted or refused by itself."""

import asyncio
from functools import cache, lru_cache
from typing import Final

from tidings.api.answers import Answer
from tidings.api.bodies import BodyReader
from tidings.api.call import Call
from tidings.api.problems import Problems
from tidings.api.wire.events import (
    AcceptedEvent,
    PublishedItem,
    PublishedItems,
    PublishEventRequest,
    PublishEventsRequest,
    accepted_event,
)
from tidings.core import limits, strict_json
from tidings.core.event import Accepted
from tidings.core.grammar import ordering_key_fault, public_id_fault
from tidings.core.pattern import event_type_fault
from tidings.core.refusals import Fault, Refusal, ValidationFailed
from tidings.core.timestamp import normalised_timestamp
from tidings.operations.access import Principal
from tidings.operations.publish import Publication

_REPEATED: Final = (b"idempotent-replay", b"true")
_ITEMS_AT_ONCE: Final = 64
_ACCEPTED: Final = 202

_event_type_fault = lru_cache(maxsize=4_096)(event_type_fault)


@cache
def event_reader(bytes_max: int) -> BodyReader[PublishEventRequest]:
    """Reads the body of one event."""
    return BodyReader(PublishEventRequest, bytes_max=bytes_max, check=strict_json.check_envelope)


def events_reader() -> BodyReader[PublishEventsRequest]:
    """Reads the body of many events, which are looked into one by one later."""
    return BodyReader(
        PublishEventsRequest,
        bytes_max=limits.BATCH_BYTES_MAX,
        check=strict_json.check_outline,
    )


async def publish(call: Call, body: PublishEventRequest) -> Answer[AcceptedEvent]:
    """Publish an event. The answer is given once it is stored for good.

    A repeat with the same `eventId`, or the same `Idempotency-Key`, gets the same answer.
    """
    publication = publication_of(body, call.principal, call.idempotency_key, call.hops)
    (outcome,) = await call.services.publisher.publish([publication])
    if isinstance(outcome, Refusal):
        raise outcome
    return accepted_answer(call, outcome)


def accepted_answer(call: Call, outcome: Accepted) -> Answer[AcceptedEvent]:
    """What a publisher is told of an event that is stored for good."""
    location = call.location(f"/events/{outcome.event_id}")
    headers = (location, _REPEATED) if outcome.is_repeat else (location,)
    return Answer(accepted_event(outcome), headers)


async def publish_many(call: Call, body: PublishEventsRequest) -> Answer[PublishedItems]:
    """Publish up to 1,000 events. Each is accepted or refused by itself, in the order given.

    With an `Idempotency-Key` a repeat of the request gets the same answers.
    """
    settings = call.services.settings
    reader = event_reader(settings.event_bytes_max)
    key, hops = call.idempotency_key, call.hops
    read: list[Publication | Refusal] = []
    for place, raw in enumerate(body.events):
        if place % _ITEMS_AT_ONCE == 0:
            # Reading all of them takes longer than other requests should wait.
            await asyncio.sleep(0)
        item_key = None if key is None else f"{key}\n{place}"
        read.append(_item(bytes(raw), reader, call.principal, item_key, hops))
    valid = [one for one in read if isinstance(one, Publication)]
    published = iter(await call.services.publisher.publish(valid))
    problems = Problems(settings.public_url)
    items = [
        _shown_item(next(published) if isinstance(one, Publication) else one, problems)
        for one in read
    ]
    return Answer(PublishedItems(items=items))


def publication_of(
    body: PublishEventRequest,
    principal: Principal,
    idempotency_key: str | None,
    hops: int,
) -> Publication:
    """The event that a body stands for. Raises `ValidationFailed` and `WrongTenant`."""
    tenant_id = principal.tenant(body.tenant_id)
    occurred_at = None if body.occurred_at is None else normalised_timestamp(body.occurred_at)
    data = bytes(body.data)
    faults = _faults(body, data, occurred_at)
    if faults:
        raise ValidationFailed("the event is not valid", faults=faults)
    if body.event_id is not None and idempotency_key is not None:
        raise ValidationFailed("give either eventId or Idempotency-Key: each names the event")
    return Publication(
        tenant_id,
        body.event_type,
        data,
        body.event_id,
        occurred_at,
        body.ordering_key,
        idempotency_key,
        hops,
    )


def _faults(body: PublishEventRequest, data: bytes, occurred_at: str | None) -> list[Fault]:
    event_id, ordering_key = body.event_id, body.ordering_key
    is_moment = body.occurred_at is None or occurred_at is not None
    found = (
        ("/eventType", _event_type_fault(body.event_type)),
        ("/data", None if data.startswith(b"{") else "it must be a JSON object"),
        ("/eventId", None if event_id is None else public_id_fault(event_id)),
        ("/occurredAt", None if is_moment else "it is no moment of RFC 3339 with an offset"),
        ("/orderingKey", None if ordering_key is None else ordering_key_fault(ordering_key)),
    )
    return [Fault(pointer, why) for pointer, why in found if why is not None]


def _item(
    body: bytes,
    reader: BodyReader[PublishEventRequest],
    principal: Principal,
    idempotency_key: str | None,
    hops: int,
) -> Publication | Refusal:
    """One of many events, or why it is none."""
    try:
        reader.check_size(len(body))
        return publication_of(reader.decode(body), principal, idempotency_key, hops)
    except Refusal as refusal:
        return refusal


def _shown_item(outcome: Accepted | Refusal, problems: Problems) -> PublishedItem:
    if isinstance(outcome, Refusal):
        problem = problems.of(outcome)
        return PublishedItem(status=problem.status, problem=problem)
    return PublishedItem(status=_ACCEPTED, event=accepted_event(outcome))
