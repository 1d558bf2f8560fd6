"""Rows that were just committed, told of by a reader: nothing comes twice, and nothing is lost."""

import pytest

from tests.support.scheduler_world import ERROR, OK
from tests.support.shared_world import SharedWorld
from tidings.core import limits
from tidings.core.commands import ReadPage
from tidings.core.delivery import Delivery
from tidings.core.retry import RetryPolicy

LONG = RetryPolicy((100_000.0,) * 20)


@pytest.fixture
def small_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """A window that two rows fill."""
    monkeypatch.setattr(limits, "ENDPOINT_WINDOW_ROWS_MAX", 2)


def a_world() -> SharedWorld:
    world = SharedWorld()
    world.subscribe("ordered", ordering_enabled=True, retry_policy=LONG)
    world.tell_all()
    return world


def owning() -> SharedWorld:
    world = a_world()
    world.own_all()
    return world


def tell_arrivals(world: SharedWorld) -> None:
    world.read()
    world.take_in()


def sent(world: SharedWorld) -> list[int]:
    return [send.delivery.seq for send in world.step()]


def test_a_row_that_is_told_of_twice_is_sent_once() -> None:
    world = owning()
    world.publish("ordered", 2)
    world.read()
    assert world.look is not None
    rows = list(world.look.rows)
    world.take_in()
    world.scheduler.arrived(rows, world.now_ms)
    assert len(world.flow(OK)) == 2


def test_a_follower_told_of_before_the_end_of_its_head_is_found_though_nobody_hands_it_over() -> (
    None
):
    world = owning()
    (head,) = world.publish("ordered", 1, ordering_key="k")
    tell_arrivals(world)
    assert sent(world) == [head.seq]
    world.answer(head.seq, OK)
    (follower,) = world.publish("ordered", 1, ordering_key="k")
    tell_arrivals(world)
    assert sent(world) == []
    world.record()
    world.tell_all()
    world.step()
    world.carry_out_all()
    assert sent(world) == [follower.seq]


def test_the_same_holds_when_somebody_else_ends_the_head() -> None:
    world = owning()
    (head,) = world.publish("ordered", 1, ordering_key="k")
    world.flow(ERROR)
    (follower,) = world.publish("ordered", 1, ordering_key="k")
    tell_arrivals(world)
    world.end_elsewhere([head])
    tell_arrivals(world)
    assert [send.delivery.seq for send in world.flow(OK)] == [follower.seq]


def test_a_new_row_does_not_go_past_a_follower_that_nobody_handed_over() -> None:
    world = owning()
    head, follower = world.publish("ordered", 2, ordering_key="k")
    tell_arrivals(world)
    world.end_elsewhere([head])
    (newer,) = world.publish("ordered", 1, ordering_key="k")
    tell_arrivals(world)
    assert [send.delivery.seq for send in world.flow(OK)] == [follower.seq, newer.seq]


def test_a_head_that_somebody_elses_end_uncovers_is_taken_up() -> None:
    world = owning()
    (head,) = world.publish("ordered", 1, ordering_key="k")
    world.flow(ERROR)
    world.sees_all = True
    (follower,) = world.publish("ordered", 1, ordering_key="k")
    tell_arrivals(world)
    world.end_elsewhere([head])
    tell_arrivals(world)
    assert sent(world) == [follower.seq]


def reading_a_page(world: SharedWorld) -> Delivery:
    """The follower of a head, parked behind it as the page sees that is being read.

    The head's result has not seen it.
    """
    (first,) = world.publish("ordered", 1, ordering_key="k")
    world.publish("ordered", 1)
    (head,) = world.publish("ordered", 1, ordering_key="k")
    world.own_all()
    world.step()
    world.carry_out_all()
    assert sent(world)[0] == first.seq
    world.answer(first.seq, OK)
    world.record()
    world.tell_all()
    assert head.seq in sent(world)
    world.answer(head.seq, OK)
    (follower,) = world.publish("ordered", 1, ordering_key="k")
    (page,) = world.under_way
    assert isinstance(page.command, ReadPage)
    world.carry_out(0)
    return follower


@pytest.mark.usefixtures("small_window")
@pytest.mark.parametrize("is_told_first", [True, False])
def test_a_page_that_saw_a_follower_parked_is_not_believed_when_its_head_has_ended(
    is_told_first: bool,
) -> None:
    world = a_world()
    follower = reading_a_page(world)
    if is_told_first:
        tell_arrivals(world)
    world.record()
    world.tell_all()
    if not is_told_first:
        tell_arrivals(world)
    world.carry_out(0)
    assert follower.seq in [send.delivery.seq for send in world.flow(OK)]
    assert world.table.rows == {}


def test_a_wish_behind_a_head_whose_request_is_on_its_way_waits_for_it() -> None:
    world = owning()
    head, follower = world.publish("ordered", 2, ordering_key="k")
    tell_arrivals(world)
    assert sent(world) == [head.seq]
    world.end_elsewhere([head])
    world.retry_here(follower.seq)
    assert sent(world) == []
    tell_arrivals(world)
    assert sent(world) == []
    world.answer(head.seq, OK)
    assert [send.delivery.seq for send in world.flow(OK)] == [follower.seq]


def test_a_wish_that_is_told_of_here_and_by_the_reader_is_carried_out_once() -> None:
    world = owning()
    (row,) = world.publish("ordered", 1)
    world.flow(ERROR)
    world.retry(row.seq)
    asked = world.table.rows[row.seq]
    world.scheduler.changed([asked], world.now_ms)
    tell_arrivals(world)
    assert sent(world) == [row.seq]
    assert sent(world) == []


def test_a_wish_that_was_carried_out_meanwhile_counts_for_nothing() -> None:
    world = owning()
    (row,) = world.publish("ordered", 1)
    world.flow(ERROR)
    world.retry(row.seq)
    world.scheduler.changed([world.table.rows[row.seq]], world.now_ms)
    world.read()
    assert sent(world) == [row.seq]
    world.answer(row.seq, ERROR)
    world.record()
    world.tell_all()
    world.take_in()
    assert sent(world) == []
