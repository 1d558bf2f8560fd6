"""Slots: who may use how many."""

from tests.support.values import NOW_MS, a_subscription
from tidings.core.delivery import Delivery
from tidings.core.endpoint import Endpoint, Speed
from tidings.core.fairness import Share
from tidings.core.limits import HOST_CONCURRENCY_MAX, SLOW_ANSWER_MS
from tidings.core.slots import Flight, Slots


def an_endpoint(speed: Speed) -> Endpoint:
    endpoint = Endpoint(a_subscription(), Share("default"), now_ms=NOW_MS)
    endpoint.speed = speed
    return endpoint


def take(slots: Slots, endpoint: Endpoint, seq: int, *, is_again: bool = False) -> None:
    delivery = Delivery(seq, f"dlv_{seq}", "default", "sub_1", 1)
    slots.take(Flight(delivery, endpoint, NOW_MS, 0.0, is_again, endpoint.host))


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
        assert slots.free_for_host(endpoint.host) == HOST_CONCURRENCY_MAX - seq
        take(slots, endpoint, seq)
    assert slots.free_for_host(endpoint.host) == 0
    assert slots.free_for_host("elsewhere.example") == HOST_CONCURRENCY_MAX
    for seq in range(HOST_CONCURRENCY_MAX):
        slots.give_back(seq)
    assert slots._by_host == {}


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
    slots.give_back(1)
    slots.set_speed(hanging, Speed.FAST)
    assert slots._by_speed == [1, 0, 0]
