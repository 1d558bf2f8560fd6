"""Shards that come and go: what is forgotten, what is waited for, and what is found again."""

import pytest

from tests.support.scheduler_world import ERROR, OK
from tests.support.shared_world import LOST_OWNERS_MS, SharedWorld
from tests.support.values import NOW_MS, a_subscription
from tidings.core import limits
from tidings.core.commands import LoadSubscription, ReadDueWindow, ReadPage
from tidings.core.delivery import Delivery
from tidings.core.health import Health
from tidings.core.ownership import shard_of
from tidings.core.retry import RetryPolicy
from tidings.core.scheduler import Scheduler

LONG = RetryPolicy((100_000.0,) * 20)
SOON = RetryPolicy((10.0,) * 20)


def owning(*names: str, **members: object) -> SharedWorld:
    world = SharedWorld()
    for name in names:
        world.subscribe(name, **members)
    world.tell_all()
    world.own_all()
    return world


def tell_arrivals(world: SharedWorld) -> None:
    world.read()
    world.take_in()


def sent(world: SharedWorld) -> list[int]:
    return [send.delivery.seq for send in world.step()]


def test_nothing_is_ours_before_it_begins() -> None:
    world = SharedWorld()
    world.subscribe("one")
    world.tell_all()
    rows = world.publish("one", 2)
    world.scheduler.arrived(rows, world.now_ms)
    assert sent(world) == []
    assert world.under_way == []
    assert world.scheduler.next_wake_ms() == float("inf")
    assert not world.scheduler.tenures.owns("one")


def test_a_shard_begins_with_the_rows_that_stand_in_the_table() -> None:
    world = SharedWorld()
    for name in ("one", "two"):
        world.subscribe(name)
        world.publish(name, 3)
    world.tell_all()
    for step in (world.include, world.find, world.begin):
        step("one")
    assert {send.delivery.subscription_id for send in world.flow(OK)} == {"one"}
    assert len(world.table.rows) == 3


def test_rows_that_come_while_a_shard_is_begun_are_not_lost() -> None:
    world = owning("other")
    world.subscribe("one")
    world.tell_all()
    world.include("one")
    world.find("one")
    world.publish("one", 1)
    tell_arrivals(world)
    world.begin("one")
    assert len(world.flow(OK)) == 1


def test_a_shard_that_is_handed_over_starts_nothing_more_and_asks_for_nothing() -> None:
    world = owning("one")
    world.publish("one", 30)
    tell_arrivals(world)
    in_flight = sent(world)
    assert in_flight
    world.hand_over("one")
    assert sent(world) == []
    assert world.scheduler.rows_in_memory == len(in_flight)
    for seq in in_flight:
        world.answer(seq, ERROR)
    world.record(len(in_flight))
    world.tell_all()
    assert sent(world) == []
    reads = [one for one in world.under_way if isinstance(one.command, ReadPage)]
    assert reads == []
    assert world.scheduler.rows_in_memory == 0


def test_a_shard_is_quiet_when_the_last_result_is_recorded() -> None:
    world = owning("one")
    (row,) = world.publish("one", 1)
    tell_arrivals(world)
    world.step()
    world.hand_over("one")
    tenures, shard = world.scheduler.tenures, shard_of("one")
    assert not tenures.is_quiet(shard)
    world.answer(row.seq, OK)
    assert tenures.busy_shards() == {shard}
    world.record()
    world.tell_all()
    assert tenures.is_quiet(shard)


def test_a_head_that_ends_after_the_hand_over_brings_no_follower_back() -> None:
    world = owning("one", ordering_enabled=True)
    head, _ = world.publish("one", 2, ordering_key="k")
    tell_arrivals(world)
    assert sent(world) == [head.seq]
    world.hand_over("one")
    world.answer(head.seq, OK)
    world.record()
    world.tell_all()
    assert sent(world) == []
    assert world.scheduler.rows_in_memory == 0


def test_retries_that_wait_are_forgotten_and_read_anew_by_whoever_is_next() -> None:
    world = owning("one", retry_policy=SOON)
    (row,) = world.publish("one", 1)
    world.flow(ERROR)
    assert world.scheduler.rows_in_memory == 1
    world.hand_over("one")
    assert world.scheduler.rows_in_memory == 0
    world.let_go_of_handed()
    world.work_elsewhere("one", succeeds=True)
    assert world.drain(OK) == []
    world.own_all()
    assert world.drain(OK) == []
    assert row.seq in world.ended_by_others


def test_what_was_read_before_others_worked_on_a_shard_counts_for_nothing() -> None:
    world = owning("one")
    world.hand_over("one")
    world.let_go_of_handed()
    world.publish("one", 2)
    world.own_all()
    world.step()
    pages = [one for one in world.under_way if isinstance(one.command, ReadPage)]
    world.carry_out(world.under_way.index(pages[0]))
    world.hand_over("one")
    world.let_go_of_handed()
    world.work_elsewhere("one", succeeds=True)
    world.own_all()
    world.carry_out_all()
    assert len(world.flow(OK)) == 1


def test_a_result_that_is_told_of_after_its_shard_was_dropped_brings_nothing_back() -> None:
    scheduler = Scheduler()
    scheduler.tenures.begin_none()
    scheduler.subscription_changed(a_subscription(subscription_id="one"), NOW_MS)
    shard = shard_of("one")
    scheduler.tenures.begin([shard], (), {}, now_ms=NOW_MS)
    scheduler.tenures.drop([shard])
    scheduler.tenures.begin([shard], (), {}, now_ms=NOW_MS)
    row = Delivery(1, "dlv_1", "default", "one", 1, attempt_count=1, due_at_ms=NOW_MS)
    scheduler.result_recorded(row, has_ended=False, next_in_lane=None, now_ms=NOW_MS)
    assert scheduler.next_sends(NOW_MS) == []
    assert scheduler.rows_in_memory == 0


def test_a_dropped_shard_is_forgotten_with_whatever_is_under_way() -> None:
    world = owning("one", "two")
    for name in ("one", "two"):
        world.publish(name, 2)
    tell_arrivals(world)
    for seq in sent(world)[::2]:
        world.answer(seq, OK)
    world.drop("one")
    assert world.scheduler.tenures.busy_shards() == {shard_of("two")}
    assert {one.subscription.subscription_id for one in world.scheduler.endpoints()} == {"two"}
    world.own_all()
    world.flow(OK)
    assert world.table.rows == {}


def test_ordered_endpoints_of_a_lost_owner_are_silent_until_its_last_deadline() -> None:
    world = SharedWorld()
    world.subscribe("ordered", ordering_enabled=True)
    world.subscribe("plain")
    world.tell_all()
    for name in ("ordered", "plain"):
        world.publish(name, 1)
        world.include(name)
        world.find(name)
        world.begin(name, was_lost=True)
    assert [send.delivery.subscription_id for send in world.flow(OK)] == ["plain"]
    assert world.scheduler.next_wake_ms() <= world.now_ms + LOST_OWNERS_MS
    began_ms = world.now_ms
    assert len(world.drain(OK)) == 1
    assert world.now_ms >= began_ms + LOST_OWNERS_MS


def test_the_silence_holds_for_rows_that_come_later_and_for_wishes_of_people() -> None:
    world = SharedWorld()
    world.subscribe("ordered", ordering_enabled=True)
    world.tell_all()
    for step in (world.include, world.find):
        step("ordered")
    world.begin("ordered", was_lost=True)
    (row,) = world.publish("ordered", 1)
    tell_arrivals(world)
    world.retry_here(row.seq)
    assert world.flow(OK) == []
    world.now_ms += LOST_OWNERS_MS
    assert [send.delivery.seq for send in world.flow(OK)] == [row.seq]


def test_a_clock_that_is_put_back_does_not_make_the_silence_longer() -> None:
    world = SharedWorld()
    world.subscribe("ordered", ordering_enabled=True)
    world.tell_all()
    world.publish("ordered", 1)
    for step in (world.include, world.find):
        step("ordered")
    world.begin("ordered", was_lost=True)
    world.flow(OK)
    world.put_clock_back(3_600_000)
    world.flow(OK)
    world.now_ms += LOST_OWNERS_MS
    assert len(world.flow(OK)) == 1


def test_the_rate_of_an_endpoint_starts_empty_because_others_may_have_sent() -> None:
    world = SharedWorld()
    world.subscribe("rated", rate_limit_per_second=1.0)
    world.tell_all()
    world.publish("rated", 1)
    world.own_all()
    assert world.flow(OK) == []
    world.now_ms += 1_000
    assert len(world.flow(OK)) == 1


def test_so_does_that_of_one_which_had_nothing_when_its_shard_began() -> None:
    world = owning("rated", rate_limit_per_second=1.0)
    world.publish("rated", 1)
    assert world.flow(OK) == []
    world.now_ms += 1_000
    assert len(world.flow(OK)) == 1


def test_an_endpoint_begins_with_the_health_that_is_stored() -> None:
    scheduler = Scheduler()
    scheduler.tenures.begin_none()
    scheduler.subscription_changed(a_subscription(subscription_id="one"), NOW_MS)
    held = Health(1, NOW_MS - 5, held_until_ms=NOW_MS + 5_000)
    scheduler.tenures.begin([shard_of("one")], ["one"], {"one": held}, now_ms=NOW_MS)
    assert scheduler.health_of("one") is held


def test_due_rows_are_read_of_our_shards_from_the_first_on_whenever_some_begin() -> None:
    world = owning("one")
    world.step()
    world.carry_out_all()
    world.subscribe("two")
    world.tell_all()
    world.own_all()
    world.step()
    (read,) = [one.command for one in world.under_way if isinstance(one.command, ReadDueWindow)]
    assert read.after == (-1, -1)
    assert read.shards == tuple(sorted((shard_of("one"), shard_of("two"))))


def test_a_stranger_in_our_shards_is_loaded_and_one_in_others_is_not() -> None:
    scheduler = Scheduler()
    scheduler.tenures.begin_none()
    ours, other = "one", "two"
    scheduler.tenures.begin([shard_of(ours)], [ours], {}, now_ms=NOW_MS)
    scheduler.arrived([Delivery(1, "dlv_1", "default", other, 1)], NOW_MS)
    assert scheduler.take_commands() == [LoadSubscription(ours)]
    failing = Health(2, NOW_MS - 9)
    scheduler.subscription_changed(a_subscription(subscription_id=ours), NOW_MS, health=failing)
    assert scheduler.health_of(ours) is failing
    assert [type(one) for one in scheduler.take_commands()] == [ReadPage]


def test_requests_that_are_cut_are_due_again_after_their_deadlines() -> None:
    world = owning("one", "two", timeout_seconds=10)
    (row,) = world.publish("one", 1)
    world.publish("two", 1)
    tell_arrivals(world)
    sends = {send.delivery.seq: send for send in world.step()}
    tenures, shard = world.scheduler.tenures, shard_of("one")
    assert tenures.due_after_cut([shard], world.now_ms) == {}
    for send in sends.values():
        world.scheduler.departs(send, world.now_ms)
    world.now_ms += 4_000
    (due_at_ms,) = tenures.due_after_cut([shard], world.now_ms).values()
    assert list(tenures.due_after_cut([shard], world.now_ms)) == [row.seq]
    left_ms = due_at_ms - world.now_ms
    assert 6_000 < left_ms <= 6_000 * (1 + 4 * limits.CLOCK_DRIFT_SHARE_MAX)
    world.now_ms += 60_000
    assert tenures.due_after_cut([shard], world.now_ms) == {row.seq: world.now_ms}


def test_shards_are_told_apart_from_the_beginning_or_never() -> None:
    scheduler = Scheduler()
    scheduler.subscription_changed(a_subscription(subscription_id="one"), NOW_MS)
    with pytest.raises(AssertionError):
        scheduler.tenures.begin_none()
    assert scheduler.tenures.owns("one")
    scheduler.tenures.hand_over([shard_of("one")])
    assert scheduler.tenures.owns("one")
