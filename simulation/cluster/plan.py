"""What a seed decides: how many workers, how wrong their clocks, which faults there are at all."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from simulation.cluster.table import Tables
from tidings.core import limits
from tidings.core.ownership import Ownership

FAULTS: Final = ("crash", "join", "leave", "pause", "cut off", "outage", "slow")
_SHARDS: Final = (16, 24, 37)


@dataclass
class Plan:
    """The course of one world; faults are planted in its last three members."""

    seed: int
    workers: int
    shards: int
    chaos_ms: float
    faults: tuple[str, ...]
    fault_every_ms: float
    rows_per_second: float
    hanging_share: float
    late_share: float
    lost_share: float
    ownership: Callable[..., Ownership] = Ownership
    tables: Callable[..., Tables] = Tables
    waits_for_commits: bool = True


def plan_of(seed: int) -> Plan:
    """The plan that belongs to a seed."""
    draw = random.Random(f"plan {seed}")
    faults = [fault for fault in FAULTS if draw.random() < 0.6]
    return Plan(
        seed=seed,
        workers=draw.randint(2, 5),
        shards=draw.choice(_SHARDS),
        chaos_ms=draw.uniform(40_000, 90_000),
        faults=tuple(faults or ["crash"]),
        fault_every_ms=draw.uniform(3_000, 12_000),
        rows_per_second=draw.uniform(2, 10),
        hanging_share=draw.choice((0.0, 0.02, 0.1)),
        late_share=draw.choice((0.0, 0.0, 0.02, 0.1)),
        lost_share=draw.choice((0.0, 0.0, 0.02)),
    )


def drift(draw: random.Random) -> float:
    """How wrong a clock goes; often as wrong as the rules bear."""
    most = limits.CLOCK_DRIFT_SHARE_MAX
    return draw.choice((-most, 0.0, most, draw.uniform(-most, most)))
