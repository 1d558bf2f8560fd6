"""The real clock, real chance: the one place that asks the computer for either."""

import os
import random
import time

from tidings.core.identifier import RANDOM_BYTES, Kind, encoded_id


class SystemClock:
    """The computer's clock."""

    def now_ms(self) -> int:
        """See `Clock`."""
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> float:
        """See `Clock`."""
        return time.monotonic() * 1_000


class SystemChance:
    """Random draws from the operating system, safe to ask for from any thread."""

    def __init__(self) -> None:
        self._random = random.Random()  # noqa: S311 - jitter is no secret

    def jitter(self) -> float:
        """See `Chance`."""
        return self._random.random()

    def new_id(self, kind: Kind, at_ms: int) -> str:
        """See `Chance`."""
        return encoded_id(kind, at_ms, os.urandom(RANDOM_BYTES))

    def key_bytes(self, count: int) -> bytes:
        """See `Chance`."""
        return os.urandom(count)
