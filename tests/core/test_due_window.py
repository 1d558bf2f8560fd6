"""The retries of the next minute, and how far the table has been read."""

from math import inf

import pytest

from tests.support.values import NOW_MS
from tidings.core import limits
from tidings.core.delivery import Delivery
from tidings.core.due_window import DueWindow
from tidings.core.finished import FinishedRows
from tidings.core.limits import DUE_WINDOW_MS


def row(seq: int, due_at_ms: int) -> Delivery:
    return Delivery(seq, f"dlv_{seq}", "default", "sub_1", 1, due_at_ms=due_at_ms)


def read(window: DueWindow, now_ms: int, rows: list[Delivery]) -> bool:
    """Ask for a window and answer it; whether one was asked for."""
    asked = window.next_read(now_ms, FinishedRows())
    if asked is None:
        return False
    window.read_finished(rows, asked)
    return True


def test_rows_come_out_in_the_order_of_their_due_time() -> None:
    window = DueWindow()
    for seq, due_at_ms in ((1, 300), (2, 100), (3, 200), (4, 100)):
        window.push(row(seq, due_at_ms))
    window.push(row(2, 100))
    popped = []
    while (one := window.pop_due(250)) is not None:
        popped.append(one.seq)
    assert popped in ([2, 2, 4, 3], [2, 4, 2, 3])
    assert window.pop_due(299) is None
    assert len(window) == 1


def test_a_window_is_read_at_once_and_again_when_half_of_it_has_passed() -> None:
    window = DueWindow()
    assert read(window, NOW_MS, [])
    assert window.covers(NOW_MS + DUE_WINDOW_MS)
    assert not window.covers(NOW_MS + DUE_WINDOW_MS + 1)
    assert not read(window, NOW_MS + DUE_WINDOW_MS // 2 - 1, [])
    assert window.next_wake_ms() == NOW_MS + DUE_WINDOW_MS // 2
    assert read(window, NOW_MS + DUE_WINDOW_MS // 2, [])


@pytest.mark.parametrize("is_being_read", [False, True])
def test_a_full_memory_gives_up_what_is_due_last_and_reads_it_again(
    monkeypatch: pytest.MonkeyPatch, *, is_being_read: bool
) -> None:
    monkeypatch.setattr(limits, "DUE_ROWS_IN_MEMORY_MAX", 8)
    window = DueWindow()
    read(window, NOW_MS, [])
    half_ms = DUE_WINDOW_MS // 2
    asked = window.next_read(NOW_MS + half_ms, FinishedRows()) if is_being_read else None
    rows = [row(seq, NOW_MS + half_ms + seq) for seq in range(1, 9)]
    for one in rows:
        assert window.make_room() == []
        window.push(one)
    assert window.make_room() == rows[4:]
    assert len(window) == 4
    if asked is not None:
        window.read_finished([], asked)
    assert window.covers(NOW_MS + half_ms + 4)
    assert not window.covers(NOW_MS + half_ms + 5)
    assert window.next_read(NOW_MS + half_ms, FinishedRows()) is None
    for _ in range(3):
        assert window.pop_due(NOW_MS + DUE_WINDOW_MS) is not None
    again = window.next_read(NOW_MS + half_ms, FinishedRows())
    assert again is not None
    assert again.after == (NOW_MS + half_ms + 4, 4)


def test_while_it_is_read_a_window_counts_as_covered() -> None:
    window = DueWindow()
    assert not window.covers(NOW_MS)
    window.next_read(NOW_MS, FinishedRows())
    assert window.covers(NOW_MS + DUE_WINDOW_MS)
    assert window.next_read(NOW_MS, FinishedRows()) is None
    assert window.next_wake_ms() == inf


def test_a_full_page_moves_the_horizon_only_as_far_as_it_reaches() -> None:
    window = DueWindow()
    asked = window.next_read(NOW_MS, FinishedRows())
    assert asked is not None
    rows = [row(seq, NOW_MS + seq) for seq in range(asked.limit)]
    window.read_finished(rows, asked)
    assert not window.covers(NOW_MS + asked.limit)
    following = window.next_read(NOW_MS, FinishedRows())
    assert following is not None
    assert following.after == (rows[-1].due_at_ms, rows[-1].seq)


def test_a_read_that_failed_is_asked_for_again() -> None:
    window = DueWindow()
    assert window.next_read(NOW_MS, FinishedRows()) is not None
    window.read_failed()
    assert window.next_read(NOW_MS, FinishedRows()) is not None


def test_where_shards_have_owners_only_ours_are_read_and_of_none_nothing_is() -> None:
    window = DueWindow()
    window.follow(())
    assert window.next_read(NOW_MS, FinishedRows()) is None
    assert window.next_wake_ms() == inf
    window.follow({9, 2})
    asked = window.next_read(NOW_MS, FinishedRows())
    assert asked is not None
    assert asked.shards == (2, 9)


def test_rows_of_subscriptions_that_are_not_ours_any_more_can_be_dropped() -> None:
    window = DueWindow()
    for seq in (3, 1, 2):
        window.push(row(seq, NOW_MS + seq))
    assert [one.seq for one in window.drop({"sub_2"})] == []
    assert sorted(one.seq for one in window.drop({"sub_1"})) == [1, 2, 3]
    assert len(window) == 0
