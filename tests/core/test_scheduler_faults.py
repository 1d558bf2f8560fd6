"""Rows that stale reads, late answers and changes of mind could lose, repeat or send too early."""

from itertools import pairwise

import pytest

from tests.support.scheduler_world import ERROR, OK, REFUSED, SchedulerWorld
from tidings.core import limits
from tidings.core.attempt import Answer, ErrorClass
from tidings.core.commands import LoadSubscription, ReadDueOfSubscription, ReadPage, Settle
from tidings.core.limits import (
    ENDPOINT_WINDOW_ROWS_MAX,
    FAILING_SLOTS_MAX,
    HEALTH_OPENS_AFTER_FAILURES,
    HEALTH_OPENS_AFTER_MS,
    PROBE_INTERVAL_MS_MIN,
)
from tidings.core.retry import RetryPolicy
from tidings.core.subscription import Change

OURS = Answer(error_class=ErrorClass.INTERNAL)
LONG = RetryPolicy((100_000.0,) * 20)
SOON = RetryPolicy((10.0,) * 20)


@pytest.fixture
def small_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """A window that a few rows fill."""
    monkeypatch.setattr(limits, "ENDPOINT_WINDOW_ROWS_MAX", 4)


def test_a_backlog_that_somebody_ended_is_not_looked_for_again_and_again() -> None:
    world = SchedulerWorld()
    world.subscribe("ended", retry_policy=LONG)
    rows = world.publish("ended", 3 * ENDPOINT_WINDOW_ROWS_MAX)
    world.tell_all()
    world.end(rows)
    world.flow(OK)
    assert world.table.rows == {}
    world.publish("ended", 2)
    assert len(world.flow(OK)) == 2


def test_a_retry_that_a_late_read_still_shows_as_due_is_not_sent_before_its_time() -> None:
    world = SchedulerWorld()
    world.subscribe("failing", retry_policy=RetryPolicy((10.0, 100_000.0)))
    (row,) = world.publish("failing")
    world.flow(ERROR)
    world.now_ms += 20_000
    read = ReadDueOfSubscription("failing", world.now_ms, 9, world.scheduler.reading.begin_read())
    seen = world.table.read(read)
    assert [one.seq for one in seen.rows] == [row.seq]
    assert [send.delivery.seq for send in world.flow(ERROR)] == [row.seq]
    world.scheduler.reading.due_of_subscription_read(read, seen.rows, world.now_ms)
    assert world.flow(ERROR) == []


@pytest.mark.parametrize("change", [Change.PAUSE, Change.DISABLE])
def test_a_manual_retry_before_the_first_try_is_not_lost_when_it_fails_meanwhile(
    change: Change,
) -> None:
    world = SchedulerWorld()
    world.subscribe("held", retry_policy=SOON)
    (row,) = world.publish("held")
    world.tell_all()
    world.retry(row.seq)
    world.tell_all()
    (send,) = world.step()
    assert send.delivery.is_manual
    world.answer(send.delivery.seq, REFUSED)
    world.change("held", change)
    world.record()
    world.tell_all()
    world.change("held", Change.RESUME)
    world.drain(OK)
    assert world.table.rows == {}


def test_a_page_that_was_asked_for_before_a_resume_leaves_no_gap(small_window: None) -> None:
    world = SchedulerWorld()
    world.subscribe("one")
    world.publish("one", 12)
    world.flow(None)
    world.answer(1, OK)
    world.record()
    world.tell_all()
    world.step()
    (index,) = [
        index for index, one in enumerate(world.under_way) if isinstance(one.command, ReadPage)
    ]
    world.carry_out(index)
    for change in (Change.DISABLE, Change.RESUME):
        world.change("one", change)
    world.tell_all()
    world.carry_out(index)
    world.drain(OK)
    assert world.table.rows == {}


def test_a_manual_retry_that_waits_for_a_slot_outlives_a_pause() -> None:
    world = SchedulerWorld(concurrency_max=1)
    for name in ("busy", "one"):
        world.subscribe(name)
        world.publish(name)
    world.tell_all()
    (busy,) = world.step()
    (row,) = [row for row in world.table.rows.values() if row.seq != busy.delivery.seq]
    world.retry(row.seq)
    world.tell_all()
    assert world.step() == []
    world.carry_out_all()
    world.change(row.subscription_id, Change.PAUSE)
    world.tell_all()
    world.flow(OK)
    world.change(row.subscription_id, Change.RESUME)
    world.drain(OK)
    assert world.table.rows == {}


def test_all_retries_that_found_no_place_go_in_the_end(small_window: None) -> None:
    world = SchedulerWorld()
    world.subscribe("one", retry_policy=SOON)
    world.publish("one", 30)
    world.flow(ERROR)
    world.change("one", Change.PAUSE)
    world.tell_all()
    world.now_ms += 60_000
    world.flow(OK)
    world.change("one", Change.RESUME)
    world.drain(OK)
    assert world.table.rows == {}


def test_due_rows_that_are_all_on_their_way_are_not_read_in_circles(small_window: None) -> None:
    world = SchedulerWorld(concurrency_max=20)
    world.subscribe("one", retry_policy=SOON)
    world.publish("one", 10)
    world.flow(OK)
    world.publish("one", 20)
    world.flow(REFUSED)
    world.change("one", Change.PAUSE)
    world.tell_all()
    world.now_ms += 60_000
    world.flow(OK)
    world.change("one", Change.RESUME)
    for _ in range(4):
        world.flow(None)
        world.answer(next(iter(world.in_flight)), OK)
        world.record()
    world.flow(None)
    assert len(world.in_flight) == limits.ENDPOINT_WINDOW_ROWS_MAX
    world.drain(OK)
    assert world.table.rows == {}


def test_a_row_that_was_read_before_its_arrival_is_told_goes_once() -> None:
    world = SchedulerWorld()
    world.subscribe("one")
    world.tell_all()
    (row,) = world.publish("one")
    world.table.ask_for_attempt(row.seq, world.now_ms)
    world.step()
    world.carry_out_all()
    assert [send.delivery.seq for send in world.step()] == [row.seq]
    world.tell_all()
    assert world.step() == []
    assert world.drain(OK) == []


def test_a_manual_retry_of_what_has_just_been_sent_makes_no_second_request() -> None:
    world = SchedulerWorld()
    world.subscribe("one", retry_policy=LONG)
    (row,) = world.publish("one")
    world.tell_all()
    world.retry(row.seq)
    assert [send.delivery.seq for send in world.step()] == [row.seq]
    world.tell_all()
    assert world.step() == []


def test_a_resume_calls_an_open_endpoint_at_once() -> None:
    world = SchedulerWorld()
    world.subscribe("down", retry_policy=SOON)
    world.publish("down", HEALTH_OPENS_AFTER_FAILURES)
    world.flow(ERROR)
    world.now_ms += HEALTH_OPENS_AFTER_MS
    world.flow(ERROR)
    assert world.scheduler.health_of("down").is_open
    for change in (Change.PAUSE, Change.RESUME):
        world.change("down", change)
    world.tell_all()
    assert not world.scheduler.health_of("down").is_open
    world.publish("down")
    assert world.flow(OK)


def test_an_endpoint_that_fails_is_not_forgotten() -> None:
    world = SchedulerWorld()
    world.subscribe("failing", retry_policy=LONG)
    world.publish("failing")
    world.flow(ERROR)
    world.scheduler.forget_idle(keep=0)
    assert world.scheduler.health_of("failing").consecutive_failures == 1


def test_requests_on_their_way_when_an_endpoint_opens_are_no_failed_probes() -> None:
    world = SchedulerWorld(concurrency_max=200)
    world.subscribe("down", retry_policy=LONG)
    world.publish("down", 40)
    world.flow(OK)
    world.publish("down", HEALTH_OPENS_AFTER_FAILURES - 1)
    world.flow(REFUSED)
    world.now_ms += HEALTH_OPENS_AFTER_MS
    world.publish("down", 30)
    world.tell_all()
    assert len(world.step()) == FAILING_SLOTS_MAX
    for seq in list(world.in_flight):
        world.answer(seq, REFUSED)
    health = world.scheduler.health_of("down")
    assert health.probe_interval_ms == PROBE_INTERVAL_MS_MIN
    assert health.consecutive_failures == HEALTH_OPENS_AFTER_FAILURES - 1 + FAILING_SLOTS_MAX
    world.publish("down", 5)
    world.flow(None)
    world.now_ms += 2 * PROBE_INTERVAL_MS_MIN
    assert len(world.flow(None)) == 1


def test_probes_keep_to_the_rate_limit() -> None:
    world = SchedulerWorld()
    world.subscribe("down", retry_policy=LONG, rate_limit_per_second=0.01)
    world.publish("down", HEALTH_OPENS_AFTER_FAILURES + 5)
    for _ in range(2_000):
        world.flow(ERROR)
        world.now_ms += 1_000
    assert world.scheduler.health_of("down").is_open
    times = [at_ms for at_ms, _ in world.promises.sends]
    assert len(times) > HEALTH_OPENS_AFTER_FAILURES + 3
    assert all(later - earlier >= 100_000 for earlier, later in pairwise(times))


def test_after_a_restart_the_rate_limit_begins_with_a_wait() -> None:
    world = SchedulerWorld()
    world.subscribe("limited", rate_limit_per_second=0.5)
    world.publish("limited", 2)
    assert len(world.flow(OK)) == 1
    world.restart()
    assert world.flow(OK) == []
    world.now_ms += 2_000
    assert len(world.flow(OK)) == 1


def test_a_waiting_retry_outlives_an_endpoint_that_is_forgotten() -> None:
    world = SchedulerWorld()
    world.subscribe("seldom", retry_policy=SOON)
    world.publish("seldom")
    world.flow(ERROR)
    world.publish("seldom")
    world.flow(OK)
    world.scheduler.forget_idle(keep=0)
    assert world.scheduler.endpoints() == []
    world.drain(OK)
    assert world.table.rows == {}


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_result_outlives_an_endpoint_that_is_forgotten(is_lost: bool) -> None:
    world = SchedulerWorld()
    world.subscribe("seldom", retry_policy=SOON)
    first, second = world.publish("seldom", 2)
    world.tell_all()
    world.step()
    world.answer(first.seq, OK)
    world.step()
    world.answer(second.seq, OURS)
    world.scheduler.forget_idle(keep=0)
    if is_lost:
        world.record()
        world.tell_all()
        world.lose()
    world.drain(OK)
    assert world.table.rows == {}


def test_a_deleted_subscription_waits_for_results_that_are_not_recorded() -> None:
    world = SchedulerWorld()
    world.subscribe("gone", retry_policy=LONG)
    (row,) = world.publish("gone")
    world.tell_all()
    world.step()
    world.answer(row.seq, ERROR)
    world.change("gone", Change.DELETE)
    world.tell_all()
    world.step()
    world.carry_out_all()
    world.tell_all()
    world.flow(OK)
    assert world.table.rows == {}
    assert world.scheduler.subscription("gone") is None


@pytest.mark.parametrize("kind", [ReadPage, ReadDueOfSubscription, Settle])
def test_what_the_store_could_not_do_is_asked_for_again(kind: type) -> None:
    world = SchedulerWorld()
    world.subscribe("one", retry_policy=SOON)
    world.publish("one", 5)
    world.flow(ERROR)
    world.now_ms += 20_000
    world.restart()
    if kind is Settle:
        world.change("one", Change.DISABLE)
        world.tell_all()
    elif kind is ReadDueOfSubscription:
        world.change("one", Change.PAUSE)
        world.tell_all()
        world.flow(OK)
        world.change("one", Change.RESUME)
        world.tell_all()
    world.step()
    (index,) = [i for i, one in enumerate(world.under_way) if isinstance(one.command, kind)]
    world.fail(index)
    assert world.scheduler.next_wake_ms() <= world.now_ms or kind is Settle
    world.drain(OK)
    assert world.table.rows == {}


def test_rows_of_a_subscription_that_nobody_told_of_wait_until_it_is_loaded() -> None:
    world = SchedulerWorld()
    world.subscribe("stranger", retry_policy=SOON)
    world.publish("stranger", 3)
    world.untold.popleft()
    world.tell_all()
    assert world.step() == []
    loads = [one for one in world.under_way if isinstance(one.command, LoadSubscription)]
    assert len(loads) == 1
    world.fail(world.under_way.index(loads[0]))
    assert len(world.drain(OK)) == 3


@pytest.mark.parametrize("waits_ms", [0, 31_000])
def test_retries_of_a_subscription_that_nobody_told_of_go_in_time(waits_ms: int) -> None:
    world = SchedulerWorld()
    world.subscribe("stranger", retry_policy=SOON)
    (row,) = world.publish("stranger")
    world.untold.clear()
    world.table.ask_for_attempt(row.seq, world.now_ms + 50_000)
    world.step()
    world.carry_out_all()
    world.step()
    (load,) = [one for one in world.under_way if isinstance(one.command, LoadSubscription)]
    world.now_ms += waits_ms
    world.step()
    reads = [one for one in world.under_way if one is not load]
    assert len(reads) == (1 if waits_ms else 0)
    for one in (load, load, *reads, *reads):
        world.carry_out(world.under_way.index(one))
    world.drain(OK)
    assert world.table.rows == {}


def test_a_subscription_that_was_loaded_before_a_change_does_not_undo_it() -> None:
    world = SchedulerWorld()
    before = world.subscribe("one")
    world.tell_all()
    world.change("one", Change.PAUSE)
    world.tell_all()
    world.scheduler.subscription_changed(before, world.now_ms)
    world.publish("one")
    assert world.flow(OK) == []


def test_a_full_window_of_rows_that_are_all_in_memory_is_not_read_in_circles() -> None:
    world = SchedulerWorld()
    world.subscribe("one", retry_policy=SOON, rate_limit_per_second=0.1)
    world.publish("one", ENDPOINT_WINDOW_ROWS_MAX)
    world.tell_all()
    for row in list(world.table.rows.values()):
        world.table.ask_for_attempt(row.seq, world.now_ms)
    world.restart()
    world.flow(None)
    world.now_ms += 10_000
    world.flow(None)


@pytest.mark.parametrize("back_ms", [1, 30_000, 3_600_000])
def test_a_due_row_that_lost_its_place_after_the_clock_was_put_back_is_found_again(
    back_ms: int,
) -> None:
    world = SchedulerWorld()
    world.subscribe("one")
    world.flow(OK)
    (row,) = world.publish("one")
    world.retry(row.seq)
    world.put_clock_back(back_ms)
    for change in (Change.DISABLE, Change.RESUME):
        world.change("one", change)
    assert [send.delivery.seq for send in world.drain(OK)] == [row.seq]
