"""Who reads on behind a place is told when something between is gone."""

import pytest

from tidings.core.event_span import EventSpan


@pytest.mark.parametrize(
    ("seq", "place"),
    [
        (0, 10),
        (9, 10),
        (10, 10),
        (11, 11),
        (20, 20),
        (21, 20),  # the database was put back
    ],
)
def test_a_reader_goes_on_where_events_are_left(seq: int, place: int) -> None:
    assert EventSpan(deleted_seq=10, newest_seq=20).place_after(seq) == place


def test_nothing_is_missed_in_a_log_that_is_empty_or_wholly_deleted() -> None:
    assert EventSpan(0, 0).place_after(0) == 0
    assert EventSpan(deleted_seq=20, newest_seq=20).place_after(20) == 20
