"""A delivery's life is its table, and nothing besides."""

from itertools import product

import pytest

from tests.support.values import NOW_MS
from tidings.core.delivery import (
    REASONS,
    TRANSITIONS,
    Delivery,
    DeliveryStatus,
    IllegalTurn,
    Turn,
    ending_of,
    status_after,
)

ALL = list(product(DeliveryStatus, Turn))


@pytest.mark.parametrize(("status", "turn"), ALL)
def test_every_turn_is_in_the_table_or_illegal(status: DeliveryStatus, turn: Turn) -> None:
    if (status, turn) in TRANSITIONS:
        assert status_after(status, turn) is TRANSITIONS[status, turn]
    else:
        with pytest.raises(IllegalTurn):
            status_after(status, turn)


def test_only_a_replay_or_a_discard_leaves_a_final_state() -> None:
    leaving = {turn for (status, turn) in TRANSITIONS if status is not DeliveryStatus.PENDING}
    assert leaving == {Turn.REPLAYED, Turn.DISCARDED}
    assert not any(status is DeliveryStatus.CANCELLED for status, _ in TRANSITIONS)


@pytest.mark.parametrize("turn", Turn)
def test_an_ending_has_a_reason_exactly_when_it_is_a_dead_letter(turn: Turn) -> None:
    target = TRANSITIONS.get((DeliveryStatus.PENDING, turn))
    if target in (None, DeliveryStatus.PENDING):
        with pytest.raises(IllegalTurn):
            ending_of(turn)
        return
    ending = ending_of(turn)
    assert ending.status is target
    assert (ending.reason is not None) == (target is DeliveryStatus.DEAD_LETTERED)
    assert ending.reason is REASONS.get(turn)


def test_what_repeats_something_is_told_from_what_is_fresh() -> None:
    fresh = Delivery(1, "dlv_1", "default", "sub_1", 1)
    assert not fresh.is_again
    assert Delivery(1, "dlv_1", "default", "sub_1", 1, round=1).is_again
    assert Delivery(1, "dlv_1", "default", "sub_1", 1, attempt_count=1).is_again
    assert not fresh.is_manual
    assert Delivery(1, "dlv_1", "default", "sub_1", 1, kept_due_at_ms=0, due_at_ms=NOW_MS).is_manual
