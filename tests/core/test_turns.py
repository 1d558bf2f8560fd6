"""Whose turn it is, seen through a whole scheduler."""

from tests.support.scheduler_world import SchedulerWorld
from tidings.core.attempt import Answer
from tidings.core.endpoint import Speed
from tidings.core.limits import HOST_CONCURRENCY_MAX, SLOW_ANSWER_MS

OK = Answer(status_code=200)


def test_a_rate_limited_endpoint_sleeps_and_wakes() -> None:
    world = SchedulerWorld()
    world.subscribe("limited", rate_limit_per_second=1.0)
    world.publish("limited", 3)
    assert len(world.flow(OK)) == 1
    assert world.scheduler.next_wake_ms() <= world.now_ms + 1_000
    assert len(world.drain(OK)) == 2


def test_a_flooding_tenant_does_not_keep_another_waiting() -> None:
    world = SchedulerWorld(concurrency_max=4)
    world.subscribe("flood", tenant_id="loud")
    world.subscribe("quiet", tenant_id="calm")
    world.publish("flood", 100)
    world.tell(len(world.untold))
    world.flow(None)
    world.publish("quiet", 1)
    sent = world.flow(OK)
    served = [send.subscription.subscription_id for send in sent]
    assert served.index("quiet") < 10


def test_many_subscriptions_of_one_host_get_no_more_than_it_bears_and_all_get_theirs() -> None:
    world = SchedulerWorld(concurrency_max=10_000)
    names = [f"s{number}" for number in range(HOST_CONCURRENCY_MAX + 40)]
    for name in names:
        world.subscribe(name, callback_url="https://one.example/in")
        world.publish(name, 1)
    world.tell(len(world.untold))
    first = world.step()
    # The last slots of a host are kept for those that are known to answer fast.
    assert HOST_CONCURRENCY_MAX * 0.8 < len(first) < HOST_CONCURRENCY_MAX
    world.flow(OK)
    world.drain(OK)
    assert world.table.rows == {}


def test_repeats_wait_for_their_half_of_the_slots_and_fresh_events_pass() -> None:
    world = SchedulerWorld(concurrency_max=4)
    rows = {}
    for name in ("a", "b", "c"):
        world.subscribe(name)
        (rows[name],) = world.publish(name, 1)
    world.flow(OK)
    for row in rows.values():
        world.replay(row.delivery_id)
    world.tell(len(world.untold))
    assert len(world.step()) == 2
    world.publish("a", 1)
    world.tell(len(world.untold))
    fresh = [send for send in world.step() if not send.delivery.is_again]
    assert len(fresh) <= 1
    world.drain(OK)
    assert world.table.rows == {}


def test_a_wall_clock_that_was_put_back_delays_a_rate_by_one_interval_at_most() -> None:
    world = SchedulerWorld()
    world.subscribe("rated", rate_limit_per_second=2.0)
    world.publish("rated", 3)
    assert len(world.flow(OK)) == 1
    world.put_clock_back(7_200_000)
    began_ms = world.now_ms
    assert world.flow(OK) == []
    assert len(world.drain(OK)) == 2
    assert world.now_ms == began_ms + 1_000


def test_a_request_that_hangs_is_noticed_although_the_wall_clock_was_put_back() -> None:
    world = SchedulerWorld()
    world.subscribe("hanging")
    world.publish("hanging", 1)
    world.flow(None)
    world.put_clock_back(7_200_000)
    world.step()
    world.now_ms += SLOW_ANSWER_MS
    world.step()
    (endpoint,) = world.scheduler.endpoints()
    assert endpoint.speed is Speed.SLOW


def test_a_rate_that_a_restart_left_empty_is_free_soon_although_the_clock_was_put_back() -> None:
    world = SchedulerWorld()
    world.subscribe("rated", rate_limit_per_second=2.0)
    world.tell_all()
    world.now_ms += 60_000
    world.restart()
    world.step()
    world.put_clock_back(7_200_000)
    world.step()
    world.publish("rated", 1)
    began_ms = world.now_ms
    world.drain(OK)
    assert world.now_ms <= began_ms + 500


def test_a_wall_clock_that_was_set_forward_charges_nobody_more_than_a_deadline() -> None:
    world = SchedulerWorld()
    subscription = world.subscribe("unlucky")
    world.publish("unlucky", 1)
    world.flow(None)
    world.now_ms += 7_200_000
    world.flow(OK)
    (endpoint,) = world.scheduler.endpoints()
    assert endpoint.tenant.used_ms <= subscription.timeout_seconds * 1_000
