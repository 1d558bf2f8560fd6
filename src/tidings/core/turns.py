"""Turns: which endpoint is served next, which row of it, and who sleeps until when."""

import heapq
from math import inf

from tidings.core.delivery import Delivery
from tidings.core.endpoint import Endpoint, Speed
from tidings.core.fairness import FairQueue
from tidings.core.roster import Roster
from tidings.core.slots import Slots


class Turns:
    """The endpoints that may send now, in fair order, and those that wait for a time or a slot."""

    def __init__(self, roster: Roster, slots: Slots) -> None:
        self._roster = roster
        self._slots = slots
        self._queues = {speed: FairQueue() for speed in Speed}
        self._manual: list[Endpoint] = []
        self._awaiting_again_slot: list[Endpoint] = []
        self._wakes: list[tuple[float, str]] = []

    def consider(self, endpoint: Endpoint, now_ms: int) -> None:
        """Put an endpoint into its queue if it may send, or to sleep until it may."""
        if endpoint.is_queued or not endpoint.ready_rows:
            return
        if endpoint.awaits_again_slot and not endpoint.fresh:
            return
        free_at_ms = endpoint.free_at_ms()
        if free_at_ms <= now_ms:
            endpoint.is_queued = True
            self._queues[endpoint.speed].add(endpoint.tenant, endpoint.share)
        else:
            self.wake_at(endpoint, free_at_ms)

    def add_manual(self, endpoint: Endpoint, delivery: Delivery) -> None:
        """Let a person's retry go before everything else, whatever the endpoint's health."""
        endpoint.manual.append(delivery)
        self._manual.append(endpoint)

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

    def again_slot_freed(self) -> Endpoint | None:
        """An endpoint that waited for a slot for repeats and may be considered again."""
        if not self._awaiting_again_slot:
            return None
        endpoint = self._awaiting_again_slot.pop(0)
        endpoint.awaits_again_slot = False
        return endpoint

    def next_endpoint(self) -> Endpoint | None:
        """Take the endpoint whose turn it is out of its queue."""
        if self._manual:
            return self._manual.pop(0)
        best: tuple[float, FairQueue] | None = None
        for speed, queue in self._queues.items():
            used_ms = queue.first_used_ms() if self._slots.allow(speed) else None
            if used_ms is not None and (best is None or used_ms < best[0]):
                best = (used_ms, queue)
        while best is not None and (name := best[1].take()) is not None:
            endpoint = self._roster.endpoints.get(name)
            if endpoint is not None:
                endpoint.is_queued = False
                return endpoint
        return None

    def next_row(self, endpoint: Endpoint, now_ms: int) -> Delivery | None:
        """The row to send for the endpoint whose turn it is; None if it may not send after all."""
        while endpoint.manual:
            delivery = endpoint.manual.popleft()
            if self._roster.is_present(delivery):
                if endpoint.may_send():
                    return delivery
                # Paused since it was asked for: the row is due, and is read again on resume.
                self._roster.known.pop(delivery.seq)
                endpoint.due_spilled = True
        if endpoint.free_at_ms() > now_ms:
            return None
        again_allowed = self._slots.allow_again()
        while endpoint.ready_rows:
            ready = endpoint.next_ready(again_allowed=again_allowed)
            if ready is None:
                endpoint.awaits_again_slot = True
                self._awaiting_again_slot.append(endpoint)
                return None
            if self._roster.is_present(ready):
                return ready
        return None
