"""A receiver gets the publisher's bytes, in the form its subscriber chose, the same each time."""

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, ClassVar

from simulation import facts
from simulation.checkers.checker import Checker
from simulation.journal import Listener
from simulation.record import SeenEvent
from tidings.operations.publish import Publication

_PUBLIC_URL = "https://simulated.example"
_TIDINGS, _THIN, _CLOUDEVENT, _THIN_CLOUDEVENT = range(4)
_CLOUDEVENTS = (_CLOUDEVENT, _THIN_CLOUDEVENT)


class Bodies(Checker):
    """Compares what was asked, what is stored and what is sent, byte for byte."""

    promise: ClassVar[str] = "what was published is what is sent"

    def hears(self) -> Mapping[type[facts.Fact], Listener]:
        """See `Checker`."""
        self._asked: defaultdict[str, set[bytes]] = defaultdict(set)
        self._form: dict[str, int] = {}
        self._sent_as: dict[str, bytes] = {}
        return {
            facts.Asked: self._client_asked,
            facts.EventStored: self._stored,
            facts.RowQueued: self._queued,
            facts.Sent: self._sent,
        }

    def _client_asked(self, fact: facts.Asked) -> None:
        if fact.call.verb == "publish":
            for publication in fact.call.about["events"]:
                self._asked[_named(publication)].add(publication.data)

    def _stored(self, fact: facts.EventStored) -> None:
        if fact.event_type.startswith("tidings."):
            return
        head, _, data = fact.body.partition(b',"data":')
        asked = self._asked.get(fact.event_id) or self._asked[""]
        self.expect(data[:-1] in asked, f"nobody published the data of {fact.event_id}")
        self.expect(
            head.startswith(b'{"eventId":"%b"' % fact.event_id.encode()),
            f"the body of {fact.event_id} begins with {head!r}",
        )

    def _queued(self, fact: facts.RowQueued) -> None:
        """The form is chosen with the first row of a delivery, and stays."""
        form = self._form.get(fact.delivery_id)
        if form is None:
            subscription = self.record.subscriptions[fact.subscription_id].committed
            form = _form(subscription, len(self.record.events[fact.event_seq].body))
        self.expect(fact.form == form, f"{fact.delivery_id} has the form {fact.form}, not {form}")
        self._form[fact.delivery_id] = form

    def _sent(self, fact: facts.Sent) -> None:
        wire = fact.wire
        if not wire.delivery_id:
            return
        event = self.record.events[self.record.deliveries[wire.delivery_id].event_seq]
        form = self._form[wire.delivery_id]
        before = self._sent_as.get(wire.delivery_id)
        if before is None:
            self.expect(
                _says(form, event, wire.body), f"{wire.webhook_id} is sent as {wire.body[:300]!r}"
            )
            self._sent_as[wire.delivery_id] = wire.body
        else:
            self.expect(wire.body == before, f"{wire.webhook_id} is sent with another body")
        media = "application/cloudevents+json; charset=UTF-8" if form in _CLOUDEVENTS else None
        self.expect(
            dict(wire.headers)["Content-Type"] == (media or "application/json"),
            f"{wire.webhook_id} is sent as {dict(wire.headers)['Content-Type']}",
        )


def _named(publication: Publication) -> str:
    """The id that the publisher chose; all those that it left to us are one crowd."""
    return publication.event_id or ""


def _form(subscription: facts.SubscriptionStored, size: int) -> int:
    above = subscription.thin_above_bytes
    is_thin = above is not None and size > above
    if subscription.payload_format == "cloudevents":
        return _THIN_CLOUDEVENT if is_thin else _CLOUDEVENT
    return _THIN if is_thin or subscription.payload_format == "thin" else _TIDINGS


def _says(form: int, event: SeenEvent, body: bytes) -> bool:
    """Whether a body says what it must about an event, by the documents of its form."""
    if form == _TIDINGS:
        return body == event.body
    data = event.body.partition(b',"data":')[2][:-1]
    frozen = json.loads(event.body[: -len(data) - 1] + b"{}}")
    said: dict[str, Any] = json.loads(body)
    address: str = said.pop("dataUrl" if form == _THIN else "dataref", "")
    at = f"{_PUBLIC_URL}/events/{event.event_id}/data?tenantId={event.tenant_id}&"
    if form == _THIN:
        return address.startswith(at) and said == frozen
    if form == _CLOUDEVENT and not body.endswith(b',"data":%b}' % data):
        return False
    said.pop("data", None)
    return (form == _CLOUDEVENT or address.startswith(at)) and said == {
        "specversion": "1.0",
        "id": event.event_id,
        "source": f"{_PUBLIC_URL}/tenants/{event.tenant_id}",
        "type": event.event_type,
        "time": frozen["occurredAt"],
        "datacontenttype": "application/json",
    }
