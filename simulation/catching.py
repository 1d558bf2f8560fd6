"""Which checker catches which planted fault, and at which seed; and the table of it in the docs."""

from collections.abc import Iterator
from typing import Final

import msgspec

from simulation.planted_faults import PLANTED_FAULTS, PlantedFault
from simulation.world import play
from tools.pages import DOCS, replace_block

SEEDS_MAX: Final = 100


class Caught(msgspec.Struct):
    """The first seed at which a planted fault was noticed, and the promise that it broke."""

    name: str
    breaks: str
    promise: str | None
    seed: int


def catch(planted: PlantedFault, *, seeds_max: int = SEEDS_MAX) -> Caught:
    """Play seed after seed with a fault until a checker notices it."""
    for seed in range(seeds_max):
        with planted.planted():
            broken = play(seed).broken
        if broken is not None:
            return Caught(planted.name, planted.breaks, broken.promise, seed)
    return Caught(planted.name, planted.breaks, None, seeds_max)


def fault_named(name: str) -> PlantedFault:
    """The planted fault of this name."""
    return next(one for one in PLANTED_FAULTS if one.name == name)


def write_table(caught: list[Caught]) -> None:
    """Put the table into the page on reliability, between its marks."""
    replace_block(DOCS / "reliability.md", "planted faults", "\n".join(_table(caught)))


def _table(caught: list[Caught]) -> Iterator[str]:
    yield "| planted fault | the promise that it breaks | first seed |"
    yield "|---|---|---|"
    for one in caught:
        yield f"| {one.breaks} | {one.promise or '**not caught**'} | {one.seed} |"
