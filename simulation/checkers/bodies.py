"""A receiver gets the publisher's bytes, under the same id each time."""

from collections import defaultdict
from collections.abc import Mapping
from typing import ClassVar

from simulation import facts
from simulation.checkers.checker import Checker
from simulation.journal import Listener
from tidings.operations.publish import Publication


class Bodies(Checker):
    """Compares what was asked, what is stored and what is sent, byte for byte."""

    promise: ClassVar[str] = "what was published is what is sent"

    def hears(self) -> Mapping[type[facts.Fact], Listener]:
        """See `Checker`."""
        self._asked: defaultdict[str, set[bytes]] = defaultdict(set)
        return {
            facts.Asked: self._client_asked,
            facts.EventStored: self._stored,
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

    def _sent(self, fact: facts.Sent) -> None:
        wire = fact.wire
        if wire.delivery_id:
            event = self.record.events[self.record.deliveries[wire.delivery_id].event_seq]
            self.expect(wire.body == event.body, f"{wire.webhook_id} is sent with another body")


def _named(publication: Publication) -> str:
    """The id that the publisher chose; all those that it left to us are one crowd."""
    return publication.event_id or ""
