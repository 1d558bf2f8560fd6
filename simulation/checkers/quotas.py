"""A tenant begins no more than its quotas allow, and no repeat is refused for them."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import ClassVar

from simulation import facts
from simulation.checkers.checker import Checker
from simulation.journal import Listener
from tidings.core.event import Accepted
from tidings.core.refusals import QuotaExceeded

_BURST_SECONDS = 10
_ROUNDING_SECONDS = 0.001


class Quotas(Checker):
    """Counts events by the moment at which they were asked for, and rows by commits."""

    promise: ClassVar[str] = "quotas hold, and only for what is new"

    def hears(self) -> Mapping[type[facts.Fact], Listener]:
        """See `Checker`."""
        self._asked: dict[tuple[str, str], int] = {}
        self._began_at: defaultdict[str, list[float]] = defaultdict(list)
        self._stored: dict[tuple[str, str], facts.EventStored] = {}
        self._rows: Counter[str] = Counter()
        self._tenant_of: dict[int, str] = {}
        self._new_rows: Counter[str] = Counter()
        self._new_events: list[facts.EventStored] = []
        return {
            facts.Asked: self._client_asked,
            facts.Told: self._told,
            facts.LifeBegan: self._life_began,
            facts.EventStored: self._event_stored,
            facts.RowQueued: self._queued,
            facts.RowLeft: self._left,
            facts.Committed: self._committed,
        }

    # Events by the second.

    def _client_asked(self, fact: facts.Asked) -> None:
        if fact.call.verb == "publish":
            for one in fact.call.about["events"]:
                self._asked.setdefault((one.tenant_id, one.event_id or ""), fact.call.number)

    def _life_began(self, _fact: facts.LifeBegan) -> None:
        self._began_at.clear()

    def _told(self, fact: facts.Told) -> None:
        call = fact.call
        if call.verb != "publish" or call.answer is None:
            return
        for publication, answer in zip(call.about["events"], call.answer, strict=True):
            place = (call.tenant_id, publication.event_id or "")
            # Those that were asked for before may have been counted then.
            is_new = publication.event_id is not None and self._asked[place] == call.number
            if isinstance(answer, Accepted) and is_new:
                self._count(call.tenant_id, call.asked_at)
            elif isinstance(answer, QuotaExceeded):
                self.record.journal.counted["over quota"] += 1
                self.expect(not self._stood_before(place, call), f"{place} is a refused repeat")

    def _stood_before(self, place: tuple[str, str], call: facts.Call) -> bool:
        event = self.record.event_named.get(place)
        return event is not None and not event.is_erased and event.at < call.asked_at

    def _count(self, tenant_id: str, asked_at: float) -> None:
        rate = self.record.plan.extras.quotas.events_per_second
        if rate is None:
            return
        times = self._began_at[tenant_id]
        times.append(asked_at)
        times.sort()
        for number, first in enumerate(times):
            seconds = times[-1] - first + _ROUNDING_SECONDS
            self.expect(
                len(times) - number <= rate * (seconds + _BURST_SECONDS) + 1,
                f"{tenant_id} began {len(times) - number} events within {seconds:.3f} s",
            )

    # Unfinished deliveries.

    def _event_stored(self, fact: facts.EventStored) -> None:
        if not fact.event_type.startswith("tidings."):
            self._new_events.append(fact)

    def _queued(self, fact: facts.RowQueued) -> None:
        self._tenant_of[fact.seq] = fact.tenant_id
        self._new_rows[fact.tenant_id] += 1

    def _left(self, fact: facts.RowLeft) -> None:
        self._rows[self._tenant_of[fact.seq]] -= 1

    def _committed(self, _fact: facts.Committed) -> None:
        backlog_max = self.record.plan.extras.quotas.backlog_max
        begun = Counter(self._rows)
        for event in self._new_events:
            wanted = len(self.record.events[event.seq].wanted_by)
            if wanted and backlog_max is not None:
                self.expect(
                    begun[event.tenant_id] < backlog_max,
                    f"{event.event_id} is accepted beside {begun[event.tenant_id]} unfinished",
                )
            begun[event.tenant_id] += wanted
        self._rows.update(self._new_rows)
        self._new_rows.clear()
        self._new_events.clear()
