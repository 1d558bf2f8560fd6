"""Figures add up, however they were split."""

from hypothesis import given
from hypothesis import strategies as st

from tidings.core import limits
from tidings.core.attempt import Outcome
from tidings.core.roll_up import (
    OUTCOMES,
    Figures,
    RollUp,
    bucketed,
    finest_bucket_seconds,
    start_of,
)

attempts = st.lists(st.tuples(st.sampled_from(Outcome), st.integers(0, 30_000)), max_size=60)


def figures_of(made: list[tuple[Outcome, int]]) -> Figures:
    figures = Figures()
    for outcome, duration_ms in made:
        figures.add_attempt(outcome, duration_ms)
    return figures


@given(one=attempts, other=attempts)
def test_the_sum_of_parts_is_the_figures_of_all(
    one: list[tuple[Outcome, int]], other: list[tuple[Outcome, int]]
) -> None:
    added = figures_of(one)
    added.add(figures_of(other))
    assert added == figures_of(one + other)
    assert added.attempts == len(one) + len(other)


def test_what_was_our_fault_counts_against_nobody() -> None:
    figures = figures_of([(Outcome.DELIVERED, 5), (Outcome.FAILED, 7), (Outcome.OUR_FAULT, 9_000)])
    assert figures.success_share == 0.5
    assert sum(figures.latencies.values()) == 2
    assert figures_of([(Outcome.OUR_FAULT, 5)]).success_share is None
    assert Figures().success_share is None


def test_every_outcome_has_a_place() -> None:
    for index, outcome in enumerate(OUTCOMES):
        figures = figures_of([(outcome, 1)])
        assert figures.outcomes == [int(place == index) for place in range(len(OUTCOMES))]


@given(starts=st.lists(st.integers(0, 500), max_size=30), seconds=st.sampled_from([10, 60, 3_600]))
def test_buckets_hold_everything_once_in_order(starts: list[int], seconds: int) -> None:
    one = figures_of([(Outcome.DELIVERED, 3)])
    roll_ups = [RollUp("t", "s", 10, start * 10_000, one) for start in starts]
    found = bucketed(roll_ups, seconds)
    assert list(found) == sorted({start_of(start * 10_000, seconds) for start in starts})
    assert sum(figures.attempts for figures in found.values()) == len(starts)
    assert one.attempts == 1, "what is added is not changed"


def test_what_is_older_is_known_less_finely() -> None:
    assert finest_bucket_seconds(limits.ROLL_UP_SECONDS_KEPT_MS) == limits.ROLL_UP_SECONDS
    assert finest_bucket_seconds(limits.ROLL_UP_SECONDS_KEPT_MS + 1) == 60
    assert finest_bucket_seconds(limits.ROLL_UP_MINUTES_KEPT_MS + 1) == 3_600
