"""Rows that changed while a read was under way are not believed from that read."""

from msgspec.structs import replace

from tidings.core.delivery import Delivery
from tidings.core.finished import FinishedRows

ROW = Delivery(7, "dlv_7", "default", "sub_1", 1)


def test_a_row_that_ended_during_a_read_is_stale_until_the_read_is_processed() -> None:
    finished = FinishedRows()
    reading = finished.begin_read()
    finished.add(ROW, has_ended=True)
    assert finished.is_stale(ROW)
    finished.end_read(reading)
    assert not finished.is_stale(ROW)
    assert len(finished) == 0


def test_without_a_read_under_way_nothing_is_remembered() -> None:
    finished = FinishedRows()
    finished.add(ROW, has_ended=True)
    assert len(finished) == 0


def test_a_row_that_was_tried_is_stale_only_as_it_was_before() -> None:
    finished = FinishedRows()
    finished.begin_read()
    tried = replace(ROW, attempt_count=1)
    finished.add(tried, has_ended=False)
    assert finished.is_stale(ROW)
    assert not finished.is_stale(tried)


def test_what_ended_is_remembered_until_the_oldest_read_is_processed() -> None:
    finished = FinishedRows()
    oldest = finished.begin_read()
    later = finished.begin_read()
    finished.add(ROW, has_ended=True)
    finished.end_read(later)
    assert finished.is_stale(ROW)
    finished.begin_read()
    finished.end_read(oldest)
    assert not finished.is_stale(ROW)
