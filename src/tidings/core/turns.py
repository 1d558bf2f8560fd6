"""Turns: which endpoint is served next, which row of it, and who sleeps until when."""

import heapq
from collections import deque
from math import inf

from tidings.core.delivery import Delivery
from tidings.core.endpoint import Endpoint, Speed
from tidings.core.fairness import FairQueue, Share
from tidings.core.roster import Roster
from tidings.core.slots import Slots


class Turns:
    """The endpoints that may send now, in fair order, and those that wait for a time or a slot."""

    def __init__(self, roster: Roster, slots: Slots) -> None:
        self._roster = roster
        self._slots = slots
        everyone = Share("everyone")
        self._queues = {speed: FairQueue(everyone) for speed in Speed}
        self._manual: deque[Endpoint] = deque()
        self._awaiting_again_slot: deque[Endpoint] = deque()
        self._awaiting_host_slot: dict[tuple[str, Speed], deque[Endpoint]] = {}
        self._wakes: list[tuple[float, str]] = []
        self._latest_ms = 0

    def follow_clock(self, now_ms: int) -> bool:
        """See that nobody's pace waits for a wall clock that was put back; answers whether it was.

        What is promised by the wall clock, such as due times and rests, stays where it is.
        """
        back_by_ms = self._latest_ms - now_ms
        self._latest_ms = now_ms
        if back_by_ms <= 0:
            return False
        self._roster.clock_put_back(back_by_ms, now_ms)
        self._slots.clock_put_back(back_by_ms, now_ms)
        for endpoint in self._roster.endpoints.values():
            endpoint.clock_put_back(back_by_ms, now_ms)
            self.wake_at(endpoint, 0)
        return True

    def consider(self, endpoint: Endpoint, now_ms: int) -> None:
        """Put an endpoint into its queue if it may send, or to sleep until it may.

        It leaves the queue of another speed by that.
        """
        if endpoint.queued_as is endpoint.speed or not endpoint.ready_rows:
            return
        if endpoint.awaits_host_slot_as is endpoint.speed:
            return
        if endpoint.awaits_again_slot and not endpoint.fresh:
            return
        free_at_ms = endpoint.free_at_ms()
        if free_at_ms <= now_ms:
            endpoint.queued_as = endpoint.speed
            self._queues[endpoint.speed].add(endpoint.tenant, endpoint.share)
        else:
            self.wake_at(endpoint, free_at_ms)

    def add_manual(self, endpoint: Endpoint, delivery: Delivery) -> None:
        """Let a person's retry go before everything else, whatever the endpoint's health."""
        endpoint.manual.append(delivery)
        self._manual.append(endpoint)

    def leave(self, endpoint: Endpoint) -> None:
        """Give up every place of an endpoint that will not send any more."""
        endpoint.share.place += 1
        endpoint.queued_as = None
        endpoint.wake_at_ms = inf

    def wake_at(self, endpoint: Endpoint, at_ms: float) -> None:
        """Have an endpoint considered again at that time."""
        if at_ms < endpoint.wake_at_ms:
            endpoint.wake_at_ms = at_ms
            heapq.heappush(self._wakes, (at_ms, endpoint.subscription.subscription_id))

    def woken(self, now_ms: int) -> list[Endpoint]:
        """The endpoints whose sleep is over."""
        woken: list[Endpoint] = []
        while self._wakes and self._wakes[0][0] <= now_ms:
            at_ms, subscription_id = heapq.heappop(self._wakes)
            endpoint = self._roster.endpoints.get(subscription_id)
            if endpoint is not None and endpoint.wake_at_ms == at_ms:
                endpoint.wake_at_ms = inf
                woken.append(endpoint)
        return woken

    def first_wake_ms(self) -> float:
        """When the first sleep is over."""
        return self._wakes[0][0] if self._wakes else inf

    def freed(self) -> list[Endpoint]:
        """The endpoints that waited for a kind of slot of which some are free again.

        At most as many as there are slots. Each is to be considered again; one that does not use
        its slot after all leaves it to those that a further call answers.
        """
        freed = _first(self._awaiting_again_slot, self._slots.free_for_again())
        for endpoint in freed:
            endpoint.awaits_again_slot = False
        for host, speed in [*self._awaiting_host_slot]:
            waiting = self._awaiting_host_slot[host, speed]
            for endpoint in _first(waiting, self._slots.free_for_host(host, speed)):
                # One that waited here and has another speed by now waits elsewhere, if at all.
                if endpoint.awaits_host_slot_as is speed:
                    endpoint.awaits_host_slot_as = None
                    freed.append(endpoint)
            if not waiting:
                del self._awaiting_host_slot[host, speed]
        return freed

    def next_endpoint(self, now_ms: int) -> Endpoint | None:
        """Take the endpoint whose turn it is out of its queue."""
        endpoint = self._next_manual(now_ms)
        if endpoint is not None:
            return endpoint
        best: tuple[tuple[float, float], FairQueue] | None = None
        for speed, queue in self._queues.items():
            used_ms = queue.first_used_ms()
            if used_ms is None or not self._slots.allow(speed):
                continue
            if best is None or used_ms < best[0]:
                best = (used_ms, queue)
        while best is not None and (name := best[1].take()) is not None:
            endpoint = self._roster.endpoints.get(name)
            if endpoint is not None:
                endpoint.queued_as = None
                return endpoint
        return None

    def next_row(self, endpoint: Endpoint, now_ms: int) -> Delivery | None:
        """The row to send for the endpoint whose turn it is; None if it may not send after all."""
        if endpoint.manual:
            return endpoint.manual.popleft()
        if endpoint.free_at_ms() > now_ms:
            return None
        host, speed = endpoint.host, endpoint.speed
        if self._slots.free_for_host(host, speed) <= 0:
            endpoint.awaits_host_slot_as = speed
            self._awaiting_host_slot.setdefault((host, speed), deque()).append(endpoint)
            return None
        again_allowed = self._slots.free_for_again() > 0
        while endpoint.ready_rows:
            ready = endpoint.next_ready(again_allowed=again_allowed)
            if ready is None:
                if not endpoint.awaits_again_slot:
                    endpoint.awaits_again_slot = True
                    self._awaiting_again_slot.append(endpoint)
                return None
            if self._roster.is_present(ready):
                return ready
        return None

    def _next_manual(self, now_ms: int) -> Endpoint | None:
        """An endpoint whose first manual row may go."""
        while self._manual:
            endpoint = self._manual.popleft()
            while endpoint.manual:
                delivery = endpoint.manual[0]
                is_present = self._roster.is_present(delivery)
                if is_present and endpoint.may_send() and endpoint.silent_until_ms <= now_ms:
                    return endpoint
                endpoint.manual.popleft()
                if is_present:
                    # Paused since it was asked for: the row is due, and is read again on resume.
                    del self._roster.known[delivery.seq]
                    endpoint.spill(delivery)
                    self.wake_at(endpoint, endpoint.silent_until_ms or inf)
        return None


def _first(waiting: deque[Endpoint], count: int) -> list[Endpoint]:
    """Remove and answer those who have waited longest."""
    return [waiting.popleft() for _ in range(min(count, len(waiting)))]
