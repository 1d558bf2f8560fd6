"""Planted defects are noticed: the quick ones here, all of them in the long run."""

import pytest

from simulation.catching import catch, fault_named
from simulation.planted_faults import PLANTED_FAULTS
from simulation.world import play
from tidings.core.delivery import TRANSITIONS

FEW_SEEDS = 12


@pytest.mark.parametrize(
    ("name", "promise"),
    [
        ("attempt_delivered ends as cancelled", "a delivery lives by the table"),
        ("waits are halved", "no attempt comes too soon"),
        ("the cancelled can be replayed", "a delivery lives by the table"),
        ("discarded becomes delivered", "delivered only if the receiver said so"),
        ("signatures are over other bytes", "signed with the live secrets"),
        ("disabled ones take events", "one delivery for each matching subscription"),
    ],
)
def test_a_planted_fault_is_noticed(name: str, promise: str) -> None:
    caught = catch(fault_named(name), seeds_max=FEW_SEEDS)
    assert caught.promise == promise


def test_a_planted_fault_is_taken_out_again() -> None:
    before = dict(TRANSITIONS)
    with fault_named("discarded becomes delivered").planted():
        assert before != TRANSITIONS
    assert before == TRANSITIONS
    assert play(0).broken is None


def test_planted_faults_have_names_of_their_own_and_are_many() -> None:
    names = [planted.name for planted in PLANTED_FAULTS]
    assert len(set(names)) == len(names) >= 30
