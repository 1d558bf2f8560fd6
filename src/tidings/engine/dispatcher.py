"""Drives the scheduler with real time, real sends and real reads.

Inputs reach the scheduler as they happen; what it wants is carried out in `_pump`, a callback of
the event loop that is asked for whenever something changed and that sets the one timer for the next
time something must. The rules are all in `tidings.core`.
"""

import asyncio
import logging
from collections.abc import Collection, Coroutine, Iterator
from contextlib import contextmanager
from math import inf
from typing import Any

from tidings.core import limits
from tidings.core.attempt import Answer, ErrorClass, Outcome
from tidings.core.commands import (
    Command,
    LoadSubscription,
    ReadDueOfSubscription,
    ReadDueWindow,
    ReadPage,
    Send,
    Settle,
)
from tidings.core.decision import Decision, after_attempt
from tidings.core.delivery import Delivery
from tidings.core.health import HEALTHY, Health, is_worth_writing
from tidings.core.limits import SETTLED_ROWS_MAX
from tidings.core.ownership import shard_of
from tidings.core.scheduler import Scheduler
from tidings.engine.bodies import Bodies
from tidings.engine.lease import Lease
from tidings.engine.recorder import Recorder
from tidings.engine.sending import Sender
from tidings.engine.telemetry import Telemetry
from tidings.ports.clock import Chance, Clock
from tidings.ports.store import Committed, Disabling, Result, SessionLost, Store

_LOG = logging.getLogger(__name__)
_STORE_AWAY_SECONDS = 0.25
_OVERDUE_CHECK_MS = 50


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
        self._loop = asyncio.get_running_loop()
        self._attempts: dict[asyncio.Task[None], Delivery] = {}
        self._chores: set[asyncio.Task[None]] = set()
        self._ending_rows_of: list[str] = []
        self._strangers: set[str] = set()
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
        if self._attempts:
            await asyncio.wait(list(self._attempts), timeout=timeout_seconds)
        for chore in (*self._attempts, *self._chores):
            chore.cancel()
        await asyncio.gather(*self._attempts, *self._chores, return_exceptions=True)
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
                self._begin_attempt(send)
            wake_ms = self.scheduler.next_wake_ms()
        for command in self.scheduler.take_commands():
            self._begin_chore(self._carry_out(command))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if wake_ms < inf:
            delay = max(0.001, (wake_ms - now_ms) / 1_000)
            self._timer = self._loop.call_later(delay, self.wake)

    def _begin_chore(self, steps: Coroutine[Any, Any, None]) -> None:
        begun = self._loop.create_task(steps)
        self._chores.add(begun)
        begun.add_done_callback(self._chores.discard)

    def _begin_attempt(self, send: Send) -> None:
        begun = self._loop.create_task(self._attempt(send))
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
        return given_up

    def busy_shards(self) -> set[int]:
        """The shards for which something is sent, or written as their owner."""
        return self.scheduler.tenures.busy_shards() | set(map(shard_of, self._ending_rows_of))

    @contextmanager
    def ending_rows_of(self, subscription_id: str) -> Iterator[None]:
        """Let its shard count as busy while rows of a subscription are being ended."""
        self._ending_rows_of.append(subscription_id)
        try:
            yield
        finally:
            self._ending_rows_of.remove(subscription_id)
            self.wake()

    async def _attempt(self, send: Send) -> None:
        """Make one attempt and decide what follows."""
        delivery, subscription = send.delivery, send.subscription
        clock = self._clock
        try:
            stored = self.bodies.cached(delivery.event_seq)
            if stored is None:
                stored = await self.bodies.get(delivery.event_seq)
                # Time has passed: what holds now is what counts.
                wanted = self.scheduler.still_wanted(send, clock.now_ms())
                if wanted is None:
                    stored = None
                else:
                    subscription = wanted
            if stored is None or not self._lease.holds():
                # Called off, or erased a moment ago by somebody who has ended the row, too.
                self.scheduler.attempt_abandoned(delivery)
                self.wake()
                return
            started_at_ms, began_ms = clock.now_ms(), clock.monotonic_ms()
            self.scheduler.departs(send, started_at_ms)
            answer = await self._sender.send(
                subscription,
                stored,
                delivery.form,
                delivery.event_seq,
                may_leave=self._lease.holds if self._is_sharing else None,
            )
        except Exception as fault:  # noqa: BLE001 - no fault may keep a slot or lose a row
            _LOG.warning("an attempt could not be made and will be again: %r", fault)
            await asyncio.sleep(_STORE_AWAY_SECONDS)
            self.scheduler.attempt_abandoned(delivery)
            self.wake()
            return
        attempt = self._sender.attempt(
            delivery,
            subscription,
            answer,
            started_at_ms=started_at_ms,
            duration_ms=round(clock.monotonic_ms() - began_ms),
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

    async def _carry_out(self, command: Command) -> None:
        try:
            if isinstance(command, Settle):
                with self.ending_rows_of(command.subscription_id):
                    await self._settle(command.subscription_id)
            elif isinstance(command, LoadSubscription):
                await self._load_subscription(command.subscription_id)
            else:
                await self._read(command)
        except SessionLost:
            _LOG.warning("rows were to be ended that are somebody else's by now")
        except Exception as fault:  # noqa: BLE001 - whatever it was, the rows must be read
            _LOG.warning("the engine could not use the store, and tries again: %r", fault)
            await asyncio.sleep(_STORE_AWAY_SECONDS)
            self.scheduler.failed(command)
        self.wake()

    async def _read(self, command: ReadPage | ReadDueOfSubscription | ReadDueWindow) -> None:
        reading, store = self.scheduler.reading, self._store
        if isinstance(command, ReadPage):
            page = await store.read_page(
                command.subscription_id, after_seq=command.after_seq, limit=command.limit
            )
            reading.page_read(
                command,
                page.rows,
                last_seq=page.last_seq,
                is_last=page.is_last,
                now_ms=self._clock.now_ms(),
            )
        elif isinstance(command, ReadDueOfSubscription):
            rows = await store.read_due_of_subscription(
                command.subscription_id, until_ms=command.until_ms, limit=command.limit
            )
            reading.due_of_subscription_read(command, rows, self._clock.now_ms())
        else:
            rows = await store.read_due(
                after=command.after,
                until_ms=command.until_ms,
                limit=command.limit,
                shards=command.shards,
            )
            reading.due_window_read(command, rows, self._clock.now_ms())

    async def _settle(self, subscription_id: str) -> None:
        """End the rows of a subscription that is over, a bounded number at a time."""
        ended = SETTLED_ROWS_MAX
        while ended >= SETTLED_ROWS_MAX:
            if not self.scheduler.tenures.owns(subscription_id):
                return
            ended = await self._store.settle_deliveries(
                subscription_id,
                excluding=self.scheduler.seqs_in_flight(subscription_id),
                now_ms=self._clock.now_ms(),
                limit=SETTLED_ROWS_MAX,
            )
        self.scheduler.settled(subscription_id)

    async def _load_subscription(self, subscription_id: str) -> None:
        """Load a subscription that nobody has told of, with all that are missing as well."""
        self._strangers.add(subscription_id)
        await asyncio.sleep(0)
        if subscription_id not in self._strangers:
            return
        wanted, self._strangers = self._strangers, set()
        try:
            records = await self._store.load_subscriptions()
        except BaseException:
            self._strangers |= wanted
            raise
        for record in records:
            subscription = record.subscription
            if subscription.subscription_id in wanted:
                if record.health is not HEALTHY:
                    self.restore_health(subscription.subscription_id, record.health)
                self.scheduler.subscription_changed(
                    subscription, self._clock.now_ms(), health=record.health
                )
