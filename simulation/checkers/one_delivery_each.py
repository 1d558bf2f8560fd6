"""An accepted event has one delivery for each subscription that wanted it when it was accepted."""

from collections import defaultdict
from collections.abc import Mapping
from typing import ClassVar

from simulation import facts
from simulation.checkers.checker import Checker
from simulation.extras import is_selected
from simulation.journal import Listener
from tidings.core.event import Accepted


class OneDeliveryEach(Checker):
    """Compares the rows of a commit with the subscriptions that stood in the table then."""

    promise: ClassVar[str] = "one delivery for each matching subscription"

    _uncommitted: list[facts.EventStored]
    _queued: defaultdict[int, list[str]]

    def hears(self) -> Mapping[type[facts.Fact], Listener]:
        """See `Checker`."""
        self._uncommitted = []
        self._queued = defaultdict(list)
        self._wanted: dict[tuple[str, str], int] = {}
        return {
            facts.EventStored: self._event_stored,
            facts.RowQueued: self._row_queued,
            facts.Committed: self._committed,
            facts.Told: self._told,
        }

    def _event_stored(self, fact: facts.EventStored) -> None:
        self._uncommitted.append(fact)
        # The subscriptions as they stand at this place in the order of commits.
        data = fact.body.partition(b',"data":')[2][:-1]
        self._wanting = sorted(
            one.subscription_id
            for one in self.record.subscriptions.values()
            if one.tenant_id == fact.tenant_id
            and not one.is_erased
            and one.subscription_id != fact.about
            and one.committed.status in ("active", "paused")
            and is_wanted(one.committed.event_type, fact.event_type)
            and is_selected(one.committed.content_filter, data)
        )
        self.record.events[fact.seq].wanted_by = frozenset(self._wanting)

    def _row_queued(self, fact: facts.RowQueued) -> None:
        self._queued[fact.event_seq].append(fact.subscription_id)

    def _committed(self, _fact: facts.Committed) -> None:
        for event in self._uncommitted:
            wanted = sorted(self.record.events[event.seq].wanted_by)
            self._wanted[event.tenant_id, event.event_id] = len(wanted)
            queued = sorted(self._queued[event.seq])
            self.expect(
                queued == wanted,
                f"{event.event_id} of type {event.event_type} is wanted by {wanted}, "
                f"and has deliveries for {queued}",
            )
        self._uncommitted.clear()
        self._queued.clear()

    def _told(self, fact: facts.Told) -> None:
        if fact.call.verb != "publish" or fact.call.answer is None:
            return
        for accepted in fact.call.answer:
            if isinstance(accepted, Accepted):
                wanted = self._wanted.get((fact.call.tenant_id, accepted.event_id))
                self.expect(
                    accepted.deliveries == wanted,
                    f"the publisher of {accepted.event_id} was told of {accepted.deliveries} "
                    f"deliveries, {wanted} were wanted",
                )

    def at_rest(self) -> None:
        """No subscription has two deliveries of one event."""
        seen: set[tuple[str, int]] = set()
        for delivery in self.record.deliveries.values():
            place = (delivery.subscription_id, delivery.event_seq)
            self.expect(place not in seen, f"{delivery.delivery_id} is the second for {place}")
            seen.add(place)


def is_wanted(patterns: str, event_type: str) -> bool:
    """Whether a list of patterns selects an event type."""
    return any(_selects(one.strip(), event_type) for one in patterns.split(","))


def _selects(pattern: str, event_type: str) -> bool:
    wanted, found = pattern.split("."), event_type.split(".")
    if found[0] == "tidings" and wanted[0] != "tidings":
        return False
    if wanted[-1] == "*":
        wanted, found = wanted[:-1], found[: len(wanted) - 1] if len(found) >= len(wanted) else []
        if len(found) != len(wanted):
            return False
    if len(wanted) != len(found):
        return False
    return all(one in ("*", other) for one, other in zip(wanted, found, strict=True))
