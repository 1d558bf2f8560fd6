"""What a scenario answers, and the arithmetic that scenarios share."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.world import Arrivals

Figures = dict[str, float]
"""By the name of the figure, its unit included."""

ACCEPTED, DELIVERED, CPU = "accepted/s", "delivered/s", "server CPU µs/event"


@dataclass(frozen=True)
class Scenario:
    """One thing that is measured, in a fresh world; `runs` times at most, if it takes long."""

    measure: Callable[[], Figures]
    runs: int = 5


def percentile(values: list[float], share: float) -> float:
    """The value below which a share of all values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def latencies_ms(accepted: Mapping[str, int], arrivals: Arrivals) -> list[float]:
    """From the 202 to each receipt; a receipt may come first, which counts as 0."""
    return [
        max(0.0, (at - accepted[event_id]) / 1e6)
        for (event_id, _), at in arrivals.items()
        if event_id in accepted
    ]


def seconds_between(accepted: Mapping[str, int], arrivals: Arrivals) -> float:
    """From the first 202 to the last receipt."""
    return (max(arrivals.values()) - min(accepted.values())) / 1e9
