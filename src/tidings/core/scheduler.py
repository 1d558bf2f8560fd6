"""Who is served next: inputs in, commands out; no I/O, no clock, no randomness.

The scheduler knows every row that is in memory and what it waits for:

    arrived, read ──▶ ready with its endpoint ──▶ in flight ──▶ unrecorded ──▶ forgotten
                          ▲        │                                  │
                          │        ▼ (window full)                    ▼ (failed)
                       due now   read again later                 due window

Its inputs are what was committed, in the order of commits, what was read (`reading`), how attempts
went, which shards are ours (`tenures`), and the time. Its outputs are `Send`s (`next_sends`) and
other commands (`take_commands`).
"""

from collections.abc import Iterable

from tidings.core import limits
from tidings.core.commands import Command, LoadSubscription, Send, Settle
from tidings.core.decision import Decision
from tidings.core.delivery import Delivery
from tidings.core.endpoint import Endpoint
from tidings.core.health import HEALTHY, Health
from tidings.core.intake import Intake
from tidings.core.reading import Reading
from tidings.core.roster import Roster
from tidings.core.slots import Flight, Slots
from tidings.core.subscription import Status, Subscription
from tidings.core.tenures import Tenures
from tidings.core.turns import Turns


class Scheduler:
    """All endpoints of this owner, and their turns."""

    def __init__(self, *, concurrency_max: int = limits.CONCURRENCY_MAX_DEFAULT) -> None:
        self._slots = Slots(concurrency_max)
        self._roster = Roster()
        self._turns = Turns(self._roster, self._slots)
        self.reading = Reading(self._roster, self._turns)
        self._intake = Intake(self._roster, self._slots, self._turns, self.reading)
        self.tenures = Tenures(self._roster, self._slots, self._turns, self.reading)

    # What others may ask.

    def is_in_flight(self, delivery_id: str) -> bool:
        """Whether one of the delivery's attempts is on its way, or its result is not recorded."""
        return any(one.delivery_id == delivery_id for one in self._slots.under_way())

    def seqs_in_flight(self, subscription_id: str) -> list[int]:
        """The rows of a subscription that are on their way or whose result is not recorded."""
        return [
            one.seq for one in self._slots.under_way() if one.subscription_id == subscription_id
        ]

    def health_of(self, subscription_id: str) -> Health:
        """What is remembered of an endpoint."""
        endpoint = self._roster.endpoints.get(subscription_id)
        return HEALTHY if endpoint is None else endpoint.health

    def subscription(self, subscription_id: str) -> Subscription | None:
        """A subscription as it stands now; None once it is deleted and settled."""
        return self._roster.subscriptions.get(subscription_id)

    @property
    def subscriptions_unopened(self) -> int:
        """How many subscriptions have secrets that cannot be opened."""
        return len(self._roster.unopened)

    def endpoints(self) -> list[Endpoint]:
        """The endpoints in memory that are ours."""
        return [endpoint for endpoint in self._roster.endpoints.values() if endpoint.is_ours]

    @property
    def rows_in_memory(self) -> int:
        """How many rows are known; about `limits.ROWS_IN_MEMORY_MAX` at most."""
        return len(self._roster.known)

    @property
    def attempts_in_flight(self) -> int:
        """How many slots are taken."""
        return len(self._slots.flights)

    def still_wanted(self, send: Send, now_ms: int) -> Subscription | None:
        """The subscription to send to after all, when a send had to wait for its body.

        None when it was called off meanwhile: then the attempt is to be abandoned.
        """
        flight = self._slots.flights[send.delivery.seq]
        endpoint = flight.endpoint
        free_at_ms = max(endpoint.waits_until_ms(), endpoint.departs_at_ms())
        is_held = free_at_ms > now_ms and not send.delivery.is_manual
        if flight.has_ended or is_held or not endpoint.may_send():
            return None
        return endpoint.subscription

    def departs(self, send: Send, now_ms: int) -> None:
        """Count a request that leaves now against its endpoint's rate."""
        flight = self._slots.flights[send.delivery.seq]
        endpoint = flight.endpoint
        flight.deadline_ms = now_ms + endpoint.subscription.timeout_seconds * 1_000
        if endpoint.rate is not None and endpoint.departures is not None:
            endpoint.departures.take(now_ms)
            # It may have been let go long ago, and what was idle meanwhile is used up now.
            endpoint.rate.fall_behind(endpoint.departures)

    # Inputs: configuration.

    def restore(
        self, subscription: Subscription, health: Health, *, has_rows: bool, now_ms: int
    ) -> None:
        """Take in a subscription at the start, with what was stored of its endpoint."""
        self._roster.put(subscription)
        self._roster.began_ms = now_ms
        if not has_rows and health is HEALTHY:
            return
        endpoint = self._roster.endpoint(subscription.subscription_id, now_ms)
        assert endpoint is not None
        self.reading.restore(endpoint, health, has_rows=has_rows, now_ms=now_ms)

    def subscription_changed(
        self, subscription: Subscription, now_ms: int, *, health: Health = HEALTHY
    ) -> None:
        """Follow a change; what it means for rows already in memory holds from the next send on.

        `health` is what the store holds of the endpoint, for one that is met only now.
        """
        roster = self._roster
        subscription_id = subscription.subscription_id
        old = roster.subscriptions.get(subscription_id)
        if old is not None and subscription.version < old.version:
            # It was loaded before a change that we have been told of since.
            return
        roster.put(subscription)
        if subscription_id not in roster.endpoints and not subscription.is_over:
            if subscription_id in roster.strangers:
                self._meet(subscription_id, health, now_ms)
            return
        endpoint = roster.endpoint(subscription_id, now_ms)
        if endpoint is None:
            return
        endpoint.follow(subscription)
        endpoint.set_rate(now_ms, starts_empty=False)
        if subscription.is_over:
            roster.settle(endpoint)
            return
        if subscription.may_send and (old is None or not old.may_send):
            endpoint.health = HEALTHY
            endpoint.concurrency.restart()
        self.reading.attend(endpoint, now_ms)

    def settled(self, subscription_id: str) -> None:
        """All rows of a disabled or deleted subscription have been ended."""
        roster = self._roster
        subscription = roster.subscriptions.get(subscription_id)
        endpoint = roster.endpoints.get(subscription_id)
        if subscription is None or subscription.status is not Status.DELETED:
            return
        if not self.seqs_in_flight(subscription_id):
            if endpoint is not None:
                roster.drop_ready(endpoint)
            roster.remove(subscription_id)

    # Inputs: rows.

    def arrived(self, deliveries: Iterable[Delivery], now_ms: int) -> None:
        """Take in rows that were just committed, in the order of `seq`."""
        self._intake.arrived(deliveries, now_ms)

    def unparked(self, deliveries: Iterable[Delivery], now_ms: int) -> None:
        """Take in rows that became the heads of their lanes because another ended."""
        self._intake.unparked(deliveries, now_ms)

    def changed(self, deliveries: Iterable[Delivery], now_ms: int) -> None:
        """Take in rows that others have changed: wishes of people, and new heads of lanes."""
        self._intake.changed(deliveries, now_ms)

    def all_told(self, ended: Iterable[Delivery], now_ms: int) -> None:
        """Look for followers of rows that were ended, after everything of that commit is told."""
        self._intake.ended(ended, now_ms)

    def ended(self, deliveries: Iterable[Delivery], now_ms: int) -> None:
        """Forget rows that somebody ended besides the results of attempts."""
        for delivery in deliveries:
            self._forget(delivery, has_ended=True)
            endpoint = self._roster.endpoints.get(delivery.subscription_id)
            if endpoint is not None and endpoint.is_ours:
                self.reading.attend(endpoint, now_ms)

    def attempt_finished(
        self, delivery: Delivery, decision: Decision, *, is_choking: bool, now_ms: int
    ) -> None:
        """Free the slot and learn. The row stays known until `result_recorded`."""
        flight = self._slots.give_back(delivery.seq)
        self._slots.unrecorded[delivery.seq] = delivery
        endpoint = flight.endpoint
        # It took its deadline at most, however far the wall clock was set forward meanwhile.
        took_ms_max = endpoint.subscription.timeout_seconds * 1_000
        started_at_ms = max(flight.started_at_ms, now_ms - took_ms_max)
        endpoint.learn(
            decision.outcome,
            is_choking=is_choking,
            started_at_ms=started_at_ms,
            now_ms=now_ms,
        )
        overdrawn_ms = max(0.0, now_ms - started_at_ms - flight.charged_ms)
        endpoint.share.used_ms += overdrawn_ms
        endpoint.tenant.used_ms += overdrawn_ms
        if endpoint.health.is_open and not decision.health.is_open:
            endpoint.concurrency.restart()
        endpoint.health = decision.health
        endpoint.judge_speed()
        self.reading.attend(endpoint, now_ms)

    def attempt_abandoned(self, delivery: Delivery) -> None:
        """Free the slot of a request that was given up; nothing is learnt."""
        self._slots.give_back(delivery.seq)
        self._leave_to_the_table(delivery)

    def result_lost(self, delivery: Delivery) -> None:
        """Forget an attempt whose result could not be recorded; it will be made again."""
        self._slots.unrecorded.pop(delivery.seq, None)
        self._leave_to_the_table(delivery)

    def result_recorded(
        self, delivery: Delivery, *, has_ended: bool, next_in_lane: Delivery | None, now_ms: int
    ) -> None:
        """Follow a committed result: let the row wait for its due time, or forget it."""
        was_awaited = self._slots.unrecorded.pop(delivery.seq, None) is not None
        if not was_awaited and self._roster.tenures is not None:
            # Of a shard that was dropped meanwhile: whatever is in memory by now is newer.
            return
        self._forget(delivery, has_ended=has_ended)
        if next_in_lane is not None:
            self.unparked([next_in_lane], now_ms)
        endpoint = self._roster.endpoints.get(delivery.subscription_id)
        if not has_ended:
            endpoint = self._roster.endpoint(delivery.subscription_id, now_ms)
            if endpoint is not None:
                self.reading.wait_until_due(endpoint, delivery, now_ms)
        if endpoint is None or not endpoint.is_ours:
            return
        if has_ended and next_in_lane is None and delivery.ordering_key is not None:
            self._intake.find_followers(endpoint, delivery)
        if endpoint.subscription.is_over:
            # It was in flight when the other rows were settled: it may have come back without an
            # end, or be the last that a deleted subscription waits for.
            self._roster.settle(endpoint)
        else:
            self.reading.attend(endpoint, now_ms)

    # Time passes.

    def next_sends(self, now_ms: int) -> list[Send]:
        """Everything that may be sent now. Each send holds a slot from here on."""
        if self._turns.follow_clock(now_ms):
            # Rows that were due and have found no place are due later now.
            self.reading.read_all_due()
        for hanging in self._slots.mark_hanging(now_ms):
            self._turns.consider(hanging, now_ms)
        for woken in self._turns.woken(now_ms):
            self.reading.attend(woken, now_ms)
        self.reading.advance(now_ms)
        sends: list[Send] = []
        self._fill_slots(sends, now_ms)
        while freed := self._turns.freed():
            for waiting in freed:
                self.reading.attend(waiting, now_ms)
            self._fill_slots(sends, now_ms)
        return sends

    def next_wake_ms(self) -> float:
        """The moment at which `next_sends` must be called even if nothing happens before."""
        return min(self.reading.next_wake_ms(), self._turns.first_wake_ms())

    def take_commands(self) -> list[Command]:
        """The commands that have come up since the last call."""
        commands, self._roster.commands = self._roster.commands, []
        return commands

    def failed(self, command: Command) -> None:
        """Have a command that the store could not serve asked for again."""
        if isinstance(command, Settle | LoadSubscription):
            self._roster.commands.append(command)
        else:
            self.reading.read_failed(command)

    def forget_idle(self, *, keep: int) -> None:
        """Drop idle endpoints from memory beyond a number; each comes back with its next row."""
        endpoints = self._roster.endpoints
        if len(endpoints) > keep:
            awaited = {one.subscription_id for one in self._slots.unrecorded.values()}
            for name in [name for name, one in endpoints.items() if one.is_idle]:
                if name not in awaited:
                    del endpoints[name]

    # The steps of the above.

    def _meet(self, subscription_id: str, health: Health, now_ms: int) -> None:
        """Get to know a subscription whose rows have been waiting for it."""
        self._roster.strangers.discard(subscription_id)
        endpoint = self._roster.endpoint(subscription_id, now_ms)
        if endpoint is not None:
            endpoint.health = health
            endpoint.caught_up = False
            self.reading.read_all_due()
            self.reading.attend(endpoint, now_ms)

    def _forget(self, delivery: Delivery, *, has_ended: bool) -> None:
        is_under_way = self._slots.is_under_way(delivery)
        if not is_under_way:
            self._roster.known.pop(delivery.seq, None)
        self._roster.finished.add(delivery, has_ended=has_ended)
        if has_ended and is_under_way:
            # Nobody may overtake it: the lane is free when its last request has come back.
            self._slots.mark_ended(delivery.seq)
        elif has_ended:
            endpoint = self._roster.endpoints.get(delivery.subscription_id)
            if endpoint is not None:
                endpoint.lanes.release(delivery)

    def _leave_to_the_table(self, delivery: Delivery) -> None:
        """Forget a row. If it still stands in the table, a later read brings it back."""
        self._roster.known.pop(delivery.seq, None)
        endpoint = self._roster.endpoints.get(delivery.subscription_id)
        if endpoint is not None and endpoint.is_ours:
            endpoint.lanes.leave(delivery)
            if endpoint.subscription.is_over:
                # It was in flight when the other rows were settled, and may be the last one.
                self._roster.settle(endpoint)
                return
            endpoint.caught_up = False
            endpoint.cursor_seq = min(endpoint.cursor_seq, delivery.seq - 1)
            endpoint.spill(delivery)
            self._turns.wake_at(endpoint, 0)

    def _fill_slots(self, sends: list[Send], now_ms: int) -> None:
        while (
            self._slots.are_free() and (endpoint := self._turns.next_endpoint(now_ms)) is not None
        ):
            delivery = self._turns.next_row(endpoint, now_ms)
            if delivery is not None:
                sends.append(self._take_off(endpoint, delivery, now_ms))
            self.reading.attend(endpoint, now_ms)

    def _take_off(self, endpoint: Endpoint, delivery: Delivery, now_ms: int) -> Send:
        charged_ms = endpoint.expected_ms()
        endpoint.share.used_ms += charged_ms
        endpoint.tenant.used_ms += charged_ms
        if endpoint.rate is not None:
            endpoint.rate.take(now_ms)
        self._slots.take(
            Flight(
                delivery,
                endpoint,
                now_ms,
                charged_ms,
                delivery.is_again,
                endpoint.host,
                endpoint.speed,
            )
        )
        return Send(delivery, endpoint.subscription)
