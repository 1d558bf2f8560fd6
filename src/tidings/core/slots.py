"""The slots for requests in flight, and who may use how many of them.

Endpoints that answer fast may use every slot. Slow ones share a part, and those that are new to us
a little more than that, so that neither can crowd out the fast. Repeats (retries, replays) may use
half. An endpoint that leaves a request hanging counts as slow before its deadline has passed.
One host gets only so many requests at once, however many subscriptions of however many tenants
point at it.
"""

import msgspec

from tidings.core import limits
from tidings.core.delivery import Delivery
from tidings.core.endpoint import Endpoint, Speed

_NOT_FAST_SHARE = (1 + limits.SLOW_SLOTS_SHARE) / 2


class Flight(msgspec.Struct, gc=False):
    """A request on its way, holding a slot."""

    delivery: Delivery
    endpoint: Endpoint
    started_at_ms: int
    charged_ms: float
    is_again: bool
    host: str


class Slots:
    """All flights, by the `seq` of their rows, in the order in which they began."""

    def __init__(self, concurrency_max: int) -> None:
        self.flights: dict[int, Flight] = {}
        self._concurrency_max = concurrency_max
        self._slow_max = max(1, int(concurrency_max * limits.SLOW_SLOTS_SHARE))
        self._not_fast_max = max(1, int(concurrency_max * _NOT_FAST_SHARE))
        self._again_max = max(1, int(concurrency_max * limits.RETRY_SLOTS_SHARE))
        self._by_speed = [0, 0, 0]
        self._again = 0
        self._by_host: dict[str, int] = {}
        self._hanging_checked_at_ms = 0

    def are_free(self) -> bool:
        """Whether any slot is free."""
        return len(self.flights) < self._concurrency_max

    def allow(self, speed: Speed) -> bool:
        """Whether an endpoint of this speed may take one more."""
        if speed is Speed.FAST:
            return True
        not_fast = self._by_speed[Speed.UNKNOWN] + self._by_speed[Speed.SLOW]
        if not_fast >= self._not_fast_max:
            return False
        return speed is Speed.UNKNOWN or self._by_speed[Speed.SLOW] < self._slow_max

    def free_for_again(self) -> int:
        """How many more repeats may go."""
        return self._again_max - self._again

    def free_for_host(self, host: str) -> int:
        """How many more requests may go to this host."""
        return limits.HOST_CONCURRENCY_MAX - self._by_host.get(host, 0)

    def take(self, flight: Flight) -> None:
        """Let a request go."""
        endpoint = flight.endpoint
        self.flights[flight.delivery.seq] = flight
        endpoint.in_flight += 1
        self._by_speed[endpoint.speed] += 1
        self._again += flight.is_again
        self._by_host[flight.host] = self._by_host.get(flight.host, 0) + 1

    def give_back(self, seq: int) -> Flight:
        """Free the slot of a request that has come back."""
        flight = self.flights.pop(seq)
        flight.endpoint.in_flight -= 1
        self._by_speed[flight.endpoint.speed] -= 1
        self._again -= flight.is_again
        self._by_host[flight.host] -= 1
        if not self._by_host[flight.host]:
            del self._by_host[flight.host]
        return flight

    def set_speed(self, endpoint: Endpoint, speed: Speed) -> None:
        """Count an endpoint's flights as of another speed."""
        if endpoint.speed is not speed:
            self._by_speed[endpoint.speed] -= endpoint.in_flight
            self._by_speed[speed] += endpoint.in_flight
            endpoint.speed = speed

    def mark_hanging(self, now_ms: int) -> list[Endpoint]:
        """Count endpoints as slow that have left a request unanswered for too long."""
        hanging: list[Endpoint] = []
        if now_ms - self._hanging_checked_at_ms < limits.SLOW_ANSWER_MS // 4:
            return hanging
        self._hanging_checked_at_ms = now_ms
        for flight in self.flights.values():
            if now_ms - flight.started_at_ms < limits.SLOW_ANSWER_MS:
                break
            if flight.endpoint.speed is not Speed.SLOW:
                self.set_speed(flight.endpoint, Speed.SLOW)
                hanging.append(flight.endpoint)
        return hanging
