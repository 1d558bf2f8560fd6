"""Retry schedules in both forms, their jitter, and what Retry-After asks for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.core.limits import ATTEMPTS_MAX, RETRY_AFTER_MS_MAX
from tidings.core.retry import (
    DEFAULT_RETRY_POLICY,
    JITTER_SHARE,
    Exponential,
    RetryPolicy,
    next_attempt_at_ms,
    retry_after_ms,
)

HOUR_MS = 3_600_000


def test_the_default_has_ten_attempts_over_three_days() -> None:
    assert DEFAULT_RETRY_POLICY.attempts_max == 10
    assert DEFAULT_RETRY_POLICY.span_ms == 75 * HOUR_MS + 35 * 60_000 + 5_000


@pytest.mark.parametrize(
    ("formula", "waits"),
    [
        (Exponential(5, 3, 86_400, 5), (5, 15, 45, 135)),
        (Exponential(5, 3, 40, 5), (5, 15, 40, 40)),
        (Exponential(1, 1, 1, 1), ()),
        (Exponential(0.1, 10, 604_800, 3), (0.1, 1)),
    ],
)
def test_a_formula_stands_for_waits(formula: Exponential, waits: tuple[float, ...]) -> None:
    policy = RetryPolicy.from_formula(formula)
    assert policy.waits_seconds == pytest.approx(waits)
    assert policy.attempts_max == formula.max_attempts


def test_a_formula_that_explodes_stays_at_its_ceiling() -> None:
    policy = RetryPolicy.from_formula(Exponential(604_800, 1e308, 604_800, ATTEMPTS_MAX))
    assert set(policy.waits_seconds) == {604_800}


@given(
    waits=st.lists(st.floats(min_value=0.1, max_value=604_800), max_size=20),
    made=st.integers(min_value=1, max_value=25),
    jitter=st.floats(min_value=0, max_value=1, exclude_max=True),
)
def test_a_wait_is_spread_by_a_fifth_and_the_last_attempt_is_the_last(
    waits: list[float], made: int, jitter: float
) -> None:
    policy = RetryPolicy(tuple(waits))
    due_ms = next_attempt_at_ms(policy, made, now_ms=1_000, jitter=jitter)
    if made > len(waits):
        assert due_ms is None
        return
    assert due_ms is not None
    wait_ms = waits[made - 1] * 1_000
    assert wait_ms * (1 - JITTER_SHARE) - 1 <= due_ms - 1_000 <= wait_ms * (1 + JITTER_SHARE) + 1


@pytest.mark.parametrize(
    ("value", "expected_ms"),
    [
        ("120", 120_000),
        (" 1 ", 1_000),
        ("999999", RETRY_AFTER_MS_MAX),
        ("Thu, 01 Jan 1970 00:00:30 GMT", 30_000),
        ("Thu, 01 Jan 2070 00:00:30 GMT", RETRY_AFTER_MS_MAX),
        ("0", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("١٢", None),
        ("9" * 400, None),
        ("Thu, 99 Foo 1970 00:00:30 GMT", None),
        (None, None),
    ],
)
def test_retry_after(value: str | None, expected_ms: int | None) -> None:
    assert retry_after_ms(value, now_ms=0) == expected_ms


def test_a_date_that_has_passed_asks_for_nothing() -> None:
    assert retry_after_ms("Thu, 01 Jan 1970 00:00:30 GMT", now_ms=30_000) is None


@given(st.text())
def test_nonsense_is_never_an_error(value: str) -> None:
    asked_ms = retry_after_ms(value, now_ms=0)
    assert asked_ms is None or 0 < asked_ms <= RETRY_AFTER_MS_MAX
