"""The slots for requests in flight, and who may use how many of them.

Endpoints that answer fast may use every slot. Slow ones share a part, and those that are new to us
a little more than that, so that neither can crowd out the fast. Those that fail fast hold no slot
for long but keep the processor busy: few of them go at once. Repeats (retries, replays) may use
half. An endpoint that leaves a request hanging counts as slow before its deadline has passed.
One host gets only so many requests at once, however many subscriptions of however many tenants
point at it, and its slots are shared in the same way: endpoints that hang leave some to their
neighbours at the same host.
"""

from collections.abc import Iterator

import msgspec

from tidings.core import limits
from tidings.core.delivery import Delivery
from tidings.core.endpoint import Endpoint, Speed

_NOT_FAST_SHARE = (1 + limits.SLOW_SLOTS_SHARE) / 2


class Flight(msgspec.Struct, gc=False):
    """A request on its way, holding a slot. Its row may have ended meanwhile.

    It has a deadline from the moment on at which it may have reached the receiver.
    """

    delivery: Delivery
    endpoint: Endpoint
    started_at_ms: int
    charged_ms: float
    is_again: bool
    host: str
    speed: Speed
    has_ended: bool = False
    deadline_ms: int | None = None


class Crowd:
    """Flights that share a bound, counted by their speed."""

    __slots__ = ("_bound", "_by_speed", "_count")

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._by_speed = [0] * len(Speed)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def free_for(self, speed: Speed) -> int:
        """How many more of this speed may go."""
        free = self._bound - self._count
        if speed is Speed.FAST:
            return free
        not_fast = self._count - self._by_speed[Speed.FAST]
        free = min(free, max(1, int(self._bound * _NOT_FAST_SHARE)) - not_fast)
        if speed is Speed.UNKNOWN:
            return free
        if speed is Speed.FAILING:
            return min(free, limits.FAILING_SLOTS_MAX - self._by_speed[Speed.FAILING])
        slow_max = max(1, int(self._bound * limits.SLOW_SLOTS_SHARE))
        return min(free, slow_max - self._by_speed[Speed.SLOW])

    def count(self, speed: Speed, change: int) -> None:
        """Count some more of this speed, or fewer."""
        self._by_speed[speed] += change
        self._count += change


class Slots:
    """All flights, by the `seq` of their rows, in the order in which they began.

    `unrecorded` are the rows that have come back, and whose results are not stored yet.
    """

    def __init__(self, concurrency_max: int) -> None:
        self.flights: dict[int, Flight] = {}
        self.unrecorded: dict[int, Delivery] = {}
        self._concurrency_max = concurrency_max
        self._again_max = max(1, int(concurrency_max * limits.RETRY_SLOTS_SHARE))
        self._everyone = Crowd(concurrency_max)
        self._again = 0
        self._hosts: dict[str, Crowd] = {}
        self._hanging_checked_at_ms = 0

    def is_under_way(self, delivery: Delivery) -> bool:
        """Whether an attempt of a row is on its way, or its result is not recorded."""
        return delivery.seq in self.flights or delivery.seq in self.unrecorded

    def under_way(self) -> Iterator[Delivery]:
        """The rows of which that is true."""
        for flight in self.flights.values():
            yield flight.delivery
        yield from self.unrecorded.values()

    def are_free(self) -> bool:
        """Whether any slot is free."""
        return len(self.flights) < self._concurrency_max

    def allow(self, speed: Speed) -> bool:
        """Whether an endpoint of this speed may take one more."""
        return self._everyone.free_for(speed) > 0

    def free_for_again(self) -> int:
        """How many more repeats may go."""
        return self._again_max - self._again

    def free_for_host(self, host: str, speed: Speed) -> int:
        """How many more requests of endpoints of this speed may go to this host."""
        crowd = self._hosts.get(host)
        return limits.HOST_CONCURRENCY_MAX if crowd is None else crowd.free_for(speed)

    def take(self, flight: Flight) -> None:
        """Let a request go."""
        self.flights[flight.delivery.seq] = flight
        flight.endpoint.in_flight += 1
        self._again += flight.is_again
        self._everyone.count(flight.speed, 1)
        crowd = self._hosts.get(flight.host)
        if crowd is None:
            crowd = self._hosts[flight.host] = Crowd(limits.HOST_CONCURRENCY_MAX)
        crowd.count(flight.speed, 1)

    def mark_ended(self, seq: int) -> None:
        """Note that the row of a request has ended by something else; unknown ones are no fault."""
        flight = self.flights.get(seq)
        if flight is not None:
            flight.has_ended = True

    def give_back(self, seq: int) -> Flight:
        """Free the slot of a request that has come back."""
        flight = self.flights.pop(seq)
        flight.endpoint.in_flight -= 1
        self._again -= flight.is_again
        self._everyone.count(flight.speed, -1)
        crowd = self._hosts[flight.host]
        crowd.count(flight.speed, -1)
        if not len(crowd):
            del self._hosts[flight.host]
        return flight

    def clock_put_back(self, by_ms: int, now_ms: int) -> None:
        """Count the time that requests take from now on."""
        self._hanging_checked_at_ms = min(self._hanging_checked_at_ms, now_ms)
        for flight in self.flights.values():
            flight.started_at_ms = min(flight.started_at_ms, now_ms)
            if flight.deadline_ms is not None:
                flight.deadline_ms -= by_ms

    def mark_hanging(self, now_ms: int) -> list[Endpoint]:
        """Count as slow what has been left unanswered for too long, and the endpoints that did it.

        Answers the endpoints that were not known to be slow.
        """
        hanging: list[Endpoint] = []
        if now_ms - self._hanging_checked_at_ms < limits.SLOW_ANSWER_MS // 4:
            return hanging
        self._hanging_checked_at_ms = now_ms
        for flight in self.flights.values():
            if now_ms - flight.started_at_ms < limits.SLOW_ANSWER_MS:
                break
            if flight.speed is not Speed.SLOW:
                for crowd in (self._everyone, self._hosts[flight.host]):
                    crowd.count(flight.speed, -1)
                    crowd.count(Speed.SLOW, 1)
                flight.speed = Speed.SLOW
            if flight.endpoint.speed is not Speed.SLOW:
                flight.endpoint.speed = Speed.SLOW
                hanging.append(flight.endpoint)
        return hanging
