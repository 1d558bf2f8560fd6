"""Nobody's neighbours keep it waiting: the whole scheduler against endpoints that hang or flood."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.scheduler_world import ERROR, OK, SchedulerWorld
from tests.support.values import NOW_MS, a_subscription
from tidings.core import limits
from tidings.core.delivery import Delivery
from tidings.core.endpoint import Speed
from tidings.core.limits import SLOW_ANSWER_MS
from tidings.core.roster import Roster
from tidings.core.slots import Flight, Slots
from tidings.core.subscription import Change
from tidings.core.turns import Turns

SLOTS = 8


def name_of(world: SchedulerWorld, seq: int) -> str:
    return world.in_flight[seq].delivery.subscription_id


def take_turns(world: SchedulerWorld, took_ms: int, turns: int) -> list[str]:
    """Let the oldest request come back each time; answers who was served, in order."""
    served = []
    for _ in range(turns):
        world.now_ms += took_ms
        if world.in_flight:
            world.answer(next(iter(world.in_flight)))
        world.record()
        world.tell(len(world.untold))
        served += [send.delivery.subscription_id for send in world.step()]
        while world.under_way:
            world.carry_out(0)
    return served


@settings(max_examples=40)
@given(
    hangs=st.lists(st.booleans(), min_size=1, max_size=12),
    shared=st.booleans(),
    choices=st.lists(st.integers(0, 1_000), min_size=SLOTS + 2, max_size=SLOTS + 2),
)
def test_a_quiet_endpoint_waits_for_no_more_answers_than_there_are_slots(
    hangs: list[bool], shared: bool, choices: list[int]
) -> None:
    world = SchedulerWorld(concurrency_max=SLOTS)
    for number, _ in enumerate(hangs):
        world.subscribe(f"n{number}", tenant_id="loud" if shared else f"t{number}")
        world.publish(f"n{number}", 100)
    world.subscribe("quiet", tenant_id="calm")
    world.tell(len(world.untold))
    for _ in range(20):
        world.step()
        quick = [seq for seq in world.in_flight if not hangs[int(name_of(world, seq)[1:])]]
        for seq in quick:
            world.answer(seq)
    world.step()
    world.publish("quiet")
    world.tell(len(world.untold))
    for choice in choices:
        if any(send.delivery.subscription_id == "quiet" for send in world.step()):
            return
        # Of the requests on their way one comes back, whichever it is.
        world.now_ms += 15_000
        world.answer(list(world.in_flight)[choice % len(world.in_flight)])
    raise AssertionError("it waits behind its neighbours")


def test_a_new_endpoint_gets_its_turn_beside_fast_ones_of_the_same_tenant() -> None:
    world = SchedulerWorld(concurrency_max=4)
    for number in range(4):
        world.subscribe(f"fast{number}")
        world.publish(f"fast{number}", 4)
    world.flow(OK)
    for number in range(4):
        world.publish(f"fast{number}", 200)
    world.subscribe("new")
    world.publish("new")
    world.tell(len(world.untold))
    assert "new" in take_turns(world, 1, 40)


def test_a_tenant_that_comes_to_slow_ones_cannot_claim_the_past() -> None:
    world = SchedulerWorld(concurrency_max=4)
    for name in ("slow", "late"):
        world.subscribe(name, tenant_id=name)
    world.publish("slow", 250)
    world.tell(len(world.untold))
    take_turns(world, 2 * SLOW_ANSWER_MS, 100)
    assert world.scheduler._roster.endpoints["slow"].speed is Speed.SLOW
    world.publish("late", 250)
    served = Counter(take_turns(world, 2 * SLOW_ANSWER_MS, 40))
    assert served["slow"] >= 10


def test_quick_answers_of_a_newcomer_cannot_claim_the_past_of_slow_ones() -> None:
    world = SchedulerWorld(concurrency_max=1)
    for name in ("slow", "quick"):
        world.subscribe(name, tenant_id=name)
    world.publish("slow", 250)
    world.tell(len(world.untold))
    take_turns(world, 2 * SLOW_ANSWER_MS, 100)
    served: list[str] = []
    for _ in range(40):
        world.publish("quick", 100)
        served += take_turns(world, 1, 100)
    # A hundred slow answers took as long as 200,000 quick ones.
    assert served.count("slow") >= 1
    assert served.count("quick") >= 3_000


def test_an_endpoint_that_comes_back_cannot_claim_the_past_of_its_tenant() -> None:
    world = SchedulerWorld(concurrency_max=1)
    for name in ("busy", "idle"):
        world.subscribe(name)
    world.publish("busy", 250)
    world.tell(len(world.untold))
    take_turns(world, 100, 100)
    world.publish("idle", 250)
    served = Counter(take_turns(world, 100, 40))
    assert 15 <= served["busy"] <= 25


def test_an_endpoint_that_has_become_fast_leaves_the_crowd_of_the_slow() -> None:
    roster, slots = Roster(), Slots(SLOTS)
    turns = Turns(roster, slots)
    for number, name in enumerate(("better", "hanging")):
        roster.subscriptions[name] = a_subscription(subscription_id=name)
        endpoint = roster.endpoint(name, NOW_MS)
        assert endpoint is not None
        endpoint.speed = Speed.SLOW
        roster.make_ready(endpoint, Delivery(number, f"dlv_{number}", "default", name, 1))
        turns.consider(endpoint, NOW_MS)
    better, hanging = roster.endpoints.values()
    seq = 100
    while slots.allow(Speed.SLOW):
        seq += 1
        row = Delivery(seq, f"dlv_{seq}", "default", "hanging", 1)
        slots.take(Flight(row, hanging, NOW_MS, 0.0, False, hanging.host, hanging.speed))
    assert turns.next_endpoint(NOW_MS) is None
    better.speed = Speed.FAST
    turns.consider(better, NOW_MS)
    assert turns.next_endpoint(NOW_MS) is better
    assert turns.next_endpoint(NOW_MS) is None
    slots.give_back(seq)
    # Its old place among the slow is gone, too.
    assert turns.next_endpoint(NOW_MS) is hanging
    assert turns.next_endpoint(NOW_MS) is None


def test_a_repeat_that_is_given_up_leaves_its_slot_to_the_next() -> None:
    world = SchedulerWorld(concurrency_max=2)
    for name in ("a", "b"):
        world.subscribe(name)
        world.publish(name)
    world.flow(OK)
    for delivery_id in list(world.table.finished):
        world.replay(delivery_id)
    world.tell(len(world.untold))
    (first,) = world.step()
    world.abandon(first.delivery.seq)
    world.change(first.delivery.subscription_id, Change.PAUSE)
    world.tell(len(world.untold))
    (second,) = world.step()
    assert second.delivery.subscription_id != first.delivery.subscription_id


def test_a_waiting_repeat_that_may_not_go_passes_its_slot_on() -> None:
    world = SchedulerWorld(concurrency_max=2)
    names = ("a", "b", "c")
    for name in names:
        world.subscribe(name)
        world.publish(name)
    world.flow(OK)
    for delivery_id in list(world.table.finished):
        world.replay(delivery_id)
    world.tell(len(world.untold))
    (first,) = world.step()
    waiting = [name for name in names if name != first.delivery.subscription_id]
    world.change(waiting[0], Change.PAUSE)
    world.tell(len(world.untold))
    world.answer(first.delivery.seq, ERROR)
    (second,) = world.step()
    assert second.delivery.subscription_id == waiting[1]


def test_endpoints_that_hang_at_a_host_do_not_starve_one_that_answers_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "HOST_CONCURRENCY_MAX", 10)
    world = SchedulerWorld(concurrency_max=100)
    hanging = [f"hanging-{number}" for number in range(20)]
    for name in ("quick", *hanging):
        world.subscribe(name)
    world.publish("quick")
    world.flow(OK)
    for name in hanging:
        world.publish(name, 5)
    world.tell(len(world.untold))
    world.step()
    world.now_ms += SLOW_ANSWER_MS
    world.step()
    assert 7 <= len(world.in_flight) < 10
    for _ in range(20):
        world.publish("quick")
        world.tell(len(world.untold))
        (quick,) = [send for send in world.step() if send.delivery.subscription_id == "quick"]
        world.answer(quick.delivery.seq)
        world.record()
        world.tell(len(world.untold))


def test_a_rate_holds_across_a_restart_also_where_nothing_waited() -> None:
    world = SchedulerWorld()
    world.subscribe("slow", rate_limit_per_second=0.1)
    world.publish("slow")
    assert len(world.flow(OK)) == 1
    world.now_ms += 1_000
    world.restart()
    world.publish("slow")
    assert world.flow(OK) == []
    world.now_ms += 10_000
    assert len(world.flow(OK)) == 1


def test_sends_that_waited_for_their_bodies_leave_at_the_rate_all_the_same() -> None:
    world = SchedulerWorld()
    world.subscribe("slow", rate_limit_per_second=2.0)
    world.publish("slow", 2)
    (first,) = world.flow(None)
    world.now_ms += 1_000
    assert world.scheduler.still_wanted(first, world.now_ms) is not None
    world.scheduler.departs(first, world.now_ms)
    assert world.scheduler.still_wanted(first, world.now_ms + 499) is None
    assert world.scheduler.still_wanted(first, world.now_ms + 500) is not None


def test_what_leaves_late_uses_up_what_is_let_go_next() -> None:
    world = SchedulerWorld()
    world.subscribe("one", rate_limit_per_second=100.0)
    for _ in range(3):
        world.publish("one")
        assert len(world.flow(OK)) == 1
        world.now_ms += 1_000
    world.publish("one", 4)
    waiting = world.flow(None)
    assert len(waiting) == 2
    world.now_ms += 1_000
    for send in waiting:
        world.scheduler.departs(send, world.now_ms)
    world.now_ms += 10
    assert len(world.flow(None)) == 1
