"""The rate limit: exact beyond a stated burst."""

from hypothesis import given
from hypothesis import strategies as st

from tidings.core.rate import RateLimit

BURST_MS = 20


@given(
    per_second=st.floats(min_value=0.01, max_value=10_000),
    gaps=st.lists(st.integers(min_value=0, max_value=300), max_size=300),
)
def test_no_second_sees_more_than_the_rate_and_the_burst(
    per_second: float, gaps: list[int]
) -> None:
    rate = RateLimit(per_second, now_ms=0)
    now_ms = 0
    sent: list[int] = []
    for gap in gaps:
        now_ms += gap
        while rate.free_at_ms() <= now_ms and len(sent) < 5_000:
            rate.take(now_ms)
            sent.append(now_ms)
    allowed = per_second + max(1.0, per_second * BURST_MS / 1_000) + 1
    for first in sent[::7]:
        assert sum(first <= one < first + 1_000 for one in sent) <= allowed


def test_one_may_go_at_once_and_the_next_after_the_interval() -> None:
    rate = RateLimit(2.0, now_ms=1_000)
    assert rate.free_at_ms() <= 1_000
    rate.take(1_000)
    assert rate.free_at_ms() == 1_500


def test_an_empty_bucket_waits_first() -> None:
    assert RateLimit(2.0, now_ms=1_000, starts_empty=True).free_at_ms() == 1_500


def test_time_that_was_not_used_is_not_saved_up() -> None:
    rate = RateLimit(10.0, now_ms=0)
    rate.take(0)
    rate.take(60_000)
    assert rate.free_at_ms() == 60_100
