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
