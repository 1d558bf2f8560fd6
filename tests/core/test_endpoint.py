"""An endpoint's pace: when its next attempt may start, and which row it is."""

from math import inf
from typing import Any

import pytest

from tests.support.values import NOW_MS, a_subscription
from tidings.core.attempt import Outcome
from tidings.core.delivery import Delivery
from tidings.core.endpoint import Endpoint
from tidings.core.fairness import Share
from tidings.core.health import HEALTHY, Health
from tidings.core.limits import ENDPOINT_WINDOW_ROWS_MAX
from tidings.core.subscription import Status


def an_endpoint(**members: Any) -> Endpoint:
    return Endpoint(a_subscription(**members), Share("default"), now_ms=NOW_MS)


def row(seq: int, round_: int = 0) -> Delivery:
    return Delivery(seq, f"dlv_{seq}", "default", "sub_1", 1, round=round_)


def test_a_new_endpoint_is_free_at_once() -> None:
    endpoint = an_endpoint()
    assert endpoint.free_at_ms() <= NOW_MS
    assert endpoint.is_idle


@pytest.mark.parametrize("status", [one for one in Status if one is not Status.ACTIVE])
def test_only_active_subscriptions_send(status: Status) -> None:
    assert an_endpoint(status=status).free_at_ms() == inf


def test_without_a_secret_nothing_goes_unsigned() -> None:
    assert an_endpoint(secrets=()).free_at_ms() == inf


def test_its_concurrency_is_kept() -> None:
    endpoint = an_endpoint()
    endpoint.in_flight = endpoint.concurrency.limit
    assert endpoint.free_at_ms() == inf


def test_while_open_it_waits_for_its_probe_and_sends_one() -> None:
    endpoint = an_endpoint()
    endpoint.health = Health(10, NOW_MS, NOW_MS + 30_000, 30_000)
    assert endpoint.free_at_ms() == NOW_MS + 30_000
    endpoint.in_flight = 1
    assert endpoint.free_at_ms() == inf


def test_a_hold_is_waited_out() -> None:
    endpoint = an_endpoint()
    endpoint.health = Health(1, NOW_MS, held_until_ms=NOW_MS + 5_000)
    assert endpoint.free_at_ms() == NOW_MS + 5_000


def test_its_rate_limit_follows_the_subscription() -> None:
    endpoint = an_endpoint(rate_limit_per_second=1.0)
    assert endpoint.rate is not None
    endpoint.rate.take(NOW_MS)
    assert endpoint.free_at_ms() == NOW_MS + 1_000
    endpoint.follow(a_subscription())
    endpoint.set_rate(NOW_MS, starts_empty=False)
    assert endpoint.free_at_ms() <= NOW_MS


def test_fresh_rows_and_repeats_take_turns() -> None:
    endpoint = an_endpoint()
    for seq in range(4):
        endpoint.add_ready(row(seq))
        endpoint.add_ready(row(10 + seq, round_=1))
    order = [endpoint.next_ready(again_allowed=True) for _ in range(8)]
    kinds = [one.is_again for one in order if one is not None]
    assert kinds in ([True, False] * 4, [False, True] * 4)
    endpoint.add_ready(row(20, round_=1))
    assert endpoint.next_ready(again_allowed=False) is None


def test_a_probe_is_the_oldest_row() -> None:
    endpoint = an_endpoint()
    endpoint.add_ready(row(5))
    endpoint.add_ready(row(3, round_=1))
    endpoint.health = Health(10, NOW_MS, NOW_MS, 30_000)
    first = endpoint.next_ready(again_allowed=True)
    assert first is not None
    assert first.seq == 3


def test_pages_are_wanted_when_rows_run_low() -> None:
    endpoint = an_endpoint()
    assert not endpoint.wants_page(NOW_MS)
    endpoint.caught_up = False
    assert endpoint.wants_page(NOW_MS)
    endpoint.page_reading = True
    assert not endpoint.wants_page(NOW_MS)
    endpoint.page_reading = False
    for seq in range(ENDPOINT_WINDOW_ROWS_MAX // 2):
        endpoint.add_ready(row(seq))
    assert not endpoint.wants_page(NOW_MS)


def test_it_learns_how_long_answers_take() -> None:
    endpoint = an_endpoint()
    endpoint.learn(Outcome.FAILED, is_choking=True, started_at_ms=0, now_ms=10_000)
    assert endpoint.expected_ms() == 10_000
    for _ in range(50):
        endpoint.learn(Outcome.DELIVERED, is_choking=False, started_at_ms=0, now_ms=10)
    assert endpoint.expected_ms() < 20
    assert endpoint.health is HEALTHY
