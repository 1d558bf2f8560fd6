"""Several workers and one database: no promise is broken, and every planted fault is caught."""

import re
from collections import Counter
from itertools import chain

import pytest

from simulation.cluster.plan import FAULTS
from simulation.cluster.planted_faults import PLANTED, PlantedFault
from simulation.cluster.world import play
from tests.tidy.checkout import ROOT

SEEDS = 200
SEEDS_OF_ONE_TEST = 50
SEEDS_TO_CATCH = 100


@pytest.mark.timeout(180)
@pytest.mark.parametrize("first", range(0, SEEDS, SEEDS_OF_ONE_TEST))
def test_every_promise_holds(first: int) -> None:
    counted: Counter[str] = Counter()
    overlaps = 0
    for seed in range(first, first + SEEDS_OF_ONE_TEST):
        outcome = play(seed)
        assert outcome.broken is None, (
            f"python -m simulation.cluster --seed {seed}: {outcome.broken}"
        )
        counted.update(outcome.counted)
        overlaps += outcome.overlaps
    seldom = {"sessions ended", "requests cut", "late statements", "moves", *FAULTS}
    assert all(counted[name] > 5 for name in seldom), counted
    assert overlaps > 0


def test_the_same_seed_is_the_same_world() -> None:
    first, second = play(7), play(7)
    assert first == second
    assert play(8).counted != first.counted


@pytest.mark.timeout(180)
@pytest.mark.parametrize("fault", PLANTED, ids=lambda fault: fault.name)
def test_every_planted_fault_is_caught(fault: PlantedFault) -> None:
    assert fault.seed < SEEDS_TO_CATCH
    assert fault.caught(chain([fault.seed], range(SEEDS_TO_CATCH))) is not None


def test_the_table_in_the_docs_names_every_planted_fault() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text("utf-8")
    table = text.split("<!-- cluster faults -->")[1].split("<!-- end of cluster faults -->")[0]
    assert re.findall(r"^\| ([a-z][^|]*) \|", table, re.MULTILINE)[1:] == [
        one.name for one in PLANTED
    ]
