"""Chance and time from the seed: streams of draws by name, ids, and a clock that can go wrong."""

import random

from simulation.virtual_loop import Timeline
from tidings.core.identifier import RANDOM_BYTES, Kind, encoded_id

WORLD_BEGINS_MS = 1_760_000_000_000
"""Some moment in October 2025."""


def stream(seed: int, name: str) -> random.Random:
    """Draws for one purpose: what one of them takes changes nothing for the others."""
    return random.Random(f"{seed}/{name}")


class SeededChance:
    """The port `Chance`, drawn from a seed."""

    def __init__(self, draws: random.Random) -> None:
        self._draws = draws

    def jitter(self) -> float:
        """See `Chance`."""
        return self._draws.random()

    def new_id(self, kind: Kind, at_ms: int) -> str:
        """See `Chance`."""
        return encoded_id(kind, at_ms, self._draws.randbytes(RANDOM_BYTES))

    def key_bytes(self, count: int) -> bytes:
        """See `Chance`."""
        return self._draws.randbytes(count)


class VirtualClock:
    """The port `Clock`: a wall clock that drifts and steps, and a monotonic one that does not."""

    def __init__(self, timeline: Timeline, *, drift: float = 0.0) -> None:
        self._timeline = timeline
        self._drift = drift
        self.stepped_ms = 0

    def now_ms(self) -> int:
        """See `Clock`."""
        passed_ms = self._timeline.now * 1_000 * (1 + self._drift)
        return WORLD_BEGINS_MS + self.stepped_ms + int(passed_ms)

    def monotonic_ms(self) -> float:
        """See `Clock`."""
        return self._timeline.now * 1_000

    def boot_ms(self) -> float:
        """See `Clock`."""
        return self._timeline.now * 1_000

    def step(self, milliseconds: int) -> None:
        """Put the wall clock forward or back."""
        self.stepped_ms += milliseconds
