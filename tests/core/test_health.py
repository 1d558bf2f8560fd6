"""When an endpoint is given a rest, and when it comes back."""

from itertools import pairwise

import pytest

from tidings.core.attempt import Outcome
from tidings.core.health import (
    HEALTHY,
    Health,
    HealthState,
    has_failed_for_days,
    health_after,
    is_worth_writing,
    told_in_time,
)
from tidings.core.limits import (
    HEALTH_OPENS_AFTER_FAILURES,
    HEALTH_OPENS_AFTER_MS,
    PROBE_INTERVAL_MS_MAX,
    PROBE_INTERVAL_MS_MIN,
)

DAY_MS = 86_400_000


def fail(health: Health, now_ms: int, outcome: Outcome = Outcome.FAILED) -> Health:
    return health_after(health, outcome, now_ms=now_ms, jitter=0.5)


def opened() -> Health:
    health = HEALTHY
    for number in range(HEALTH_OPENS_AFTER_FAILURES):
        health = fail(health, number * HEALTH_OPENS_AFTER_MS)
    return health


def test_it_does_not_open_before_ten_failures_however_long_they_take() -> None:
    health = HEALTHY
    for number in range(HEALTH_OPENS_AFTER_FAILURES - 1):
        health = fail(health, number * DAY_MS)
        assert health.state is HealthState.FAILING
    assert fail(health, 20 * DAY_MS).state is HealthState.OPEN


def test_it_does_not_open_within_a_minute_however_many_they_are() -> None:
    health = HEALTHY
    for number in range(1_000):
        health = fail(health, number)
    assert health.state is HealthState.FAILING
    assert fail(health, HEALTH_OPENS_AFTER_MS).is_open


def test_probes_come_at_intervals_that_double_up_to_half_an_hour() -> None:
    health = opened()
    intervals = []
    for _ in range(10):
        assert health.probe_at_ms is not None
        intervals.append(health.probe_interval_ms)
        health = fail(health, health.probe_at_ms)
    assert intervals[0] == PROBE_INTERVAL_MS_MIN
    assert intervals[-1] == PROBE_INTERVAL_MS_MAX
    assert all(
        later in (2 * earlier, PROBE_INTERVAL_MS_MAX) for earlier, later in pairwise(intervals)
    )


@pytest.mark.parametrize("jitter", [0.0, 0.5, 0.999])
def test_the_probe_is_spread_by_a_fifth(jitter: float) -> None:
    before = opened()
    assert before.probe_at_ms is not None
    now_ms = before.probe_at_ms
    after = health_after(before, Outcome.FAILED, now_ms=now_ms, jitter=jitter)
    assert after.probe_at_ms is not None
    wait_ms = after.probe_at_ms - now_ms
    assert 0.8 * after.probe_interval_ms <= wait_ms <= 1.2 * after.probe_interval_ms


def test_one_success_heals() -> None:
    assert health_after(opened(), Outcome.DELIVERED, now_ms=0, jitter=0) is HEALTHY
    assert health_after(HEALTHY, Outcome.DELIVERED, now_ms=0, jitter=0) is HEALTHY


def test_our_own_fault_says_nothing_about_the_endpoint() -> None:
    health = opened()
    assert fail(health, DAY_MS, Outcome.OUR_FAULT) is health


def test_a_hold_is_kept_until_its_end_is_put_off_further() -> None:
    held = health_after(HEALTHY, Outcome.THROTTLED, now_ms=0, jitter=0, held_until_ms=5_000)
    assert held.held_until_ms == 5_000
    assert fail(held, 10).held_until_ms == 5_000
    later = health_after(held, Outcome.THROTTLED, now_ms=0, jitter=0, held_until_ms=9_000)
    assert later.held_until_ms == 9_000


def test_days_of_failure_are_counted_from_the_first() -> None:
    health = fail(fail(HEALTHY, 0), DAY_MS)
    assert not has_failed_for_days(health, 5, now_ms=5 * DAY_MS - 1)
    assert has_failed_for_days(health, 5, now_ms=5 * DAY_MS)
    assert not has_failed_for_days(HEALTHY, 5, now_ms=5 * DAY_MS)


def test_changes_of_state_are_written_at_once_and_others_once_a_second() -> None:
    failing = fail(HEALTHY, 0)
    assert is_worth_writing(HEALTHY, failing, written_at_ms=0, now_ms=0)
    first, second = Health(3, 0), Health(3, 500)
    assert not is_worth_writing(first, second, written_at_ms=0, now_ms=999)
    assert is_worth_writing(first, second, written_at_ms=0, now_ms=1_000)
    assert not is_worth_writing(failing, fail(failing, 5), written_at_ms=0, now_ms=5_000)


def test_the_result_of_a_probe_is_written_at_once() -> None:
    first, second = Health(10, 0, 30_000, 30_000), Health(11, 0, 90_000, 60_000)
    assert is_worth_writing(first, second, written_at_ms=0, now_ms=1)


def test_failures_count_from_now_if_the_clock_was_put_back_behind_the_first() -> None:
    health = fail(HEALTHY, DAY_MS)
    for _ in range(9):
        health = fail(health, 0)
    assert fail(health, HEALTH_OPENS_AFTER_MS).is_open


def test_it_is_told_when_it_opens_and_stays_told_until_it_heals() -> None:
    health = opened()
    assert health.is_told
    later = fail(health, 30 * DAY_MS)
    assert later.is_told
    assert fail(later, 30 * DAY_MS + 1).is_told
    assert not health_after(later, Outcome.DELIVERED, now_ms=31 * DAY_MS, jitter=0).is_told


@pytest.mark.parametrize(("after_ms", "is_told"), [(DAY_MS - 1, False), (DAY_MS, True)])
def test_it_is_told_after_half_of_the_days_before_it_is_disabled(
    after_ms: int, is_told: bool
) -> None:
    health = fail(HEALTHY, 0)
    told = told_in_time(health, 2, now_ms=after_ms)
    assert told.is_told is is_told
    assert told_in_time(told, 2, now_ms=after_ms) is told
    assert not told_in_time(HEALTHY, 2, now_ms=after_ms).is_told
    written = is_worth_writing(health, told, written_at_ms=0, now_ms=0)
    assert written is is_told


def test_a_rest_that_was_asked_for_outlives_a_success() -> None:
    held = health_after(HEALTHY, Outcome.THROTTLED, now_ms=1_000, jitter=0.5, held_until_ms=60_000)
    after = health_after(held, Outcome.DELIVERED, now_ms=2_000, jitter=0.5)
    assert after.held_until_ms == 60_000
    assert after.state is HealthState.HEALTHY
    assert health_after(after, Outcome.DELIVERED, now_ms=60_000, jitter=0.5) is HEALTHY


def test_a_longer_rest_is_written_at_once() -> None:
    written = Health(1, 0, held_until_ms=5_000)
    longer = Health(2, 0, held_until_ms=6_000)
    assert is_worth_writing(written, longer, written_at_ms=0, now_ms=1)
