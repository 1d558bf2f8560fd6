"""Deliveries with the same ordering key go in order, one at a time, and none before its head."""

from collections import defaultdict
from collections.abc import Mapping
from typing import ClassVar

from simulation import facts
from simulation.checkers.checker import Checker
from simulation.journal import Listener

Lane = tuple[str, str]


class Ordering(Checker):
    """Keeps the lanes as the table has them, and looks at each request that belongs to one."""

    promise: ClassVar[str] = "ordering keys go in order, one in flight"

    def hears(self) -> Mapping[type[facts.Fact], Listener]:
        """See `Checker`."""
        self._lanes: defaultdict[Lane, set[int]] = defaultdict(set)
        self._lane_of: dict[int, Lane] = {}
        return {
            facts.RowQueued: self._queued,
            facts.RowLeft: self._left,
            facts.Sent: self._sent,
        }

    def _queued(self, fact: facts.RowQueued) -> None:
        if fact.ordering_key is not None:
            lane = (fact.subscription_id, fact.ordering_key)
            self._lane_of[fact.seq] = lane
            self._lanes[lane].add(fact.seq)

    def _left(self, fact: facts.RowLeft) -> None:
        lane = self._lane_of.pop(fact.seq, None)
        if lane is not None:
            self._lanes[lane].discard(fact.seq)

    def _sent(self, fact: facts.Sent) -> None:
        wire = fact.wire
        if wire.ordering_key is None:
            return
        lane = (wire.subscription_id, wire.ordering_key)
        head = min(self._lanes[lane])
        self.expect(
            wire.row_seq == head,
            f"row {wire.row_seq} of {lane} is sent while {head} stands before it",
        )
        for other in self.record.in_flight.values():
            same_lane = (other.subscription_id, other.ordering_key) == lane
            self.expect(
                not same_lane or other is wire,
                f"rows {other.row_seq} and {wire.row_seq} of {lane} are in flight at once",
            )
