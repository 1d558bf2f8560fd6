"""Rows come back from the table: pages, due rows, and what a failed read leaves behind."""

import pytest

from tests.support.scheduler_world import SchedulerWorld
from tidings.core import limits
from tidings.core.attempt import Answer
from tidings.core.limits import ENDPOINT_WINDOW_ROWS_MAX
from tidings.core.retry import RetryPolicy
from tidings.core.subscription import Change

OK, ERROR = Answer(status_code=200), Answer(status_code=400)


def test_a_backlog_larger_than_the_window_is_read_in_pages_and_sent_once() -> None:
    world = SchedulerWorld(concurrency_max=64)
    world.subscribe("busy")
    rows = world.publish("busy", 3 * ENDPOINT_WINDOW_ROWS_MAX)
    sent = world.drain(OK)
    assert sorted(send.delivery.seq for send in sent) == sorted(row.seq for row in rows)
    assert world.table.rows == {}


def test_retries_that_found_no_place_while_paused_go_on_resume() -> None:
    world = SchedulerWorld()
    world.subscribe("held", retry_policy=RetryPolicy((60.0, 60.0)))
    world.publish("held", 3)
    world.flow(ERROR)
    world.change("held", Change.PAUSE)
    world.flow(ERROR)
    world.now_ms += 600_000
    assert world.flow(OK) == []
    world.change("held", Change.RESUME)
    world.drain(OK)
    assert world.table.rows == {}


def test_after_a_restart_everything_is_found_again() -> None:
    world = SchedulerWorld()
    world.subscribe("kept", retry_policy=RetryPolicy((60.0,) * 5), ordering_enabled=True)
    world.publish("kept", 3, ordering_key="k")
    world.publish("kept", 3)
    world.flow(ERROR)
    world.restart()
    world.drain(OK)
    assert world.table.rows == {}


def test_a_read_that_failed_is_made_again() -> None:
    world = SchedulerWorld()
    world.subscribe("kept")
    world.publish("kept", 2 * ENDPOINT_WINDOW_ROWS_MAX)
    world.tell(len(world.untold))
    world.step()
    for _ in range(len(world.under_way)):
        world.fail(0)
    world.drain(OK)
    assert world.table.rows == {}


def test_memory_is_bounded_however_many_have_a_backlog_and_nobody_waits_for_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "ROWS_IN_MEMORY_MAX", 100)
    monkeypatch.setattr(limits, "DUE_ROWS_IN_MEMORY_MAX", 20)
    names = [f"busy {number}" for number in range(20)]
    slots = len(names)
    world = SchedulerWorld(concurrency_max=slots)
    for name in names:
        world.subscribe(name, retry_policy=RetryPolicy((60.0,)))
        world.publish(name, 40)
    world.tell_all()
    world.restart()
    # Nobody knows yet how fast they are; so not all of the slots are theirs.
    assert len({send.delivery.subscription_id for send in world.flow(None)}) == 17
    bound = 100 + 2 * len(names) * limits.ENDPOINT_ROWS_MIN + slots
    assert world.scheduler.rows_in_memory <= bound
    world.flow(ERROR)
    assert world.scheduler.rows_in_memory <= bound + 20
    world.drain(OK)
    assert world.table.rows == {}


def test_a_replayed_backlog_fills_memory_no_further_than_a_fresh_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "ROWS_IN_MEMORY_MAX", 20)
    monkeypatch.setattr(limits, "DUE_ROWS_IN_MEMORY_MAX", 10)
    world = SchedulerWorld(concurrency_max=1)
    world.subscribe("a")
    rows = world.publish("a", 120)
    world.drain(OK)
    for row in rows:
        world.replay(row.delivery_id)
    world.tell_all()
    world.restart()
    world.flow(None)
    assert world.scheduler.rows_in_memory <= 20 + 2 * limits.ENDPOINT_ROWS_MIN + 1
    world.flow(OK)
    world.drain(OK)
    assert world.table.rows == {}
