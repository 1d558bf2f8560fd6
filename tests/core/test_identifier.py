"""Ids sort by time; sequence numbers never go back."""

from hypothesis import given
from hypothesis import strategies as st

from tidings.core.identifier import (
    PUBLIC_ID,
    encoded_id,
    id_made_at_ms,
    lowest_id,
    lowest_seq,
    next_seq,
    seq_drawn_at_ms,
)

moments = st.integers(min_value=0, max_value=(1 << 42) - 1)
chance = st.binary(min_size=10, max_size=10)


@given(moments, chance, moments, chance)
def test_ids_sort_by_the_moment_they_were_made(
    one_ms: int, one: bytes, other_ms: int, other: bytes
) -> None:
    first, second = encoded_id("dlv", one_ms, one), encoded_id("dlv", other_ms, other)
    if one_ms != other_ms:
        assert (first < second) == (one_ms < other_ms)
    assert lowest_id("dlv", one_ms) <= first < lowest_id("dlv", one_ms + 1)
    assert id_made_at_ms(first) == one_ms


@given(moments, chance)
def test_ids_have_their_form(at_ms: int, random: bytes) -> None:
    made = encoded_id("evt", at_ms, random)
    assert made.startswith("evt_")
    assert len(made) == len("evt_") + 26
    assert PUBLIC_ID.fullmatch(made)


@given(st.lists(moments, min_size=1))
def test_sequence_numbers_rise_even_if_the_clock_does_not(clock: list[int]) -> None:
    drawn = [0]
    for now_ms in clock:
        drawn.append(next_seq(drawn[-1], now_ms))
    assert drawn == sorted(set(drawn))
    assert drawn[-1] < 1 << 63


@given(moments)
def test_a_moment_bounds_the_numbers_drawn_from_then_on(now_ms: int) -> None:
    seq = next_seq(0, now_ms)
    assert seq_drawn_at_ms(seq) == now_ms or now_ms == 0
    assert lowest_seq(now_ms) <= seq
    assert seq < lowest_seq(now_ms + 1)
