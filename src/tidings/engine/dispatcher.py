"""Drives the scheduler with real time, real sends and real reads.

Inputs reach the scheduler as they happen; what it wants is carried out in `_pump`, a callback of
the event loop that is asked for whenever something changed and that sets the one timer for the next
time something must. The rules are all in `tidings.core`.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from functools import partial
from math import inf

import msgspec

from tidings.core import limits
from tidings.core.attempt import Answer, ErrorClass, Outcome
from tidings.core.commands import (
    Send,
)
from tidings.core.decision import Decision, after_attempt
from tidings.core.delivery import Delivery
from tidings.core.health import HEALTHY, Health, is_worth_writing
from tidings.core.ownership import shard_of
from tidings.core.scheduler import Scheduler
from tidings.core.subscription import Subscription
from tidings.engine.bodies import Bodies
from tidings.engine.errands import Errands
from tidings.engine.lease import Lease
from tidings.engine.recorder import Recorder
from tidings.engine.sending import Sender
from tidings.engine.telemetry import Telemetry
from tidings.ports.clock import Chance, Clock
from tidings.ports.records import StoredBody
from tidings.ports.store import Committed, Disabling, Result, Store
from tidings.ports.transport import OutboundRequest

_LOG = logging.getLogger(__name__)
_STORE_AWAY_SECONDS = 0.25
_OVERDUE_CHECK_MS = 50


class _Request(msgspec.Struct, eq=False):
    """A request that leaves. `give_up` calls it back; `is_back` is there if somebody waits."""

    send: Send
    subscription: Subscription
    started_at_ms: int
    began_ms: float
    give_up: Callable[[], None] | None = None
    is_back: asyncio.Future[None] | None = None


class Dispatcher:
    """The loop of the engine. `start` begins it, `drain` ends it."""

    def __init__(
        self,
        store: Store,
        sender: Sender,
        clock: Clock,
        chance: Chance,
        telemetry: Telemetry,
        *,
        concurrency_max: int,
        disable_after_days: float,
    ) -> None:
        self.scheduler = Scheduler(concurrency_max=concurrency_max)
        self.bodies = Bodies(store, bytes_max=limits.BODY_CACHE_BYTES_MAX)
        self._lease = Lease()
        self.recorder = Recorder(store, clock, self._result_lost, self._fenced)
        self._store = store
        self._sender = sender
        self._clock = clock
        self._chance = chance
        self._telemetry = telemetry
        self._disable_after_days = disable_after_days
        self._is_sharing = False
        self.errands = Errands(store, self.scheduler, clock, self.restore_health, self.wake)
        self._loop = asyncio.get_running_loop()
        self._attempts: dict[asyncio.Task[None], Delivery] = {}
        self._requests: set[_Request] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._is_pump_due = False
        self._is_sending = False
        self._healths_written: dict[str, tuple[Health, int]] = {}

    def share(self, lease: Lease) -> None:
        """Leave new rows to a reader, begin with no shard, and send only while a lease holds."""
        self._lease = lease
        self._is_sharing = True
        self.scheduler.tenures.begin_none()

    def committed(self, changes: Committed) -> None:
        """Follow a commit; the store calls this in the order of commits."""
        scheduler, now_ms = self.scheduler, self._clock.now_ms()
        for subscription in changes.subscriptions:
            scheduler.subscription_changed(subscription, now_ms)
            if subscription.is_over:
                self._healths_written.pop(subscription.subscription_id, None)
        if changes.ended:
            scheduler.ended(changes.ended, now_ms)
        for result, recorded in changes.recorded:
            scheduler.result_recorded(
                result.delivery,
                has_ended=result.ending is not None or not recorded.applied,
                next_in_lane=recorded.next_in_lane,
                now_ms=now_ms,
            )
        if changes.unparked:
            scheduler.unparked(changes.unparked, now_ms)
        if changes.ended:
            scheduler.all_told(changes.ended, now_ms)
        if changes.arrived:
            self._arrived(changes, now_ms)
        self._telemetry.committed(changes)
        self.wake()

    def _arrived(self, changes: Committed, now_ms: int) -> None:
        if not self._is_sharing:
            self.bodies.put(changes.bodies)
            self.scheduler.arrived(changes.arrived, now_ms)
            return
        # New rows come by the reader, which sees everybody's in one order.
        owns = self.scheduler.tenures.owns
        ours = [row for row in changes.arrived if owns(row.subscription_id)]
        bodies = changes.bodies
        self.bodies.put(
            {row.event_seq: bodies[row.event_seq] for row in ours if row.event_seq in bodies}
        )
        self.scheduler.changed([row for row in ours if row.is_manual], now_ms)

    def start(self) -> None:
        """Begin to send."""
        self._is_sending = True
        self.wake()

    async def drain(self, *, timeout_seconds: float) -> None:
        """Start nothing new, let requests in flight finish for a while, record what came back."""
        self._is_sending = False
        if self._timer is not None:
            self._timer.cancel()
        for request in self._requests:
            request.is_back = self._loop.create_future()
        under_way = [*self._attempts, *(one.is_back for one in self._requests if one.is_back)]
        if under_way:
            await asyncio.wait(under_way, timeout=timeout_seconds)
        self._give_up(list(self._requests))
        for attempt in self._attempts:
            attempt.cancel()
        await asyncio.gather(*self._attempts, return_exceptions=True)
        await self.errands.stop()
        await self.recorder.flush()

    def wake(self) -> None:
        """Have the scheduler asked for its next steps soon."""
        if not self._is_pump_due and self._is_sending:
            self._is_pump_due = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        """Carry out what the scheduler wants now, and come back when it wants more."""
        self._is_pump_due = False
        if not self._is_sending:
            return
        now_ms = self._clock.now_ms()
        wake_ms: float = inf
        if self.recorder.is_overdue() or not self._lease.holds():
            wake_ms = now_ms + _OVERDUE_CHECK_MS
        else:
            for send in self.scheduler.next_sends(now_ms):
                self._attempt(send)
            wake_ms = self.scheduler.next_wake_ms()
        for command in self.scheduler.take_commands():
            self.errands.begin(command)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if wake_ms < inf:
            delay = max(0.001, (wake_ms - now_ms) / 1_000)
            self._timer = self._loop.call_later(delay, self.wake)

    def _begin_later(
        self,
        send: Send,
        request: "_Request | None" = None,
        signed: OutboundRequest | None = None,
    ) -> None:
        begun = self._loop.create_task(self._attempt_later(send, request, signed))
        self._attempts[begun] = send.delivery
        begun.add_done_callback(self._attempt_over)

    def _attempt_over(self, attempt: asyncio.Task[None]) -> None:
        delivery = self._attempts.pop(attempt)
        if attempt.cancelled():
            # Perhaps before its first step.
            self.scheduler.attempt_abandoned(delivery)
            self.wake()

    def cancel_attempts(self, shards: Collection[int]) -> list[asyncio.Task[None]]:
        """Give up the requests of some shards; answers what is coming to its end by that."""
        given_up = [
            attempt
            for attempt, delivery in self._attempts.items()
            if shard_of(delivery.subscription_id) in shards
        ]
        for attempt in given_up:
            attempt.cancel()
        self._give_up(
            [
                request
                for request in self._requests
                if shard_of(request.send.delivery.subscription_id) in shards
            ]
        )
        return given_up

    def _give_up(self, requests: Collection["_Request"]) -> None:
        """Give up requests whose answers would be told."""
        for request in requests:
            self._requests.discard(request)
            if request.give_up is not None:
                request.give_up()
                self.scheduler.attempt_abandoned(request.send.delivery)

    def busy_shards(self) -> set[int]:
        """The shards for which something is sent, or written as their owner."""
        return self.scheduler.tenures.busy_shards() | self.errands.busy_shards()

    def _attempt(self, send: Send) -> None:
        """Make one attempt: at once if all that it needs is at hand, as nearly always."""
        stored = self.bodies.cached(send.delivery.event_seq)
        try:
            found = None if stored is None else self._departing(send, send.subscription, stored)
        except Exception:  # noqa: BLE001 - it happens there again, and is dealt with
            found = None
        if found is None:
            self._begin_later(send)
            return
        request, signed = found
        self._requests.add(request)
        request.give_up = self._sender.begin(signed, partial(self._answered, request))
        if request.give_up is None:
            self._requests.discard(request)
            self._begin_later(send, request, signed)

    def _departing(
        self, send: Send, subscription: Subscription, stored: StoredBody
    ) -> tuple[_Request, OutboundRequest | None]:
        """Sign a request that leaves now, and count it."""
        delivery, now_ms = send.delivery, self._clock.now_ms()
        signed = self._sender.request(
            subscription,
            stored,
            delivery.form,
            delivery.event_seq,
            now_ms=now_ms,
            may_leave=self._lease.holds if self._is_sharing else None,
        )
        self.scheduler.departs(send, now_ms)
        return _Request(send, subscription, now_ms, self._clock.monotonic_ms()), signed

    async def _attempt_later(
        self,
        send: Send,
        request: _Request | None,
        signed: OutboundRequest | None,
    ) -> None:
        """Make an attempt that has to wait for its body or a connection."""
        delivery = send.delivery
        try:
            if request is None:
                stored = await self.bodies.get(delivery.event_seq)
                # Time has passed: what holds now is what counts.
                wanted = self.scheduler.still_wanted(send, self._clock.now_ms())
                if stored is None or wanted is None or not self._lease.holds():
                    # Called off, or erased a moment ago by somebody who has ended the row, too.
                    self.scheduler.attempt_abandoned(delivery)
                    self.wake()
                    return
                request, signed = self._departing(send, wanted, stored)
            answer = await self._sender.send(signed)
        except Exception as fault:  # noqa: BLE001 - no fault may keep a slot or lose a row
            _LOG.warning("an attempt could not be made and will be again: %r", fault)
            await asyncio.sleep(_STORE_AWAY_SECONDS)
            self.scheduler.attempt_abandoned(delivery)
            self.wake()
            return
        self._answered(request, answer)

    def _answered(self, request: _Request, answer: Answer) -> None:
        """Decide what follows from an attempt."""
        send, subscription = request.send, request.subscription
        self._requests.discard(request)
        if request.is_back is not None and not request.is_back.done():
            request.is_back.set_result(None)
        attempt = self._sender.attempt(
            send.delivery,
            subscription,
            answer,
            started_at_ms=request.started_at_ms,
            duration_ms=round(self._clock.monotonic_ms() - request.began_ms),
        )
        decision = self._decide(send, answer)
        health = self._health_to_write(subscription.subscription_id, decision.health)
        disabling = None
        if decision.disable is not None:
            disabling = Disabling(decision.disable, subscription.callback_url)
        self.recorder.add(Result(attempt, decision.delivery, decision.ending, health, disabling))
        self._telemetry.attempt_finished(attempt)
        self.wake()

    def _fenced(self) -> None:
        self._lease.fenced()

    def _result_lost(self, result: Result) -> None:
        self.scheduler.result_lost(result.delivery)
        self.wake()

    def _decide(self, send: Send, answer: Answer) -> Decision:
        """Apply the rules to an answer, and let the scheduler follow."""
        subscription_id = send.subscription.subscription_id
        now_ms = self._clock.now_ms()
        decision = after_attempt(
            send.delivery,
            self.scheduler.subscription(subscription_id) or send.subscription,
            self.scheduler.health_of(subscription_id),
            answer,
            now_ms=now_ms,
            jitter=self._chance.jitter(),
            disable_after_days=self._disable_after_days,
        )
        is_choking = (
            decision.outcome is Outcome.THROTTLED
            or answer.error_class is ErrorClass.TIMEOUT
            or (answer.status_code or 0) >= 500  # noqa: PLR2004 - the class of server errors
        )
        self.scheduler.attempt_finished(
            send.delivery, decision, is_choking=is_choking, now_ms=now_ms
        )
        return decision

    def _health_to_write(self, subscription_id: str, health: Health) -> Health | None:
        """The health if it must be stored with this result."""
        written, written_at_ms = self._healths_written.get(subscription_id, (HEALTHY, 0))
        if written is health:
            return None
        now_ms = self._clock.now_ms()
        if not is_worth_writing(written, health, written_at_ms=written_at_ms, now_ms=now_ms):
            return None
        if health is HEALTHY:
            self._healths_written.pop(subscription_id, None)
        else:
            self._healths_written[subscription_id] = (health, now_ms)
        return health

    def restore_health(self, subscription_id: str, health: Health) -> None:
        """Note what the store holds of an endpoint's health."""
        self._healths_written[subscription_id] = (health, 0)

    def forget_health(self, subscription_id: str) -> None:
        """Forget what was written: somebody else may write from now on, or has written."""
        self._healths_written.pop(subscription_id, None)
