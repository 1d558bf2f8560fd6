"""The scheduler in virtual time, scene by scene."""

import pytest

from tests.support.scheduler_world import SchedulerWorld
from tidings.core.attempt import Answer
from tidings.core.commands import Settle
from tidings.core.health import HealthState
from tidings.core.limits import HEALTH_OPENS_AFTER_FAILURES, HEALTH_OPENS_AFTER_MS
from tidings.core.retry import RetryPolicy
from tidings.core.subscription import Change

OK, ERROR = Answer(status_code=200), Answer(status_code=400)
LONG = RetryPolicy((100_000.0,) * 20)


def test_what_arrives_is_sent_and_forgotten() -> None:
    world = SchedulerWorld()
    world.subscribe("one")
    world.publish("one", 5)
    assert len(world.drain(OK)) == 5
    assert world.scheduler.rows_in_memory == 0
    assert world.scheduler.attempts_in_flight == 0


def test_a_lane_goes_in_order_and_blocks_no_other() -> None:
    world = SchedulerWorld()
    world.subscribe("ordered", ordering_enabled=True, retry_policy=RetryPolicy((1.0, 1.0)))
    first = world.publish("ordered", 3, ordering_key="a")
    other = world.publish("ordered", 1, ordering_key="b")
    sent = [send.delivery.seq for send in world.flow(None)]
    assert set(sent) <= {first[0].seq, other[0].seq}
    order = [*sent, *(send.delivery.seq for send in world.drain(OK))]
    assert [seq for seq in order if seq != other[0].seq] == [row.seq for row in first]


def test_a_dead_lettered_head_lets_its_lane_go_on() -> None:
    world = SchedulerWorld()
    world.subscribe("ordered", ordering_enabled=True, retry_policy=RetryPolicy(()))
    world.publish("ordered", 4, ordering_key="a")
    world.flow(ERROR)
    assert world.table.rows == {}


def test_an_open_endpoint_gets_probes_alone_and_recovers() -> None:
    world = SchedulerWorld()
    world.subscribe("down", retry_policy=LONG)
    world.publish("down", HEALTH_OPENS_AFTER_FAILURES)
    world.flow(ERROR)
    world.now_ms += HEALTH_OPENS_AFTER_MS
    world.publish("down", 30)
    assert len(world.flow(ERROR)) == 1
    assert world.scheduler.health_of("down").state is HealthState.OPEN
    world.now_ms += 36_000
    assert len(world.flow(ERROR)) == 1
    world.now_ms += 72_000
    assert len(world.flow(OK)) == 28
    assert world.scheduler.health_of("down").state is HealthState.HEALTHY


def test_a_manual_retry_goes_at_once_even_while_open_and_leaves_the_schedule() -> None:
    world = SchedulerWorld()
    world.subscribe("down", retry_policy=LONG)
    (row, *_) = world.publish("down", HEALTH_OPENS_AFTER_FAILURES)
    world.flow(ERROR)
    world.now_ms += HEALTH_OPENS_AFTER_MS
    world.publish("down", 1)
    world.flow(ERROR)
    due_ms = world.table.rows[row.seq].due_at_ms
    for _ in range(2):
        world.retry(row.seq)
        assert [send.delivery.seq for send in world.flow(ERROR)] == [row.seq]
        assert world.table.rows[row.seq].due_at_ms == due_ms


@pytest.mark.parametrize("change", [Change.DISABLE, Change.DELETE])
def test_a_subscription_that_is_over_is_settled_and_what_is_in_flight_ends(
    change: Change,
) -> None:
    world = SchedulerWorld()
    world.subscribe("over")
    world.publish("over", 20)
    world.tell(len(world.untold))
    in_flight = world.step()
    world.change("over", change)
    world.flow(None)
    assert set(world.table.rows) == {send.delivery.seq for send in in_flight}
    world.flow(ERROR)
    assert world.table.rows == {}
    assert world.scheduler.rows_in_memory == 0


@pytest.mark.parametrize("change", [Change.DISABLE, Change.DELETE])
@pytest.mark.parametrize("is_given_up", [True, False])
def test_what_comes_back_without_a_result_ends_with_its_subscription(
    change: Change, *, is_given_up: bool
) -> None:
    world = SchedulerWorld()
    world.subscribe("over")
    (row,) = world.publish("over", 1)
    world.tell_all()
    world.step()
    world.change("over", change)
    world.flow(None)
    assert set(world.table.rows) == {row.seq}
    if is_given_up:
        world.abandon(row.seq)
    else:
        world.answer(row.seq, ERROR)
        world.lose()
    world.flow(None)
    assert world.table.rows == {}
    assert (world.scheduler.subscription("over") is None) == (change is Change.DELETE)


def test_what_somebody_ends_is_not_sent() -> None:
    world = SchedulerWorld()
    world.subscribe("one", ordering_enabled=True)
    rows = world.publish("one", 5, ordering_key="k")
    world.tell(len(world.untold))
    world.end(rows[:2])
    world.tell(len(world.untold))
    sent = [send.delivery.seq for send in world.drain(OK)]
    assert sent == [row.seq for row in rows[2:]]


def test_an_attempt_that_was_given_up_is_made_again() -> None:
    world = SchedulerWorld()
    world.subscribe("one")
    world.publish("one", 3)
    world.tell(len(world.untold))
    (send,) = world.step()
    world.abandon(send.delivery.seq)
    assert len(world.drain(OK)) == 3
    assert world.table.rows == {}


def test_slots_are_never_exceeded() -> None:
    world = SchedulerWorld(concurrency_max=3)
    for number in range(6):
        world.subscribe(f"s{number}")
        world.publish(f"s{number}", 10)
    world.tell(len(world.untold))
    while world.table.rows:
        world.step()
        assert world.scheduler.attempts_in_flight <= 3
        world.flow(OK)


def test_what_waits_for_a_proof_is_held_and_neither_ended_nor_sent() -> None:
    world = SchedulerWorld()
    world.subscribe("moving", retry_policy=RetryPolicy((10.0,) * 20))
    world.publish("moving", 3)
    world.flow(ERROR)
    world.change("moving", Change.START_OVER)
    world.tell(len(world.untold))
    assert not any(isinstance(one, Settle) for one in world.scheduler.take_commands())
    world.now_ms += 60_000
    assert world.flow(OK) == []
    assert len(world.table.rows) == 3
    world.change("moving", Change.VERIFY)
    assert len(world.drain(OK)) == 3
    assert world.table.rows == {}
