"""Worlds drawn from seeds keep every promise, and the same seed is the same world."""

import subprocess
import sys

import pytest

from simulation.world import play

SEEDS = 60
SEEDS_OF_ONE_TEST = 2


@pytest.mark.parametrize("first", range(0, SEEDS, SEEDS_OF_ONE_TEST))
def test_every_promise_holds(first: int) -> None:
    for seed in range(first, first + SEEDS_OF_ONE_TEST):
        outcome = play(seed)
        assert outcome.broken is None, f"python -m simulation --seed {seed}: {outcome.broken}"
        assert outcome.events >= 200
        assert outcome.hours >= 24


def test_the_same_seed_is_the_same_world_whatever_the_hashes() -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", _PRINT_DIGEST],
            env={"PYTHONHASHSEED": hashes},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for hashes in ("1", "2", "3")
    }
    assert len(digests) == 1


_PRINT_DIGEST = """
from simulation.world import play
for seed in (3, 8):
    print(play(seed, trace=lambda line: None).digest)
"""
