"""Lanes: one head each, and it alone may go."""

from tidings.core.delivery import Delivery
from tidings.core.ordering import Lanes


def row(seq: int, key: str | None = "k") -> Delivery:
    return Delivery(seq, f"dlv_{seq}", "default", "sub_1", seq, ordering_key=key)


def test_the_first_takes_the_lane_and_the_others_are_parked() -> None:
    lanes = Lanes()
    assert lanes.admits(row(1))
    assert lanes.admits(row(1))
    assert not lanes.admits(row(2))
    assert lanes.admits(row(3, "other"))
    assert len(lanes) == 2


def test_what_has_no_key_never_waits() -> None:
    lanes = Lanes()
    assert all(lanes.admits(row(seq, None)) for seq in range(5))
    assert len(lanes) == 0


def test_only_the_head_frees_its_lane() -> None:
    lanes = Lanes()
    lanes.admits(row(1))
    lanes.release(row(2))
    assert not lanes.admits(row(2))
    lanes.release(row(1))
    assert lanes.admits(row(2))
    lanes.clear()
    assert lanes.admits(row(3))


def test_followers_that_were_refused_are_missed_when_nobody_hands_them_over() -> None:
    lanes = Lanes()
    lanes.admits(row(1))
    assert not lanes.admits(row(2))
    lanes.release(row(1))
    assert lanes.has_missed(row(1))
    assert not lanes.has_missed(row(1))


def test_a_follower_that_takes_the_lane_is_missed_no_more_but_those_behind_it_are() -> None:
    lanes = Lanes()
    lanes.admits(row(1))
    for seq in (2, 3):
        assert lanes.is_taken(row(seq))
    lanes.release(row(1))
    assert lanes.admits(row(2))
    assert not lanes.has_missed(row(1))
    lanes.release(row(2))
    assert lanes.admits(row(3))
    lanes.release(row(3))
    assert not lanes.has_missed(row(3))


def test_what_came_before_the_head_is_no_follower() -> None:
    lanes = Lanes()
    lanes.admits(row(5))
    assert not lanes.admits(row(4))
    lanes.release(row(5))
    assert not lanes.has_missed(row(5))


def test_a_head_that_is_read_again_leaves_nothing_to_miss() -> None:
    lanes = Lanes()
    lanes.admits(row(1))
    lanes.admits(row(2))
    lanes.leave(row(1))
    assert not lanes.has_missed(row(1))
    assert not lanes.is_taken(row(1, None))
