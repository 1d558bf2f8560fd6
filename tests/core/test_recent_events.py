"""What is kept of the newest events is bounded, in order, and says honestly how far it reaches."""

from hypothesis import given
from hypothesis import strategies as st

from tidings.core import limits
from tidings.core.event import CommittedEvent
from tidings.core.recent_events import RecentEvents


def an_event(seq: int, size: int = 1) -> CommittedEvent:
    return CommittedEvent(seq, "default", "a.b", b"x" * size)


def test_events_behind_a_place_are_those_with_a_higher_number() -> None:
    recent = RecentEvents(5)
    recent.extend([an_event(7), an_event(9)], 12)
    assert [one.seq for one in recent.after(5)] == [7, 9]
    assert [one.seq for one in recent.after(7)] == [9]
    assert recent.after(9) == recent.after(30) == []
    assert (recent.covers_after, recent.through_seq) == (5, 12)


def test_the_oldest_go_first_when_there_are_too_many() -> None:
    recent = RecentEvents(0)
    count = limits.STREAM_RECENT_EVENTS_MAX + 3
    recent.extend([an_event(seq) for seq in range(1, count + 1)], count)
    assert recent.covers_after == 3
    assert [one.seq for one in recent.after(3)] == [*range(4, count + 1)]


def test_an_event_that_is_too_large_is_not_kept() -> None:
    recent = RecentEvents(0)
    recent.extend([an_event(1), an_event(2, limits.STREAM_RECENT_BYTES_MAX + 1)], 4)
    assert (recent.covers_after, recent.through_seq, recent.after(2)) == (2, 4, [])
    recent.extend([an_event(5)], 5)
    assert [one.seq for one in recent.after(2)] == [5]


@given(
    st.lists(
        st.lists(st.integers(1, limits.STREAM_RECENT_BYTES_MAX), max_size=5),
        max_size=30,
    )
)
def test_whatever_comes_is_bounded_and_nothing_between_is_missing(sizes: list[list[int]]) -> None:
    recent = RecentEvents(0)
    added: list[CommittedEvent] = []
    for pages in sizes:
        page = [an_event(len(added) + number, size) for number, size in enumerate(pages, start=1)]
        added += page
        recent.extend(page, len(added))
        kept = recent.after(recent.covers_after)
        assert kept == [one for one in added if one.seq > recent.covers_after]
        assert sum(len(one.body) for one in kept) <= limits.STREAM_RECENT_BYTES_MAX
        assert len(kept) <= limits.STREAM_RECENT_EVENTS_MAX
        assert recent.through_seq == len(added)
