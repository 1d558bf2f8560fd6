"""Slots: who may use how many."""

from tests.support.values import NOW_MS, a_subscription
from tidings.core.delivery import Delivery
from tidings.core.endpoint import Endpoint, Speed
from tidings.core.fairness import Share
from tidings.core.health import Health
from tidings.core.limits import (
    FAILING_AFTER_FAILURES,
    FAILING_SLOTS_MAX,
    HOST_CONCURRENCY_MAX,
    SLOW_ANSWER_MS,
    SLOW_SLOTS_SHARE,
)
from tidings.core.slots import Flight, Slots


def an_endpoint(speed: Speed) -> Endpoint:
    endpoint = Endpoint(a_subscription(), Share("default"), now_ms=NOW_MS)
    endpoint.speed = speed
    return endpoint


def take(slots: Slots, endpoint: Endpoint, seq: int, *, is_again: bool = False) -> None:
    delivery = Delivery(seq, f"dlv_{seq}", "default", "sub_1", 1)
    slots.take(Flight(delivery, endpoint, NOW_MS, 0.0, is_again, endpoint.host, endpoint.speed))


def test_slow_and_new_endpoints_leave_slots_for_the_fast() -> None:
    slots = Slots(100)
    slow, new, fast = (an_endpoint(speed) for speed in (Speed.SLOW, Speed.UNKNOWN, Speed.FAST))
    seq = 0
    while slots.allow(Speed.SLOW):
        take(slots, slow, seq := seq + 1)
    assert slow.in_flight == 70
    while slots.allow(Speed.UNKNOWN):
        take(slots, new, seq := seq + 1)
    assert new.in_flight == 15
    while slots.are_free():
        assert slots.allow(Speed.FAST)
        take(slots, fast, seq := seq + 1)
    assert fast.in_flight == 15


def test_few_go_at_once_to_endpoints_that_fail_fast() -> None:
    slots = Slots(100)
    failing = an_endpoint(Speed.FAILING)
    seq = 0
    while slots.allow(Speed.FAILING):
        take(slots, failing, seq := seq + 1)
    assert failing.in_flight == FAILING_SLOTS_MAX
    assert slots.free_for_host(failing.host, Speed.FAILING) == 0
    assert slots.allow(Speed.SLOW)
    slots.mark_hanging(NOW_MS + SLOW_ANSWER_MS)
    # Those that turn out to hang are no longer in the way of those that fail fast.
    assert slots.allow(Speed.FAILING)


def test_an_endpoint_fails_fast_until_it_has_answered_well_once() -> None:
    endpoint = an_endpoint(Speed.UNKNOWN)
    speeds = []
    for failures in (FAILING_AFTER_FAILURES - 1, FAILING_AFTER_FAILURES, 0):
        endpoint.health = Health(failures)
        endpoint.judge_speed()
        speeds.append(endpoint.speed)
    endpoint.health = Health(FAILING_AFTER_FAILURES)
    endpoint.latency_ms = SLOW_ANSWER_MS
    endpoint.judge_speed()
    assert [*speeds, endpoint.speed] == [Speed.FAST, Speed.FAILING, Speed.FAST, Speed.SLOW]


def test_repeats_use_half() -> None:
    slots = Slots(10)
    for seq in range(5):
        assert slots.free_for_again() == 5 - seq
        take(slots, an_endpoint(Speed.FAST), seq, is_again=True)
    assert slots.free_for_again() == 0
    slots.give_back(0)
    assert slots.free_for_again() == 1


def test_one_host_gets_only_so_many() -> None:
    slots = Slots(10_000)
    endpoint = an_endpoint(Speed.FAST)
    for seq in range(HOST_CONCURRENCY_MAX):
        assert slots.free_for_host(endpoint.host, Speed.FAST) == HOST_CONCURRENCY_MAX - seq
        take(slots, endpoint, seq)
    for speed in Speed:
        assert slots.free_for_host(endpoint.host, speed) <= 0
    assert slots.free_for_host("elsewhere.example", Speed.SLOW) == HOST_CONCURRENCY_MAX
    for seq in range(HOST_CONCURRENCY_MAX):
        slots.give_back(seq)
    assert slots._hosts == {}


def test_endpoints_that_hang_leave_slots_to_their_neighbours_at_the_same_host() -> None:
    slots = Slots(10_000)
    endpoints = [an_endpoint(speed) for speed in (Speed.SLOW, Speed.UNKNOWN, Speed.FAST)]
    counts = []
    seq = 0
    for endpoint in endpoints:
        while slots.free_for_host(endpoint.host, endpoint.speed) > 0:
            take(slots, endpoint, seq := seq + 1)
        counts.append(endpoint.in_flight)
    assert counts == [89, 19, 20]
    assert sum(counts) == HOST_CONCURRENCY_MAX


def test_an_endpoint_that_hangs_counts_as_slow_before_its_deadline() -> None:
    slots = Slots(100)
    hanging, quick = an_endpoint(Speed.FAST), an_endpoint(Speed.FAST)
    take(slots, hanging, 1)
    slots.mark_hanging(NOW_MS + SLOW_ANSWER_MS - 1)
    assert hanging.speed is Speed.FAST
    take(slots, quick, 2)
    slots.flights[2].started_at_ms = NOW_MS + SLOW_ANSWER_MS
    slots.mark_hanging(NOW_MS + 2 * SLOW_ANSWER_MS - 1)
    assert (hanging.speed, quick.speed) == (Speed.SLOW, Speed.FAST)
    assert slots.free_for_host(hanging.host, Speed.FAST) == HOST_CONCURRENCY_MAX - 2
    slow_max = int(HOST_CONCURRENCY_MAX * SLOW_SLOTS_SHARE)
    assert slots.free_for_host(hanging.host, Speed.SLOW) == slow_max - 1
    slots.give_back(1)
    assert slots.free_for_host(hanging.host, Speed.SLOW) == slow_max
