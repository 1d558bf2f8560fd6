"""Percentiles from bins: close to the truth, ordered, and the same in whatever parts they came."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.core.histogram import bin_of, middle_of, percentile_ms

durations = st.integers(0, 120_000)


@given(one=durations, other=durations)
def test_longer_durations_never_lie_in_lower_bins(one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert bin_of(low) <= bin_of(high)


@given(duration=durations)
def test_the_middle_of_a_bin_is_near_to_all_that_it_holds(duration: int) -> None:
    assert abs(middle_of(bin_of(duration)) - duration) <= duration / 16


@pytest.mark.parametrize("duration", range(16))
def test_short_durations_are_exact(duration: int) -> None:
    assert middle_of(bin_of(duration)) == duration


@pytest.mark.parametrize("duration", [-5, -1])
def test_a_clock_that_went_back_counts_as_nothing(duration: int) -> None:
    assert bin_of(duration) == 0


def test_there_are_few_bins() -> None:
    assert bin_of(10**12) == bin_of((1 << 20) - 1) < 150


@given(
    found=st.lists(durations, min_size=1, max_size=200),
    share=st.sampled_from([0.01, 0.5, 0.9, 0.95, 0.99, 1.0]),
)
def test_a_percentile_is_that_of_the_durations_themselves(found: list[int], share: float) -> None:
    exact = sorted(found)[math.ceil(share * len(found)) - 1]
    answered = percentile_ms(Counter(bin_of(one) for one in found), share)
    assert answered is not None
    assert abs(answered - exact) <= exact / 16


def test_nothing_has_no_percentile() -> None:
    assert percentile_ms({}, 0.5) is None
