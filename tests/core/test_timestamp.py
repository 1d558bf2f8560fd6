"""Timestamps on the wire."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.core.timestamp import format_timestamp, normalised_timestamp, timestamp_ms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-05-04T12:00:00Z", "2024-05-04T12:00:00Z"),
        ("2024-05-04T14:00:00+02:00", "2024-05-04T12:00:00Z"),
        ("2024-05-04t12:00:00.123456789z", "2024-05-04T12:00:00.123456789Z"),
        ("2024-05-04T12:00:00-00:00", "2024-05-04T12:00:00Z"),
        ("2024-02-29T00:30:00+01:00", "2024-02-28T23:30:00Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("2024-05-04T12:00:00", None),
        ("2024-05-04 12:00:00Z", None),
        ("2024-05-04T12:00:60Z", None),
        ("2024-02-30T12:00:00Z", None),
        ("2024-05-04T25:00:00Z", None),
        ("0001-01-01T00:00:00+01:00", None),
        ("9999-12-31T23:59:59-01:00", None),
        ("2024-05-04T12:00:00.Z", None),
        ("2024-05-04T12:00:00+24:60", None),
        ("٢٠٢٤-05-04T12:00:00Z", None),
        ("", None),
        ("now", None),
    ],
)
def test_normalising(text: str, expected: str | None) -> None:
    assert normalised_timestamp(text) == expected


@given(st.integers(min_value=0, max_value=253_402_300_799_999))
def test_milliseconds_survive_the_way_there_and_back(at_ms: int) -> None:
    text = format_timestamp(at_ms)
    assert timestamp_ms(text) == at_ms
    assert normalised_timestamp(text) == text


@given(st.text())
def test_nonsense_is_no_timestamp_and_no_error(text: str) -> None:
    normalised = normalised_timestamp(text)
    assert (normalised is None) == (timestamp_ms(text) is None)
