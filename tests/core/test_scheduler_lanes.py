"""Ordering keys in the scheduler: lanes last through every change, and are bounded in number."""

import pytest

from tests.support.scheduler_world import ERROR, OK, SchedulerWorld
from tidings.core import limits
from tidings.core.commands import ReadPage
from tidings.core.retry import RetryPolicy
from tidings.core.subscription import Change

LONG = RetryPolicy((100_000.0,) * 20)


@pytest.fixture
def small_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """A window that a few rows fill."""
    monkeypatch.setattr(limits, "ENDPOINT_WINDOW_ROWS_MAX", 4)


def test_a_lane_stays_taken_through_disabling_and_resuming() -> None:
    world = SchedulerWorld()
    world.subscribe("ordered", ordering_enabled=True, retry_policy=LONG)
    (head,) = world.publish("ordered", 1, ordering_key="k")
    world.tell_all()
    assert [send.delivery.seq for send in world.step()] == [head.seq]
    world.carry_out_all()
    for change in (Change.DISABLE, Change.RESUME):
        world.change("ordered", change)
        world.tell_all()
    assert world.step() == []
    world.carry_out_all()
    world.publish("ordered", 1, ordering_key="k")
    world.tell_all()
    assert world.step() == []
    world.answer(head.seq, OK)
    assert len(world.flow(OK)) == 1


def test_an_endpoint_with_too_many_lanes_goes_on_when_they_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "ENDPOINT_LANES_MAX", 3)
    world = SchedulerWorld()
    world.subscribe("ordered", ordering_enabled=True, retry_policy=LONG)
    for number in range(10):
        world.publish("ordered", 2, ordering_key=f"k{number}")
    assert len(world.drain(OK)) == 20


def test_lanes_that_wait_are_bounded(small_window: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ENDPOINT_LANES_MAX", 3)
    world = SchedulerWorld()
    world.subscribe("ordered", ordering_enabled=True, retry_policy=LONG)
    for number in range(30):
        world.publish("ordered", 1, ordering_key=f"k{number}")
    world.flow(ERROR)
    (endpoint,) = world.scheduler.endpoints()
    assert 3 <= len(endpoint.lanes) <= 3 + limits.ENDPOINT_WINDOW_ROWS_MAX


def test_lanes_of_rows_that_were_let_go_are_free_for_those_that_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "ENDPOINT_LANES_MAX", 3)
    world = SchedulerWorld()
    world.subscribe("ordered", ordering_enabled=True)
    world.change("ordered", Change.PAUSE)
    for number in range(3):
        world.publish("ordered", 1, ordering_key=f"k{number}")
    world.tell_all()
    for change in (Change.DISABLE, Change.RESUME):
        world.change("ordered", change)
    world.tell_all()
    assert len(world.drain(OK)) == 3


@pytest.mark.usefixtures("small_window")
def test_a_page_that_knows_of_commits_before_we_do_takes_no_row_past_its_lane() -> None:
    world = SchedulerWorld()
    world.subscribe("ordered", ordering_enabled=True)
    (head,) = world.publish("ordered", ordering_key="key")
    world.tell(len(world.untold))
    world.step()
    world.publish("ordered", 6)
    world.tell(len(world.untold))
    world.answer(head.seq)
    while sends := world.step():
        for send in sends:
            world.answer(send.delivery.seq)
    (read,) = [one for one in world.under_way if isinstance(one.command, ReadPage)]
    # The head ends and its follower is queued; the page sees both before we are told of either.
    world.record()
    world.publish("ordered", ordering_key="key")
    for _ in ("looks", "is handed over"):
        world.carry_out(world.under_way.index(read))
    world.drain(OK)
    assert world.table.rows == {}


def test_a_head_that_is_cancelled_on_its_way_is_not_overtaken() -> None:
    world = SchedulerWorld()
    world.subscribe("ordered", ordering_enabled=True)
    head, follower = world.publish("ordered", 2, ordering_key="key")
    world.tell_all()
    world.step()
    world.end([head])
    world.tell_all()
    assert world.step() == []
    world.answer(head.seq)
    world.record()
    world.tell_all()
    assert [send.delivery.seq for send in world.step()] == [follower.seq]


def test_a_send_that_waited_for_its_body_goes_by_what_holds_then() -> None:
    world = SchedulerWorld()
    world.subscribe("one")
    (row,) = world.publish("one")
    world.tell_all()
    (send,) = world.step()
    world.patch("one", callback_url="https://elsewhere.example.com/in")
    world.tell_all()
    wanted = world.scheduler.still_wanted(send, world.now_ms)
    assert wanted is not None
    assert wanted.callback_url == "https://elsewhere.example.com/in"
    world.change("one", Change.PAUSE)
    world.tell_all()
    assert world.scheduler.still_wanted(send, world.now_ms) is None
    world.change("one", Change.RESUME)
    world.end([row])
    world.tell_all()
    assert world.scheduler.still_wanted(send, world.now_ms) is None
