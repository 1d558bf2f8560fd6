"""Planted defects are noticed: the quick ones here, all of them in the long run."""

import re

import pytest

from simulation.catching import catch, fault_named
from simulation.checkers import CHECKERS
from simulation.planted_faults import PLANTED_FAULTS
from simulation.planted_faults.of_the_table import FAULT_OF_ROW
from simulation.world import play
from tidings.core.delivery import TRANSITIONS
from tools.pages import DOCS, block

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
        ("a turn sends a row twice", "duplicates come only from the named crash windows"),
        ("202 is asked again", "duplicates come only from the named crash windows"),
        ("filters say yes", "one delivery for each matching subscription"),
        ("the form is not kept", "what was published is what is sent"),
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


def test_each_row_of_the_transition_table_has_a_planted_fault() -> None:
    assert set(FAULT_OF_ROW) == set(TRANSITIONS)
    assert all(planted in PLANTED_FAULTS for planted in FAULT_OF_ROW.values())


def test_the_table_in_the_docs_names_every_planted_fault_and_each_is_caught() -> None:
    assert [breaks for breaks, _ in _table_in_the_docs()] == [one.breaks for one in PLANTED_FAULTS]
    assert all("not caught" not in promise for _, promise in _table_in_the_docs())


def test_no_checker_is_there_in_vain() -> None:
    caught = {promise for _, promise in _table_in_the_docs()}
    assert {checker.promise for checker in CHECKERS} - caught == set()


def _table_in_the_docs() -> list[tuple[str, str]]:
    """The defects and the promise by which each was first noticed."""
    table = block(DOCS / "reliability.md", "planted faults")
    return re.findall(r"^\| ([^|]+) \| ([^|]+) \| \d+ \|$", table, re.MULTILINE)
