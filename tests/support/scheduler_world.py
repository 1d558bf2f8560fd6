"""The scheduler in virtual time: a table, receivers that answer as told, and every delay between.

What a commit changes stands in the table at once and is told to the scheduler later, in order.
A read sees the table at one moment and is handed over at another. `SchedulerPromises` watches every
request that goes out.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from math import ceil, inf
from typing import Any

from tests.support.queue_table import Page, QueueTable
from tests.support.scheduler_promises import SchedulerPromises
from tests.support.values import NOW_MS, a_subscription
from tidings.core.attempt import Answer
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
from tidings.core.delivery import Delivery, Ending, Turn, ending_of
from tidings.core.health import HEALTHY, Health
from tidings.core.scheduler import Scheduler
from tidings.core.subscription import Change, Status, Subscription, status_after

OK = Answer(status_code=200)
ERROR = Answer(status_code=500)
REFUSED = Answer()
READS_AT_ONCE_MAX = 300
DRAIN_MS_MAX = 4 * 3_600_000
_SETTLING = {
    Status.DISABLED: Turn.SUBSCRIPTION_DISABLED,
    Status.DELETED: Turn.SUBSCRIPTION_DELETED,
}

Read = ReadPage | ReadDueOfSubscription | ReadDueWindow


@dataclass
class UnderWay:
    """A command that somebody carries out; `seen` is what a read saw, once it has looked."""

    command: Command
    seen: Page | list[Subscription] | None = None


class SchedulerWorld:
    """Everything around one scheduler."""

    def __init__(self, *, concurrency_max: int = 8) -> None:
        self.now_ms = NOW_MS
        self.table = QueueTable()
        self.scheduler = Scheduler(concurrency_max=concurrency_max)
        self.promises = SchedulerPromises(self.scheduler, concurrency_max)
        self.in_flight: dict[int, Send] = {}
        self.results: deque[tuple[Delivery, Ending | None]] = deque()
        self.under_way: list[UnderWay] = []
        self.untold: deque[Callable[[], None]] = deque()
        self.healths: dict[str, Health] = {}
        self.reads = 0
        self.read_at_ms = 0

    # What people do.

    def subscribe(self, name: str, **members: Any) -> Subscription:
        """A new subscription."""
        subscription = a_subscription(subscription_id=name, **members)
        self.table.subscriptions[name] = subscription
        self._commit_subscription(subscription)
        return subscription

    def change(self, name: str, change: Change) -> None:
        """Pause, resume, disable or delete a subscription."""
        self.patch(name, status=status_after(self.table.subscriptions[name].status, change))

    def patch(self, name: str, **members: Any) -> None:
        """Change members of a subscription."""
        old = self.table.subscriptions[name]
        changed = replace(old, version=old.version + 1, **members)
        self.table.subscriptions[name] = changed
        self._commit_subscription(changed)

    def publish(
        self, name: str, count: int = 1, *, ordering_key: str | None = None
    ) -> list[Delivery]:
        """New rows for a subscription, in one commit."""
        subscription = self.table.subscriptions[name]
        rows = [self.table.add(subscription, ordering_key) for _ in range(count)]
        self._commit_arrival(rows)
        return rows

    def retry(self, seq: int) -> None:
        """A person asks for an attempt now."""
        self._commit_arrival([self.table.ask_for_attempt(seq, self.now_ms)])

    def replay(self, delivery_id: str, *, is_single: bool = False) -> Delivery:
        """A person asks for a new round."""
        again = self.table.add_round(delivery_id, is_single=is_single)
        self._commit_arrival([again])
        return again

    def end(self, rows: Iterable[Delivery]) -> None:
        """Somebody ends rows: a person, or the maintenance."""
        ended = [self.table.rows[row.seq] for row in rows if row.seq in self.table.rows]
        nexts = [self.table.end(row) for row in ended]
        present = self.table.rows
        unparked = {row.seq: row for row in nexts if row is not None and row.seq in present}

        def tell() -> None:
            self.promises.ended(ended)
            self.scheduler.ended(ended, self.now_ms)
            self.scheduler.unparked(unparked.values(), self.now_ms)
            self.scheduler.all_told(ended, self.now_ms)

        self.untold.append(tell)

    def put_clock_back(self, by_ms: int) -> None:
        """Somebody sets the wall clock."""
        self.now_ms -= by_ms
        self.promises.clock_put_back(by_ms, self.now_ms)

    # What the engine does.

    def step(self) -> list[Send]:
        """Send what may be sent now, and take the scheduler's commands."""
        sends = self.scheduler.next_sends(self.now_ms)
        self.promises.sent(sends, self.in_flight, self.now_ms, self.table.rows)
        self.in_flight.update((send.delivery.seq, send) for send in sends)
        self.under_way += [UnderWay(command) for command in self.scheduler.take_commands()]
        return sends

    def answer(self, seq: int, answer: Answer = OK) -> Decision:
        """A receiver answers; the result waits to be recorded."""
        send = self.in_flight.pop(seq)
        subscription_id = send.delivery.subscription_id
        decision = after_attempt(
            send.delivery,
            self.scheduler.subscription(subscription_id) or send.subscription,
            self.scheduler.health_of(subscription_id),
            answer,
            now_ms=self.now_ms,
            jitter=0.5,
            disable_after_days=5,
        )
        self.scheduler.attempt_finished(
            send.delivery,
            decision,
            is_choking=(answer.status_code or 0) >= 500,
            now_ms=self.now_ms,
        )
        self.healths[subscription_id] = decision.health
        self.results.append((decision.delivery, decision.ending))
        subscription = self.table.subscriptions[subscription_id]
        if decision.disable is not None and subscription.takes_events:
            self.change(subscription_id, Change.DISABLE)
        return decision

    def abandon(self, seq: int) -> None:
        """The body could not be read, so nothing was sent."""
        self.promises.abandoned(seq)
        self.scheduler.attempt_abandoned(self.in_flight.pop(seq).delivery)

    def lose(self) -> None:
        """A result cannot be recorded, whatever is tried."""
        delivery, _ = self.results.popleft()
        self.promises.abandoned(delivery.seq)
        self.scheduler.result_lost(delivery)

    def record(self, count: int = 1) -> None:
        """Commit waiting results."""
        for _ in range(min(count, len(self.results))):
            self._record(*self.results.popleft())

    def tell(self, count: int = 1) -> None:
        """Let the scheduler hear of commits, in their order."""
        for _ in range(min(count, len(self.untold))):
            self.untold.popleft()()

    def tell_all(self) -> None:
        """Tell the scheduler of every commit that it has not heard of."""
        self.tell(len(self.untold))

    def carry_out_all(self) -> None:
        """Carry out what it asked for, and what it asks for by that."""
        while self.under_way:
            self.carry_out(0)

    def carry_out(self, index: int) -> None:
        """Take a command one step further: a read looks at the table, and later is handed over."""
        one = self.under_way[index]
        command = one.command
        if isinstance(command, Settle):
            del self.under_way[index]
            self._settle(command.subscription_id)
        elif one.seen is None:
            self.reads = self.reads + 1 if self.read_at_ms == self.now_ms else 1
            self.read_at_ms = self.now_ms
            assert self.reads < READS_AT_ONCE_MAX, "it reads and reads"
            one.seen = self._look(command)
        else:
            del self.under_way[index]
            self._hand_over(command, one.seen)

    def fail(self, index: int) -> None:
        """The store cannot carry out a command."""
        self.scheduler.failed(self.under_way.pop(index).command)

    def restart(self) -> None:
        """The process dies and another begins with what is in the table."""
        concurrency_max = self.promises.concurrency_max
        self.scheduler = Scheduler(concurrency_max=concurrency_max)
        self.promises.restarted(self.scheduler)
        for waiting in (self.in_flight, self.results, self.under_way, self.untold):
            waiting.clear()
        for name, subscription in self.table.subscriptions.items():
            has_rows = bool(self.table.of(name))
            self.promises.told(subscription)
            if subscription.status is not Status.DELETED or has_rows:
                health = self.healths.get(name, HEALTHY)
                self.scheduler.restore(subscription, health, has_rows=has_rows, now_ms=self.now_ms)

    # All at once.

    def flow(self, answer: Answer | None = OK) -> list[Send]:
        """Do everything that can be done without time passing; with None nobody answers."""
        sent: list[Send] = []
        while True:
            steps = self.step()
            sent += steps
            was_busy = bool(steps or self.untold or self.under_way or self.results)
            while self.under_way:
                self.carry_out(len(self.under_way) - 1)
            if answer is not None:
                for seq in list(self.in_flight):
                    self.answer(seq, answer)
            self.record(len(self.results))
            self.tell(len(self.untold))
            if not was_busy:
                return sent

    def drain(self, answer: Answer = OK) -> list[Send]:
        """Let time pass until nothing waits for it any more."""
        end_ms = self.now_ms + DRAIN_MS_MAX
        sent = self.flow(answer)
        while self._anything_waits() and (wake_ms := self.scheduler.next_wake_ms()) < inf:
            self.now_ms = max(self.now_ms + 1, ceil(wake_ms))
            assert self.now_ms < end_ms, "it waits and waits"
            sent += self.flow(answer)
        return sent

    def _anything_waits(self) -> bool:
        subscriptions = self.table.subscriptions
        return any(subscriptions[row.subscription_id].may_send for row in self.table.rows.values())

    # The steps of the above.

    def _commit_subscription(self, subscription: Subscription) -> None:
        def tell() -> None:
            self.promises.told(subscription)
            self.scheduler.subscription_changed(subscription, self.now_ms)

        self.untold.append(tell)

    def _commit_arrival(self, rows: list[Delivery]) -> None:
        self.untold.append(lambda: self.scheduler.arrived(rows, self.now_ms))

    def _record(self, delivery: Delivery, ending: Ending | None) -> None:
        applied, next_in_lane = self._applied(delivery, ending)
        has_ended = ending is not None or not applied

        def tell() -> None:
            self.promises.recorded(delivery, has_ended=has_ended)
            self.scheduler.result_recorded(
                delivery, has_ended=has_ended, next_in_lane=next_in_lane, now_ms=self.now_ms
            )

        self.untold.append(tell)

    def _applied(self, delivery: Delivery, ending: Ending | None) -> tuple[bool, Delivery | None]:
        return self.table.record(delivery, ending)

    def _settle(self, subscription_id: str) -> None:
        turn = _SETTLING.get(self.table.subscriptions[subscription_id].status)
        if turn is not None:
            ending_of(turn)  # raises for a turn that ends nothing
            spared = self.scheduler.seqs_in_flight(subscription_id)
            self.end(row for row in self.table.of(subscription_id) if row.seq not in spared)
        self.untold.append(lambda: self.scheduler.settled(subscription_id))

    def _look(self, command: Read | LoadSubscription) -> Page | list[Subscription]:
        """What the store holds at this moment."""
        if not isinstance(command, LoadSubscription):
            return self.table.read(command)
        subscription = self.table.subscriptions[command.subscription_id]
        is_loaded = subscription.status is not Status.DELETED or self.table.of(
            command.subscription_id
        )
        return [subscription] if is_loaded else []

    def _hand_over(self, command: Command, seen: Page | list[Subscription]) -> None:
        reading = self.scheduler.reading
        if isinstance(seen, list):
            for subscription in seen:
                self.promises.told(subscription)
                self.scheduler.subscription_changed(subscription, self.now_ms)
        elif isinstance(command, ReadPage):
            reading.page_read(
                command,
                seen.rows,
                last_seq=seen.last_seq,
                is_last=seen.is_last,
                now_ms=self.now_ms,
            )
        elif isinstance(command, ReadDueOfSubscription):
            reading.due_of_subscription_read(command, seen.rows, self.now_ms)
        elif isinstance(command, ReadDueWindow):
            reading.due_window_read(command, seen.rows, self.now_ms)
