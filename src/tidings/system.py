"""The real clock, real chance: the one place that asks the computer for either."""

import os
import random
import threading
import time

from tidings.core.identifier import RANDOM_BYTES, Kind, encoded_id

_PORTION_BYTES = 4_000
_BOOT_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock:
    """The computer's clock."""

    def now_ms(self) -> int:
        """See `Clock`."""
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> float:
        """See `Clock`."""
        return time.monotonic() * 1_000

    def boot_ms(self) -> float:
        """See `Clock`."""
        return time.clock_gettime(_BOOT_CLOCK) * 1_000


class _Portion(threading.local):
    """Random bytes fetched ahead, for each thread its own, so that no two draw the same."""

    def __init__(self) -> None:
        self.content = b""
        self.used = 0

    def draw(self, count: int) -> bytes:
        """The next bytes; asking the system for each few would cost more than using them."""
        if self.used + count > len(self.content):
            self.content = os.urandom(_PORTION_BYTES)
            self.used = 0
        self.used += count
        return self.content[self.used - count : self.used]


class SystemChance:
    """Random draws from the operating system, safe to ask for from any thread."""

    def __init__(self) -> None:
        self._random = random.Random()  # noqa: S311 - jitter is no secret
        self._portion = _Portion()

    def jitter(self) -> float:
        """See `Chance`."""
        return self._random.random()

    def new_id(self, kind: Kind, at_ms: int) -> str:
        """See `Chance`."""
        return encoded_id(kind, at_ms, self._portion.draw(RANDOM_BYTES))

    def key_bytes(self, count: int) -> bytes:
        """See `Chance`."""
        return os.urandom(count)
