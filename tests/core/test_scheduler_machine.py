"""The scheduler under everything at once: random orders of commits, reads, answers and time.

The bounds are made small, so that every window overflows. `SchedulerPromises` checks each request
that goes out; in the end everything that may be sent must have been sent.
"""

from collections.abc import Sequence
from typing import TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from tests.support.scheduler_world import ERROR, OK, REFUSED, SchedulerWorld
from tidings.core import due_window, limits
from tidings.core.attempt import Answer
from tidings.core.delivery import Delivery
from tidings.core.retry import RetryPolicy
from tidings.core.subscription import TRANSITIONS, Change, Status

T = TypeVar("T")

BUSY = Answer(status_code=429, retry_after="7")
GONE = Answer(status_code=410)
INTERNAL = Answer(error_class=None)
POLICY = RetryPolicy((1.0, 5.0, 40.0, 90.0, 200.0))
NAMES = ("plain", "ordered", "rated", "other")

names = st.sampled_from(NAMES)
anywhere = st.integers(min_value=0, max_value=10_000)
few = st.integers(min_value=1, max_value=3)
answers = st.sampled_from((OK, OK, ERROR, ERROR, REFUSED, BUSY))
times = st.sampled_from((0, 1, 50, 200, 1_000, 5_000, 30_000, 61_000, 600_000))


class SchedulerMachine(RuleBasedStateMachine):
    """Four subscriptions of two tenants, and everything that can happen to them."""

    def __init__(self) -> None:
        super().__init__()
        self.world = world = self.new_world()
        world.subscribe("plain", retry_policy=POLICY)
        world.subscribe("ordered", retry_policy=POLICY, ordering_enabled=True)
        world.subscribe("rated", retry_policy=POLICY, rate_limit_per_second=2.0)
        world.subscribe(
            "other",
            retry_policy=POLICY,
            ordering_enabled=True,
            tenant_id="other",
            callback_url="https://other.example/in",
        )
        world.tell(len(world.untold))

    def new_world(self) -> SchedulerWorld:
        return SchedulerWorld(concurrency_max=6)

    @rule(name=names, count=st.integers(1, 6), key=st.sampled_from((None, "x", "y", "z")))
    def publish(self, name: str, count: int, key: str | None) -> None:
        if self.world.table.subscriptions[name].takes_events:
            self.world.publish(name, count, ordering_key=key)

    @rule(name=names, change=st.sampled_from((Change.PAUSE, Change.RESUME, Change.RESUME)))
    def pause_or_resume(self, name: str, change: Change) -> None:
        self._change(name, change)

    @rule(name=names, change=st.sampled_from((Change.DISABLE, Change.RESUME)))
    def disable_or_resume(self, name: str, change: Change) -> None:
        self._change(name, change)

    @rule(name=names, change=st.sampled_from((Change.START_OVER, Change.VERIFY, Change.VERIFY)))
    def start_over_or_verify(self, name: str, change: Change) -> None:
        self._change(name, change)

    @rule(name=names)
    def delete(self, name: str) -> None:
        if name == "other":
            self._change(name, Change.DELETE)

    @rule(name=names, rate=st.sampled_from((None, 0.5, 100.0)))
    def limit_rate(self, name: str, rate: float | None) -> None:
        if self.world.table.subscriptions[name].status is not Status.DELETED:
            self.world.patch(name, rate_limit_per_second=rate)

    @rule(where=anywhere)
    def retry(self, where: int) -> None:
        world = self.world
        may = [row for row in world.table.rows.values() if self._may_retry(row)]
        if may:
            world.retry(_pick(may, where).seq)

    @rule(where=anywhere, is_single=st.booleans())
    def replay(self, where: int, is_single: bool) -> None:
        world = self.world
        may = [
            delivery_id
            for delivery_id, row in world.table.finished.items()
            if world.table.subscriptions[row.subscription_id].takes_events
            and not world.scheduler.is_in_flight(delivery_id)
        ]
        if may:
            world.replay(_pick(may, where), is_single=is_single)

    @precondition(lambda self: self.world.table.rows)
    @rule(where=anywhere, count=few)
    def end_some(self, where: int, count: int) -> None:
        rows = list(self.world.table.rows.values())
        start = where % len(rows)
        self.world.end(rows[start : start + count])

    @rule()
    def step(self) -> None:
        self.world.step()

    @precondition(lambda self: self.world.in_flight)
    @rule(where=anywhere, answer=answers)
    def answer(self, where: int, answer: Answer) -> None:
        self.world.answer(_pick(list(self.world.in_flight), where), answer)

    @precondition(lambda self: self.world.in_flight)
    @rule(where=anywhere)
    def answer_gone(self, where: int) -> None:
        self.world.answer(_pick(list(self.world.in_flight), where), GONE)

    @precondition(lambda self: self.world.in_flight)
    @rule(where=anywhere)
    def abandon(self, where: int) -> None:
        self.world.abandon(_pick(list(self.world.in_flight), where))

    @precondition(lambda self: self.world.results)
    @rule()
    def lose(self) -> None:
        self.world.lose()

    @rule(count=few)
    def record(self, count: int) -> None:
        self.world.record(count)

    @rule(count=few)
    def tell(self, count: int) -> None:
        self.world.tell(count)

    @precondition(lambda self: self.world.under_way)
    @rule(where=anywhere)
    def carry_out(self, where: int) -> None:
        self.world.carry_out(where % len(self.world.under_way))

    @precondition(lambda self: self.world.under_way)
    @rule(where=anywhere)
    def fail(self, where: int) -> None:
        self.world.fail(where % len(self.world.under_way))

    @rule(milliseconds=times)
    def pass_time(self, milliseconds: int) -> None:
        self.world.now_ms += milliseconds

    @rule(milliseconds=st.sampled_from((1, 800, 30_000)))
    def put_clock_back(self, milliseconds: int) -> None:
        self.world.put_clock_back(milliseconds)

    @rule(answer=st.sampled_from((OK, ERROR, None)))
    def flow(self, answer: Answer | None) -> None:
        self.world.flow(answer)

    @rule()
    def forget_idle(self) -> None:
        self.world.scheduler.forget_idle(keep=0)

    @rule()
    def restart(self) -> None:
        self.world.restart()

    def teardown(self) -> None:
        """In the end everything that may be sent has been sent, and nothing is remembered."""
        world = self.world
        for name in NAMES:
            self._change(name, Change.RESUME)
            self._change(name, Change.VERIFY)
        world.drain()
        assert not world.table.rows, "rows that nobody sends"
        assert world.scheduler.rows_in_memory == 0, "rows that are remembered for ever"

    def _change(self, name: str, change: Change) -> None:
        if (self.world.table.subscriptions[name].status, change) in TRANSITIONS:
            self.world.change(name, change)

    def _may_retry(self, row: Delivery) -> bool:
        table = self.world.table
        return (
            table.subscriptions[row.subscription_id].may_send
            and (row.ordering_key is None or table.head_of_lane(row) is row)
            and not self.world.scheduler.is_in_flight(row.delivery_id)
        )


def _pick(some: Sequence[T], where: int) -> T:
    return some[where % len(some)]


@pytest.fixture
def small_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds so small that a few rows reach them."""
    monkeypatch.setattr(limits, "ENDPOINT_WINDOW_ROWS_MAX", 4)
    monkeypatch.setattr(limits, "ENDPOINT_LANES_MAX", 2)
    monkeypatch.setattr(limits, "ENDPOINT_CONCURRENCY_MAX", 4)
    monkeypatch.setattr(limits, "HOST_CONCURRENCY_MAX", 4)
    monkeypatch.setattr(limits, "ROWS_IN_MEMORY_MAX", 12)
    monkeypatch.setattr(limits, "DUE_ROWS_IN_MEMORY_MAX", 5)
    monkeypatch.setattr(limits, "HEALTH_OPENS_AFTER_FAILURES", 3)
    monkeypatch.setattr(limits, "HEALTH_OPENS_AFTER_MS", 1_000)
    monkeypatch.setattr(due_window, "_PAGE_ROWS", 2)


def test_whatever_happens_every_row_is_sent_in_turn_and_none_twice(small_bounds: None) -> None:
    run_state_machine_as_test(
        SchedulerMachine, settings=settings(max_examples=300, stateful_step_count=60)
    )
