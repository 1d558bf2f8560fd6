"""The rate limit: exact beyond a stated burst."""

from hypothesis import given
from hypothesis import strategies as st

from tidings.core.rate import RateLimit, Rates

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


def test_a_quiet_one_may_do_at_once_what_the_burst_holds() -> None:
    rates = Rates(5, burst_ms=2_000)
    assert [rates.take("a", 0) for _ in range(11)] == [*[0] * 10, 200]
    assert rates.take("a", 199) == 1
    assert rates.take("a", 200) == 0


def test_each_has_a_limit_of_its_own() -> None:
    rates = Rates(1, burst_ms=1_000)
    assert rates.take("a", 0) == 0
    assert rates.take("a", 0) > 0
    assert rates.take("b", 0) == 0


def test_a_refusal_is_not_counted() -> None:
    rates = Rates(1, burst_ms=1_000)
    rates.take("a", 0)
    assert {rates.take("a", 500) for _ in range(9)} == {500}
    assert rates.take("a", 1_000) == 0


@given(uses=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5_000)), max_size=60))
def test_forgetting_who_was_quiet_changes_no_answer(uses: list[tuple[int, int]]) -> None:
    """However many strangers come between, so that room is made."""
    crowded, alone = Rates(2, burst_ms=3_000), Rates(2, burst_ms=3_000)
    now_ms, strangers = 0, 0
    for who, gap_ms in uses:
        now_ms += gap_ms
        for _ in range(100):
            strangers += 1
            crowded.take(f"stranger {strangers}", now_ms)
        assert crowded.take(str(who), now_ms) == alone.take(str(who), now_ms)


def test_those_who_came_once_are_forgotten() -> None:
    rates = Rates(1_000, burst_ms=1_000)
    for number in range(50_000):
        rates.take(f"tenant {number}", number)
    assert len(rates) <= 2_000


def test_a_clock_that_was_put_back_costs_one_interval_at_most() -> None:
    rate = RateLimit(10.0, now_ms=0, burst_ms=1_000)
    for _ in range(10):
        rate.take(7_200_000)
    rate.clock_put_back(7_195_000, 5_000)
    assert rate.free_at_ms() == 5_100


def test_what_went_beyond_the_rate_is_waited_for_when_the_clock_was_put_back() -> None:
    rate = RateLimit(2.0, now_ms=0)
    for _ in range(3):
        rate.take(60_000)
    rate.clock_put_back(30_000, 30_000)
    assert rate.free_at_ms() == 31_500


@given(
    per_second=st.floats(min_value=0.1, max_value=1_000),
    steps=st.lists(
        st.tuples(st.integers(0, 3_000), st.sampled_from((0, 0, 0, 1, 500, 7_200_000))),
        max_size=100,
    ),
)
def test_no_step_back_of_the_clock_lets_more_through(
    per_second: float, steps: list[tuple[int, int]]
) -> None:
    rate = RateLimit(per_second, now_ms=0)
    true_ms = put_back_ms = 0
    sent: list[int] = []
    for gap_ms, back_ms in steps:
        true_ms += gap_ms
        put_back_ms += back_ms
        if back_ms:
            rate.clock_put_back(back_ms, true_ms - put_back_ms)
        while rate.free_at_ms() <= true_ms - put_back_ms and len(sent) < 2_000:
            rate.take(true_ms - put_back_ms)
            sent.append(true_ms)
    burst = max(1.0, per_second * BURST_MS / 1_000)
    for number, first_ms in enumerate(sent):
        for count, last_ms in enumerate(sent[number : number + 50], start=1):
            assert count <= per_second * (last_ms - first_ms) / 1_000 + burst + 1e-6
